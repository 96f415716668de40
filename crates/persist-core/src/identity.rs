//! `store.json`: whose files a folder holds.
//!
//! It is renamed into place only after the database's first CHECKPOINT. Without it, a database in the folder is
//! another's; with it, the database and the log are ours, and what DuckDB's own log says is not needed.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Fs, read, replace};
use crate::wal::Ancestor;

const FORMAT: u32 = 1;

/// The identity of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    format: u32,
    /// The store's id, in every segment's first line and in the database.
    pub(crate) id: String,
    /// The stores whose lines count as ours, this one last.
    pub(crate) lineage: Vec<Ancestor>,
}

impl Identity {
    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join("store.json")
    }

    pub(crate) fn of(id: String) -> Self {
        Self { format: FORMAT, lineage: vec![Ancestor::present(&id)], id }
    }

    /// Reads the identity of the store in `dir`; `None` where there is none yet.
    pub(crate) fn load(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>> {
        let path = Self::path(dir);
        if !fs.exists(&path).map_err(|error| Error::io("cannot look for", &path, error))? {
            return Ok(None);
        }
        let bytes = read(fs, &path).map_err(|error| Error::io("cannot read", &path, error))?;
        let identity: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::Corrupt, format!("{} can't be read: {error}", path.display())).with_source(error)
        })?;
        if identity.format != FORMAT {
            let message = format!("{} has format {}, this version reads {FORMAT}", path.display(), identity.format);
            return Err(Error::config(message));
        }
        Ok(Some(identity))
    }

    pub(crate) fn save(&self, fs: &dyn Fs, dir: &Path) -> Result<()> {
        let path = Self::path(dir);
        let text = serde_json::to_vec_pretty(self).map_err(|error| {
            Error::new(ErrorKind::Config, format!("cannot write {}: {error}", path.display())).with_source(error)
        })?;
        replace(fs, &path, &text)
    }
}

/// A new id: 128 random bits in hex digits.
pub(crate) fn new_id() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}
