//! The backups in the log's folders: which there are, how far the log before them is needed, and which of them go.
//!
//! What it keeps true:
//! - The newest usable backup stays, however old, and so do the kept segments from the oldest one on: the store can be made
//!   again of any that is left.
//! - Only what is this store's goes. Of a backup that is not, of a folder with a segment that waits to be flushed, and of
//!   the folder that the log is in, nothing does.
//! - A backup loses its files first and its manifest last, so that an interrupted removal is known for what it is, and is
//!   gone on with.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::folders;
use super::manifest::Backup;
use super::open::table_of;
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Fs, read, remove_if_there};
use crate::model::Model;
use crate::wal::{Ancestor, SegmentId, is_left_out};

/// The backups in the log's folders that a store of this lineage can go on from, newest first.
///
/// Of each there are the files, in the size that its manifest says. They are not read.
///
/// # Errors
/// [`Io`](ErrorKind::Io). What is no such backup is left out.
pub(super) fn usable_backups<M: Model>(fs: &dyn Fs, dir: &Path, lineage: &[Ancestor]) -> Result<Vec<Backup>> {
    let mut usable = Vec::new();
    if M::LOG_FOLDERS.is_none() {
        return Ok(usable);
    }
    for folder in folders::all::<M>(fs, dir)? {
        match Backup::load_whole(fs, &folder) {
            Ok(Some(backup)) if backup.is_of(lineage) => usable.push(backup),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Io => return Err(error),
            Err(error) => tracing::warn!(%error, "a backup can't be used"),
        }
    }
    // The folders come in order; of two backups with the same records the later one is the newer.
    usable.reverse();
    usable.sort_by_key(|backup| std::cmp::Reverse(backup.seq));
    Ok(usable)
}

impl<M: Model> Shared<M> {
    /// Finishes the backups that a crash interrupted, and lets go of old ones, if the options say so; before anything else
    /// looks at them.
    pub(super) fn settle_backups(&self) -> Result<()> {
        if M::LOG_FOLDERS.is_some() {
            let folders = folders::all::<M>(self.options.fs.as_ref(), &self.dir)?;
            folders.iter().try_for_each(|folder| self.settle_backup(folder))?;
        }
        if self.keeps_backups() { self.retain() } else { Ok(()) }
    }

    fn settle_backup(&self, folder: &Path) -> Result<()> {
        let table = table_of::<M>(&self.options)?;
        Backup::settle(self.options.fs.as_ref(), folder, &table.files(&table.backup_in(folder)))
    }

    /// Has a backup in the log's folder when DuckDB has closed its files, if the options say so.
    pub(super) fn back_up_at_close(&self) -> Result<()> {
        match self.keeps_backups() {
            true => self.renew_backup(&self.log.dir(), |folder| self.back_up_closed(folder)),
            false => Ok(()),
        }
    }

    /// Has a backup in a folder that the log has left while the store goes on, if the options say so.
    pub(super) fn back_up_former(&self, folder: &Path) -> Result<()> {
        match self.keeps_backups() {
            true => {
                self.renew_backup(folder, |folder| self.back_up_open(folder, |table, path| self.copy_open(table, path)))
            }
            false => Ok(()),
        }
    }

    fn keeps_backups(&self) -> bool {
        M::LOG_FOLDERS.is_some() && self.options.backups.is_some()
    }

    /// Has a backup in this folder of the log in place of the one there was, if that lacks a record, and lets go of what is
    /// old then. `back_up` makes it.
    fn renew_backup(&self, folder: &Path, back_up: impl FnOnce(&Path) -> Result<Backup>) -> Result<()> {
        self.settle_backup(folder)?;
        let there = match Backup::load_whole(self.options.fs.as_ref(), folder) {
            Err(error) if error.kind() == ErrorKind::Io => return Err(error),
            // Damaged, or another's: there is none of this store.
            there => there.ok().flatten(),
        };
        let is_there = there.is_some_and(|there| there.store == self.identity.id && there.seq == self.log.last_seq());
        let made = if is_there { Ok(()) } else { back_up(folder).map(drop) };
        // Also where it failed: what goes may be the space it wants.
        let retained = self.retain();
        made.and(retained)
    }

    /// Removes old backups, then the log before the oldest that is left, then the folders that are empty.
    fn retain(&self) -> Result<()> {
        let fs = self.options.fs.as_ref();
        // The log stays in its folder meanwhile.
        let _locks = self.locks.lock();
        let old = self.old_folders()?;
        let newest = usable_backups::<M>(fs, &self.dir, &self.identity.lineage)?.into_iter().next();
        let is_needed = |folder: &PathBuf| newest.as_ref().is_some_and(|newest| newest.dir == *folder);
        old.iter().filter(|folder| !is_needed(folder)).try_for_each(|folder| self.remove_backup(folder))?;

        let left = usable_backups::<M>(fs, &self.dir, &self.identity.lineage)?;
        self.figures.lock().newest_backup = left.first().map(|backup| backup.seq);
        self.backed_up.store(left.last().map_or(0, |backup| backup.seq), Ordering::Release);
        self.remove_kept()?;
        old.iter().try_for_each(|folder| clear_folder(fs, folder))
    }

    /// The folders whose day is long before the newest one's, by the options; the clock may be wrong.
    fn old_folders(&self) -> Result<Vec<PathBuf>> {
        let fs = self.options.fs.as_ref();
        let (Some(named), Some(days)) = (M::LOG_FOLDERS, self.options.backups) else { return Ok(Vec::new()) };
        let day = |folder: &PathBuf| (named.day_of)(folder.file_name()?.to_str()?);
        let mut folders = folders::all::<M>(fs, &self.dir)?;
        let newest = folders.iter().filter_map(day).max().unwrap_or(i64::MIN);
        let present = self.log.dir();
        folders.retain(|folder| {
            *folder != present && day(folder).is_some_and(|day| day < newest.saturating_sub(i64::from(days)))
        });
        let mut old = Vec::new();
        for folder in folders {
            let names = fs.list(&folder).map_err(|error| Error::io("cannot list", &folder, error))?;
            if !names.iter().any(|name| SegmentId::parse(name).is_some()) {
                old.push(folder);
            }
        }
        Ok(old)
    }

    fn remove_backup(&self, folder: &Path) -> Result<()> {
        let fs = self.options.fs.as_ref();
        let manifest = Backup::manifest(folder);
        let backup = match Backup::load(fs, folder) {
            Ok(backup) => backup,
            Err(error) if error.kind() == ErrorKind::Io => return Err(error),
            // None, or one that somebody has to look at.
            Err(_) => return Ok(()),
        };
        if !self.identity.lineage.iter().any(|ancestor| ancestor.store == backup.store) {
            return Ok(());
        }
        // Nothing vouches for a manifest: the files that go are those that a backup has, whatever it names.
        let table = table_of::<M>(&self.options)?;
        for file in table.files(&table.backup_in(folder)) {
            remove_if_there(fs, &file)?;
        }
        sync(fs, folder)?;
        remove_if_there(fs, &manifest)?;
        sync(fs, folder)?;
        tracing::info!(dir = %folder.display(), backup.seq, "removed an old backup");
        Ok(())
    }
}

/// Removes what recoveries have set aside in an old folder, and the folder if nothing is left in it.
fn clear_folder(fs: &dyn Fs, folder: &Path) -> Result<()> {
    let unlisted = |error| Error::io("cannot list", folder, error);
    for name in fs.list(folder).map_err(unlisted)?.iter().filter(|name| is_left_out(name)) {
        remove_if_there(fs, &folder.join(name))?;
    }
    if !fs.list(folder).map_err(unlisted)?.is_empty() || !fs.list_folders(folder).map_err(unlisted)?.is_empty() {
        return Ok(());
    }
    match fs.remove_dir(folder) {
        // It holds what has no Unicode name.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        done => done.map_err(|error| Error::io("cannot remove the folder", folder, error)),
    }
}

fn sync(fs: &dyn Fs, folder: &Path) -> Result<()> {
    fs.sync_dir(folder).map_err(|error| Error::io("cannot sync the folder", folder, error))
}

/// The watermark that the store last told others, if it can be read.
pub(super) fn published_watermark(fs: &dyn Fs, dir: &Path, store: &str) -> u64 {
    let status = read(fs, &dir.join("status.json")).ok();
    let status: Option<serde_json::Value> = status.and_then(|text| serde_json::from_slice(&text).ok());
    let status = status.filter(|status| status.get("store").and_then(|id| id.as_str()) == Some(store));
    let watermark = status.and_then(|status| status.get("stats")?.get("watermark")?.as_u64());
    watermark.unwrap_or(0)
}
