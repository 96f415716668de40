//! What a table's file of records holds: `data/{table}.meta.json`, beside the file.
//!
//! A file that is written anew is announced there before it takes the place of the old one, so that at every moment one of
//! the two is known to be right: see `save.rs`.

use std::io;
use std::path::Path;

use persist_core::fs::{Fs, read, replace};
use persist_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

const FORMAT: u32 = 1;

/// What a file of records holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// Its name.
    pub(crate) file: String,
    /// Every write up to this `seq` is in it.
    pub(crate) applied_seq: u64,
    /// So many bytes of it count; what follows was never finished.
    pub(crate) length: u64,
    /// The CRC-32 of these bytes, in hex digits.
    pub(crate) crc: String,
    pub(crate) records: u64,
    /// The primary key of the next row that comes without one.
    pub(crate) next_key: i64,
}

/// The whole of `{table}.meta.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    format: u32,
    #[serde(flatten)]
    pub(crate) content: Content,
    /// When it was saved.
    saved_at: String,
    /// What the file that was written aside holds, which is about to take the place, or has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<Content>,
}

/// What a table that is loaded knows of its file.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    pub(crate) content: Content,
    /// The file can't be appended to: nobody has said what it holds, or an append failed.
    pub(crate) rewrite: bool,
    /// Why the file can't be saved any more before the database is opened again.
    pub(crate) broken: Option<String>,
}

impl Content {
    pub(crate) fn empty(file: String, applied_seq: u64) -> Self {
        Self { file, applied_seq, length: 0, crc: crc_text(0), records: 0, next_key: 1 }
    }
}

impl Meta {
    pub(crate) fn new(content: Content, saved_at: String) -> Self {
        Self { format: FORMAT, content, saved_at, next: None }
    }

    /// `None` where there is none.
    pub(crate) fn read(fs: &dyn Fs, path: &Path) -> Result<Option<Self>> {
        let bytes = match read(fs, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| Error::io("cannot read", path, error))?,
        };
        let meta: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::Corrupt, format!("{} can't be read: {error}", path.display())).with_source(error)
        })?;
        if meta.format != FORMAT {
            let message = format!("{} has format {}, this version reads {FORMAT}", path.display(), meta.format);
            return Err(Error::config(message));
        }
        Ok(Some(meta))
    }

    pub(crate) fn write(&self, fs: &dyn Fs, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec(self)
            .map_err(|error| Error::config(format!("cannot write {}: {error}", path.display())).with_source(error))?;
        text.push(b'\n');
        replace(fs, path, &text)
    }
}

/// A checksum as it is written.
pub(crate) fn crc_text(crc: u32) -> String {
    format!("{crc:08x}")
}
