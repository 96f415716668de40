//! Making a backup of a store that is open and written, and checking one.
//!
//! The copy is made by the store's own DuckDB instance, finished and read back by another after the first has let go
//! of it, synced and renamed. The manifest is renamed into place last: a folder without one is no backup.

use std::path::Path;

use super::manifest::{Backup, BackupFile, Found};
use super::open::{make_folder, table_of};
use super::shared::{Engine, Shared};
use crate::config::Options;
use crate::duck::{Database, aside, clear_aside, put_in_place};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, Access, Fs, remove_if_there, sync_ancestors};
use crate::identity::new_id;
use crate::model::Model;
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
        self.backup_beside(dir)
    }

    /// As [`Engine::backup`], but the folder may hold other files. An earlier backup there is replaced; while that is done,
    /// and where it fails late, there is none.
    ///
    /// # Errors
    /// As [`Engine::backup`].
    pub fn backup_beside(&self, dir: &Path) -> Result<Backup> {
        let reached = self.shared.log.last_seq();
        self.flush_to(reached)?;
        let fs = self.shared.options.fs.as_ref();
        reserve(fs, dir)?;
        match self.shared.fill_backup(dir, reached) {
            Ok(backup) => {
                fs::put_in_place(fs, &Backup::manifest(dir))?;
                tracing::info!(dir = %dir.display(), backup.seq, backup.rows, "made a backup");
                Ok(backup)
            }
            Err(error) => {
                if let Err(left) = self.shared.clear_backup(dir) {
                    tracing::warn!(error = %left, "what there is of a backup that failed stays");
                }
                Err(error)
            }
        }
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
    /// Everything but the last step.
    fn fill_backup(&self, dir: &Path, reached: u64) -> Result<Backup> {
        let fs = self.options.fs.as_ref();
        let table = table_of::<M>(&self.options)?;
        let path = table.backup_in(dir);
        let files = table.files(&path);
        files.iter().try_for_each(|file| clear_aside(fs, file))?;
        self.copy_database(&path)?;
        let copy = aside(&path);
        let database = Database::open(fs, &copy, &table)?;
        // So that the table itself is the whole for whoever opens the file.
        database.merge()?;
        database.close_aside()?;
        let known =
            files.iter().map(|file| BackupFile::of(fs, &aside(file), file, None)).collect::<Result<Vec<_>>>()?;
        let found = Found::in_files(fs, &copy, known, &table)?;
        if found.seq < reached {
            let message = format!("{} lacks records: DuckDB was opened again meanwhile", copy.display());
            return Err(Error::new(ErrorKind::Database, message));
        }
        // What an earlier backup here was: with its files replaced it would be none.
        remove_if_there(fs, &Backup::manifest(dir))?;
        files.iter().try_for_each(|file| put_in_place(fs, file))?;
        sync_ancestors(fs, dir)?;
        let at = Timestamp::from_unix_micros(self.options.clock.unix_micros());
        let backup = Backup::of(dir, &self.purpose, &self.identity.lineage, at, found);
        backup.prepare(fs)?;
        Ok(backup)
    }

    /// Removes what was made of a backup, the mark last. What has its name belongs to an earlier one while that has its
    /// manifest.
    fn clear_backup(&self, dir: &Path) -> Result<()> {
        let fs = self.options.fs.as_ref();
        let manifest = Backup::manifest(dir);
        let replaced = fs.exists(&manifest).map_err(|error| Error::io("cannot look for", &manifest, error))?;
        let table = table_of::<M>(&self.options)?;
        for file in table.files(&table.backup_in(dir)) {
            clear_aside(fs, &file)?;
            if !replaced {
                remove_if_there(fs, &file)?;
            }
        }
        remove_if_there(fs, &fs::aside(&manifest))
    }

    fn copy_database(&self, path: &Path) -> Result<()> {
        let copied = self.database.get()?.copy_to(&aside(path), &format!("persist_backup_{}", new_id()));
        if let Err(error) = &copied {
            self.report_invalid(error);
        }
        copied
    }
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
