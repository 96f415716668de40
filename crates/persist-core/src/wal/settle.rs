//! Makes the disk hold what was judged, and nothing that rests on cached pages.
//!
//! The order is what lets it be interrupted anywhere: what is left out is kept beside; then the copy of what may not be
//! on the disk is put in place; only then is anything cut or removed. No `seq` is given before all of it is durable.

use std::ops::Range;

use crc32fast::Hasher;

use super::judge::Verdict;
use super::line::{self, Tail};
use super::name::SegmentId;
use super::reader::{Place, Scan};
use super::recover::{Recovered, Recovery};
use super::report::{Cause, LeftOut, RecoveryReport};
use super::writer::{LogStart, Segment};
use crate::error::{Error, Result};
use crate::fs::{Access, make_durable_folder, replace, replace_unsynced, suffixed};
use crate::planted::planted;

impl Recovery<'_> {
    pub(super) fn settle(&self, found: &mut Recovered, verdict: &Verdict, fresh: SegmentId) -> Result<()> {
        let proven = found.scans.iter().flat_map(|scan| &scan.lines).filter(|place| place.seq <= verdict.last);
        let proven = proven.filter_map(|place| place.synced).max().unwrap_or(0).min(verdict.last).max(self.watermark);
        let proven = if planted("trust-cached-pages") { verdict.last } else { proven };
        // Where the log is damaged it is written anew from the watermark on, with a note of what was lost.
        let keep = if verdict.damaged { self.watermark } else { proven };
        let mut next_segment = fresh;
        let mut closed = Vec::new();
        make_durable_folder(self.fs, self.dir)?;
        self.remove_unfinished()?;
        for scan in &found.scans {
            self.keep_aside(scan, verdict, &mut found.report)?;
        }
        let bytes = found.copy_after(keep, verdict, self.store(), fresh);
        if !bytes.is_empty() {
            let path = self.dir.join(fresh.to_string());
            if planted("fresh-unsynced") {
                replace_unsynced(self.fs, &path, &bytes)?;
            } else {
                replace(self.fs, &path, &bytes)?;
            }
            next_segment = fresh.next();
            let last_at = found.chain.last().and_then(|at| found.place(*at)).map_or(i64::MIN, |place| place.at);
            closed.push(Segment {
                path,
                first_seq: keep + 1,
                last_seq: verdict.last,
                last_at,
                bytes: bytes.len() as u64,
            });
        }
        for scan in &found.scans {
            if let Some(last) = self.clear(scan, keep, verdict)? {
                let first_seq = scan.lines.first().map_or(last.from, |place| place.from);
                let path = scan.path.clone();
                let bytes = last.end as u64;
                closed.push(Segment { path, first_seq, last_seq: last.seq, last_at: last.at, bytes });
            }
        }
        // Every one: an interrupted recovery may have removed what is no longer seen.
        for folder in self.folders().filter(|_| !planted("folders-unsynced")) {
            self.fs.sync_dir(folder).map_err(|error| Error::io("cannot sync the folder", folder, error))?;
        }
        closed.sort_by_key(|segment| segment.last_seq);
        let last_at = found.scans.iter().flat_map(|scan| &scan.lines).map(|place| place.at).max().unwrap_or(i64::MIN);
        found.start =
            LogStart { next_seq: verdict.last.saturating_add(1), next_segment, last_at, closed, kept: self.kept()? };
        Ok(())
    }

    /// Removes what an interrupted recovery wrote aside and never put in place.
    fn remove_unfinished(&self) -> Result<()> {
        for (_, path) in self.files()?.iter().filter(|(name, _)| name.ends_with(".tmp")) {
            self.fs.remove_file(path).map_err(|error| Error::io("cannot remove", path, error))?;
        }
        Ok(())
    }

    /// Reports what of a segment is left out, and keeps a copy of it beside.
    fn keep_aside(&self, scan: &Scan, verdict: &Verdict, report: &mut RecoveryReport) -> Result<()> {
        if is_broken(scan, verdict) {
            replace(self.fs, &suffixed(&scan.path, ".broken"), &scan.bytes)?;
        }
        for (stretch, cause) in Self::left_out(scan, verdict) {
            let left_out = self.leave_out(scan, stretch, cause)?;
            tracing::warn!(?left_out, "recovery left out a stretch of the log");
            if !planted("torn-unreported") {
                report.left_out.push(left_out);
            }
        }
        Ok(())
    }

    /// What of a segment is left out, and why.
    pub(super) fn left_out<'s>(
        scan: &'s Scan,
        verdict: &'s Verdict,
    ) -> impl Iterator<Item = (Range<usize>, Cause)> + use<'s> {
        let kept_end = scan.lines.iter().rfind(|place| place.seq <= verdict.last).map_or(0, |place| place.end);
        let dropped =
            scan.lines.iter().filter(move |place| verdict.has_dropped(place.seq)).map(|place| place.start..place.end);
        let inside = scan.unreadable.iter().filter(move |stretch| stretch.start < kept_end).cloned();
        let tail = (scan.end > kept_end).then(|| scan.skip_fill(kept_end)..scan.end);
        let cause = if verdict.damaged { Cause::Damaged } else { Cause::Superfluous };
        let tail_cause = if verdict.damaged { Cause::Damaged } else { Cause::Torn };
        let inside = inside.chain(dropped);
        let stretches =
            inside.map(move |stretch| (stretch, cause)).chain(tail.map(move |stretch| (stretch, tail_cause)));
        stretches.chain(scan.void.clone().map(|stretch| (stretch, Cause::Superfluous)))
    }

    fn leave_out(&self, scan: &Scan, stretch: Range<usize>, cause: Cause) -> Result<LeftOut> {
        let kept_as = match cause {
            Cause::Damaged => Some(suffixed(&scan.path, ".broken")),
            Cause::Torn => {
                let path = suffixed(&scan.path, ".torn");
                replace(self.fs, &path, scan.bytes.get(stretch.clone()).unwrap_or_default())?;
                Some(path)
            }
            Cause::Superfluous => None,
        };
        Ok(LeftOut { kept_as, ..Self::describe(scan, stretch, cause) })
    }

    /// Where a stretch is, which is kept nowhere yet.
    pub(super) fn describe(scan: &Scan, stretch: Range<usize>, cause: Cause) -> LeftOut {
        LeftOut {
            file: scan.path.clone(),
            line: scan.line_number(stretch.start),
            offset: stretch.start as u64,
            bytes: stretch.len() as u64,
            cause,
            kept_as: None,
        }
    }

    /// Takes out of a segment what now stands in the fresh one or is left out. Answers the last line that stays.
    fn clear(&self, scan: &Scan, keep: u64, verdict: &Verdict) -> Result<Option<Place>> {
        if scan.void.is_some() {
            // It holds the lines of another lineage, which nobody asked us to destroy.
            return Ok(scan.lines.last().copied());
        }
        let kept = scan.lines.iter().rfind(|place| place.seq <= keep).filter(|_| !is_broken(scan, verdict));
        let Some(kept) = kept else {
            self.fs.remove_file(&scan.path).map_err(|error| Error::io("cannot remove", &scan.path, error))?;
            return Ok(None);
        };
        let open = self.fs.open(&scan.path, Access::Write);
        let file = open.map_err(|error| Error::io("cannot open", &scan.path, error))?;
        if scan.end > kept.end {
            file.set_len(kept.end as u64).map_err(|error| Error::io("cannot cut", &scan.path, error))?;
        }
        // Also where there is nothing to cut: an interrupted recovery may have cut it, and that can still be undone.
        if !planted("cut-unsynced") {
            file.sync_all().map_err(|error| Error::io("cannot sync", &scan.path, error))?;
        }
        Ok(Some(*kept))
    }

    fn store(&self) -> &str {
        self.lineage.last().map_or("", |ancestor| ancestor.store.as_str())
    }
}

impl Recovered {
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
        let at = self.chain.last().and_then(|at| self.place(*at)).map_or(0, |place| place.at);
        for (_, from, to) in notes {
            put(&line::lost_body(*from, *to), Tail { at, seq: *to, ..Tail::default() });
        }
        bytes
    }
}

/// Whether a segment of a damaged log holds anything that is left out.
fn is_broken(scan: &Scan, verdict: &Verdict) -> bool {
    let is_left_out = |seq| seq > verdict.last || verdict.has_dropped(seq);
    verdict.damaged && (!scan.unreadable.is_empty() || scan.lines.iter().any(|place| is_left_out(place.seq)))
}
