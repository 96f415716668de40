//! Makes the disk hold what was judged, and nothing that rests on cached pages.
//!
//! The order is what lets it be interrupted anywhere: what is left out is kept beside; then the copy of what may not be
//! on the disk is put in place; only then is anything cut or removed. No `seq` is given before all of it is durable.

use std::ffi::OsStr;
use std::path::PathBuf;

use crc32fast::Hasher;

use super::judge::Verdict;
use super::line::{self, TAIL_MAX_BYTES, Tail};
use super::name::SegmentId;
use super::reader::{Place, Scan};
use super::recover::{Recovered, Recovery};
use super::report::{Cause, LeftOut, RecoveryReport};
use super::writer::{LogStart, Segment};
use crate::error::{Error, Result};
use crate::fs::{Access, make_durable_folder, replace, replace_unsynced, suffixed};
use crate::planted::planted;

/// About what a note of lost records takes.
const NOTE_BYTES: usize = 128;

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
            let path = self.dir.join(self.names.file(fresh));
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
                let path = self.numbered(scan)?;
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
        if is_kept_whole(scan, verdict) {
            replace(self.fs, &self.beside(scan, ".broken"), &scan.bytes)?;
        }
        report.left_out.reserve(scan.unreadable.len());
        for mut left_out in Self::left_out(scan, verdict) {
            left_out.kept_as = self.keep(scan, &left_out, verdict)?;
            tracing::warn!(?left_out, "recovery left out a stretch of the log");
            if !planted("torn-unreported") {
                report.left_out.push(left_out);
            }
        }
        Ok(())
    }

    /// What of a segment is left out, which is kept nowhere yet.
    pub(super) fn left_out<'s>(scan: &'s Scan, verdict: &'s Verdict) -> impl Iterator<Item = LeftOut> + use<'s> {
        let kept_end = kept_end(scan, verdict);
        let dropped = scan.lines.iter().filter(move |place| verdict.has_dropped(place.seq));
        let dropped = dropped.map(|place| place.start..place.end);
        let inside = scan.unreadable.iter().filter(move |stretch| stretch.start < kept_end).cloned();
        let tail = (scan.end > kept_end).then(|| scan.skip_fill(kept_end)..scan.end);
        let cause = if verdict.damaged { Cause::Damaged } else { Cause::Superfluous };
        let tail_cause = if verdict.damaged { Cause::Damaged } else { Cause::Torn };
        let inside = inside.chain(dropped).map(move |stretch| (stretch, cause));
        let stretches = inside.chain(tail.map(|stretch| (stretch, tail_cause)));
        let stretches = stretches.chain(scan.void.clone().map(|stretch| (stretch, Cause::Superfluous)));
        let mut counted = (0, 1);
        stretches.map(move |(stretch, cause)| {
            // On from the one before, of which there may be as many as lines.
            let (offset, line) = Some(counted).filter(|(offset, _)| *offset <= stretch.start).unwrap_or((0, 1));
            counted = (stretch.start, line + scan.newlines(offset..stretch.start));
            let (offset, bytes) = (stretch.start as u64, stretch.len() as u64);
            LeftOut { file: scan.path.clone(), line: counted.1, offset, bytes, cause, kept_as: None }
        })
    }

    /// Keeps a copy of what is left out, and answers where it is.
    fn keep(&self, scan: &Scan, left_out: &LeftOut, verdict: &Verdict) -> Result<Option<PathBuf>> {
        match left_out.cause {
            Cause::Damaged => Ok(Some(self.beside(scan, ".broken"))),
            Cause::Torn => {
                let path = self.beside(scan, ".torn");
                let start = left_out.offset as usize;
                let bytes = scan.bytes.get(start..start + left_out.bytes as usize);
                replace(self.fs, &path, bytes.unwrap_or_default())?;
                Ok(Some(path))
            }
            Cause::Superfluous => Ok(is_kept_whole(scan, verdict).then(|| self.beside(scan, ".broken"))),
        }
    }

    /// Where something of a segment is kept: by its number, as another will have the name of the newest.
    fn beside(&self, scan: &Scan, suffix: &str) -> PathBuf {
        suffixed(&scan.path.with_file_name(self.names.file(scan.id)), suffix)
    }

    /// Takes out of a segment what now stands in the fresh one or is left out. Answers the last line that stays.
    fn clear(&self, scan: &Scan, keep: u64, verdict: &Verdict) -> Result<Option<Place>> {
        if scan.void.is_some() && !is_cut(scan, verdict) {
            // It holds the lines of another lineage, which nobody asked us to destroy. What goes is kept as `.broken`.
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

    /// Gives a segment that stays its number, if it has the name of the newest: that is for the one to come.
    fn numbered(&self, scan: &Scan) -> Result<PathBuf> {
        let name = self.names.file(scan.id);
        if scan.path.file_name().is_none_or(|present| Some(present) != self.names.newest_file().map(OsStr::new)) {
            return Ok(scan.path.clone());
        }
        let path = scan.path.with_file_name(name);
        self.fs.rename(&scan.path, &path).map_err(|error| Error::io("cannot rename into place", &path, error))?;
        Ok(path)
    }

    fn store(&self) -> &str {
        self.lineage.last().map_or("", |ancestor| ancestor.store.as_str())
    }
}

impl Recovered {
    /// The text of a segment with the chain's lines after `keep`, and a note for each stretch that was lost.
    fn copy_after(&self, keep: u64, verdict: &Verdict, store: &str, id: SegmentId) -> Vec<u8> {
        let places = self.chain.iter().filter_map(|at| self.place(*at)).filter(|place| place.seq > keep);
        let lines: usize = places.map(|place| place.end - place.start).sum();
        // At once, as it may be all of the log: to let it grow took half as much again.
        let mut bytes = Vec::with_capacity(lines + verdict.lost.len() * NOTE_BYTES + TAIL_MAX_BYTES);
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

/// Whether a copy of the whole segment is kept.
fn is_kept_whole(scan: &Scan, verdict: &Verdict) -> bool {
    is_broken(scan, verdict) || (scan.void.is_some() && is_cut(scan, verdict))
}

/// Whether something of a segment has to go, so that the next recovery does not find it after other lines.
fn is_cut(scan: &Scan, verdict: &Verdict) -> bool {
    is_broken(scan, verdict) || scan.end > kept_end(scan, verdict)
}

/// Where the last line of a segment ends that counts.
fn kept_end(scan: &Scan, verdict: &Verdict) -> usize {
    scan.lines.iter().rfind(|place| place.seq <= verdict.last).map_or(0, |place| place.end)
}
