//! Restoring a backup into another folder, as a store that continues the one it was made of.
//!
//! The order is that of making a store: the database aside, the identity aside, both into place.
//! So an opening finishes what was interrupted after the database had its name, and before that there is no store.

use std::path::Path;

use super::catch_up::{CatchUp, listed};
use super::folders::{self, any_segment};
use super::manifest::{Backup, BackupFile, Found};
use super::open::{Location, table_of, take_locks};
use super::retention::{published_watermark, usable_backups};
use super::shared::Engine;
use crate::config::Options;
use crate::duck::{Database, Table, aside, clear_aside, own_logs, put_in_place};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, Access, Fs, is_there, remove_if_there, suffixed, sync_ancestors};
use crate::identity::Identity;
use crate::model::Model;
use crate::timestamp::Timestamp;
use crate::wal::{Ancestor, Archive, RecoveryPolicy, new_store_id};

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
        make_store::<M>(location, options, |table, store_id| {
            refuse_other_purpose(&backup, location)?;
            copy_backup(fs, table, &backup, &location.database)?;
            let database = Database::open(fs, &aside(&location.database), table)?;
            database.hand_over(store_id)?;
            database.close_aside()?;
            Ok((backup.lineage.clone(), backup.seq))
        })?;
        tracing::info!(dir = %location.dir.display(), backup.seq, backup.rows, "restored a backup");
        Ok(backup)
    }

    /// Makes a store of another's backups and log, as it stood at a moment, by when the records were written: with the
    /// newest backup in the other's log folders that has nothing written after it, and with what the log has from there
    /// up to the moment. The other store stays as it is, and may be in use. Open the new one afterwards.
    ///
    /// # Errors
    /// As [`Engine::restore`]. [`Gone`](ErrorKind::Gone) where no backup is as old and the log does not go back to the
    /// beginning; [`Corrupt`](ErrorKind::Corrupt) where records are missing in the log.
    pub fn restore_to(from: &Path, moment: Timestamp, location: &Location, options: &Options) -> Result<Restored> {
        options.validate()?;
        let fs = options.fs.as_ref();
        let no_store = || Error::config(format!("{} holds no store", from.display()));
        let Identity { id, lineage, .. } = Identity::load(fs, from)?.ok_or_else(no_store)?;
        let (mut backup, mut seq, mut from_log) = (None, 0, 0);
        make_store::<M>(location, options, |table, store_id| {
            // First: in use, it goes on while its log is read.
            let published = published_watermark(fs, from, &id);
            let backups = usable_backups::<M>(fs, from, &lineage)?.into_iter();
            let (earlier, later): (Vec<_>, Vec<_>) = backups.partition(|backup| backup.written <= moment);
            backup = begin_aside(fs, table, earlier, &location.database, store_id)?;
            backup.iter().try_for_each(|backup| refuse_other_purpose(backup, location))?;
            let database = Database::open(fs, &aside(&location.database), table)?;
            database.hand_over(store_id)?;
            let mut catch_up = CatchUp::<M>::new(database)?;
            let archive = Archive::open(fs, &folders::all::<M>(fs, from)?, &lineage)?;
            for segment in archive.segments() {
                from_log += catch_up.take(archive.read(segment)?, moment.unix_micros())?;
            }
            later.iter().for_each(|backup| catch_up.end_before(backup.seq));
            catch_up.expect_up_to(published.max(archive.last_kept()));
            let missing = catch_up.missing();
            if !missing.is_empty() && options.recovery != RecoveryPolicy::Salvage {
                let kind = if backup.is_none() { ErrorKind::Gone } else { ErrorKind::Corrupt };
                let message =
                    format!("the backups and the log in {} lack the records {}", from.display(), listed(&missing));
                return Err(Error::new(kind, message));
            }
            seq = catch_up.has().last();
            let database = catch_up.end();
            database.merge()?;
            database.close_aside()?;
            Ok((lineage.clone(), seq))
        })?;
        tracing::info!(dir = %location.dir.display(), seq, from_log, "restored a store as of a moment");
        Ok(Restored { backup, seq, from_log })
    }
}

/// What a store was restored from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The backup it began with; `None` where the log had everything.
    pub backup: Option<Backup>,
    /// The last record that is in it.
    pub seq: u64,
    /// How many records came from the log.
    pub from_log: u64,
}

/// Makes a store at a place where there is none. `fill` makes the database aside, whole and closed, for a store of this
/// id, and answers the lineage that it goes on from, and its last record.
fn make_store<M: Model>(
    location: &Location,
    options: &Options,
    fill: impl FnOnce(&Table, &str) -> Result<(Vec<Ancestor>, u64)>,
) -> Result<()> {
    let fs = options.fs.as_ref();
    let _locks = take_locks(fs, location)?;
    let table = table_of::<M>(options)?;
    refuse_files::<M>(fs, location, &table)?;
    let id = new_store_id();
    let prepared = fill(&table, &id).and_then(|(lineage, seq)| {
        let identity = Identity::restored(id, lineage, seq);
        identity.prepare(fs, &location.dir)
    });
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
    Identity::put_in_place(fs, &location.dir)
}

fn refuse_other_purpose(backup: &Backup, location: &Location) -> Result<()> {
    if backup.purpose == location.purpose {
        return Ok(());
    }
    let dir = backup.dir.display();
    Err(Error::config(format!("{dir} is a backup of the {}, not of the {}", backup.purpose, location.purpose)))
}

/// Makes a database aside: of the first of these backups that is whole, which it answers, or an empty one.
pub(super) fn begin_aside(
    fs: &dyn Fs,
    table: &Table,
    backups: impl IntoIterator<Item = Backup>,
    database: &Path,
    store_id: &str,
) -> Result<Option<Backup>> {
    for backup in backups {
        match copy_backup(fs, table, &backup, database) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!(%error, "a backup is damaged; an older one is taken");
            }
            copied => return copied.map(|()| Some(backup)),
        }
    }
    Database::create_files_aside(fs, database, table, store_id).map(|()| None)
}

/// Copies a backup's files aside, to where the database of this name is to be, and checks all that is in them.
fn copy_backup(fs: &dyn Fs, table: &Table, backup: &Backup, database: &Path) -> Result<()> {
    let source = table.backup_in(&backup.dir);
    let mut files = Vec::new();
    for (from, to) in table.files(&source).iter().zip(table.files(database)) {
        clear_aside(fs, &to)?;
        let copy = aside(&to);
        let file = fs.open(&copy, Access::CreateNew).map_err(|error| Error::io("cannot create", &copy, error))?;
        let raw = fs.open(from, Access::Read).map_err(|error| Error::io("cannot open", from, error))?;
        files.push(BackupFile::copied(from, raw.as_ref(), from, file.as_ref())?);
    }
    backup.expect(&source, &backup.found_with(files.clone()))?;
    backup.expect(&source, &Found::in_files(fs, &aside(database), files, table)?)
}

/// Refuses a place with files, but for locks and what an interrupted restore leaves.
fn refuse_files<M: Model>(fs: &dyn Fs, location: &Location, table: &Table) -> Result<()> {
    let databases = table.files(&location.database);
    let refuse =
        |what: &Path| Err(Error::config(format!("a restore needs an empty folder, and there is {}", what.display())));
    // The other files of an interrupted restore have their names already while the main one has not.
    let main = databases.iter().take(1);
    for taken in main.flat_map(|database| std::iter::once(database.clone()).chain(own_logs(database))) {
        if is_there(fs, &taken)? {
            return refuse(&taken);
        }
    }
    let lock = suffixed(&location.database, ".lock");
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
