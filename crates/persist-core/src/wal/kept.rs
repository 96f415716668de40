//! Segments that are kept when a checkpoint covers them, compressed, and reading lines back from the disk.
//!
//! What it keeps true:
//! - A kept segment has another name ([`name::kept`]), so recovery neither reads nor judges it: an opening takes no longer
//!   for it, and what it suffers keeps no store from opening.
//! - The compressed file is durable under its name before the segment goes: a crash leaves the one, the other or both.

use std::io::{self, Read, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder, read::GzDecoder};

use super::line::Line;
use super::name::{self, SegmentId};
use super::reader::Scan;
use super::recover::{Ancestor, Recovery};
use super::writer::{Log, Segment};
use crate::error::{Error, Result};
use crate::fs::{Access, Fs, read, read_range, remove_if_there, replace, replace_unsynced, sync_dirs_of};
use crate::planted::planted;

/// How much of a kept segment is read to find out what is in it: more than its header takes.
const HEADER_BYTES: u64 = 1024;

impl Log {
    /// Keeps the closed segments whose lines are all at or below `seq`, compressed, under another name.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io); what could not be done is tried again by the next call.
    pub fn keep_up_to(&self, seq: u64) -> Result<()> {
        let covered: Vec<Segment> = self.closed_segments().into_iter().filter(|s| s.last_seq <= seq).collect();
        for segment in &covered {
            let path = name::kept(&segment.path);
            let compressed = compress(self.fs.as_ref(), segment, &path)?;
            // Who looks for it now finds the other.
            remove_if_there(self.fs.as_ref(), &segment.path)?;
            let mut shared = self.shared.lock();
            shared.closed.retain(|closed| closed.path != segment.path);
            // A crash may have left both before.
            shared.kept.retain(|kept| kept.path != path);
            if let Some(bytes) = compressed {
                shared.kept.push(Segment { path, bytes, ..segment.clone() });
                shared.kept.sort_by_key(|kept| kept.last_seq);
            }
        }
        sync_dirs_of(self.fs.as_ref(), covered.iter().map(|segment| segment.path.as_path()))
    }

    /// Removes the kept segments whose lines are all at or below `seq` and were written at or before `at`, in microseconds
    /// since 1970-01-01 UTC. Answers when the last line of the oldest that stays was written, if time alone keeps it.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io); what could not be removed is tried again by the next call.
    pub fn remove_kept(&self, seq: u64, at: i64) -> Result<Option<i64>> {
        let mut shared = self.shared.lock();
        let until = shared.kept.partition_point(|kept| kept.last_seq <= seq && kept.last_at <= at);
        let mut going: Vec<Segment> = shared.kept.drain(..until).collect();
        let oldest = shared.kept.first().filter(|kept| kept.last_seq <= seq).map(|kept| kept.last_at);
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

    /// The segments that are kept although a checkpoint covers them, oldest first.
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
            let (path, first_seq, bytes) = (active.path.clone(), active.first_seq, active.position);
            Segment { path, first_seq, last_seq, last_at, bytes }
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
        let bytes = read_lines_still_there(self.fs.as_ref(), &segment.path)?;
        let mut scan = Scan::new(SegmentId(0), segment.path.clone(), bytes);
        scan.lines.retain(|place| (from..=to).contains(&place.seq) && !place.is_bridge);
        Ok(ReadBack::of(scan))
    }
}

/// Lines that were read back from the disk, in order of `seq`.
#[derive(Debug)]
pub struct ReadBack {
    scan: Scan,
    next: usize,
}

impl ReadBack {
    pub(super) fn of(scan: Scan) -> Self {
        Self { scan, next: 0 }
    }

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
    /// be read: it is missed by who needs it, and keeps no store from opening.
    pub(super) fn kept(&self) -> Result<Vec<Segment>> {
        let mut kept = Vec::new();
        for (_, path) in self.files()?.into_iter().filter(|(name, _)| self.names.is_kept(name)) {
            let bytes = || self.fs.open(&path, Access::Read)?.len();
            match Ends::read(self.fs, &path).and_then(|ends| Ok((ends, bytes()?))) {
                Ok((Some(ends), bytes)) if self.is_ours(&ends) => {
                    let Ends { first_seq, last_seq, last_at, .. } = ends;
                    kept.push(Segment { path, first_seq, last_seq, last_at, bytes });
                }
                found => tracing::warn!(?path, ?found, "a kept segment can't be read or is not this store's"),
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

/// What a kept segment has, as its header says.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Ends {
    pub(super) store: String,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    last_at: i64,
    /// How long the segment is when it is decompressed: no more is taken of it, whatever its compressed bytes would become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// The CRC-32 of the others, as [`Ends::checksum`] puts them together: a gzip header is not checked otherwise.
    crc: u32,
}

impl Ends {
    fn of(segment: &Segment, store: &str, bytes: usize) -> Self {
        let Segment { first_seq, last_seq, last_at, .. } = *segment;
        let ends = Self { store: store.to_owned(), first_seq, last_seq, last_at, bytes: Some(bytes as u64), crc: 0 };
        Self { crc: ends.checksum(), ..ends }
    }

    fn checksum(&self) -> u32 {
        let Self { store, first_seq, last_seq, last_at, bytes, .. } = self;
        let bytes = bytes.map_or_else(String::new, |bytes| format!(" {bytes}"));
        crc32fast::hash(format!("{store} {first_seq} {last_seq} {last_at}{bytes}").as_bytes())
    }

    /// `None` where the header is damaged.
    pub(super) fn read(fs: &dyn Fs, path: &Path) -> io::Result<Option<Self>> {
        Ok(Self::of_header(&read_range(fs.open(path, Access::Read)?.as_ref(), 0, HEADER_BYTES)?))
    }

    fn of_header(head: &[u8]) -> Option<Self> {
        let decoder = GzDecoder::new(head);
        let comment = decoder.header().and_then(|header| header.comment());
        let ends: Option<Self> = comment.and_then(|comment| serde_json::from_slice(comment).ok());
        ends.filter(|ends| ends.crc == ends.checksum())
    }
}

/// Puts the compressed form of a segment in place, and answers its bytes; `None` where there is no such segment.
fn compress(fs: &dyn Fs, segment: &Segment, path: &Path) -> Result<Option<u64>> {
    let bytes = match read(fs, &segment.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| Error::io("cannot read", &segment.path, error))?,
    };
    let first = bytes.split(|byte| *byte == b'\n').find_map(Line::parse);
    let ends = Ends::of(segment, first.and_then(|line| line.store).unwrap_or_default(), bytes.len());
    let compressed = || -> io::Result<Vec<u8>> {
        let builder = GzBuilder::new().comment(serde_json::to_vec(&ends)?);
        // The fastest level: a segment is compressed while the store is written.
        let mut encoder = builder.write(Vec::with_capacity(bytes.len() / 4), Compression::fast());
        encoder.write_all(&bytes)?;
        encoder.finish()
    };
    let compressed = compressed().map_err(|error| Error::io("cannot compress", &segment.path, error))?;
    if planted("kept-before-durable") {
        replace_unsynced(fs, path, &compressed)?;
    } else {
        replace(fs, path, &compressed)?;
    }
    Ok(Some(compressed.len() as u64))
}

/// The bytes of a segment of a log in use, which may be compressed at this moment, or removed: there is nothing then.
pub(super) fn read_lines_still_there(fs: &dyn Fs, path: &Path) -> Result<Vec<u8>> {
    let is_gone = |read: &io::Result<_>| matches!(read, Err(error) if error.kind() == io::ErrorKind::NotFound);
    let mut read = read_lines(fs, path);
    if is_gone(&read) {
        read = read_lines(fs, &name::kept(path));
    }
    if is_gone(&read) { Ok(Vec::new()) } else { read.map_err(|error| Error::io("cannot read", path, error)) }
}

/// The bytes of a segment, kept or not. Of a damaged one those that can still be had: each line says whether it is whole.
fn read_lines(fs: &dyn Fs, path: &Path) -> io::Result<Vec<u8>> {
    let bytes = read(fs, path)?;
    if !name::is_kept(path) {
        return Ok(bytes);
    }
    let mut lines = Vec::new();
    // Of before the header said how long it is, all.
    let most = Ends::of_header(bytes.get(..HEADER_BYTES as usize).unwrap_or(&bytes)).and_then(|ends| ends.bytes);
    if let Err(error) = GzDecoder::new(bytes.as_slice()).take(most.unwrap_or(u64::MAX)).read_to_end(&mut lines) {
        tracing::warn!(?path, %error, "a kept segment is damaged");
    }
    Ok(lines)
}
