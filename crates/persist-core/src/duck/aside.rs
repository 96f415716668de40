//! A database file that is made aside, as `{path}.new`, and renamed into place when it is whole.

use std::path::{Path, PathBuf};

use super::database::own_logs;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Access, Fs, is_there, remove_if_there, suffixed, sync_dir_of};

/// Where the file that is to become `path` is made.
pub(crate) fn aside(path: &Path) -> PathBuf {
    suffixed(path, ".new")
}

/// Removes what an interrupted making left.
pub(crate) fn clear_aside(fs: &dyn Fs, path: &Path) -> Result<()> {
    let aside = aside(path);
    std::iter::once(&aside).chain(&own_logs(&aside)).try_for_each(|file| remove_if_there(fs, file))
}

/// Syncs the file made aside, which is closed, gives it its name, and makes the name durable.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) where it was not closed; [`Io`](ErrorKind::Io).
pub(crate) fn put_in_place(fs: &dyn Fs, path: &Path) -> Result<()> {
    sync_aside(fs, path)?;
    fs.rename(&aside(path), path).map_err(|error| Error::io("cannot rename into place", path, error))?;
    sync_dir_of(fs, path)
}

/// The first half of [`put_in_place`].
pub(crate) fn sync_aside(fs: &dyn Fs, path: &Path) -> Result<()> {
    let aside = aside(path);
    refuse_own_logs(fs, &aside)?;
    let file = fs.open(&aside, Access::Write).map_err(|error| Error::io("cannot open", &aside, error))?;
    file.sync_all().map_err(|error| Error::io("cannot sync", &aside, error))
}

/// Refuses a database with a log of DuckDB's own beside it: it was not closed, or another hand has written to it.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt), naming the log.
pub(crate) fn refuse_own_logs(fs: &dyn Fs, path: &Path) -> Result<()> {
    for log in own_logs(path) {
        if is_there(fs, &log)? {
            let message = format!("{} stands beside a database that has to be closed", log.display());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
    }
    Ok(())
}
