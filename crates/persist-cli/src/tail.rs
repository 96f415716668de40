//! `wal tail`: the last lines of a log, and those that follow.
//!
//! What it keeps true: each line is printed once, in order of `seq`. It reads on in the segment that takes lines. When
//! another has begun, all there is of the log is looked through for lines that come next, compressed segments included, so
//! that it does not matter how many segments there were meanwhile. Lines that are not there any more are told to be missing.
//! Of a batch nothing is printed before all of it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use persist_core::wal::{Line, SegmentId};

use crate::failure::{Failure, Result};
use crate::folder::{Folder, Place, names};
use crate::interrupt::Interrupt;
use crate::log::Log;
use crate::output::Output;
use crate::wal::{Filter, Wanted, lost, one_log};

/// What `wal tail` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    log: Place,
    #[command(flatten)]
    filter: Filter,
    /// Begin with so many of the last lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    lines: usize,
    /// Go on with the lines that are written, until Ctrl-C or until nobody reads the output any more
    #[arg(short, long)]
    follow: bool,
}

/// How often the log is looked at.
const PAUSE: Duration = Duration::from_millis(50);
/// So many looks does what seems to be missing get: it may only be on its way from one file to another.
const LOOKS: u32 = 40;
/// What is read at once of a segment, at least.
const PIECE_BYTES: usize = 256 * 1024;

/// Prints the last lines, and those that follow.
pub(crate) fn run(args: &Args, output: &Output) -> Result<ExitCode> {
    let folder = one_log(&args.log)?;
    let interrupt = Interrupt::noted()?;
    let mut tail = Tail::new(folder, args.filter.wanted()?, output);
    tail.begin(args.lines)?;
    while args.follow && !interrupt.is_asked() && is_read(PAUSE) {
        tail.go_on()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A log that is followed.
struct Tail<'a> {
    folder: Folder,
    wanted: Wanted<'a>,
    output: &'a Output,
    /// The last `seq` that was dealt with; `None` before the first.
    last: Option<u64>,
    /// What was read of a batch that is not whole yet, with its last `seq`.
    unfinished: (Vec<String>, Option<u64>),
    /// The segment that takes lines, as far as is known.
    present: Option<Segment>,
    /// The segments that have lines, and have been looked through.
    known: BTreeSet<PathBuf>,
    /// How often in a row lines were missing, or could not be read.
    misses: u32,
}

/// A segment that is being read.
struct Segment {
    path: PathBuf,
    file: File,
    /// Everything before was dealt with.
    offset: u64,
}

/// What became of a line.
#[derive(PartialEq, Eq)]
enum Taken {
    /// It was dealt with, now or before.
    Done,
    /// It is one of a batch that is not whole yet.
    Held,
    /// Lines before it are missing.
    Gap,
}

impl<'a> Tail<'a> {
    fn new(folder: Folder, wanted: Wanted<'a>, output: &'a Output) -> Self {
        let (unfinished, known) = ((Vec::new(), None), BTreeSet::new());
        Self { folder, wanted, output, last: None, unfinished, present: None, known, misses: 0 }
    }

    /// Prints the last lines that there are now.
    fn begin(&mut self, count: usize) -> Result<()> {
        let known = self.with_lines()?;
        let log = Log::of(&self.folder)?;
        let archive = log.archive()?;
        let mut last: BTreeMap<u64, String> = BTreeMap::new();
        for segment in archive.segments().iter().rev() {
            let mut lines = archive.read(segment)?;
            while let Some(line) = lines.take_line() {
                self.last = self.last.max(Some(line.seq));
                if line.lost_from.is_none()
                    && let Some(text) = self.wanted.printed(&line, self.output)?
                {
                    last.insert(line.seq, text);
                }
                if last.len() > count {
                    last.pop_first();
                }
            }
            if last.len() >= count {
                break;
            }
        }
        last.values().try_for_each(|text| self.output.line(text))?;
        let newest =
            archive.segments().iter().filter(|segment| !segment.is_kept).max_by_key(|segment| segment.last_seq);
        self.present = newest.and_then(|segment| Segment::open(&segment.path));
        self.known = known;
        Ok(())
    }

    /// Prints what has come since.
    fn go_on(&mut self) -> Result<()> {
        self.read_present()?;
        let with_lines = self.with_lines()?;
        let is_present = self.present.as_ref().is_none_or(Segment::is_there);
        let present = self.present.as_ref().map(|segment| &segment.path);
        let is_new = with_lines.iter().any(|path| !self.known.contains(path) && Some(path) != present);
        if is_new || (!is_present && !with_lines.is_empty()) || self.misses > 0 {
            // Before the next segment takes its first line, this one has had its last.
            self.read_present()?;
            self.look_through(with_lines)?;
        }
        Ok(())
    }

    /// Prints the lines that come next in any segment, and finds the one that takes lines now.
    fn look_through(&mut self, with_lines: BTreeSet<PathBuf>) -> Result<()> {
        let log = Log::of(&self.folder)?;
        let archive = log.archive()?;
        for segment in archive.segments() {
            if self.last.is_some_and(|last| segment.last_seq <= last) {
                continue;
            }
            self.drop_unfinished();
            let mut lines = archive.read(segment)?;
            while let Some(line) = lines.take_line() {
                if self.take(&line)? == Taken::Gap {
                    self.misses += 1;
                    return Ok(());
                }
            }
        }
        self.drop_unfinished();
        self.misses = 0;
        self.known = with_lines;
        let newest =
            archive.segments().iter().filter(|segment| !segment.is_kept).max_by_key(|segment| segment.last_seq);
        self.present = newest.and_then(|segment| Segment::open(&segment.path));
        Ok(())
    }

    /// Reads on in the segment that takes lines.
    fn read_present(&mut self) -> Result<()> {
        let Some(mut segment) = self.present.take() else { return Ok(()) };
        let read = self.read_on(&mut segment);
        self.present = Some(segment);
        read
    }

    fn read_on(&mut self, segment: &mut Segment) -> Result<()> {
        let mut piece_bytes = PIECE_BYTES;
        loop {
            self.drop_unfinished();
            let piece = segment.read(piece_bytes).map_err(|error| Failure::reading(&segment.path, error))?;
            let mut at = 0;
            let mut done = 0;
            loop {
                let rest = piece.get(at..).unwrap_or_default();
                let fill = rest.iter().take_while(|byte| matches!(byte, b'\n' | 0 | 0xff)).count();
                let rest = rest.get(fill..).unwrap_or_default();
                let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { break };
                let taken = match Line::parse(rest.get(..end).unwrap_or_default()) {
                    Some(line) => self.take(&line)?,
                    None if self.is_past(rest.get(end + 1..).unwrap_or_default()) => Taken::Done,
                    None => Taken::Gap,
                };
                if taken == Taken::Gap {
                    // It is being written, or was damaged: it is looked at again, and told to be missing in the end.
                    self.misses += 1;
                    segment.offset += done as u64;
                    return Ok(());
                }
                at += fill + end + 1;
                if taken == Taken::Done {
                    done = at;
                }
            }
            segment.offset += done as u64;
            if piece.len() < piece_bytes || (done == 0 && is_fill(&piece)) {
                return Ok(());
            }
            if done == 0 {
                // A line, or a batch, that is longer.
                piece_bytes *= 2;
            }
        }
    }

    /// Whether these lines were dealt with, so that a broken one before them need not be waited for.
    fn is_past(&self, lines: &[u8]) -> bool {
        let next = lines.split(|byte| *byte == b'\n').next().and_then(Line::parse);
        next.is_some_and(|next| self.last.is_some_and(|last| next.seq <= last))
    }

    fn take(&mut self, line: &Line<'_>) -> Result<Taken> {
        let reached = self.unfinished.1.or(self.last);
        let first = line.lost_from.unwrap_or(line.seq);
        if let Some(reached) = reached {
            if line.seq <= reached {
                return Ok(Taken::Done);
            }
            if first > reached + 1 {
                if self.misses < LOOKS {
                    return Ok(Taken::Gap);
                }
                self.misses = 0;
                self.output.note(&format!("seq {} to {} are not in the log any more", reached + 1, first - 1));
            }
        }
        if line.lost_from.is_some() {
            self.output.note(&lost(first, line.seq));
        } else if let Some(text) = self.wanted.printed(line, self.output)? {
            self.unfinished.0.push(text);
        }
        self.unfinished.1 = Some(line.seq);
        if line.marks.batch.is_some_and(|place| place.number < place.of) {
            return Ok(Taken::Held);
        }
        self.last = Some(line.seq);
        let (texts, _) = std::mem::take(&mut self.unfinished);
        texts.iter().try_for_each(|text| self.output.line(text))?;
        Ok(Taken::Done)
    }

    /// Forgets the beginning of a batch that will be read again.
    fn drop_unfinished(&mut self) {
        self.unfinished = (Vec::new(), None);
    }

    /// The segments that have lines; the next one may be there without any.
    fn with_lines(&self) -> Result<BTreeSet<PathBuf>> {
        let mut found = BTreeSet::new();
        for dir in self.folder.log_folders()? {
            for name in names(&dir)?.into_iter().filter(|name| SegmentId::parse(name).is_some()) {
                let path = dir.join(name);
                let mut first = [0];
                // It may be gone meanwhile.
                let read = File::open(&path).and_then(|mut file| file.read(&mut first));
                if read.is_ok_and(|read| read == 1) && first != *b"\n" {
                    found.insert(path);
                }
            }
        }
        Ok(found)
    }
}

impl Segment {
    fn open(path: &Path) -> Option<Self> {
        // One that is gone has been read by then, or is found compressed.
        let file = File::open(path).ok()?;
        Some(Self { path: path.to_owned(), file, offset: 0 })
    }

    /// So many bytes after what was dealt with, or what there is of them.
    fn read(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        self.file.seek(SeekFrom::Start(self.offset))?;
        (&self.file).take(bytes as u64).read_to_end(&mut piece)?;
        Ok(piece)
    }

    /// Whether its name is still that of this file. Names are used again after a store was closed.
    fn is_there(&self) -> bool {
        let (Ok(open), Ok(named)) = (self.file.metadata(), fs::metadata(&self.path)) else { return false };
        is_same(&open, &named)
    }
}

#[cfg(unix)]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    one.created().ok() == other.created().ok()
}

fn is_fill(piece: &[u8]) -> bool {
    piece.iter().all(|byte| matches!(byte, b'\n' | 0 | 0xff))
}

/// Waits a little, or until nobody reads the output any more. Answers whether somebody does.
#[cfg(unix)]
fn is_read(pause: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let out = io::stdout();
    let mut watched = [PollFd::new(&out, PollFlags::empty())];
    let pause = Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) };
    // Ctrl-C interrupts it.
    let _ = poll(&mut watched, Some(&pause));
    watched.iter().all(|fd| !fd.revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL))
}

#[cfg(not(unix))]
fn is_read(pause: Duration) -> bool {
    std::thread::sleep(pause);
    true
}
