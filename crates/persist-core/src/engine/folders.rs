//! The folders of the log, of a model that [has several](crate::Model::LOG_FOLDERS): which there are, and going on in another.

use std::path::{Path, PathBuf};

use super::shared::Engine;
use crate::error::{Error, Result};
use crate::fs::Fs;
use crate::lock::Lock;
use crate::model::Model;
use crate::wal::SegmentId;

impl<M: Model> Engine<M> {
    /// Has the log go on in the folder of this name, which is made if there is none. Writes go on meanwhile, each in the one
    /// folder or the other. What the log has in the former goes when a checkpoint covers it; the folder stays.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a name that the model's log folders can't have.
    /// [`Io`](crate::ErrorKind::Io): call it again; until it succeeds the log may be in either.
    /// [`Poisoned`](crate::ErrorKind::Poisoned).
    pub fn roll_to(&self, folder: &str) -> Result<()> {
        let dir = present::<M>(&self.shared.dir, Some(folder))?;
        // Held throughout, so that of two calls at a time one comes first in all respects.
        let locks = self.locks.lock();
        self.shared.log.move_to(&dir)?;
        locks.first().map_or(Ok(()), |lock| mark::<M>(lock, Some(folder)))
    }
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
