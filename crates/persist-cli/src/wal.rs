//! `wal cat`, `wal verify`, and what `wal tail` has in common with them: the log as it lies there, also while a process
//! writes it. Nothing is changed.

use std::path::PathBuf;
use std::process::ExitCode;

use persist_core::Timestamp;
use persist_core::text::printable;
use persist_core::timestamp::IntoTimestamp;
use persist_core::wal::{Cause, LeftOut, Line};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::failure::{Failure, Result};
use crate::folder::{Folder, Place};
use crate::log::{Found, Log};
use crate::output::{Output, code, counted, list, size};
use crate::tail;

/// What can be done with a log.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Print its lines in order; with --json as they stand in the files
    Cat(CatArgs),
    /// Print its last lines, and with -f those that are written from now on
    Tail(tail::Args),
    /// Say what a recovery would find: how many records, a torn end, damage
    Verify(VerifyArgs),
}

/// What `wal cat` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct CatArgs {
    #[command(flatten)]
    log: Place,
    #[command(flatten)]
    filter: Filter,
}

/// Which lines are asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// Only lines of this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only lines written at or after this moment, ISO 8601
    #[arg(long, value_name = "MOMENT")]
    since: Option<String>,
    /// Only lines written at or before this moment, ISO 8601
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
    /// Only lines from this seq on
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from_seq: u64,
    /// Only lines up to this seq
    #[arg(long, value_name = "SEQ", default_value_t = u64::MAX)]
    to_seq: u64,
}

/// What `wal verify` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    log: Place,
}

/// Does it.
pub(crate) fn run(verb: &Verb, output: &Output) -> Result<ExitCode> {
    match verb {
        Verb::Cat(args) => cat(args, output),
        Verb::Tail(args) => tail::run(args, output),
        Verb::Verify(args) => verify(args, output),
    }
}

/// The one store whose log is meant.
pub(crate) fn one_log(place: &Place) -> Result<Folder> {
    match logs(place)?.as_slice() {
        [one] => Ok(one.clone()),
        many => {
            let message = format!("{} has {} stores: name one with --date", place.path.display(), many.len());
            Err(Failure::Usage(message))
        }
    }
}

fn logs(place: &Place) -> Result<Vec<Folder>> {
    match place.find()? {
        found @ (Folder::Backup(_) | Folder::Exports(..) | Folder::Unfinished(_)) => {
            Err(Failure::Unfit(format!("{} is {}: it has no log", found.dir().display(), found.name())))
        }
        found => Ok(found.stores()),
    }
}

/// Which lines are wanted.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    key: Option<&'a str>,
    since: i64,
    until: i64,
    from_seq: u64,
    to_seq: u64,
}

impl Filter {
    /// The same, with moments as the log has them.
    pub(crate) fn wanted(&self) -> Result<Wanted<'_>> {
        let moment = |text: &Option<String>, default: i64| match text {
            Some(text) => text.as_str().into_timestamp().map(|moment| moment.unix_micros()),
            None => Ok(default),
        };
        Ok(Wanted {
            key: self.key.as_deref(),
            since: moment(&self.since, i64::MIN)?,
            until: moment(&self.until, i64::MAX)?,
            from_seq: self.from_seq,
            to_seq: self.to_seq,
        })
    }
}

impl Wanted<'_> {
    /// The line as it is printed, if it is wanted.
    pub(crate) fn printed(&self, line: &Line<'_>, output: &Output) -> Result<Option<String>> {
        let body = Body::of(line)?;
        let is_wanted = (self.from_seq..=self.to_seq).contains(&line.seq)
            && (self.since..=self.until).contains(&line.at)
            && self.key.is_none_or(|key| body.key == key);
        Ok(is_wanted.then(|| if output.is_json() { line.text().to_owned() } else { body.text(line) }))
    }
}

/// What the owner of the log has put into a line.
#[derive(Debug, Deserialize)]
struct Body {
    #[serde(default)]
    key: String,
    process_name: Option<String>,
    collection_name: Option<String>,
    item_name: Option<String>,
    value: Option<Box<RawValue>>,
    data: Option<Box<RawValue>>,
}

fn cat(args: &CatArgs, output: &Output) -> Result<ExitCode> {
    let wanted = args.filter.wanted()?;
    for folder in logs(&args.log)? {
        cat_one(&folder, &wanted, output)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn cat_one(folder: &Folder, wanted: &Wanted<'_>, output: &Output) -> Result<()> {
    let log = Log::of(folder)?;
    let archive = log.archive()?;
    let mut last = 0;
    for segment in archive.segments().iter().filter(|segment| segment.last_seq >= wanted.from_seq) {
        let mut lines = archive.read(segment)?;
        while let Some(line) = lines.take_line() {
            // An interrupted recovery leaves lines in two segments.
            if line.seq <= last {
                continue;
            }
            last = line.seq;
            if let Some(from) = line.lost_from {
                output.note(&lost(from, line.seq));
            } else if let Some(text) = wanted.printed(&line, output)? {
                output.line(&text)?;
            }
        }
    }
    Ok(())
}

/// What is said of a stretch that a recovery has given up.
pub(crate) fn lost(from: u64, to: u64) -> String {
    format!("seq {from} to {to} were lost to damage, and left out by a recovery")
}

impl Body {
    fn of(line: &Line<'_>) -> Result<Self> {
        serde_json::from_str(&format!("{}}}", line.body()))
            .map_err(|error| Failure::Unfit(format!("line {} of the log is no record of a store: {error}", line.seq)))
    }

    /// The line for people.
    fn text(&self, line: &Line<'_>) -> String {
        let mut id = printable(&self.key);
        for part in [&self.process_name, &self.collection_name, &self.item_name].into_iter().flatten() {
            id.push_str(" / ");
            id.push_str(&printable(part));
        }
        let version = line.marks.version.map(|version| format!(" v{version}")).unwrap_or_default();
        let value = self.value.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
        let data = match &self.data {
            _ if line.marks.is_removal => "(removed)",
            Some(data) => data.get(),
            None => "",
        };
        let at = Timestamp::from_unix_micros(line.at);
        format!("{} {at} {id}{version}{value} {data}", line.seq)
    }
}

/// What a log looks like.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    path: PathBuf,
    /// Whether there is no damage; a torn end is none.
    pub(crate) ok: bool,
    segments: usize,
    bytes: u64,
    /// Records that only the log has, as far as `status.json` says.
    pub(crate) records: u64,
    watermark: u64,
    /// First and last `seq` of each stretch that is missing.
    pub(crate) lost: Vec<(u64, u64)>,
    /// What is neither a line that counts nor fill.
    pub(crate) unreadable: Vec<Stretch>,
}

/// A stretch of a segment that a recovery would leave out.
#[derive(Debug, Serialize)]
pub(crate) struct Stretch {
    file: PathBuf,
    line: usize,
    offset: u64,
    bytes: u64,
    /// `torn`, `damaged` or `superfluous`.
    cause: &'static str,
}

impl Health {
    /// What a recovery of the store's log would find.
    pub(crate) fn of(folder: &Folder) -> Result<Self> {
        let Found { report, watermark } = Log::of(folder)?.look(folder)?;
        Ok(Self {
            path: folder.dir(),
            ok: !report.is_damaged(),
            segments: report.segments,
            bytes: report.bytes,
            records: report.records,
            watermark,
            unreadable: report.left_out.iter().map(Stretch::of).collect(),
            lost: report.lost,
        })
    }

    /// What is wrong, a line each; torn ends and what is superfluous among it.
    pub(crate) fn findings(&self) -> Vec<String> {
        let lost = self.lost.iter().map(|(from, to)| format!("seq {from} to {to} are missing"));
        lost.chain(self.unreadable.iter().map(Stretch::text)).collect()
    }

    fn text(&self) -> String {
        let state = match (self.ok, self.unreadable.is_empty()) {
            (true, true) => "fine",
            (true, false) => "fine but for what a crash leaves",
            (false, _) => "DAMAGED",
        };
        let mut entries = vec![
            ("log of", self.path.display().to_string()),
            ("state", state.to_owned()),
            ("segments", format!("{}, {}", self.segments, size(self.bytes))),
            ("to replay", format!("{} after seq {}", counted(self.records, "record"), self.watermark)),
        ];
        entries.extend(self.findings().into_iter().map(|finding| ("found", finding)));
        list(&entries)
    }
}

impl Stretch {
    fn of(left_out: &LeftOut) -> Self {
        let cause = match left_out.cause {
            Cause::Torn => "torn",
            Cause::Damaged => "damaged",
            _ => "superfluous",
        };
        Self { file: left_out.file.clone(), line: left_out.line, offset: left_out.offset, bytes: left_out.bytes, cause }
    }

    fn text(&self) -> String {
        let Self { file, line, offset, bytes, cause } = self;
        format!("{cause}: {bytes} bytes at line {line}, offset {offset} of {}", file.display())
    }
}

#[derive(Serialize)]
struct Logs {
    ok: bool,
    logs: Vec<Health>,
}

fn verify(args: &VerifyArgs, output: &Output) -> Result<ExitCode> {
    let logs = logs(&args.log)?.iter().map(Health::of).collect::<Result<Vec<_>>>()?;
    let ok = logs.iter().all(|log| log.ok);
    output
        .answer(&Logs { ok, logs }, |answer| answer.logs.iter().map(Health::text).collect::<Vec<_>>().join("\n\n"))?;
    Ok(code(ok))
}
