//! Repairing a store that keeps every write: finding out which of its files are damaged, and making these anew.

use std::path::{Path, PathBuf};

use super::database::set_logs_aside;
use super::folders;
use super::manifest::Backup;
use super::open::{Location, lacks, table_of, take_marked_locks, validate};
use super::rebuild::{Origin, Rebuild};
use super::shared::Engine;
use crate::config::Options;
use crate::duck::{Database, DatabaseFile, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Fs, is_there, suffixed, sync_dir_of};
use crate::identity::Identity;
use crate::model::Model;
use crate::wal::RecoveryPolicy;

/// What a repair found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RepairReport {
    /// What was wrong with the file of the history; nothing, if it was sound. Otherwise it was rebuilt.
    pub history: Vec<String>,
    /// What was wrong with the file of the newest records, which was made anew then, as it is with a new history.
    pub latest: Vec<String>,
    /// Where the damaged files are now.
    pub kept_as: Vec<PathBuf>,
    /// The backup that a rebuilt history begins with; `None` where there was none, and the log had everything.
    pub backup: Option<Backup>,
    /// How many records of a rebuilt history came from the log.
    pub from_log: u64,
    /// The `seq`s, first and last, that a rebuilt history lacks, under
    /// [`RecoveryPolicy::Salvage`](crate::wal::RecoveryPolicy::Salvage).
    pub lost: Vec<(u64, u64)>,
    /// How many ids there are now.
    pub rows: u64,
}

impl<M: Model> Engine<M> {
    /// Reads the files of a store that is closed, whole, renames those that are damaged (`.broken` is added), and makes
    /// them anew: a history of the newest backup that is whole and the log, the newest records of the history. What a
    /// crash left is recovered, and the store closed again.
    ///
    /// # Errors
    /// As [`Opened::open`](super::Opened::open), [`Opened::rebuild_latest`](super::Opened::rebuild_latest) and
    /// [`Engine::close`]. Where a history can't be rebuilt, the damaged files have their names again; if not, it is missing,
    /// and rebuilt by the next call.
    pub fn repair(location: &Location, options: Options) -> Result<RepairReport> {
        validate::<M>(&options)?;
        let fs = std::sync::Arc::clone(&options.fs);
        let fs = fs.as_ref();
        let no_store = || Error::config(format!("{} holds no store", location.dir.display()));
        let identity = Identity::load(fs, &location.dir)?.ok_or_else(no_store)?;
        // The newest there is: with a later one the others would grow old by it.
        let newest = folders::all::<M>(fs, &location.dir)?.into_iter().next_back();
        let newest = newest.and_then(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()));
        let location = &Location { log_folder: newest.or_else(|| location.log_folder.clone()), ..location.clone() };
        let locks = take_marked_locks::<M>(fs, location)?;
        let table = table_of::<M>(&options)?;
        set_logs_aside(fs, &location.database, &table)?;
        let (mut report, is_readable) = examine::<M>(fs, location, &identity, &table)?;
        let files = table.files(&location.database);
        for (file, problems) in files.iter().zip([&report.history, &report.latest]) {
            if !problems.is_empty() {
                report.kept_as.extend(rename_broken(fs, file)?);
            }
        }
        let engine = if report.history.is_empty() {
            Self::open_locked(location, options, locks)?
        } else {
            // What can be read is not given up for less.
            let recovery = if is_readable { RecoveryPolicy::Strict } else { options.recovery };
            let mut rebuild = Rebuild::<M>::new(location, Options { recovery, ..options }, locks)?;
            let mut put_in_place = || -> Result<Origin> {
                for folder in folders::all::<M>(fs, &location.dir)? {
                    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    report.from_log += rebuild.take_folder(&name)?;
                }
                rebuild.put_in_place()
            };
            let origin = match put_in_place() {
                Ok(origin) => origin,
                Err(error) => {
                    put_back(fs, &files, &report.kept_as);
                    return Err(error);
                }
            };
            (report.backup, report.lost) = (origin.backup, origin.lost);
            rebuild.open()?
        };
        report.rows = engine.stats().base_rows;
        engine.close()?;
        Ok(report)
    }
}

/// What is wrong with each of the files, and whether all of the history can be read all the same.
fn examine<M: Model>(
    fs: &dyn Fs,
    location: &Location,
    identity: &Identity,
    table: &Table,
) -> Result<(RepairReport, bool)> {
    let path = &location.database;
    let (mut report, mut is_readable) = (RepairReport::default(), false);
    let files = table.files(path);
    for (file, problems) in files.iter().zip([&mut report.history, &mut report.latest]) {
        if !is_there(fs, file)? {
            problems.push(format!("{} is missing", file.display()));
        }
    }
    if report.history.is_empty() {
        report.history = damage(Database::open_main(fs, path, table).map(|_| Vec::new()))?;
    }
    if report.history.is_empty() && report.latest.is_empty() {
        match Database::open(fs, path, table) {
            Ok(database) => {
                is_readable = database.read_history().is_ok();
                report.history = damage(database.check_health(DatabaseFile::Main))?;
                if report.history.is_empty() {
                    let watermark = database.state()?.watermark;
                    report.history.extend(lacks::<M>(fs, &location.dir, identity, watermark)?);
                }
                if report.history.is_empty() {
                    report.latest = damage(database.check_health(DatabaseFile::Latest))?;
                }
            }
            Err(error) => report.latest = damage(Err(error))?,
        }
    }
    Ok((report, is_readable))
}

/// The problems that were found, or that kept from looking for them.
fn damage(found: Result<Vec<String>>) -> Result<Vec<String>> {
    match found {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(vec![error.to_string()]),
        found => found,
    }
}

/// Gives the files their names again that were renamed, where nothing has come in their place.
fn put_back(fs: &dyn Fs, files: &[PathBuf], kept_as: &[PathBuf]) {
    for kept in kept_as {
        let named = |file: &&PathBuf| kept.to_string_lossy().starts_with(&format!("{}.broken", file.display()));
        let Some(file) = files.iter().find(named) else { continue };
        let done = match is_there(fs, file) {
            Ok(false) => fs.rename(kept, file).map_err(|error| Error::io("cannot rename", kept, error)),
            other => other.map(drop),
        };
        if let Err(error) = done.and_then(|()| sync_dir_of(fs, file)) {
            tracing::warn!(%error, kept = %kept.display(), "a damaged file keeps its other name");
        }
    }
}

/// Renames a file, if it is there, to a name that is not taken. Answers that.
fn rename_broken(fs: &dyn Fs, file: &Path) -> Result<Option<PathBuf>> {
    if !is_there(fs, file)? {
        return Ok(None);
    }
    for number in 1_u32.. {
        let to = suffixed(file, &if number == 1 { ".broken".to_owned() } else { format!(".broken.{number}") });
        if !is_there(fs, &to)? {
            fs.rename(file, &to).map_err(|error| Error::io("cannot rename", file, error))?;
            sync_dir_of(fs, file)?;
            return Ok(Some(to));
        }
    }
    Ok(None)
}
