//! Brings a log back after a stop of any kind: reads its segments, judges what is a torn tail and what is damage, and
//! leaves only bytes that are known to be on the disk.
//!
//! What it keeps true:
//! - Every line that was acknowledged as durable is replayed, in order of `seq`, or the opening fails.
//! - It never vouches for cached pages. After a sync that failed, a new process can read pages that will never reach the
//!   disk, and its own fsync says OK. So all that lies after the last `synced` that a good line proves is copied into
//!   a fresh segment before anything is served, flushed or given a `seq`.
//! - It may be interrupted anywhere and started over, and ends the same.
//! - Nothing is deleted that could not be read: it is kept as `.torn` or `.broken`.
//!
//! `docs/crash-safety.md` has the argument, step by step.

use std::path::{Path, PathBuf};

use crc32fast::Hasher;

use super::line::{self, Line, Tail};
use super::name::SegmentId;
use super::reader::{Place, Scan};
use super::report::{Cause, LeftOut, RecoveryPolicy, RecoveryReport};
use super::writer::{LogStart, Segment};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Access, Fs, read, replace};

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
}

/// What recovery has to know.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recovery<'a> {
    /// The files.
    pub fs: &'a dyn Fs,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The folder with the segments.
    pub dir: &'a Path,
    /// Whose lines are accepted; the last is the store itself.
    pub lineage: &'a [Ancestor],
    /// Everything up to this `seq` is known to be elsewhere, durably.
    pub watermark: u64,
    /// What to do about damage.
    pub policy: RecoveryPolicy,
}

impl<'a> Recovery<'a> {
    /// Recovery of the log in `dir` under the strict policy, with nothing flushed before.
    pub fn new(fs: &'a dyn Fs, clock: &'a dyn Clock, dir: &'a Path, lineage: &'a [Ancestor]) -> Self {
        Self { fs, clock, dir, lineage, watermark: 0, policy: RecoveryPolicy::Strict }
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
        let start = self.clock.monotonic();
        let (scans, next_segment) = self.scan()?;
        let mut found =
            Recovered { scans, chain: Vec::new(), start: LogStart::default(), report: RecoveryReport::default() };
        found.report.watermark = self.watermark;
        found.report.segments = found.scans.len();
        found.report.bytes = found.scans.iter().map(|scan| scan.bytes.len() as u64).sum();
        let verdict = self.judge(&mut found)?;
        found.report.elapsed = self.clock.monotonic().saturating_sub(start);
        self.settle(&mut found, &verdict, next_segment)?;
        Ok(found)
    }

    fn scan(&self) -> Result<(Vec<Scan>, SegmentId)> {
        let names = self.fs.list(self.dir).map_err(|error| Error::io("cannot list", self.dir, error))?;
        let next = names.iter().filter_map(|name| SegmentId::of_any(name)).max().map_or(SegmentId(1), SegmentId::next);
        let mut scans = Vec::new();
        for (id, name) in names.iter().filter_map(|name| Some((SegmentId::parse(name)?, name))) {
            let path = self.dir.join(name);
            let bytes = read(self.fs, &path).map_err(|error| Error::io("cannot read", &path, error))?;
            let mut scan = Scan::new(id, path, bytes);
            if let Some(store) = &scan.store {
                let Some(ancestor) = self.lineage.iter().find(|ancestor| ancestor.store == *store) else {
                    return Err(Error::new(
                        ErrorKind::Corrupt,
                        format!(
                            "{} belongs to another store ({store}): move it away and open again",
                            scan.path.display()
                        ),
                    ));
                };
                let bound = ancestor.last_seq.unwrap_or(u64::MAX);
                scan.lines.retain(|place| place.seq <= bound);
            }
            scans.push(scan);
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

    /// Builds the chain of lines without a gap, from the watermark on, and says how it ends.
    fn judge(&self, found: &mut Recovered) -> Result<Verdict> {
        let mut all: Vec<At> = Vec::with_capacity(found.scans.iter().map(|scan| scan.lines.len()).sum());
        for (segment, scan) in found.scans.iter().enumerate() {
            all.extend((0..scan.lines.len()).map(|line| At { segment, line }));
        }
        // Stable, so of two copies of a line the one in the earlier segment comes first.
        all.sort_by_key(|at| found.place(*at).map(|place| (place.from, place.seq)));
        let mut verdict = Verdict { last: self.watermark, ..Verdict::default() };
        let mut before: Option<At> = None;
        let mut next = 0;
        while let Some(at) = all.get(next).copied() {
            let Some(place) = found.place(at).copied() else { break };
            if place.seq <= verdict.last {
                self.check_copy(found, at, before)?;
                found.report.skipped += 1;
                if found.chain.is_empty() {
                    before = Some(at);
                }
            } else if place.from <= verdict.last + 1 {
                found.chain.push(at);
                verdict.last = place.seq;
                before = Some(at);
            } else {
                let gap = found.break_after(before, verdict.last);
                let beyond = all.get(next..).unwrap_or_default();
                if found.is_torn(&gap, verdict.last, beyond) {
                    break;
                }
                self.damaged(found, &gap, &format!("seq {} is missing", verdict.last + 1))?;
                verdict.damaged = true;
                if self.policy == RecoveryPolicy::TruncateTail {
                    break;
                }
                found.report.lost.push((verdict.last + 1, place.from - 1));
                verdict.lost.push((found.chain.len(), verdict.last + 1, place.from - 1));
                verdict.last = place.from - 1;
                continue;
            }
            next += 1;
        }
        if next == all.len() {
            // No line is missing between two others; what follows the last one may still be torn or damaged.
            let end = found.break_after(before, verdict.last);
            if found.scans.get(end.segment).is_some_and(|scan| scan.end > end.offset)
                && !found.is_torn(&end, verdict.last, &[])
            {
                self.damaged(found, &end, "its checksum is wrong")?;
                verdict.damaged = true;
            }
        }
        Ok(verdict)
    }

    fn check_copy(&self, found: &Recovered, at: At, before: Option<At>) -> Result<()> {
        let Some(before) = before else { return Ok(()) };
        let (Some(one), Some(other)) = (found.line(before), found.line(at)) else { return Ok(()) };
        if one.seq != other.seq || one.lost_from.is_some() || other.lost_from.is_some() || one.same_record(&other) {
            return Ok(());
        }
        let place = Break { segment: at.segment, offset: found.place(at).map_or(0, |place| place.start) };
        Err(found.corrupt(&place, &format!("seq {} stands in another segment with other contents", one.seq)))
    }

    fn damaged(&self, found: &Recovered, place: &Break, what: &str) -> Result<()> {
        let error = found.corrupt(place, what);
        if self.policy == RecoveryPolicy::Strict {
            return Err(error);
        }
        tracing::error!(%error, policy = ?self.policy, "the log is damaged");
        Ok(())
    }

    /// Makes the disk hold what was judged, and nothing that rests on cached pages.
    fn settle(&self, found: &mut Recovered, verdict: &Verdict, fresh: SegmentId) -> Result<()> {
        let proven = found.scans.iter().flat_map(|scan| &scan.lines).filter(|place| place.seq <= verdict.last);
        let proven = proven.filter_map(|place| place.synced).max().unwrap_or(0).min(verdict.last).max(self.watermark);
        // Where the log is damaged it is written anew from the watermark on, with a note of what was lost.
        let keep = if verdict.damaged { self.watermark } else { proven };
        let mut next_segment = fresh;
        let mut closed = Vec::new();
        self.remove_unfinished()?;
        for scan in &found.scans {
            self.keep_torn(scan, verdict, &mut found.report)?;
        }
        let bytes = found.copy_after(keep, verdict, self.store(), fresh);
        if !bytes.is_empty() {
            let path = self.dir.join(fresh.to_string());
            replace(self.fs, &path, &bytes)?;
            next_segment = fresh.next();
            closed.push(Segment { path, last_seq: verdict.last });
        }
        for scan in &found.scans {
            if let Some(last_seq) = self.clear(scan, keep, verdict)? {
                closed.push(Segment { path: scan.path.clone(), last_seq });
            }
        }
        if !found.scans.is_empty() {
            self.fs.sync_dir(self.dir).map_err(|error| Error::io("cannot sync the folder", self.dir, error))?;
        }
        closed.sort_by_key(|segment| segment.last_seq);
        let last_at = found.scans.iter().flat_map(|scan| &scan.lines).map(|place| place.at).max().unwrap_or(i64::MIN);
        found.start = LogStart { next_seq: verdict.last + 1, next_segment, last_at, closed };
        found.report.records = found.chain.len() as u64;
        Ok(())
    }

    /// Removes what an interrupted recovery wrote aside and never put in place.
    fn remove_unfinished(&self) -> Result<()> {
        let names = self.fs.list(self.dir).map_err(|error| Error::io("cannot list", self.dir, error))?;
        for name in names.iter().filter(|name| SegmentId::of_any(name).is_some() && name.ends_with(".tmp")) {
            let path = self.dir.join(name);
            self.fs.remove_file(&path).map_err(|error| Error::io("cannot remove", &path, error))?;
        }
        Ok(())
    }

    /// Reports what of a segment is left out, and keeps a copy of a torn tail beside it.
    fn keep_torn(&self, scan: &Scan, verdict: &Verdict, report: &mut RecoveryReport) -> Result<()> {
        let kept_end = scan.lines.iter().filter(|place| place.seq <= verdict.last).map(|place| place.end).max();
        let kept_end = kept_end.unwrap_or(0);
        let inside = scan.unreadable.iter().filter(|stretch| stretch.start < kept_end).cloned();
        let tail = (scan.end > kept_end).then(|| {
            let fill = scan.bytes.get(kept_end..).unwrap_or_default();
            let blank = fill.iter().position(|byte| !matches!(byte, b'\n' | 0 | 0xFF)).unwrap_or(0);
            kept_end + blank..scan.end
        });
        for (is_tail, stretch) in inside.map(|stretch| (false, stretch)).chain(tail.map(|stretch| (true, stretch))) {
            let cause = match (verdict.damaged, is_tail) {
                (true, _) => Cause::Damaged,
                (false, true) => Cause::Torn,
                (false, false) => Cause::Superfluous,
            };
            let kept_as = match cause {
                Cause::Damaged => Some(beside(&scan.path, "broken")),
                Cause::Torn => {
                    let path = beside(&scan.path, "torn");
                    replace(self.fs, &path, scan.bytes.get(stretch.clone()).unwrap_or_default())?;
                    Some(path)
                }
                Cause::Superfluous => None,
            };
            let left_out = LeftOut {
                file: scan.path.clone(),
                line: scan.line_number(stretch.start),
                offset: stretch.start as u64,
                bytes: stretch.len() as u64,
                cause,
                kept_as,
            };
            tracing::warn!(?left_out, "recovery left out a stretch of the log");
            report.left_out.push(left_out);
        }
        Ok(())
    }

    /// Takes out of a segment what now stands in the fresh one or is left out. Answers the last `seq` that stays.
    fn clear(&self, scan: &Scan, keep: u64, verdict: &Verdict) -> Result<Option<u64>> {
        let kept = scan.lines.iter().rfind(|place| place.seq <= keep);
        let broken = scan.lines.iter().any(|place| place.seq > verdict.last) || !scan.unreadable.is_empty();
        if verdict.damaged && broken {
            let path = beside(&scan.path, "broken");
            self.fs.rename(&scan.path, &path).map_err(|error| Error::io("cannot rename", &scan.path, error))?;
            return Ok(None);
        }
        let Some(kept) = kept else {
            self.fs.remove_file(&scan.path).map_err(|error| Error::io("cannot remove", &scan.path, error))?;
            return Ok(None);
        };
        if scan.end > kept.end {
            let open = self.fs.open(&scan.path, Access::Write);
            let file = open.map_err(|error| Error::io("cannot open", &scan.path, error))?;
            file.set_len(kept.end as u64)
                .and_then(|()| file.sync_all())
                .map_err(|error| Error::io("cannot cut", &scan.path, error))?;
        }
        Ok(Some(kept.seq))
    }

    fn store(&self) -> &str {
        self.lineage.last().map_or("", |ancestor| ancestor.store.as_str())
    }
}

/// A log as recovery left it.
#[derive(Debug)]
pub struct Recovered {
    scans: Vec<Scan>,
    chain: Vec<At>,
    start: LogStart,
    report: RecoveryReport,
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

    /// Where the log goes on.
    pub fn start(&self) -> LogStart {
        self.start.clone()
    }

    /// What was found and done.
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    fn place(&self, at: At) -> Option<&Place> {
        self.scans.get(at.segment)?.lines.get(at.line)
    }

    fn line(&self, at: At) -> Option<Line<'_>> {
        self.scans.get(at.segment)?.line(self.place(at)?)
    }

    /// Where the chain breaks off: behind its last line, or at the start of the next segment that holds anything.
    fn break_after(&self, last: Option<At>, last_seq: u64) -> Break {
        let mut place = Break { segment: 0, offset: 0 };
        if let Some(at) = last {
            place = Break { segment: at.segment, offset: self.place(at).map_or(0, |place| place.end) };
        }
        let goes_on = |scan: &Scan, offset: usize| {
            scan.unreadable.iter().any(|stretch| stretch.end > offset)
                || scan.lines.iter().any(|line| line.start >= offset && line.seq > last_seq)
        };
        if self.scans.get(place.segment).is_some_and(|scan| goes_on(scan, place.offset)) {
            return place;
        }
        let later = self.scans.iter().enumerate().skip(place.segment + usize::from(last.is_some()));
        match later.into_iter().find(|(_, scan)| goes_on(scan, 0)) {
            Some((segment, _)) => Break { segment, offset: 0 },
            None => place,
        }
    }

    /// Whether a break is the torn end of the log. `beyond` are the good lines after it.
    fn is_torn(&self, gap: &Break, last: u64, beyond: &[At]) -> bool {
        let proven = beyond.iter().filter_map(|at| self.place(*at)?.synced).max();
        let later = self.scans.get(gap.segment + 1..).unwrap_or_default();
        // A segment takes its first byte only when the one before is synced to its last.
        let later_holds =
            later.iter().any(|scan| !scan.unreadable.is_empty() || scan.lines.iter().any(|place| place.seq > last));
        proven.is_none_or(|proven| proven <= last)
            && !later_holds
            && self.scans.get(gap.segment).is_some_and(|scan| scan.looks_torn(gap.offset))
    }

    fn corrupt(&self, place: &Break, what: &str) -> Error {
        let Some(scan) = self.scans.get(place.segment) else { return Error::new(ErrorKind::Corrupt, what) };
        let blank = |byte: &u8| matches!(byte, b'\n' | 0 | 0xFF);
        let rest = scan.bytes.get(place.offset..).unwrap_or_default();
        let offset = place.offset + rest.iter().position(|byte| !blank(byte)).unwrap_or(0);
        let message =
            format!("{} is damaged at line {}, offset {offset}: {what}", scan.path.display(), scan.line_number(offset));
        Error::new(ErrorKind::Corrupt, message)
    }

    /// The text of a segment with the chain's lines after `keep`, and a note for each stretch that was lost.
    fn copy_after(&self, keep: u64, verdict: &Verdict, store: &str, id: SegmentId) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut notes = verdict.lost.iter().peekable();
        let mut put = |body: &str, tail: Tail<'_>| {
            let first = bytes.is_empty();
            let mut checksum = Hasher::new();
            checksum.update(body.as_bytes());
            bytes.extend_from_slice(body.as_bytes());
            let tail = Tail { synced: first.then_some(keep), segment: first.then_some((store, id)), ..tail };
            line::finish(&mut bytes, checksum, &tail);
        };
        for (index, at) in self.chain.iter().enumerate() {
            let Some(line) = self.line(*at) else { continue };
            while let Some((_, from, to)) = notes.next_if(|(before, ..)| *before <= index) {
                put(&line::lost_body(*from, *to), Tail { at: line.at, seq: *to, ..Tail::default() });
            }
            if line.seq > keep {
                put(line.body(), line.tail());
            }
        }
        bytes
    }
}

#[derive(Debug, Clone, Copy)]
struct At {
    segment: usize,
    line: usize,
}

#[derive(Debug, Clone, Copy)]
struct Break {
    segment: usize,
    offset: usize,
}

#[derive(Debug, Default)]
struct Verdict {
    /// The last `seq` of the chain.
    last: u64,
    damaged: bool,
    /// Before which line of the chain something was lost, and its first and last `seq`.
    lost: Vec<(usize, u64, u64)>,
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}
