//! Where a demo leaves its stores: in a folder that is kept, or in one that goes with this value.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::Error;

/// The folder of a run.
#[derive(Debug)]
pub(crate) enum Folder {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    /// The folder that was asked for, which must be new or empty, or one for this run only.
    pub(crate) fn new(keep: Option<&Path>) -> Result<Self, Error> {
        let Some(dir) = keep else { return Ok(Self::Temporary(temporary()?)) };
        let dir = absolute(dir)?;
        let refuse = |why: String| Error::Keep { dir: dir.clone(), why };
        std::fs::create_dir_all(&dir).map_err(|error| refuse(format!("cannot create: {error}")))?;
        let mut entries = std::fs::read_dir(&dir).map_err(|error| refuse(format!("cannot read: {error}")))?;
        match entries.next() {
            None => Ok(Self::Kept(dir)),
            Some(_) => Err(refuse("is not empty".to_owned())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(dir) => dir,
            Self::Temporary(dir) => dir.path(),
        }
    }

    /// The folder, if it stays.
    pub(crate) fn kept(&self) -> Option<PathBuf> {
        match self {
            Self::Kept(dir) => Some(dir.clone()),
            Self::Temporary(_) => None,
        }
    }
}

/// A file name or folder that this program was given, made absolute: the child works in a folder of its own.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| Error::io("cannot resolve", path, error))
}

/// Beside the program if cargo built it, because the system's folder may be in memory, where nothing is ever synced.
fn temporary() -> Result<TempDir, Error> {
    let prefix = "persist-demo-";
    if let Ok(program) = std::env::current_exe()
        && let Some(folder) = program.parent().filter(|folder| folder.join("deps").is_dir())
        && let Ok(dir) = tempfile::Builder::new().prefix(prefix).tempdir_in(folder)
    {
        return Ok(dir);
    }
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir()
        .map_err(|error| Error::io("cannot create a folder in", &std::env::temp_dir(), error))
}
