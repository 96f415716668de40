//! Making a backup of a store, open and written or just closed, and checking one.
//!
//! The files are copied as they are. Those of a store that is open do not change meanwhile: the keeper, which alone merges
//! and checkpoints, has just done so and makes the copy itself. (DuckDB writes commits into its own log, and what it
//! writes into the file before a commit goes where nothing is that a checkpoint needs, lest a crash cost a database.) The
//! copies are read back, and put in place as [`Backup::commit`] says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::manifest::{Backup, BackupFile, Found};
use super::open::{make_folder, table_of};
use super::shared::{Engine, Shared};
use crate::config::Options;
use crate::duck::{Table, aside, clear_aside, refuse_own_logs, sync_aside};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, Access, File, Fs, sync_ancestors};
use crate::model::Model;
use crate::planted::planted;
use crate::timestamp::Timestamp;

impl<M: Model> Engine<M> {
    /// Backs the store up into a folder, which is made or holds no file, while others read and write.
    ///
    /// The backup has everything that was acknowledged before this call and the state of one moment. It has been read
    /// back whole, and is durable, when this returns. A folder where this failed, or was interrupted, is a backup only
    /// if there is a `manifest.json` in it.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a folder with files in it. [`Database`](ErrorKind::Database) and
    /// [`Io`](ErrorKind::Io) where it can't be made: the store goes on. [`Poisoned`](ErrorKind::Poisoned).
    pub fn backup(&self, dir: &Path) -> Result<Backup> {
        let fs = self.shared.options.fs.as_ref();
        make_folder(fs, dir)?;
        let names = fs.list(dir).map_err(|error| Error::io("cannot list", dir, error))?;
        if let Some(name) = names.first() {
            let message = format!("a backup needs a folder of its own, and {} holds {name}", dir.display());
            return Err(Error::config(message));
        }
        self.shared.back_up_open(dir, |table, path| {
            let (table, path, made) = (table.clone(), path.to_owned(), Arc::new(Mutex::new(Vec::new())));
            let copies = Arc::clone(&made);
            self.on_keeper(move |shared| {
                *copies.lock() = shared.copy_open(&table, &path)?;
                Ok(())
            })?;
            let copies = std::mem::take(&mut *made.lock());
            Ok(copies)
        })
    }

    /// Reads a backup of such a store whole, and compares it with its manifest. Changes nothing.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a folder that is no backup, [`Corrupt`](ErrorKind::Corrupt) naming the damaged
    /// file, [`Schema`](ErrorKind::Schema) for a backup with other columns, [`Io`](ErrorKind::Io).
    pub fn verify_backup(dir: &Path, options: &Options) -> Result<Backup> {
        let fs = options.fs.as_ref();
        let backup = Backup::load(fs, dir)?;
        backup.check(fs, &table_of::<M>(options)?)?;
        Ok(backup)
    }
}

impl<M: Model> Shared<M> {
    /// Backs up the store while it is open; `copy` has the keeper [do so](Shared::copy_open), or is called by it.
    pub(super) fn back_up_open(
        &self,
        dir: &Path,
        copy: impl FnOnce(&Table, &Path) -> Result<Vec<BackupFile>>,
    ) -> Result<Backup> {
        let reached = self.log.last_seq();
        self.flush_to(reached)?;
        self.back_up(dir, reached, copy)
    }

    /// Backs up the store when DuckDB has closed its files and nothing waits to be flushed.
    pub(super) fn back_up_closed(&self, dir: &Path) -> Result<Backup> {
        let reached = self.figures.lock().watermark;
        self.back_up(dir, reached, |table, path| {
            let files = table.files(self.database.path()).into_iter().zip(table.files(path));
            files.map(|(from, to)| copy_closed(self.options.fs.as_ref(), &from, &to)).collect()
        })
    }

    /// Makes a backup of the files that `copy` makes aside, closed; it answers what they are.
    fn back_up(
        &self,
        dir: &Path,
        reached: u64,
        copy: impl FnOnce(&Table, &Path) -> Result<Vec<BackupFile>>,
    ) -> Result<Backup> {
        let fs = self.options.fs.as_ref();
        let table = table_of::<M>(&self.options)?;
        let path = table.backup_in(dir);
        let files = table.files(&path);
        reserve(fs, dir)?;
        let prepare = || -> Result<Backup> {
            files.iter().try_for_each(|file| clear_aside(fs, file))?;
            let found = Found::in_files(fs, &aside(&path), copy(&table, &path)?, &table)?;
            if found.seq < reached {
                let message = format!("{} lacks records: DuckDB was opened again meanwhile", path.display());
                return Err(Error::new(ErrorKind::Database, message));
            }
            if !planted("backup-unsynced") {
                files.iter().try_for_each(|file| sync_aside(fs, file))?;
            }
            sync_ancestors(fs, dir)?;
            let at = Timestamp::from_unix_micros(self.options.clock.unix_micros());
            let backup = Backup::of(dir, &self.purpose, &self.identity.lineage, at, found);
            backup.commit(fs)?;
            Ok(backup)
        };
        match prepare().and_then(|backup| Backup::finish(fs, dir, &files).map(|()| backup)) {
            Ok(backup) => {
                tracing::info!(dir = %dir.display(), backup.seq, backup.rows, "made a backup");
                Ok(backup)
            }
            Err(error) => {
                if let Err(left) = Backup::clear(fs, dir, &files) {
                    tracing::warn!(error = %left, "what there is of a backup that failed stays");
                }
                Err(error)
            }
        }
    }

    /// Copies the files aside while others use the store. To be called by the keeper's thread.
    pub(super) fn copy_open(&self, table: &Table, path: &Path) -> Result<Vec<BackupFile>> {
        self.compact_database()?;
        // While it is held, no other instance is opened.
        let database = self.database.get()?;
        let files = database.raw_files().zip(table.files(path));
        files.map(|((from, raw), to)| copy_file(self.options.fs.as_ref(), from, raw, &to)).collect()
    }
}

/// Copies a database file that DuckDB has closed.
fn copy_closed(fs: &dyn Fs, from: &Path, to: &Path) -> Result<BackupFile> {
    refuse_own_logs(fs, from)?;
    let raw = fs.open(from, Access::Read).map_err(|error| Error::io("cannot open", from, error))?;
    copy_file(fs, from, raw.as_ref(), to)
}

/// Copies a file aside, and reads the copy back.
fn copy_file(fs: &dyn Fs, from: &Path, raw: &dyn File, to: &Path) -> Result<BackupFile> {
    let copy: PathBuf = aside(to);
    let file = fs.open(&copy, Access::CreateNew).map_err(|error| Error::io("cannot create", &copy, error))?;
    let written = BackupFile::copied(from, raw, to, file.as_ref())?;
    drop(file);
    let read = BackupFile::of(fs, &copy, to)?;
    if read == written {
        return Ok(read);
    }
    Err(Error::new(ErrorKind::Corrupt, format!("{} reads otherwise than it was written", copy.display())))
}

/// Makes the folder of a backup. The manifest's name aside marks it as one that is being made.
fn reserve(fs: &dyn Fs, dir: &Path) -> Result<()> {
    make_folder(fs, dir)?;
    let mark = fs::aside(&Backup::manifest(dir));
    match fs.open(&mark, Access::CreateNew) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Error::config(format!("another backup is being made in {}", dir.display())).with_source(error))
        }
        made => made.map(drop).map_err(|error| Error::io("cannot create", &mark, error)),
    }
}
