//! Brings a log back after a stop of any kind: reads its segments (`reader.rs`), judges what is a torn tail and what is
//! damage (`judge.rs`), and leaves only bytes that are known to be on the disk (`settle.rs`).
//!
//! What it keeps true:
//! - Every line that was acknowledged as durable is replayed, in order of `seq`, or the opening fails.
//! - It never vouches for cached pages. After a sync that failed, a new process can read pages that will never reach the
//!   disk, and its own fsync says OK. So all that lies after the last `synced` that a good line proves is copied into
//!   a fresh segment before anything is served, flushed or given a `seq`.
//! - It may be interrupted anywhere and started over, and ends the same.
//! - Nothing is deleted that could not be read: it is kept as `.torn` or `.broken`, beside its segment.
//! - Segments of several folders are one log: their `seq`s give the order, and no two folders have one number.
//!
//! `docs/crash-safety.md` has the argument, step by step.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};

use super::judge::Verdict;
use super::line::Line;
use super::name::{SegmentId, SegmentNames};
use super::reader::{Place, Scan};
use super::report::{RecoveryPolicy, RecoveryReport};
use super::writer::LogStart;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Fs, read};
use crate::planted::planted;

/// A smaller segment is checked sooner than a thread is started for it.
const BYTES_PER_THREAD: usize = 64 * 1024;

/// A store whose lines belong to this one: itself, or one it was restored from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Ancestor {
    /// The store's id.
    pub store: String,
    /// The last `seq` that counts under this id; `None` while it is the store itself.
    pub last_seq: Option<u64>,
}

impl Ancestor {
    /// The store itself.
    pub fn present(store: &str) -> Self {
        Self { store: store.to_owned(), last_seq: None }
    }

    /// Whether a store of this lineage has all that the store with this id had at `seq`: it is that store, or was restored
    /// from it as it was then or later.
    pub fn have(lineage: &[Self], store: &str, seq: u64) -> bool {
        let ancestor = lineage.iter().find(|ancestor| ancestor.store == store);
        ancestor.is_some_and(|ancestor| ancestor.last_seq.is_none_or(|last| seq <= last))
    }
}

/// A new id for a store: 128 random bits in hex digits.
pub fn new_store_id() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// What recovery has to know.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recovery<'a> {
    /// The files.
    pub fs: &'a dyn Fs,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The folder of the log, where the fresh segment goes; it is made if there is none.
    pub dir: &'a Path,
    /// Other folders with segments of this log.
    pub others: &'a [PathBuf],
    /// Whose lines are accepted; the last is the store itself.
    pub lineage: &'a [Ancestor],
    /// Everything up to this `seq` is known to be elsewhere, durably.
    pub watermark: u64,
    /// What to do about damage.
    pub policy: RecoveryPolicy,
    /// How the segments are called.
    pub names: SegmentNames,
}

impl<'a> Recovery<'a> {
    /// Recovery of the log in `dir` under the strict policy, with nothing flushed before.
    pub fn new(fs: &'a dyn Fs, clock: &'a dyn Clock, dir: &'a Path, lineage: &'a [Ancestor]) -> Self {
        let (policy, names) = (RecoveryPolicy::Strict, SegmentNames::default());
        Self { fs, clock, dir, others: &[], lineage, watermark: 0, policy, names }
    }

    /// How the segments are called, if not as usual.
    #[must_use]
    pub fn names(mut self, names: SegmentNames) -> Self {
        self.names = names;
        self
    }

    /// Other folders with segments of this log; they must exist.
    #[must_use]
    pub fn also_in(mut self, folders: &'a [PathBuf]) -> Self {
        self.others = folders;
        self
    }

    /// Everything up to this `seq` is known to be elsewhere, durably.
    #[must_use]
    pub fn watermark(mut self, seq: u64) -> Self {
        self.watermark = seq;
        self
    }

    /// What to do about damage.
    #[must_use]
    pub fn policy(mut self, policy: RecoveryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Recovers the log.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) where the log is damaged and the policy is strict: file, line and offset are in
    /// the message and nothing was changed. [`Io`](ErrorKind::Io) where a file operation failed: start over.
    pub fn run(&self) -> Result<Recovered> {
        let (mut found, verdict, next_segment) = self.find()?;
        self.settle(&mut found, &verdict, next_segment)?;
        Ok(found)
    }

    /// What [`run`](Self::run) would find, without changing anything: for whoever looks at a log that is another's.
    ///
    /// Beside a writer it may see half of what is being written, a segment that is removed before it is read, or records
    /// that were flushed after the watermark was read: what it says then is to be taken for true only when it is said again.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn look(&self) -> Result<RecoveryReport> {
        let (mut found, verdict, _) = self.find()?;
        found.report.left_out = found.scans.iter().flat_map(|scan| Self::left_out(scan, &verdict)).collect();
        Ok(found.report)
    }

    fn find(&self) -> Result<(Recovered, Verdict, SegmentId)> {
        let start = self.clock.monotonic();
        let (scans, next_segment) = self.scan()?;
        let mut found =
            Recovered { scans, chain: Vec::new(), start: LogStart::default(), report: RecoveryReport::default() };
        found.report.watermark = self.watermark;
        found.report.segments = found.scans.len();
        found.report.bytes = found.scans.iter().map(|scan| scan.bytes.len() as u64).sum();
        let verdict = self.judge(&mut found)?;
        let records = found.chain.iter().filter(|at| found.place(**at).is_some_and(|place| !place.is_bridge));
        found.report.records = records.count() as u64;
        found.report.elapsed = self.clock.monotonic().saturating_sub(start);
        Ok((found, verdict, next_segment))
    }

    /// The last `seq` that counts in a segment.
    fn bound(&self, scan: &Scan) -> Result<u64> {
        let Some(store) = &scan.store else {
            // Its first line can't be read. What comes after all ancestors is this store's, else it may be any ancestor's.
            let bounds = || self.lineage.iter().filter_map(|ancestor| ancestor.last_seq);
            let is_later = scan.lines.first().is_some_and(|line| bounds().all(|last| line.from > last));
            return Ok(bounds().min().filter(|_| !is_later).unwrap_or(u64::MAX));
        };
        match self.lineage.iter().find(|ancestor| ancestor.store == *store) {
            Some(ancestor) => Ok(ancestor.last_seq.unwrap_or(u64::MAX)),
            None if planted("foreign-lines") => Ok(u64::MAX),
            None => Err(Error::new(
                ErrorKind::Corrupt,
                format!("{} belongs to another store ({store}): move it away and open again", scan.path.display()),
            )),
        }
    }

    /// The folders of the log, each once.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        let others = self.others.iter().map(PathBuf::as_path).filter(|other| *other != self.dir);
        std::iter::once(self.dir).chain(others)
    }

    /// The names and paths of all segments and of what is kept of them, in every folder.
    pub(super) fn files(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for folder in self.folders() {
            let names = match self.fs.list(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && folder == self.dir => continue,
                names => names.map_err(|error| Error::io("cannot list", folder, error))?,
            };
            let named = names.into_iter().filter(|name| self.names.is_any(name));
            files.extend(named.map(|name| (name.clone(), folder.join(name))));
        }
        Ok(files)
    }

    fn scan(&self) -> Result<(Vec<Scan>, SegmentId)> {
        let files = self.files()?;
        let ids = files.iter().filter_map(|(name, _)| self.names.of_any(name));
        let next = match ids.max() {
            Some(last) if !last.is_followed() => {
                let message = format!("{}: no segment of a store has such a number; move the file away", last);
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            last => last.map_or(SegmentId(1), SegmentId::next),
        };
        // The newest gets the next number, and is called by it if it stays.
        let has_newest = files.iter().any(|(name, _)| self.names.newest_file() == Some(name.as_str()));
        let mut scans = self.scan_each(&files, next)?;
        let next = if has_newest { next.next() } else { next };
        for scan in &mut scans {
            scan.void_after(self.bound(scan)?);
        }
        // By the first seq: after an interrupted recovery, or where files were copied, names don't tell the order.
        scans.sort_by_key(|scan| scan.id);
        let mut known = 0;
        let mut keyed: Vec<(u64, Scan)> = scans
            .into_iter()
            .map(|scan| {
                known = scan.lines.first().map_or(known, |place| place.from);
                (known, scan)
            })
            .collect();
        keyed.sort_by_key(|(first, _)| *first);
        Ok((keyed.into_iter().map(|(_, scan)| scan).collect(), next))
    }

    /// Reads one segment after another, and has the other cores check their lines meanwhile.
    fn scan_each(&self, files: &[(String, PathBuf)], of_newest: SegmentId) -> Result<Vec<Scan>> {
        let id = |name: &String| match self.names.parse(name) {
            None if self.names.newest_file() == Some(name.as_str()) => Some(of_newest),
            id => id,
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (mut scans, mut small) = (Vec::new(), Vec::new());
        thread::scope(|scope| {
            let mut under_way: VecDeque<ScopedJoinHandle<'_, Scan>> = VecDeque::new();
            let mut take = |scan: ScopedJoinHandle<'_, Scan>| -> Result<()> {
                scans.push(scan.join().map_err(|_| Error::new(ErrorKind::Corrupt, "reading the log panicked"))?);
                Ok(())
            };
            for (id, path) in files.iter().filter_map(|(name, path)| Some((id(name)?, path.clone()))) {
                let bytes = read(self.fs, &path).map_err(|error| Error::io("cannot read", &path, error))?;
                if bytes.len() < BYTES_PER_THREAD {
                    small.push(Scan::new(id, path, bytes));
                    continue;
                }
                under_way.push_back(scope.spawn(move || Scan::new(id, path, bytes)));
                if under_way.len() >= cores {
                    under_way.pop_front().map_or(Ok(()), &mut take)?;
                }
            }
            under_way.into_iter().try_for_each(take)
        })?;
        scans.append(&mut small);
        Ok(scans)
    }
}

/// A log as recovery left it.
#[derive(Debug)]
pub struct Recovered {
    /// The segments, in order of their first `seq`.
    pub(super) scans: Vec<Scan>,
    /// The lines after the watermark, without a gap.
    pub(super) chain: Vec<At>,
    pub(super) start: LogStart,
    pub(super) report: RecoveryReport,
}

impl Recovered {
    /// How many lines there are to replay.
    pub fn len(&self) -> usize {
        self.chain.len()
    }

    /// Whether there is nothing to replay.
    pub fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// The lines to replay of a range of them, in order of `seq`; those that bridge damage are left out.
    pub fn lines(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = Line<'_>> {
        let chain = self.chain.get(range).unwrap_or_default();
        chain.iter().filter_map(|at| self.line(*at)).filter(|line| line.lost_from.is_none())
    }

    /// The last `seq` of each batch to replay, and how many lines the batch has.
    pub fn batch_ends(&self) -> impl Iterator<Item = (u64, u32)> {
        let places = self.chain.iter().filter_map(|at| self.place(*at)).filter(|place| !place.is_bridge);
        let batches = places.filter_map(|place| Some((place.seq, place.marks.batch?)));
        batches.filter(|(_, batch)| batch.number == batch.of).map(|(last, batch)| (last, batch.of))
    }

    /// Where the log goes on.
    pub fn start(&self) -> LogStart {
        self.start.clone()
    }

    /// What was found and done.
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    pub(super) fn place(&self, at: At) -> Option<&Place> {
        self.scans.get(at.segment)?.lines.get(at.line)
    }

    pub(super) fn line(&self, at: At) -> Option<Line<'_>> {
        self.scans.get(at.segment)?.line(self.place(at)?)
    }
}

/// A line of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) segment: usize,
    pub(super) line: usize,
}
