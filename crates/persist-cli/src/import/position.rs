//! How far an import has come, as a file in the store's folder, or in the base folder of dated stores. It is replaced whole
//! and durably at each step.

use std::path::{Path, PathBuf};

use persist_core::fs::{Disk, remove_if_there, replace};
use serde::{Deserialize, Serialize};

use super::source::{Place, Source};
use crate::failure::{Failure, Result};

const FORMAT: u32 = 1;

/// How far an import has come.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Position {
    format: u32,
    #[serde(skip)]
    path: PathBuf,
    /// The file that is imported.
    pub(crate) file: PathBuf,
    /// How it is understood.
    options: String,
    /// All rows before were dealt with.
    pub(crate) at: Place,
    /// Where the chunk ends that was begun.
    pub(crate) end: Option<u64>,
    /// The place after that chunk, in this run.
    #[serde(skip)]
    next: Option<Place>,
    /// The CRC-32 of the file up to there, or to `at`.
    crc: u32,
    /// The batches of that chunk that were begun, of which all but the last are made.
    pub(crate) begun: Vec<Begun>,
    /// Rows that are in the store.
    pub(crate) rows: u64,
    /// Rows that are not.
    pub(crate) rejected: u64,
    pub(crate) rejects: PathBuf,
    /// So long is the file of rejects.
    pub(crate) rejects_bytes: u64,
    pub(crate) is_done: bool,
}

/// A batch that was made, or was about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The date of the store, or nothing where there is one.
    pub(crate) name: String,
    /// The id of the store.
    pub(crate) store: String,
    /// The store's last `seq` before.
    pub(crate) after: u64,
    /// How many rows it has.
    pub(crate) rows: u64,
}

impl Position {
    /// Where an earlier import of the file has come to, and whether there was one.
    pub(crate) fn load(
        dir: &Path,
        file: &Path,
        options: String,
        rejects: PathBuf,
        is_anew: bool,
    ) -> Result<(Self, bool)> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let id = crc32fast::hash(file.as_os_str().as_encoded_bytes());
        let path = dir.join(format!(".persist_import-{name}-{id:08x}.json"));
        if is_anew {
            remove_if_there(&Disk, &path)?;
        }
        if !path.exists() {
            let at = Place { byte: 0, line: 1 };
            let (crc, begun) = (0, Vec::new());
            let file = file.to_owned();
            let first = Self {
                format: FORMAT,
                path,
                file,
                options,
                at,
                end: None,
                next: None,
                crc,
                begun,
                rows: 0,
                rejected: 0,
                rejects,
                rejects_bytes: 0,
                is_done: false,
            };
            return Ok((first, false));
        }
        let text = std::fs::read(&path).map_err(|error| Failure::reading(&path, error))?;
        let found: Self = serde_json::from_slice(&text).map_err(|error| {
            Failure::Unfit(format!("{} can't be read: {error}; --anew begins at the first row", path.display()))
        })?;
        let refuse = |what: &str| {
            let message = format!(
                "{} was begun {what}: go on with that, or say --anew to begin at the first row",
                file.display()
            );
            Err(Failure::Usage(message))
        };
        if found.format != FORMAT || found.file != file {
            return refuse("by another version, or is another file");
        }
        if found.options != options {
            return refuse("with other --map, --date, --format or --text");
        }
        if found.rejects != rejects && found.rejects_bytes > 0 {
            return refuse(&format!("with --rejects {}", found.rejects.display()));
        }
        Ok((Self { path, rejects, ..found }, true))
    }

    /// Refuses a file that is not the same any more, as far as it was imported.
    pub(crate) fn check(&self, source: &Source) -> Result<()> {
        let (mut crc, to) = (crc32fast::Hasher::new(), self.end.unwrap_or(self.at.byte));
        let is_same = source.bytes() >= to && source.checksum(&mut crc, 0, to).is_ok() && crc.finalize() == self.crc;
        if is_same || (to == 0 && self.crc == 0) {
            return Ok(());
        }
        let message = format!(
            "{} has changed since a part of it was imported, up to line {}: import the rest as another file, or all with --anew",
            self.file.display(),
            self.at.line
        );
        Err(Failure::Unfit(message))
    }

    /// Begins a chunk that ends at a place; one that was begun already stays as it is.
    pub(crate) fn begin(&mut self, source: &Source, end: Place) -> Result<()> {
        self.next = Some(end);
        if self.end.is_none() {
            let mut crc = crc32fast::Hasher::new_with_initial_len(self.crc, self.at.byte);
            source.checksum(&mut crc, self.at.byte, end.byte)?;
            self.crc = crc.finalize();
            self.end = Some(end.byte);
        }
        Ok(())
    }

    /// Says, durably, that a batch is about to be made.
    pub(crate) fn begin_batch(&mut self, begun: Begun) -> Result<()> {
        self.begun.push(begun);
        self.save()
    }

    /// Says, durably, that the chunk is done.
    pub(crate) fn done(&mut self, rows: u64, rejected: u64, rejects_bytes: u64) -> Result<()> {
        self.at = self.next.take().unwrap_or(self.at);
        (self.end, self.rejects_bytes) = (None, rejects_bytes);
        self.begun.clear();
        self.rows += rows;
        self.rejected += rejected;
        self.save()
    }

    /// Says, durably, that there are no more rows.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.is_done = true;
        self.save()
    }

    fn save(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::from)?;
        Ok(replace(&Disk, &self.path, &text)?)
    }
}
