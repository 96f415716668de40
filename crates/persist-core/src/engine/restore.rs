//! Restoring a backup into another folder, as a store that continues the one it was made of.
//!
//! The order is that of making a store: the identity aside, the database aside and into place, the identity into place.
//! So an opening finishes what was interrupted after the database had its name, and before that there is no store.

use std::path::Path;

use super::folders::any_segment;
use super::manifest::{Backup, BackupFile, Found};
use super::open::{Location, table_of, take_locks};
use super::shared::Engine;
use crate::config::Options;
use crate::duck::{Database, Table, aside, clear_aside, own_logs, put_in_place};
use crate::error::{Error, Result};
use crate::fs::{self, Access, Fs, remove_if_there, sync_ancestors};
use crate::identity::Identity;
use crate::model::Model;

impl<M: Model> Engine<M> {
    /// Makes a store of a backup at a place where there is none: its records, versions and `seq`s go on from there,
    /// under a new id. Open it afterwards.
    ///
    /// The backup is read whole and stays as it is. A restore that was interrupted may be started over, or, where the
    /// database has its name already, is finished by opening the store.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a folder that is no backup, for a backup of a store of another purpose,
    /// and for a place that has files; [`Corrupt`](crate::ErrorKind::Corrupt) naming the damaged file;
    /// [`Schema`](crate::ErrorKind::Schema) for a backup with other columns; [`Locked`](crate::ErrorKind::Locked);
    /// [`Io`](crate::ErrorKind::Io).
    pub fn restore(from: &Path, location: &Location, options: &Options) -> Result<Backup> {
        options.validate()?;
        let fs = options.fs.as_ref();
        let backup = Backup::load(fs, from)?;
        let _locks = take_locks(fs, location)?;
        let table = table_of::<M>(options)?;
        refuse_files::<M>(fs, location, &table)?;
        let identity = Identity::restored(backup.lineage.clone(), backup.seq);
        let prepared =
            identity.prepare(fs, &location.dir).and_then(|()| fill(options, &table, &backup, location, &identity.id));
        if let Err(error) = prepared {
            if let Err(left) = clear(fs, location, &table) {
                tracing::warn!(error = %left, "what there is of a restore that failed stays");
            }
            return Err(error);
        }
        // The main file last: with it there is a database.
        table.files(&location.database).iter().rev().try_for_each(|file| put_in_place(fs, file))?;
        sync_ancestors(fs, &location.dir)?;
        sync_ancestors(fs, &location.database)?;
        Identity::put_in_place(fs, &location.dir)?;
        tracing::info!(dir = %location.dir.display(), backup.seq, backup.rows, "restored a backup");
        Ok(backup)
    }
}

/// Copies the backup's files aside, checks all of them, and makes them the new store's.
fn fill(options: &Options, table: &Table, backup: &Backup, location: &Location, store_id: &str) -> Result<()> {
    let fs = options.fs.as_ref();
    let source = table.backup_in(&backup.dir);
    let mut files = Vec::new();
    for (from, to) in table.files(&source).iter().zip(table.files(&location.database)) {
        clear_aside(fs, &to)?;
        let copy = aside(&to);
        let file = fs.open(&copy, Access::CreateNew).map_err(|error| Error::io("cannot create", &copy, error))?;
        files.push(BackupFile::of(fs, from, from, Some(file.as_ref()))?);
    }
    backup.expect(&source, &backup.found_with(files.clone()))?;
    let copy = aside(&location.database);
    backup.expect(&source, &Found::in_files(fs, &copy, files, table)?)?;
    if backup.purpose != location.purpose {
        let message = format!("{} is of the {}, not of the {}", source.display(), backup.purpose, location.purpose);
        return Err(Error::config(message));
    }
    let database = Database::open(fs, &copy, table)?;
    database.hand_over(store_id)?;
    database.close_aside()
}

/// Refuses a place with files, but for locks and what an interrupted restore leaves.
fn refuse_files<M: Model>(fs: &dyn Fs, location: &Location, table: &Table) -> Result<()> {
    let databases = table.files(&location.database);
    let refuse =
        |what: &Path| Err(Error::config(format!("a restore needs an empty folder, and there is {}", what.display())));
    // The other files of an interrupted restore have their names already while the main one has not.
    let main = databases.iter().take(1);
    for taken in main.flat_map(|database| std::iter::once(database.clone()).chain(own_logs(database))) {
        if fs.exists(&taken).map_err(|error| Error::io("cannot look for", &taken, error))? {
            return refuse(&taken);
        }
    }
    let mut lock = location.database.clone();
    lock.as_mut_os_string().push(".lock");
    let mut ours = vec![location.dir.join(".lock"), lock, fs::aside(&Identity::path(&location.dir))];
    ours.extend(databases.iter().skip(1).cloned());
    for unfinished in databases.iter().map(|database| aside(database)) {
        ours.extend(own_logs(&unfinished));
        ours.push(unfinished);
    }
    let names = fs.list(&location.dir).map_err(|error| Error::io("cannot list", &location.dir, error))?;
    // A marker that a dead process left beside the lock says nothing of what there is.
    let mut files = names.iter().filter(|name| !name.starts_with(".lock_")).map(|name| location.dir.join(name));
    if let Some(segment) = any_segment::<M>(fs, &location.dir)? {
        return refuse(&segment);
    }
    files.find(|file| !ours.contains(file)).map_or(Ok(()), |file| refuse(&file))
}

fn clear(fs: &dyn Fs, location: &Location, table: &Table) -> Result<()> {
    table.files(&location.database).iter().try_for_each(|file| clear_aside(fs, file))?;
    remove_if_there(fs, &fs::aside(&Identity::path(&location.dir)))
}
