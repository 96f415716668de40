//! The store's DuckDB instance, as flushes and checkpoints see it.
//!
//! After a full disk or an I/O error DuckDB declares an instance invalid. It is then closed, its own log is set aside
//! unread (a torn tail of it would be dropped silently), and the records since the last checkpoint are flushed again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::open::Location;
use crate::duck::{Appender, Database, Table, is_invalidated, own_logs};
use crate::error::{Error, Result};
use crate::fs::{Fs, is_there, remove_if_there, suffixed, sync_dir_of};
use crate::identity::Identity;
use crate::model::Model;
use crate::planted::planted;
use crate::protocol::{self, Append, Base, Entry, Merged, Place, Reached};
use crate::record::Record;

/// What memory and DuckDB spend on a record besides its text; only a rough measure of what waits.
const RECORD_BYTES: u64 = 128;

pub(super) type Handle = protocol::Handle<Files>;

/// The files of a database.
#[derive(Debug)]
pub(super) struct Files {
    fs: Arc<dyn Fs>,
    /// The store's folder, and what it is.
    dir: PathBuf,
    identity: Identity,
    path: PathBuf,
    table: Table,
}

impl Files {
    pub(super) fn new(fs: Arc<dyn Fs>, location: &Location, identity: Identity, table: Table) -> Self {
        Self { fs, dir: location.dir.clone(), identity, path: location.database.clone(), table }
    }

    /// Removes DuckDB's own logs that were set aside: the database is closed and whole without them.
    pub(super) fn remove_logs_set_aside(&self) -> Result<()> {
        for file in self.table.files(&self.path) {
            for log in own_logs(&file).iter().map(|log| aside(log)) {
                remove_if_there(self.fs.as_ref(), &log)?;
            }
        }
        Ok(())
    }
}

impl Place for Files {
    type Base = Database;

    fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self) -> Result<Database> {
        set_logs_aside(self.fs.as_ref(), &self.path, &self.table)?;
        Database::open(self.fs.as_ref(), &self.path, &self.table)
    }

    fn note(&self, checkpointed: u64) -> Result<()> {
        self.identity.note(self.fs.as_ref(), &self.dir, checkpointed)
    }
}

impl Base for Database {
    type Appender = Appender;

    fn appender(&self) -> Result<Appender> {
        self.appender()
    }

    fn reached(&self) -> Result<Reached> {
        let state = self.state()?;
        Ok(Reached { watermark: state.watermark, base_rows: state.base_rows, delta_rows: state.delta_rows })
    }

    fn merge(&self) -> Result<Merged> {
        self.merge()
    }

    fn checkpoint(&self, fs: &dyn Fs) -> Result<bool> {
        self.checkpoint(fs)
    }

    fn is_lost(error: &Error) -> bool {
        is_invalidated(error)
    }
}

impl<M: Model> Append<Record<M>> for Appender {
    fn append(&mut self, records: &[Arc<Record<M>>], watermark: u64, at: i64) -> Result<usize> {
        self.append(records, watermark, at)
    }
}

impl<M: Model> Entry for Record<M> {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn at(&self) -> i64 {
        self.at
    }

    fn bytes(&self) -> u64 {
        (self.key.len() + self.data.len()) as u64 + RECORD_BYTES
    }
}

/// Renames DuckDB's own logs, so that the database opens as its last checkpoint left it. They are kept for whoever
/// wants to look, until the store is closed.
pub(super) fn set_logs_aside(fs: &dyn Fs, database: &Path, table: &Table) -> Result<bool> {
    let mut any = false;
    for log in table.files(database).iter().flat_map(|file| own_logs(file)) {
        if is_there(fs, &log)? && !planted("own-log-trusted") {
            fs.rename(&log, &aside(&log)).map_err(|error| Error::io("cannot set aside", &log, error))?;
            any = true;
        }
    }
    if any {
        sync_dir_of(fs, database)?;
    }
    Ok(any)
}

fn aside(log: &Path) -> PathBuf {
    suffixed(log, ".aside")
}
