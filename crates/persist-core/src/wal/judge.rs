//! Says which lines count, and whether what ends them is a torn tail or damage.
//!
//! It changes nothing. The rules rest on what the writer does: it syncs a segment to its last byte before the next one
//! takes its first, and it syncs a group before it says in a later one that it is durable. So a power cut can have
//! torn only groups after the last `synced`, all in one segment, and has left sectors there that were never written.

use super::reader::Place;
use super::recover::{At, Recovered, Recovery};
use super::report::RecoveryPolicy;
use crate::error::{Error, ErrorKind, Result};
use crate::planted::planted;

/// What was found out about a log.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The last `seq` of the chain.
    pub(super) last: u64,
    pub(super) damaged: bool,
    /// Before which line of the chain something was lost, and its first and last `seq`.
    pub(super) lost: Vec<(usize, u64, u64)>,
    /// The lines that were taken out of the chain's middle, because their batch is not whole: first and last `seq`, in order.
    pub(super) dropped: Vec<(u64, u64)>,
}

/// Where a log can't be read on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Break {
    pub(super) segment: usize,
    pub(super) offset: usize,
}

impl Recovery<'_> {
    /// Builds the chain of lines without a gap and of whole batches, from the watermark on, and says how it ends.
    pub(super) fn judge(&self, found: &mut Recovered) -> Result<Verdict> {
        let mut verdict = self.chain(found)?;
        self.leave_whole_batches(found, &mut verdict)?;
        found.report.lost = verdict.lost.iter().map(|(_, from, to)| (*from, *to)).collect();
        Ok(verdict)
    }

    fn chain(&self, found: &mut Recovered) -> Result<Verdict> {
        let mut all: Vec<At> = Vec::with_capacity(found.scans.iter().map(|scan| scan.lines.len()).sum());
        for (segment, scan) in found.scans.iter().enumerate() {
            all.extend((0..scan.lines.len()).map(|line| At { segment, line }));
        }
        // Stable, so of two copies of a line the one in the earlier segment comes first.
        all.sort_by_key(|at| found.place(*at).map(|place| (place.from, place.seq)));
        let last = if planted("forget-watermark") { 0 } else { self.watermark };
        let mut verdict = Verdict { last, ..Verdict::default() };
        let mut before: Option<At> = None;
        let mut next = 0;
        let mut proven = Proven::default();
        while let Some(at) = all.get(next).copied() {
            let Some(place) = found.place(at).copied() else { break };
            if place.seq <= verdict.last {
                self.check_copy(found, at, before)?;
                found.report.skipped += 1;
                if found.chain.is_empty() {
                    before = Some(at);
                }
            } else if place.from <= verdict.last.saturating_add(1) {
                found.chain.push(at);
                verdict.last = place.seq;
                before = Some(at);
            } else {
                if planted("gap-is-a-tear") || found.is_torn_before(at, verdict.last, proven.by(found, &all, next)) {
                    return Ok(verdict);
                }
                let missing = verdict.last + 1;
                let gap = || (found.gap(before, at), format!("seq {missing} is missing"));
                self.damaged(found, &mut verdict, gap)?;
                if self.policy == RecoveryPolicy::TruncateTail {
                    return Ok(verdict);
                }
                verdict.lost.push((found.chain.len(), verdict.last + 1, place.from - 1));
                verdict.last = place.from - 1;
                continue;
            }
            next += 1;
        }
        // No line is missing between two others; what follows the last one may still be torn or damaged.
        if let Some(end) = found.damaged_end(verdict.last) {
            self.damaged(found, &mut verdict, || (end, "its checksum is wrong".to_owned()))?;
        }
        Ok(verdict)
    }

    fn check_copy(&self, found: &Recovered, at: At, before: Option<At>) -> Result<()> {
        let Some(before) = before.filter(|_| !planted("copy-unchecked")) else { return Ok(()) };
        let (Some(one), Some(other)) = (found.line(before), found.line(at)) else { return Ok(()) };
        if one.seq != other.seq || one.lost_from.is_some() || other.lost_from.is_some() || one.same_record(&other) {
            return Ok(());
        }
        let place = Break { segment: at.segment, offset: found.place(at).map_or(0, |place| place.start) };
        Err(found.corrupt(&place, &format!("seq {} stands in another segment with other contents", one.seq)))
    }

    /// Notes that the log is damaged, and says where it first is. What else is lost or left out is in the report.
    pub(super) fn damaged(
        &self,
        found: &Recovered,
        verdict: &mut Verdict,
        place: impl FnOnce() -> (Break, String),
    ) -> Result<()> {
        if !std::mem::replace(&mut verdict.damaged, true) {
            let (place, what) = place();
            let error = found.corrupt(&place, &what);
            if self.policy == RecoveryPolicy::Strict {
                return Err(error);
            }
            tracing::error!(%error, policy = ?self.policy, "the log is damaged");
        }
        Ok(())
    }
}

/// The highest `synced` of the lines from one on. It is asked for at each gap, of which there may be as many as lines.
#[derive(Debug, Default)]
struct Proven(Option<(Option<u64>, usize)>);

impl Proven {
    fn by(&mut self, found: &Recovered, all: &[At], from: usize) -> Option<u64> {
        let known = self.0.filter(|(_, at)| *at >= from).unwrap_or_else(|| {
            let synced = |at: At| found.place(at)?.synced;
            let rest = all.iter().enumerate().skip(from).map(|(index, at)| (synced(*at), index));
            rest.max().unwrap_or((None, usize::MAX))
        });
        self.0 = Some(known);
        known.0
    }
}

impl Recovered {
    /// Whether the gap after `last` is the torn end of the log. `at` is the first good line after it, and `proven` what those
    /// that follow say was durable.
    fn is_torn_before(&self, at: At, last: u64, proven: Option<u64>) -> bool {
        let Some((scan, place)) = self.scans.get(at.segment).zip(self.place(at)) else { return false };
        let first = |segment: usize| self.scans.get(segment)?.lines.first().map(|place| place.from);
        // A segment takes its first byte only when the one before is synced to its last. So nothing began after the
        // torn one, and if it is torn at its very start, the one before ends as it was written.
        let mut others = self.scans.iter().enumerate().filter(|(segment, _)| *segment != at.segment);
        let contradicted = others.any(|(segment, other)| match other.lines.last() {
            None => segment > at.segment && !other.unreadable.is_empty(),
            Some(end) => {
                let is_copy = first(segment) == first(at.segment);
                let is_before = end.seq == last && other.end > end.end;
                first(segment).is_some_and(|from| from > last) || (is_before && !is_copy)
            }
        });
        let proven_beyond = proven.is_some_and(|proven| proven > last);
        !proven_beyond && !contradicted && scan.looks_torn(scan.end_of_line_before(place.start), last)
    }

    /// Where the log ends, after the line `chain_end`, in something that is no torn tail.
    fn damaged_end(&self, chain_end: u64) -> Option<Break> {
        let begins_after = |seq: u64, place: Option<&Place>| place.is_some_and(|place| place.from > seq);
        self.scans.iter().enumerate().find_map(|(segment, scan)| {
            let last = scan.lines.last();
            let offset = last.map_or(0, |place| place.end);
            // Where a line of another segment follows, nothing is missing: whatever is there was not needed.
            let is_followed =
                last.is_some_and(|last| self.scans.iter().any(|other| begins_after(last.seq, other.lines.first())));
            if scan.end <= offset || is_followed {
                return None;
            }
            let later = self.scans.get(segment + 1..).unwrap_or_default();
            let later_holds = later.iter().any(|scan| scan.lines.is_empty() && !scan.unreadable.is_empty());
            (later_holds || !scan.looks_torn(offset, chain_end)).then_some(Break { segment, offset })
        })
    }

    /// Where the lines between `before` and `at` should stand.
    fn gap(&self, before: Option<At>, at: At) -> Break {
        let (segment, offset) =
            before.map_or((0, 0), |before| (before.segment, self.place(before).map_or(0, |place| place.end)));
        let unreadable = |index: usize| {
            let from = if index == segment { offset } else { 0 };
            self.scans.get(index)?.unreadable.iter().find(|stretch| stretch.start >= from)
        };
        let found =
            (segment..at.segment).find_map(|segment| Some(Break { segment, offset: unreadable(segment)?.start }));
        found.unwrap_or_else(|| {
            let start = self.place(at).map_or(0, |place| place.start);
            let offset = self.scans.get(at.segment).map_or(0, |scan| scan.end_of_line_before(start));
            Break { segment: at.segment, offset }
        })
    }

    fn corrupt(&self, place: &Break, what: &str) -> Error {
        let Some(scan) = self.scans.get(place.segment) else { return Error::new(ErrorKind::Corrupt, what) };
        let offset = scan.skip_fill(place.offset);
        let message =
            format!("{} is damaged at line {}, offset {offset}: {what}", scan.path.display(), scan.line_number(offset));
        Error::new(ErrorKind::Corrupt, message)
    }
}
