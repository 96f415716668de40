//! The verb: what it is told, how it goes through the chunks of a file, and what it answers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use persist_core::lock::Lock;
use serde::Serialize;

use super::mapping::{Mapped, Mapping, Role, parse};
use super::position::{Begun, POSITIONS, Position};
use super::rejects::Rejects;
use super::source::{Format, Place, Row, Source};
use super::target::{Made, Model, Target};
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::output::{Output, code, counted, list};
use crate::progress::Progress;
use crate::store::{Shape, absolute};

/// What `import` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file: CSV with a header, or JSON Lines
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder of the store, or the base folder of dated stores, in which dates are made as the rows need them
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The date of all rows, where PATH is the base folder of dated stores
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// What a column is: date, key, process, collection, item, value, timestamp, username, status or data; without COLUMN
    /// there is none
    #[arg(long = "map", value_name = "ROLE=COLUMN", value_parser = parse)]
    map: Vec<(Role, String)>,
    /// How the file is written; otherwise its name says so: .csv, .tsv, .jsonl, .ndjson
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Take every field of a CSV file as text; otherwise numbers, true and false are what they are in JSON
    #[arg(long)]
    text: bool,
    /// Make a store of this kind, if PATH has none yet
    #[arg(long, value_name = "KIND")]
    new: Option<Model>,
    /// Where rows go that can't be imported, with the reason [default: FILE with .rejects.jsonl added]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// So many rows at most are one step
    #[arg(long, value_name = "ROWS", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Begin at the first row, whatever an earlier import of the file has done
    #[arg(long)]
    anew: bool,
    #[command(flatten)]
    shape: Shape,
}

/// What was imported.
#[derive(Debug, Serialize)]
struct Answer {
    file: PathBuf,
    path: PathBuf,
    /// Rows that are in the store, those of interrupted runs among them.
    rows: u64,
    /// Rows that are not.
    rejected: u64,
    /// Where those are.
    rejects: Option<PathBuf>,
    /// The line that this run went on with; `None` where it began with the first.
    resumed_at: Option<u64>,
    /// Whether all had been done before.
    already: bool,
}

/// Bytes of the rows of a chunk, roughly.
const CHUNK_BYTES: u64 = 8 * 1024 * 1024;

/// Imports a file. Rejected rows are exit code 1.
pub(crate) fn run(args: &Args, output: &Output) -> Result<ExitCode> {
    let file = args.file.canonicalize().map_err(|error| Failure::reading(&args.file, error))?;
    let mut target = Target::find(&args.path, args.date.as_deref(), args.new, &args.shape)?;
    let mut source = Source::open(&file, args.format, args.text)?;
    let mapping = Mapping::new(&args.map, target.roles(), source.columns())?;
    let options = format!("{:?} {:?} {:?} {}", args.map, args.date, source.format(), args.text);
    let rejects = args
        .rejects
        .as_ref()
        .map_or_else(|| persist_core::fs::suffixed(&file, ".rejects.jsonl"), |path| absolute(path));
    // Another import of the file would go on from where this one began.
    let lock = target.dir().join(format!("{POSITIONS}.lock"));
    let _lock = Lock::acquire(&lock, "an import")?;
    let (mut position, is_resumed) = Position::load(&target.dir(), &file, options, rejects, args.anew)?;
    let resumed_at = is_resumed.then_some(position.at.line);
    let (was_done, before) = (position.is_done, position.at);
    let rejects = Rejects::open(&mut position, args.anew)?;
    position.check(&source)?;
    source.go_to(position.at)?;
    let interrupt = Interrupt::noted()?;
    let progress = Progress::of_bytes("importing", source.bytes());
    let mut import = Import { target: &mut target, mapping, position: &mut position, rejects };
    let imported = import.all(&mut source, args.batch as usize, &interrupt, &progress);
    progress.end();
    // What was made is closed in order, whatever came after it.
    let closed = target.close();
    imported.and(closed)?;
    // A file may have grown since.
    let already = was_done && position.at == before;
    let rejected = position.rejected;
    let rejects = (rejected > 0).then(|| position.rejects.clone());
    let answer = Answer { file, path: target.dir(), rows: position.rows, rejected, rejects, resumed_at, already };
    output.answer(&answer, Answer::text)?;
    Ok(code(rejected == 0))
}

/// An import under way.
struct Import<'a> {
    target: &'a mut Target,
    mapping: Mapping,
    position: &'a mut Position,
    rejects: Rejects,
}

impl Import<'_> {
    fn all(&mut self, source: &mut Source, rows: usize, interrupt: &Interrupt, progress: &Progress) -> Result<()> {
        loop {
            // A chunk that was begun has an end.
            let chunk = source.chunk(rows, CHUNK_BYTES, self.position.end)?;
            if chunk.is_empty() {
                return self.position.finish();
            }
            self.position.begin(source, source.place())?;
            self.chunk(source, chunk)?;
            progress.reached(self.position.at.byte);
            if interrupt.is_asked() {
                let message = format!(
                    "it was interrupted after line {}: {} of {} so far; the same command goes on from there",
                    self.position.at.line.saturating_sub(1),
                    counted(self.position.rows, "row"),
                    self.position.file.display()
                );
                return Err(Failure::Interrupted(message));
            }
        }
    }

    /// Makes a chunk whose end the position has.
    fn chunk(&mut self, source: &Source, chunk: Vec<Row>) -> Result<()> {
        let mut rejected: Vec<(Place, u64, String)> = Vec::new();
        let mut stores: BTreeMap<String, Vec<Mapped>> = BTreeMap::new();
        for row in chunk {
            let (start, end) = (row.start, row.end);
            match self.mapping.map(row).and_then(|row| Ok((self.target.store_of(&row)?, row))) {
                Ok((store, row)) => stores.entry(store).or_default().push(row),
                Err(reason) => rejected.push((start, end, reason)),
            }
        }
        let mut rows = 0;
        // In the order of the stores' names, as whoever goes on will.
        for (store, mapped) in stores {
            let position = &mut *self.position;
            let begun = position.begun.iter().find(|begun| begun.name == store).cloned();
            let is_last = begun.as_ref() == position.begun.last();
            let made = self.target.make(&store, &mapped, begun, is_last, |begun: Begun| position.begin_batch(begun))?;
            let Made { count, refused } = made;
            rows += count;
            rejected.extend(refused.into_iter().filter_map(|(at, reason)| {
                let row = mapped.get(at)?;
                Some((row.start, row.end, reason))
            }));
        }
        rejected.sort_by_key(|(start, ..)| start.byte);
        let bytes = self.rejects.add(source, &rejected, self.position)?;
        self.position.done(rows, rejected.len() as u64, bytes)
    }
}

impl Answer {
    fn text(&self) -> String {
        let state = if self.already { "was imported before; --anew imports it again" } else { "imported" };
        let mut entries = vec![
            ("file", self.file.display().to_string()),
            ("state", state.to_owned()),
            ("into", self.path.display().to_string()),
            ("rows", self.rows.to_string()),
        ];
        entries.extend(self.resumed_at.filter(|_| !self.already).map(|line| ("went on at", format!("line {line}"))));
        entries
            .extend(self.rejects.as_ref().map(|file| ("rejected", format!("{}: {}", self.rejected, file.display()))));
        list(&entries)
    }
}
