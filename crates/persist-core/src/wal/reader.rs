//! Reads the lines of one segment, and says where it could not.
//!
//! It judges nothing: what an unreadable stretch means depends on the other segments, see `recover.rs`.

use std::ops::Range;
use std::path::PathBuf;

use super::line::Line;
use super::name::SegmentId;

/// What storage writes or loses as a whole.
const SECTOR_BYTES: usize = 512;

/// A segment as it was read.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) lines: Vec<Place>,
    /// Stretches that are neither lines of ours nor fill, in order.
    pub(super) unreadable: Vec<Range<usize>>,
    /// The end of the last byte that is not fill.
    pub(super) end: usize,
    /// The store that wrote it, as its first line says.
    pub(super) store: Option<String>,
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
    pub(super) synced: Option<u64>,
    pub(super) at: i64,
}

impl Scan {
    pub(super) fn new(id: SegmentId, path: PathBuf, bytes: Vec<u8>) -> Self {
        let mut scan =
            Self { id, path, bytes: Vec::new(), lines: Vec::new(), unreadable: Vec::new(), end: 0, store: None };
        let mut at = 0;
        while let Some(start) = not_fill(&bytes, at) {
            let newline = bytes.get(start..).and_then(|rest| memchr::memchr(b'\n', rest));
            let text_end = newline.map_or(bytes.len(), |length| start + length);
            let end = (text_end + 1).min(bytes.len());
            let text = bytes.get(start..text_end).unwrap_or_default();
            if let Some(line) = Line::parse(text) {
                if scan.store.is_none() {
                    scan.store = line.store.map(str::to_owned);
                }
                let from = line.lost_from.unwrap_or(line.seq);
                scan.lines.push(Place { start, end, seq: line.seq, from, synced: line.synced, at: line.at });
                scan.end = end;
            } else {
                match scan.unreadable.last_mut() {
                    Some(last) if last.end == start => last.end = end,
                    _ => scan.unreadable.push(start..end),
                }
                scan.end = end;
            }
            at = end;
        }
        scan.bytes = bytes;
        scan
    }

    pub(super) fn line(&self, place: &Place) -> Option<Line<'_>> {
        let text = self.bytes.get(place.start..place.end)?;
        Line::parse(text.strip_suffix(b"\n").unwrap_or(text))
    }

    /// The number of the line that starts or runs at `offset`, from 1.
    pub(super) fn line_number(&self, offset: usize) -> usize {
        1 + memchr::memchr_iter(b'\n', self.bytes.get(..offset).unwrap_or_default()).count()
    }

    /// Whether what follows `from`, up to the next good line, looks as a power cut leaves it: with sectors that were
    /// never written, or broken off.
    pub(super) fn looks_torn(&self, from: usize) -> bool {
        let next_line = self.lines.iter().map(|place| place.start).find(|start| *start >= from);
        let until = next_line.unwrap_or(self.bytes.len());
        let stretch = self.bytes.get(from..until).unwrap_or_default();
        let Some(last) = stretch.iter().rposition(|byte| !is_fill(*byte)) else {
            // Nothing but fill: a hole, if there is one at all.
            return !stretch.is_empty();
        };
        let end = from + last + 1;
        if self.misses_a_sector(from, next_line.unwrap_or(end)) {
            return true;
        }
        if next_line.is_some() {
            return false;
        }
        // At the end of the data, and in one piece. A whole line that is wrong was not torn.
        let text = self.bytes.get(from..end).unwrap_or_default();
        let is_whole = text.starts_with(b"{") && text.ends_with(b"\"}") && !end.is_multiple_of(SECTOR_BYTES);
        !is_whole
    }

    /// Whether some sector holds nothing but fill in `from..until`, and so was lost from a group that covered it.
    fn misses_a_sector(&self, from: usize, until: usize) -> bool {
        let mut start = from;
        while start < until {
            let sector_end = (start + 1).next_multiple_of(SECTOR_BYTES);
            let end = sector_end.min(until);
            let whole = sector_end <= until || until == self.bytes.len();
            // Where a good line follows, its own sector may begin with the end of the hole.
            if self.bytes.get(start..end).is_some_and(|bytes| bytes.iter().all(|byte| is_fill(*byte))) && whole {
                return true;
            }
            start = sector_end;
        }
        false
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
