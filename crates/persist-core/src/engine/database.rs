//! The store's DuckDB instance, which can be lost and opened again while the store goes on.
//!
//! After a full disk or an I/O error DuckDB declares an instance invalid. It is then closed, its own log is set aside
//! unread (a torn tail of it would be dropped silently), and the records since the last checkpoint are flushed again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::duck::{Database, State, Table, own_logs};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Fs, is_there, remove_if_there, suffixed, sync_dir_of};
use crate::planted::planted;

#[derive(Debug)]
pub(super) struct Handle {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    table: Table,
    open: Mutex<Option<Arc<Database>>>,
}

impl Handle {
    pub(super) fn new(fs: Arc<dyn Fs>, path: PathBuf, table: Table, database: Database) -> Self {
        Self { fs, path, table, open: Mutex::new(Some(Arc::new(database))) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn get(&self) -> Result<Arc<Database>> {
        self.open.lock().clone().ok_or_else(|| {
            let message = format!("{} is closed after a failure and will be opened again", self.path.display());
            Error::new(ErrorKind::Database, message)
        })
    }

    /// Closes the instance for good, so that nobody gets it any more, and answers it as soon as nobody uses it.
    pub(super) fn take(&self, patience: Duration) -> Result<Option<Database>> {
        let Some(mut shared) = self.open.lock().take() else { return Ok(None) };
        let step = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        loop {
            match Arc::try_unwrap(shared) {
                Ok(database) => return Ok(Some(database)),
                Err(still_used) if waited < patience => shared = still_used,
                Err(still_used) => {
                    *self.open.lock() = Some(still_used);
                    let message = format!("{} is still being read", self.path.display());
                    return Err(Error::new(ErrorKind::Busy, message));
                }
            }
            thread::sleep(step);
            waited += step;
        }
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

    /// Opens the instance again after it was lost. Answers what its last checkpoint holds.
    pub(super) fn reopen(&self) -> Result<State> {
        // Two instances of one process on one file lose tables silently, so the old one has to be gone.
        drop(self.take(Duration::from_secs(10))?);
        set_logs_aside(self.fs.as_ref(), &self.path, &self.table)?;
        let database = Database::open(self.fs.as_ref(), &self.path, &self.table)?;
        let state = database.state()?;
        *self.open.lock() = Some(Arc::new(database));
        Ok(state)
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
