//! Rebuilding a history whose file is missing, from the newest backup and the kept log.
//!
//! What it keeps true:
//! - The new files are made aside. They get their names when nothing is missing in them, the history's last: until then
//!   the store opens to be rebuilt, and begins anew.
//! - What the log has that is not kept yet is left to recovery, which goes on from what was rebuilt.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::catch_up::{CatchUp, Seqs, listed};
use super::database::set_logs_aside;
use super::folders;
use super::manifest::Backup;
use super::open::{Location, table_of};
use super::restore::begin_aside;
use super::retention::{published_watermark, usable_backups};
use super::shared::Engine;
use crate::config::Options;
use crate::duck::{Database, Table, aside, put_in_place, remove_journal};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Fs, is_there};
use crate::identity::Identity;
use crate::lock::Lock;
use crate::model::Model;
use crate::wal::{Archive, Archived, RecoveryPolicy};

/// A store whose history is being rebuilt.
#[derive(Debug)]
pub(super) struct Rebuild<M: Model> {
    location: Location,
    options: Options,
    table: Table,
    identity: Identity,
    locks: Vec<Lock>,
    begun: Option<Begun<M>>,
}

/// The new history, aside.
#[derive(Debug)]
struct Begun<M: Model> {
    catch_up: CatchUp<M>,
    /// The kept segments that are in it.
    taken: Vec<PathBuf>,
    backup: Option<Backup>,
}

/// What a history was rebuilt of.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    pub(super) backup: Option<Backup>,
    pub(super) lost: Vec<(u64, u64)>,
}

impl<M: Model> Rebuild<M> {
    /// The caller has found the history's file missing.
    pub(super) fn new(location: &Location, options: Options, locks: Vec<Lock>) -> Result<Self> {
        let table = table_of::<M>(&options)?;
        let missing = || Error::config(format!("{} holds no store", location.dir.display()));
        let identity = Identity::load(options.fs.as_ref(), &location.dir)?.ok_or_else(missing)?;
        Ok(Self { location: location.clone(), options, table, identity, locks, begun: None })
    }

    pub(super) fn log_folder(&self) -> Option<&str> {
        self.location.log_folder.as_deref()
    }

    /// What reads and writes get meanwhile.
    pub(super) fn refusal(&self) -> Error {
        let message = format!("{} is missing", self.location.database.display());
        Error::new(ErrorKind::Corrupt, message + &cure::<M>(self.options.fs.as_ref(), &self.location.dir))
    }

    /// Brings in what the folder of this name has kept. Answers how many records the log has there that were not in the
    /// history: those, and what is left to recovery.
    pub(super) fn take_folder(&mut self, name: &str) -> Result<u64> {
        let folder = folders::present::<M>(&self.location.dir, Some(name))?;
        let fs = &*Arc::clone(&self.options.fs);
        if !is_there(fs, &folder)? {
            return Err(Error::config(format!("there is no folder {}", folder.display())));
        }
        self.begin()?;
        let Some(begun) = &mut self.begun else { return Ok(0) };
        let archive = Archive::open(fs, &[folder], &self.identity.lineage)?;
        let (kept, left): (Vec<_>, Vec<_>) = archive.segments().iter().partition(|segment| segment.is_kept);
        let mut records = 0;
        for segment in kept {
            records += begun.catch_up.take(archive.read(segment)?, i64::MAX)?;
            begun.taken.push(segment.path.clone());
        }
        for segment in left {
            let mut lines = archive.read(segment)?;
            while let Some(line) = lines.take_line() {
                records += u64::from(line.lost_from.is_none() && !begun.catch_up.has().contains(line.seq));
            }
        }
        tracing::info!(folder = name, records, "brought a log into the history");
        Ok(records)
    }

    /// Begins with the newest backup that is whole, or with an empty history.
    fn begin(&mut self) -> Result<()> {
        if self.begun.is_some() {
            return Ok(());
        }
        let fs = self.options.fs.as_ref();
        // Of one that was being put in place the files may have their names already.
        for folder in folders::all::<M>(fs, &self.location.dir)? {
            Backup::settle(fs, &folder, &self.table.files(&self.table.backup_in(&folder)))?;
        }
        let (database, id) = (&self.location.database, &self.identity.id);
        let backups = usable_backups::<M>(fs, &self.location.dir, &self.identity.lineage)?;
        let backup = begin_aside(fs, &self.table, backups, database, id)?;
        let database = Database::open(fs, &aside(database), &self.table)?;
        database.hand_over(id)?;
        self.begun = Some(Begun { catch_up: CatchUp::new(database)?, taken: Vec::new(), backup });
        Ok(())
    }

    /// Gives the files of the new history their names, if nothing is missing.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) where something is; what there is stays as it is.
    pub(super) fn put_in_place(&mut self) -> Result<Origin> {
        self.begin()?;
        let fs = self.options.fs.as_ref();
        let newest_known = self.newest_known()?;
        let Some(begun) = &mut self.begun else { return Ok(Origin::default()) };
        let all = folders::all::<M>(fs, &self.location.dir)?;
        let archive = Archive::open(fs, &all, &self.identity.lineage)?;
        refuse_left_out(archive.segments(), begun)?;
        let mut lost = begun.catch_up.lost().ranges();
        let newest_known = newest_known.max(archive.last_kept());
        let missing = missing(begun.catch_up.has(), archive.segments(), newest_known);
        if !missing.is_empty() && self.options.recovery != RecoveryPolicy::Salvage {
            let message = format!(
                "the records {} of {} are in no backup and in no log; open with RecoveryPolicy::Salvage to go on without them",
                listed(&missing),
                self.location.database.display()
            );
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        lost.extend(missing);
        let last = begun.catch_up.has().last();
        let left = archive.segments().iter().filter(|segment| !segment.is_kept && segment.last_seq > last);
        // Recovery goes on from here, with what is left of the log; nothing comes before that any more.
        let before_left = left.map(|segment| segment.first_seq.saturating_sub(1)).min();
        let ends = before_left.unwrap_or(newest_known);
        begun.catch_up.go_on_after(ends)?;
        if self.identity.checkpointed.is_some_and(|noted| ends < noted) {
            // The rest comes from the log.
            self.identity.note(fs, &self.location.dir, ends)?;
        }
        let Some(Begun { catch_up, backup, .. }) = self.begun.take() else { return Ok(Origin::default()) };
        let database = catch_up.end();
        database.merge()?;
        database.close_aside()?;
        let database = &self.location.database;
        set_logs_aside(fs, database, &self.table)?;
        let files = self.table.files(database);
        files.iter().try_for_each(|file| remove_journal(fs, file))?;
        // The history last: with it the store is whole.
        files.iter().rev().try_for_each(|file| put_in_place(fs, file))?;
        Ok(Origin { backup, lost })
    }

    /// Opens the store whose files are in place.
    pub(super) fn open(self) -> Result<Engine<M>> {
        Engine::open_locked(&self.location, self.options, self.locks)
    }

    /// The highest `seq` that anything besides the log says was in the history.
    fn newest_known(&self) -> Result<u64> {
        let fs = self.options.fs.as_ref();
        let backups = usable_backups::<M>(fs, &self.location.dir, &self.identity.lineage)?;
        let newest_backup = backups.first().map_or(0, |backup| backup.seq);
        let published = published_watermark(fs, &self.location.dir, &self.identity.id);
        // The note is durable, and the other is not.
        Ok(newest_backup.max(published).max(self.identity.checkpointed.unwrap_or(0)))
    }
}

/// What is missing of a history that is to go on to what is left to recovery and to a known `seq`.
fn missing(has: &Seqs, segments: &[Archived], newest_known: u64) -> Vec<(u64, u64)> {
    let mut whole = has.clone();
    for segment in segments.iter().filter(|segment| !segment.is_kept) {
        whole.add(segment.first_seq, segment.last_seq);
    }
    let mut gaps = whole.gaps();
    if whole.last() < newest_known {
        gaps.push((whole.last() + 1, newest_known));
    }
    gaps
}

/// Refuses to leave out a log that is there.
fn refuse_left_out<M: Model>(segments: &[Archived], begun: &Begun<M>) -> Result<()> {
    let is_in = |s: &Archived| begun.taken.contains(&s.path) || begun.catch_up.has().covers(s.first_seq, s.last_seq);
    let left_out = segments.iter().filter(|segment| segment.is_kept && !is_in(segment));
    let folder =
        |path: &Path| path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let folders: BTreeSet<String> = left_out.map(|segment| folder(&segment.path)).collect();
    if folders.is_empty() {
        return Ok(());
    }
    let folders = folders.into_iter().collect::<Vec<_>>().join(", ");
    Err(Error::new(
        ErrorKind::Corrupt,
        format!("the history is not whole: the log of {folders} has to be brought in first"),
    ))
}

/// What the error of a missing or damaged history says that can be done.
pub(super) fn cure<M: Model>(fs: &dyn Fs, dir: &Path) -> String {
    let Some(history) = M::HISTORY else { return String::new() };
    let name = |path: PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
    let names: Vec<String> = folders::all::<M>(fs, dir).unwrap_or_default().into_iter().filter_map(name).collect();
    format!(". {}", (history.cure)(&names))
}
