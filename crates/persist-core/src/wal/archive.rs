//! A log as it lies there, read without changing it: the kept segments, and those that take part in recovery.
//!
//! It judges nothing: a line is good or left out. Who reads it looks for gaps in the `seq`s.

use std::path::{Path, PathBuf};

use super::kept::{Ends, ReadBack, read_lines_still_there};
use super::name::{SegmentId, SegmentNames};
use super::reader::Scan;
use super::recover::Ancestor;
use crate::error::{Error, Result};
use crate::fs::Fs;

/// A segment of an [`Archive`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Archived {
    /// Its file.
    pub path: PathBuf,
    /// The first `seq` in it.
    pub first_seq: u64,
    /// The last `seq` in it.
    pub last_seq: u64,
    /// Whether it was kept, compressed, when a checkpoint covered it; otherwise recovery reads it.
    pub is_kept: bool,
}

/// The segments of one log in some folders.
#[derive(Debug)]
pub struct Archive<'a> {
    fs: &'a dyn Fs,
    lineage: &'a [Ancestor],
    segments: Vec<Archived>,
}

impl<'a> Archive<'a> {
    /// Finds the segments in these folders whose lines are of `lineage`. What is another's, or does not say whose it is, is
    /// left out.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io).
    pub fn open(fs: &'a dyn Fs, folders: &[PathBuf], lineage: &'a [Ancestor]) -> Result<Self> {
        Self::find(fs, folders, lineage, SegmentNames::default(), false)
    }

    /// As [`open`](Self::open), of the kept segments alone, of which only the headers are read.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io).
    pub fn open_kept(fs: &'a dyn Fs, folders: &[PathBuf], lineage: &'a [Ancestor]) -> Result<Self> {
        Self::find(fs, folders, lineage, SegmentNames::default(), true)
    }

    /// As [`open`](Self::open), of a log whose segments have other names.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io).
    pub fn open_named(
        fs: &'a dyn Fs,
        folders: &[PathBuf],
        lineage: &'a [Ancestor],
        segments: SegmentNames,
    ) -> Result<Self> {
        Self::find(fs, folders, lineage, segments, false)
    }

    fn find(
        fs: &'a dyn Fs,
        folders: &[PathBuf],
        lineage: &'a [Ancestor],
        segments: SegmentNames,
        only_kept: bool,
    ) -> Result<Self> {
        let mut archive = Self { fs, lineage, segments: Vec::new() };
        for folder in folders {
            let names = fs.list(folder).map_err(|error| Error::io("cannot list", folder, error))?;
            for name in names {
                let path = folder.join(&name);
                let is_segment = segments.parse(&name).is_some() || segments.newest_file() == Some(name.as_str());
                let segment = match (segments.is_kept(&name), is_segment) {
                    (true, _) => archive.kept(&path)?,
                    (false, true) if !only_kept => archive.of_log(&path)?,
                    (false, _) => continue,
                };
                match segment {
                    Some(segment) => archive.segments.push(segment),
                    None => tracing::warn!(?path, "a segment has no line, can't be read or is not this store's"),
                }
            }
        }
        archive.segments.sort_by_key(|segment| (segment.first_seq, segment.last_seq));
        Ok(archive)
    }

    /// The segments, by their first `seq`.
    pub fn segments(&self) -> &[Archived] {
        &self.segments
    }

    /// The last `seq` in any kept segment, by what they say; 0 where there is none.
    pub fn last_kept(&self) -> u64 {
        self.segments.iter().filter(|segment| segment.is_kept).map(|segment| segment.last_seq).max().unwrap_or(0)
    }

    /// Reads the good lines of a segment; those that bridge damage are among them.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io).
    pub fn read(&self, segment: &Archived) -> Result<ReadBack> {
        Ok(ReadBack::of(self.scan(&segment.path)?))
    }

    fn kept(&self, path: &Path) -> Result<Option<Archived>> {
        let ends = Ends::read(self.fs, path).map_err(|error| Error::io("cannot read", path, error))?;
        let archived = ends.and_then(|Ends { store, first_seq, last_seq, .. }| {
            let last_seq = last_seq.min(self.bound(&store)?);
            Some(Archived { path: path.to_owned(), first_seq, last_seq, is_kept: true })
        });
        Ok(archived.filter(|segment| segment.first_seq <= segment.last_seq))
    }

    fn of_log(&self, path: &Path) -> Result<Option<Archived>> {
        let scan = self.scan(path)?;
        let ends = scan.lines.first().zip(scan.lines.last());
        Ok(ends.map(|(first, last)| Archived {
            path: path.to_owned(),
            first_seq: first.from,
            last_seq: last.seq,
            is_kept: false,
        }))
    }

    /// Without what does not count under the id of the store that wrote it.
    fn scan(&self, path: &Path) -> Result<Scan> {
        let bytes = read_lines_still_there(self.fs, path)?;
        let mut scan = Scan::new(SegmentId(0), path.to_owned(), bytes);
        match scan.store.as_deref().and_then(|store| self.bound(store)) {
            Some(bound) => scan.void_after(bound),
            None => scan.lines.clear(),
        }
        Ok(scan)
    }

    /// The last `seq` that counts under a store's id; `None` for another's.
    fn bound(&self, store: &str) -> Option<u64> {
        let ancestor = self.lineage.iter().find(|ancestor| ancestor.store == store)?;
        Some(ancestor.last_seq.unwrap_or(u64::MAX))
    }
}
