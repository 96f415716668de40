//! The backups in the log's folders: which there are.

use std::path::Path;

use super::folders;
use super::manifest::Backup;
use crate::error::{ErrorKind, Result};
use crate::fs::Fs;
use crate::model::Model;
use crate::wal::Ancestor;

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
