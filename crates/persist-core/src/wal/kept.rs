//! Segments that are kept for subscribers when a checkpoint covers them, and reading lines back from the disk.
//!
//! What it keeps true:
//! - A kept segment has another name ([`name::kept`]), so recovery neither reads nor judges it: an opening takes no longer
//!   for it, and what it suffers keeps no store from opening.
//! - A rename, a removal or a crash between them leaves each segment whole, under one name or the other.

use std::io;
use std::path::Path;

use super::line::Line;
use super::name::{self, SegmentId};
use super::reader::Scan;
use super::recover::{Ancestor, Recovery};
use super::writer::{Log, Segment};
use crate::error::{Error, Result};
use crate::fs::{Access, Fs, read, read_range, sync_dir_of};

/// How much of a segment is read to find its first or last line, at first.
const PIECE_BYTES: u64 = 4096;

impl Log {
    /// Keeps the closed segments whose lines are all at or below `seq` for subscribers only, under another name.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io); what could not be renamed is tried again by the next call.
    pub fn keep_up_to(&self, seq: u64) -> Result<()> {
        let covered: Vec<Segment> = self.closed_segments().into_iter().filter(|s| s.last_seq <= seq).collect();
        for segment in &covered {
            let path = name::kept(&segment.path);
            let is_gone = match self.fs.rename(&segment.path, &path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                done => done.map_err(|error| Error::io("cannot rename", &segment.path, error)).map(|()| false)?,
            };
            let mut shared = self.shared.lock();
            shared.closed.retain(|closed| closed.path != segment.path);
            if !is_gone {
                shared.kept.push(Segment { path, ..segment.clone() });
                shared.kept.sort_by_key(|kept| kept.last_seq);
            }
        }
        covered.last().map_or(Ok(()), |segment| sync_dir_of(self.fs.as_ref(), &segment.path))
    }

    /// Removes the kept segments whose last line was written at or before `at`, in microseconds since 1970-01-01 UTC.
    /// Answers when the last line of the oldest that stays was written.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io); what could not be removed is tried again by the next call.
    pub fn remove_kept(&self, at: i64) -> Result<Option<i64>> {
        let mut shared = self.shared.lock();
        let until = shared.kept.partition_point(|kept| kept.last_at <= at);
        let mut going: Vec<Segment> = shared.kept.drain(..until).collect();
        let oldest = shared.kept.first().map(|kept| kept.last_at);
        drop(shared);
        if going.is_empty() {
            return Ok(oldest);
        }
        // The last goes first.
        going.reverse();
        let done = self.remove(&mut going);
        let mut shared = self.shared.lock();
        shared.kept.extend(going);
        shared.kept.sort_by_key(|kept| kept.last_seq);
        done.map(|_| oldest)
    }

    /// The segments that are kept for subscribers only, oldest first.
    pub fn kept_segments(&self) -> Vec<Segment> {
        self.shared.lock().kept.clone()
    }

    /// The lowest `seq` in any segment; `None` where there is none.
    pub fn oldest_seq(&self) -> Option<u64> {
        let shared = self.shared.lock();
        let active = shared.active.as_ref().filter(|active| active.lines > 0).map(|active| active.first_seq);
        shared.kept.iter().chain(&shared.closed).map(|segment| segment.first_seq).chain(active).min()
    }

    /// The first segment that holds durable lines at or above `seq`, or is said to.
    pub fn segment_from(&self, seq: u64) -> Option<Segment> {
        let shared = self.shared.lock();
        let (last_seq, last_at) = (shared.durable, shared.last_at);
        let active = shared.active.as_ref().map(|active| {
            let (path, first_seq) = (active.path.clone(), active.first_seq);
            Segment { path, first_seq, last_seq, last_at }
        });
        let closed = shared.kept.iter().chain(&shared.closed).filter(|segment| segment.last_seq >= seq);
        let closed = closed.min_by_key(|segment| segment.last_seq).cloned();
        closed.or(active.filter(|active| active.last_seq >= seq.max(active.first_seq)))
    }

    /// Reads the good lines of a segment from one `seq` to another. Those that are not there are left out: also all of
    /// them, where the segment was removed.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io).
    pub fn read_back(&self, segment: &Segment, from: u64, to: u64) -> Result<ReadBack> {
        // The segment may be renamed at this moment, never back.
        let bytes = match read(self.fs.as_ref(), &segment.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match read(self.fs.as_ref(), &name::kept(&segment.path)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                    read => read,
                }
            }
            read => read,
        };
        let bytes = bytes.map_err(|error| Error::io("cannot read", &segment.path, error))?;
        let mut scan = Scan::new(SegmentId(0), segment.path.clone(), bytes);
        scan.lines.retain(|place| (from..=to).contains(&place.seq) && !place.is_bridge);
        Ok(ReadBack { scan, next: 0 })
    }
}

/// Lines that were read back from the disk, in order of `seq`.
#[derive(Debug)]
pub struct ReadBack {
    scan: Scan,
    next: usize,
}

impl ReadBack {
    /// The `seq` of the next line.
    pub fn next_seq(&self) -> Option<u64> {
        self.scan.lines.get(self.next).map(|place| place.seq)
    }

    /// The next line, and from then on the one after it.
    pub fn take_line(&mut self) -> Option<Line<'_>> {
        let place = self.scan.lines.get(self.next)?;
        self.next += 1;
        self.scan.line(place)
    }
}

impl Recovery<'_> {
    /// The kept segments, oldest first. Another store's are left alone, and what is above the watermark; also what can't
    /// be read: only subscribers miss it.
    pub(super) fn kept(&self) -> Result<Vec<Segment>> {
        let names = self.fs.list(self.dir).map_err(|error| Error::io("cannot list", self.dir, error))?;
        let mut kept = Vec::new();
        for path in names.iter().filter(|name| name::is_kept(name)).map(|name| self.dir.join(name)) {
            match ends(self.fs, &path) {
                Ok(Some(ends)) if self.is_ours(&ends) => {
                    let Ends { first_seq, last_seq, last_at, .. } = ends;
                    kept.push(Segment { path, first_seq, last_seq, last_at });
                }
                ends => tracing::warn!(?path, ?ends, "a kept segment can't be read or is not this store's"),
            }
        }
        kept.sort_by_key(|segment| segment.last_seq);
        Ok(kept)
    }

    fn is_ours(&self, ends: &Ends) -> bool {
        let bound = |ancestor: &Ancestor| ancestor.last_seq.unwrap_or(u64::MAX).min(self.watermark);
        self.lineage.iter().any(|ancestor| ancestor.store == ends.store && ends.last_seq <= bound(ancestor))
    }
}

/// What the first and last good line of a segment say.
#[derive(Debug)]
struct Ends {
    store: String,
    first_seq: u64,
    last_seq: u64,
    last_at: i64,
}

/// `None` where the first line is damaged, which says whose the segment is.
fn ends(fs: &dyn Fs, path: &Path) -> io::Result<Option<Ends>> {
    let file = fs.open(path, Access::Read)?;
    let bytes = file.len()?;
    let mut piece = PIECE_BYTES;
    // Most often both are in the first pieces; a long line, or one that is damaged, takes more of them.
    loop {
        let piece_bytes = piece.min(bytes);
        let head = Scan::new(SegmentId(0), path.to_owned(), read_range(file.as_ref(), 0, piece_bytes)?);
        let tail = read_range(file.as_ref(), bytes - piece_bytes, piece_bytes)?;
        let tail = Scan::new(SegmentId(0), path.to_owned(), tail);
        if let (Some(store), Some(first), Some(last)) = (head.store, head.lines.first(), tail.lines.last()) {
            let (first_seq, last_seq, last_at) = (first.from, last.seq, last.at);
            return Ok(Some(Ends { store, first_seq, last_seq, last_at }));
        }
        if piece >= bytes {
            return Ok(None);
        }
        piece *= 4;
    }
}
