//! Reads the lines of one segment, and says where it could not.
//!
//! It judges nothing but how a stretch looks: what it means depends on the other segments, see `judge.rs`.

use std::ops::Range;
use std::path::PathBuf;

use super::line::{self, Line, Marks};
use super::name::SegmentId;
use crate::planted::planted;

/// What storage writes or loses as a whole.
const SECTOR_BYTES: usize = 512;

/// A segment as it was read.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    /// The good lines; their `seq`s rise.
    pub(super) lines: Vec<Place>,
    /// What stands between two lines of this segment, or before the first, or after the last, and is not fill; in order.
    pub(super) unreadable: Vec<Range<usize>>,
    /// The end of the last line or unreadable stretch.
    pub(super) end: usize,
    /// The store that wrote it, as its first line says.
    pub(super) store: Option<String>,
    /// The first line that is no newer than one before it: what the disk held there earlier.
    pub(super) stale: Option<usize>,
    /// From the first line on that counts no more under the id of the store that wrote it.
    pub(super) void: Option<Range<usize>>,
}

/// Where a good line stands, and what recovery asks of it most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: usize,
    /// The end of the line, its newline included where it has one.
    pub(super) end: usize,
    pub(super) seq: u64,
    /// The first `seq` the line covers: its own, but for a line that bridges damage.
    pub(super) from: u64,
    /// Whether the line bridges damage.
    pub(super) is_bridge: bool,
    pub(super) synced: Option<u64>,
    pub(super) at: i64,
    pub(super) marks: Marks,
    pub(super) body_bytes: usize,
}

impl Scan {
    pub(super) fn new(id: SegmentId, path: PathBuf, bytes: Vec<u8>) -> Self {
        let mut scan = Self {
            id,
            path,
            bytes: Vec::new(),
            lines: Vec::new(),
            unreadable: Vec::new(),
            end: 0,
            store: None,
            stale: None,
            void: None,
        };
        // At once: grown step by step it took three times as much, next to a log that may be of the shortest lines.
        let newlines = memchr::memchr_iter(b'\n', &bytes).count();
        scan.lines.reserve_exact(newlines.min(bytes.len() / line::MIN_BYTES) + 1);
        let mut at = 0;
        while let Some(start) = not_fill(&bytes, at) {
            // No byte of fill can be in a line: zeros that a power cut left end one as a newline does.
            let length = bytes.get(start..).and_then(|rest| memchr::memchr3(b'\n', 0, 0xFF, rest));
            let text_end = length.map_or(bytes.len(), |length| start + length);
            let end = text_end + usize::from(bytes.get(text_end) == Some(&b'\n'));
            scan.take(start..end, Line::parse(bytes.get(start..text_end).unwrap_or_default()));
            at = end;
        }
        // Of a log with broken lines that was too much.
        scan.lines.shrink_to_fit();
        scan.bytes = bytes;
        scan
    }

    fn take(&mut self, place: Range<usize>, line: Option<Line<'_>>) {
        self.end = place.end;
        let newest = self.lines.last().map_or(0, |last| last.seq);
        let fresh = line.filter(|line| line.seq > newest || planted("stale-line-counts"));
        if line.is_some() && fresh.is_none() {
            self.stale = self.stale.or(Some(place.start));
        }
        let Some(line) = fresh else {
            let line_end = self.lines.last().map_or(0, |line| line.end);
            match self.unreadable.last_mut() {
                // One stretch up to the next line, fill and all: a few bytes must not become a place each.
                Some(last) if last.start >= line_end => last.end = place.end,
                _ => self.unreadable.push(place),
            }
            return;
        };
        if self.store.is_none() {
            self.store = line.store.map(str::to_owned);
        }
        self.lines.push(Place {
            start: place.start,
            end: place.end,
            seq: line.seq,
            from: line.lost_from.unwrap_or(line.seq).min(line.seq),
            is_bridge: line.lost_from.is_some(),
            synced: line.synced,
            at: line.at,
            marks: line.marks,
            body_bytes: line.body().len(),
        });
    }

    /// Leaves out of account the lines after `seq`, and all that follows the first of them.
    pub(super) fn void_after(&mut self, seq: u64) {
        let Some(first) = self.lines.iter().find(|place| place.seq > seq).map(|place| place.start) else { return };
        self.void = Some(first..self.end);
        self.lines.retain(|place| place.start < first);
        self.unreadable.retain(|stretch| stretch.start < first);
        let line_end = self.lines.last().map_or(0, |place| place.end);
        self.end = self.unreadable.last().map_or(0, |stretch| stretch.end).max(line_end);
    }

    /// The line at a place that [`Scan::new`] found good. To check it again took a third of a recovery.
    pub(super) fn line(&self, place: &Place) -> Option<Line<'_>> {
        let text = self.bytes.get(place.start..place.end)?;
        Line::checked(text.strip_suffix(b"\n").unwrap_or(text), place)
    }

    /// The number of the line that starts or runs at `offset`, from 1.
    pub(super) fn line_number(&self, offset: usize) -> usize {
        1 + self.newlines(0..offset)
    }

    pub(super) fn newlines(&self, place: Range<usize>) -> usize {
        memchr::memchr_iter(b'\n', self.bytes.get(place).unwrap_or_default()).count()
    }

    /// Where the last good line before `offset` ends.
    pub(super) fn end_of_line_before(&self, offset: usize) -> usize {
        let before = self.lines.partition_point(|place| place.start < offset);
        before.checked_sub(1).and_then(|last| self.lines.get(last)).map_or(0, |place| place.end)
    }

    /// The first byte from `offset` on that is not fill, or `offset` where there is none.
    pub(super) fn skip_fill(&self, offset: usize) -> usize {
        not_fill(&self.bytes, offset).unwrap_or(offset)
    }

    /// Whether what follows `from`, up to the next good line, looks as a power cut leaves it: with sectors that were
    /// never written, or broken off. `last` is the `seq` before.
    pub(super) fn looks_torn(&self, from: usize, last: u64) -> bool {
        let next_line = self.lines.get(self.lines.partition_point(|place| place.start < from)).map(|place| place.start);
        let until = next_line.unwrap_or(self.end);
        if from >= until {
            return false;
        }
        let stretch = self.bytes.get(from..until).unwrap_or_default();
        let piece = stretch.split(|byte| is_fill(*byte)).next().unwrap_or_default();
        let is_whole = line::claimed_seq(piece).is_some_and(|seq| seq > last);
        if is_whole && !(from + piece.len()).is_multiple_of(SECTOR_BYTES) {
            // A tear takes a line's end, or sectors out of its middle. This one has both ends and no hole.
            return false;
        }
        next_line.is_none() || self.stale.is_some_and(|at| at >= from) || self.misses_a_sector(from, until)
    }

    /// Whether some sector of `from..until` was not written to its end.
    fn misses_a_sector(&self, from: usize, until: usize) -> bool {
        let mut start = from;
        loop {
            let end = (start + 1).next_multiple_of(SECTOR_BYTES);
            // The last one, where it is not whole, is that of the good line that follows.
            let Some(sector) = self.bytes.get(start..end).filter(|_| end <= until) else { return false };
            let fill = sector.iter().rev().take_while(|byte| is_fill(**byte)).count();
            let text = self.bytes.get(from..end - fill).unwrap_or_default();
            // A sector may end with the newline of a line. Otherwise a write broke off there, or never came.
            if fill > 1 || (fill == 1 && !text.ends_with(b"\"}")) {
                return true;
            }
            start = end;
        }
    }
}

fn is_fill(byte: u8) -> bool {
    matches!(byte, b'\n' | 0 | 0xFF)
}

/// The first byte from `at` on that is not fill.
fn not_fill(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    Some(at + rest.iter().position(|byte| !is_fill(*byte))?)
}
