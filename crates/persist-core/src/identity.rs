//! `store.json`: whose files a folder holds.
//!
//! It is renamed into place only after the database's first CHECKPOINT. Without it, a database in the folder is
//! another's; with it, the database and the log are ours, and what DuckDB's own log says is not needed. Before segments of the
//! log are removed it is written anew with what the database's file has by then: without them nothing else would tell an
//! older file, put there by another hand.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Fs, aside, is_there, prepare, put_in_place, read, replace, sync_dir_of};
use crate::planted::planted;
use crate::wal::Ancestor;

const FORMAT: u32 = 1;
const ID_DIGITS: usize = 32;

/// The identity of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    format: u32,
    /// The store's id, in every segment's first line and in the database.
    pub(crate) id: String,
    /// The stores whose lines count as ours, this one last.
    pub(crate) lineage: Vec<Ancestor>,
    /// The last segment of the Python original, where its folder was taken over; 0 where it left none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) taken_over: Option<u64>,
    /// Up to this `seq` everything was in the database's file when segments of the log were last removed: a file that ends
    /// before is an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checkpointed: Option<u64>,
}

impl Identity {
    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join("store.json")
    }

    pub(crate) fn of(id: String) -> Self {
        Self { format: FORMAT, lineage: vec![Ancestor::present(&id)], taken_over: None, checkpointed: None, id }
    }

    pub(crate) fn of_takeover(id: String, last_segment: u64) -> Self {
        Self { taken_over: Some(last_segment), ..Self::of(id) }
    }

    /// The identity of a new store that goes on where `lineage` ends: its last store, up to the record `seq`.
    pub(crate) fn restored(id: String, mut lineage: Vec<Ancestor>, seq: u64) -> Self {
        if let Some(last) = lineage.last_mut().filter(|_| !planted("lineage-unbounded")) {
            last.last_seq = Some(seq);
        }
        lineage.push(Ancestor::present(&id));
        Self { format: FORMAT, id, lineage, taken_over: None, checkpointed: None }
    }

    /// Reads the identity of the store in `dir`; `None` where there is none yet.
    pub(crate) fn load(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>> {
        let path = Self::path(dir);
        let Some(bytes) = read_if_there(fs, &path)? else { return Ok(None) };
        let identity: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::Corrupt, format!("{} can't be read: {error}", path.display())).with_source(error)
        })?;
        if identity.format != FORMAT {
            let message = format!("{} has format {}, this version reads {FORMAT}", path.display(), identity.format);
            return Err(Error::config(message));
        }
        if !identity.is_consistent() {
            let message = format!("{}: its lineage is not one of the store {:?}", path.display(), identity.id);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(Some(identity))
    }

    /// Whether the log that is written under this id is accepted under this lineage. Each is as [`new_id`] makes one, so that
    /// a line can hold it as it is.
    fn is_consistent(&self) -> bool {
        let is_id = |id: &str| id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some((present, past)) = self.lineage.split_last() else { return false };
        *present == Ancestor::present(&self.id)
            && past.iter().all(|ancestor| ancestor.last_seq.is_some())
            && self.lineage.iter().all(|ancestor| is_id(&ancestor.store))
    }

    /// Notes durably how far the database's file is known to go.
    pub(crate) fn note(&self, fs: &dyn Fs, dir: &Path, checkpointed: u64) -> Result<()> {
        let noted = Self { checkpointed: Some(checkpointed), ..self.clone() };
        let path = Self::path(dir);
        replace(fs, &path, &noted.text(&path)?)
    }

    fn text(&self, path: &Path) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|error| Error::config(format!("cannot write {}: {error}", path.display())).with_source(error))
    }

    /// Reads the identity of a store whose making was interrupted in `dir`.
    pub(crate) fn load_prepared(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>> {
        let bytes = read_if_there(fs, &aside(&Self::path(dir)))?;
        // A torn one was not synced, and so nothing was made under its id.
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Writes the identity aside, so that a database that is made now is known as this store's if a crash comes.
    pub(crate) fn prepare(&self, fs: &dyn Fs, dir: &Path) -> Result<()> {
        let path = Self::path(dir);
        prepare(fs, &path, &self.text(&path)?)?;
        sync_dir_of(fs, &path)
    }

    /// Puts the prepared identity in place: from now on the folder is the store's.
    pub(crate) fn put_in_place(fs: &dyn Fs, dir: &Path) -> Result<()> {
        put_in_place(fs, &Self::path(dir))
    }
}

fn read_if_there(fs: &dyn Fs, path: &Path) -> Result<Option<Vec<u8>>> {
    if !is_there(fs, path)? {
        return Ok(None);
    }
    read(fs, path).map(Some).map_err(|error| Error::io("cannot read", path, error))
}
