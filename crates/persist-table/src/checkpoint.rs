//! Saving all that changed, and archiving the log that the tables' files cover.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use persist_core::fs::{Fs, read, replace, sync_dir_of};
use persist_core::{Error, Result};

use crate::paths::{Paths, archive, archive_order};
use crate::save;
use crate::shared::{Shared, Storage};

/// Saves each table that has changed, or each in one piece; then notes up to where of the log the files have everything.
pub(crate) fn save(shared: &Shared, storage: &Storage, in_any_case: bool) -> Result<()> {
    let mut identity = storage.saving.lock();
    // First: what gets a `seq` from here on may be in a table's file or not, but nothing up to here is missed.
    let reached = storage.log.last_seq();
    for table in shared.tables() {
        save::save(shared, storage, &table, in_any_case)?;
    }
    if identity.saved_seq < reached {
        // A table may have had nothing to save, while the log is still to be synced up to here.
        storage.log.wait(reached, persist_core::wal::Reach::Durable)?;
        let mut next = identity.clone();
        next.saved_seq = reached;
        next.write(storage.fs.as_ref(), &storage.paths.identity())?;
        *identity = next;
    }
    Ok(())
}

/// Saves, and archives what of the log is saved. Answers the archives.
pub(crate) fn checkpoint(shared: &Shared, storage: &Storage) -> Result<Vec<PathBuf>> {
    storage.log.rotate()?;
    save(shared, storage, false)?;
    let identity = storage.saving.lock();
    let fs = storage.fs.as_ref();
    let now = shared.now().to_string();
    let mut archives = Vec::new();
    for segment in storage.log.closed_segments() {
        if segment.last_seq > identity.saved_seq || shared.config.archives == Some(0) {
            continue;
        }
        let target = free_name(fs, &storage.paths, &now, shared.config.compress_archives)?;
        if shared.config.compress_archives {
            replace(fs, &target, &compressed(storage, &segment.path)?)?;
        } else {
            let renamed = fs.rename(&segment.path, &target);
            renamed.map_err(|error| Error::io("cannot rename into place", &target, error))?;
            sync_dir_of(fs, &target)?;
        }
        archives.push(target);
    }
    // Those that were renamed are forgotten, the others removed.
    storage.log.remove_up_to(identity.saved_seq)?;
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
