//! A key-value store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use persist_core::data::Rules;
use persist_core::request::{self, Condition};
use persist_core::{Backup, Engine, Result};
use serde::Serialize;

use crate::config::KvConfig;
use crate::model::Kv;
use crate::put::Put;

/// A record of a key-value store.
pub type Record = persist_core::Record<Kv>;

/// Durable records by key; in SQL they are the table `storage`.
///
/// It is [`Send`] and [`Sync`]: share it among threads by reference or in an [`Arc`].
/// Dropping it closes it, and only logs what goes wrong; [`KvStore::close`] returns that.
#[derive(Debug)]
pub struct KvStore {
    pub(crate) rules: Rules,
    pub(crate) engine: Engine<Kv>,
}

impl KvStore {
    /// Opens the store, or makes it, and recovers what a crash left.
    ///
    /// `path` is the DuckDB file; a relative one is below the working directory, not below the folder that the
    /// configuration names for the log. The two belong together: open a store with both as it was made.
    ///
    /// # Errors
    /// [`Config`](persist_core::ErrorKind::Config) for an option out of bounds or another's database,
    /// [`Locked`](persist_core::ErrorKind::Locked) naming the process that has the folder or the database open,
    /// [`Corrupt`](persist_core::ErrorKind::Corrupt) naming file, line and offset,
    /// [`Io`](persist_core::ErrorKind::Io) with the path.
    pub fn open(path: impl Into<PathBuf>, config: KvConfig) -> Result<Self> {
        let location = config.location(path.into());
        let rules = config.options.rules.clone();
        Ok(Self { rules, engine: Engine::open(&location, config.options)? })
    }

    /// Stores a record under a key, in place of the one there; on disk when it returns.
    ///
    /// # Errors
    /// As [`Put::data`].
    pub fn store<T: Serialize + ?Sized>(&self, key: &str, data: &T) -> Result<Arc<Record>> {
        self.put(key).data(data)
    }

    /// Begins a write that says more than its data does.
    pub fn put<'a>(&'a self, key: &'a str) -> Put<'a, &'a Self> {
        Put::new(self, key)
    }

    /// The record of a key; from memory.
    pub fn get(&self, key: &str) -> Option<Arc<Record>> {
        self.engine.get(key, &[])
    }

    /// Whether there is a record of a key.
    pub fn contains(&self, key: &str) -> bool {
        self.engine.contains(key, &[])
    }

    /// Removes the record of a key, durably. Answers the record that it removed, or `None` where there was none.
    ///
    /// The removal counts as a write: if the key is written again, its versions go on from there.
    ///
    /// # Errors
    /// As [`Put::data`].
    pub fn remove(&self, key: &str) -> Result<Option<Arc<Record>>> {
        self.engine.write(request::Remove::new(key, ()), None)
    }

    /// As [`KvStore::remove`], only if there is a record, at this version.
    ///
    /// # Errors
    /// As [`Put::data`]; [`Conflict`](persist_core::ErrorKind::Conflict) carries the
    /// [version](persist_core::Error::present_version) of the record that is there.
    pub fn remove_if_version(&self, key: &str, version: u32) -> Result<Option<Arc<Record>>> {
        self.engine.write(request::Remove::new(key, ()).when(Some(Condition::Version(version))), None)
    }

    /// Makes the store of `path` and the configuration, which have no files yet, from a backup; open it afterwards. The
    /// records are as they were at the backup's [`seq`](Backup::seq); `seq` and versions go on from there.
    ///
    /// The backup is read whole and stays as it is. A restore that was interrupted may be started over; if it then says
    /// that the database is there already, open the store: that finishes it.
    ///
    /// # Errors
    /// As [`KvStore::verify_backup`]. [`Config`](persist_core::ErrorKind::Config) also for a place that has files, and
    /// for a backup of another kind of store.
    pub fn restore(backup: impl AsRef<Path>, path: impl Into<PathBuf>, config: KvConfig) -> Result<Backup> {
        Engine::<Kv>::restore(backup.as_ref(), &config.location(path.into()), &config.options)
    }

    /// Closes the store: everything is flushed into the table `storage`, and the log is removed.
    ///
    /// # Errors
    /// What could not be done. Nothing acknowledged is lost then: the log stays, and the next opening replays it.
    pub fn close(self) -> Result<()> {
        self.engine.close()
    }
}

persist_core::store_verbs!(KvStore, Kv);
persist_core::memory_verbs!(KvStore, Kv);
persist_core::backup_verbs!(KvStore, Kv, KvConfig);
