//! The folders of the log, of a model that [has several](crate::Model::LOG_FOLDERS): which there are, and going on in another.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::shared::{Engine, Shared};
use crate::error::{Error, Result};
use crate::fs::Fs;
use crate::lock::Lock;
use crate::model::Model;
use crate::wal::SegmentId;

impl<M: Model> Engine<M> {
    /// Has the log go on in the folder of this name, which is made if there is none. Writes go on meanwhile, each in the one
    /// folder or the other. What the log has in the former goes when a checkpoint covers it, or a backup; the folder stays.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a name that the model's log folders can't have.
    /// [`Io`](crate::ErrorKind::Io): call it again; until it succeeds the log may be in either.
    /// [`Poisoned`](crate::ErrorKind::Poisoned).
    pub fn roll_to(&self, folder: &str) -> Result<()> {
        self.shared.roll_to(&self.shared.locks.lock(), folder)
    }

    /// The name of the folder that the log goes on in, if the model has [such folders](Model::LOG_FOLDERS).
    pub fn log_folder(&self) -> Option<String> {
        M::LOG_FOLDERS.and_then(|_| name_of(&self.shared.log.dir()))
    }
}

impl<M: Model> Shared<M> {
    /// The locks are held throughout, so that of two calls at a time one comes first in all respects.
    fn roll_to(&self, locks: &[Lock], folder: &str) -> Result<()> {
        let dir = present::<M>(&self.dir, Some(folder))?;
        self.log.move_to(&dir)?;
        self.follow_clock(Some(folder));
        locks.first().map_or(Ok(()), |lock| mark::<M>(lock, Some(folder)))
    }

    /// From now on the log follows the clock, if this is the folder that it says.
    pub(super) fn follow_clock(&self, folder: Option<&str>) {
        let present = M::LOG_FOLDERS.map(|folders| (folders.name_at)(self.options.clock.unix_micros()));
        let follows = self.options.roll_by_clock && folder.is_some() && present.as_deref() == folder;
        self.follows_clock.store(follows, Ordering::Release);
    }

    /// Has the log go on in the folder of the present moment, if it follows the clock and that of another day has begun.
    /// Answers the former folder then.
    pub(super) fn roll_by_clock(&self) -> Result<Option<PathBuf>> {
        let Some(folders) = M::LOG_FOLDERS else { return Ok(None) };
        let (locks, former) = (self.locks.lock(), self.log.dir());
        // With the locks: it may be rolled elsewhere at this moment, and not follow the clock any more.
        if !self.follows_clock.load(Ordering::Acquire) {
            return Ok(None);
        }
        let name = (folders.name_at)(self.options.clock.unix_micros());
        // The clock may have been set back.
        let day_of_former = name_of(&former).and_then(|name| (folders.day_of)(&name));
        if (folders.day_of)(&name) <= day_of_former || self.log.refusal().is_some() {
            return Ok(None);
        }
        match self.roll_to(&locks, &name) {
            Err(error) if self.log.dir() == former => return Err(error),
            Err(error) => tracing::warn!(%error, "the lock does not say the log's folder"),
            Ok(()) => tracing::info!(folder = name, "the log goes on in another folder"),
        }
        Ok(Some(former))
    }

    /// How long the folder of the present moment is still right, if the log follows the clock.
    pub(super) fn until_roll(&self) -> Option<Duration> {
        let folders = M::LOG_FOLDERS.filter(|_| self.follows_clock.load(Ordering::Acquire))?;
        let now = self.options.clock.unix_micros();
        Some(Duration::from_micros(u64::try_from((folders.ends_at)(now).saturating_sub(now)).unwrap_or(0)))
    }
}

fn name_of(folder: &Path) -> Option<String> {
    Some(folder.file_name()?.to_str()?.to_owned())
}

/// The path of the log's folder: that of this name, or the store's own.
pub(super) fn present<M: Model>(dir: &Path, folder: Option<&str>) -> Result<PathBuf> {
    match (M::LOG_FOLDERS, folder) {
        (None, None) => Ok(dir.to_owned()),
        (Some(folders), Some(name)) if (folders.is_name)(name) => Ok(dir.join(name)),
        (Some(folders), Some(name)) => {
            Err(Error::config(format!("{name:?} is no {} to name a folder by", folders.named_by)))
        }
        (Some(folders), None) => Err(Error::config(format!("the log lies in a folder named by {}", folders.named_by))),
        (None, Some(name)) => {
            Err(Error::config(format!("the log lies in the store's folder, it has none of its own ({name})")))
        }
    }
}

/// All folders there are that may hold a part of the log.
pub(super) fn all<M: Model>(fs: &dyn Fs, dir: &Path) -> Result<Vec<PathBuf>> {
    let Some(folders) = M::LOG_FOLDERS else { return Ok(vec![dir.to_owned()]) };
    let names = fs.list_folders(dir).map_err(|error| Error::io("cannot list", dir, error))?;
    Ok(names.iter().filter(|name| (folders.is_name)(name)).map(|name| dir.join(name)).collect())
}

/// Some segment of the log, if there is any.
pub(super) fn any_segment<M: Model>(fs: &dyn Fs, dir: &Path) -> Result<Option<PathBuf>> {
    for folder in all::<M>(fs, dir)? {
        let names = fs.list(&folder).map_err(|error| Error::io("cannot list", &folder, error))?;
        if let Some(name) = names.iter().find(|name| SegmentId::parse(name).is_some()) {
            return Ok(Some(folder.join(name)));
        }
    }
    Ok(None)
}

/// Says beside the lock of the store's folder which folder the log goes on in.
pub(super) fn mark<M: Model>(lock: &Lock, folder: Option<&str>) -> Result<()> {
    match M::LOG_FOLDERS.zip(folder) {
        Some((folders, name)) => lock.mark(name, &format!("for {} {name}", folders.named_by)),
        None => Ok(()),
    }
}
