//! Saving all that changed, and archiving the log that the tables' files cover.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use persist_core::fs::{Fs, is_there, read, replace};
use persist_core::planted::planted;
use persist_core::{Error, Result};

use crate::catalog::remove_dropped;
use crate::paths::{Paths, archive, archive_order};
use crate::save;
use crate::shared::{Identity, Shared, Storage};

/// Saves each table that has changed, or each in one piece; then notes up to where of the log the files have everything.
pub(crate) fn save(shared: &Shared, storage: &Storage, in_any_case: bool) -> Result<()> {
    save_held(shared, storage, &mut storage.saving.lock(), in_any_case)
}

fn save_held(shared: &Shared, storage: &Storage, identity: &mut Identity, in_any_case: bool) -> Result<()> {
    // First: what gets a `seq` from here on may be in a table's file or not, but nothing up to here is missed.
    let reached = storage.log.last_seq();
    // One that fails keeps none of the others from being saved.
    let saved = shared.tables().into_iter().map(|table| save::save(shared, storage, &table, in_any_case));
    let saved = saved.fold(Ok(()), Result::and);
    saved.and(remove_dropped(storage, identity))?;
    let reached = if planted("saved-too-far") { storage.log.last_seq() } else { reached };
    if identity.saved_seq < reached || identity.is_damaged || identity.plain_log.is_some() {
        // A table may have had nothing to save, while the log is still to be synced up to here.
        storage.log.wait(reached, persist_core::wal::Reach::Durable)?;
        let mut next = identity.clone();
        (next.saved_seq, next.is_damaged, next.plain_log) = (reached, false, None);
        next.write(storage.fs.as_ref(), &storage.paths.identity())?;
        *identity = next;
    }
    Ok(())
}

/// Saves, and archives what of the log is saved. Answers the archives.
pub(crate) fn checkpoint(shared: &Shared, storage: &Storage) -> Result<Vec<PathBuf>> {
    let mut identity = storage.saving.lock();
    storage.log.rotate()?;
    save_held(shared, storage, &mut identity, false)?;
    let fs = storage.fs.as_ref();
    let now = shared.now().to_string();
    let mut archives = Vec::new();
    for segment in storage.log.closed_segments() {
        if segment.last_seq > identity.saved_seq {
            break;
        }
        // One that is not there was archived by a checkpoint that failed right after.
        if shared.config.archives == Some(0) || !is_there(fs, &segment.path)? {
            storage.log.remove_up_to(segment.last_seq)?;
            continue;
        }
        let target = free_name(fs, &storage.paths, &now, shared.config.compress_archives)?;
        if shared.config.compress_archives {
            replace(fs, &target, &compressed(storage, &segment.path)?)?;
        } else {
            let renamed = fs.rename(&segment.path, &target);
            renamed.map_err(|error| Error::io("cannot rename into place", &target, error))?;
        }
        // One that was renamed is forgotten, the other removed, and the folder synced: at once, as the next that fails must
        // not have this one archived again, and no further, as another may be closed by now.
        let archived = if planted("removed-unarchived") { identity.saved_seq } else { segment.last_seq };
        storage.log.remove_up_to(archived)?;
        archives.push(target);
    }
    if let Some(most) = shared.config.archives {
        let wal = &storage.paths.wal;
        let mut names = fs.list(wal).map_err(|error| Error::io("cannot list", wal, error))?;
        names.retain(|name| archive_order(name).is_some());
        names.sort_by(|one, other| archive_order(one).cmp(&archive_order(other)));
        for name in names.iter().take(names.len().saturating_sub(most)) {
            let path = wal.join(name);
            fs.remove_file(&path).map_err(|error| Error::io("cannot remove", &path, error))?;
        }
    }
    Ok(archives)
}

/// A name for an archive of this moment that comes after those that there are.
pub(crate) fn free_name(fs: &dyn Fs, paths: &Paths, now: &str, compressed: bool) -> Result<PathBuf> {
    let first = archive(now, 1, false);
    let moment = archive_order(&first).map(|(moment, _)| moment);
    let names = fs.list(&paths.wal).map_err(|error| Error::io("cannot list", &paths.wal, error))?;
    let present = names.iter().filter_map(|name| archive_order(name));
    let last = present.filter(|(other, _)| Some(*other) == moment).map(|(_, number)| number).max().unwrap_or(0);
    Ok(paths.wal.join(archive(now, last + 1, compressed)))
}

fn compressed(storage: &Storage, path: &Path) -> Result<Vec<u8>> {
    let bytes = read(storage.fs.as_ref(), path).map_err(|error| Error::io("cannot read", path, error))?;
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    let done = encoder.write_all(&bytes).and_then(|()| encoder.finish());
    done.map_err(|error| Error::io("cannot compress", path, error))
}
