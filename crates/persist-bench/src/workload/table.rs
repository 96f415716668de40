//! Stores with many rows, closed: built once in a run, and copied by each workload that needs one.

use std::path::{Path, PathBuf};

use persist_dated::{DatedConfig, DatedStore, Durability};

use super::bench::{Bench, DATE};
use crate::Result;
use crate::flight::{self, Flight};

/// Records that are written together.
const BATCH: u64 = 100;
const PREFIX: &str = "table-";

/// A folder of its own with a store of so many rows, all in the main table.
pub(super) fn copy(bench: &Bench, rows: u64, name: &str) -> Result<PathBuf> {
    let to = bench.folder(name)?;
    copy_folder(&built(bench, rows)?.join(DATE), &to.join(DATE))?;
    Ok(to)
}

/// Writes so many flights, many at a time.
pub(super) fn put_batches(store: &DatedStore, numbers: impl Iterator<Item = u64>) -> Result<()> {
    let (mut numbers, mut key) = (numbers.peekable(), String::new());
    while numbers.peek().is_some() {
        let mut batch = store.batch();
        for n in numbers.by_ref().take(BATCH as usize) {
            flight::key(n, &mut key);
            batch.put(&key).data(&Flight::new(n))?;
        }
        batch.commit()?;
    }
    Ok(())
}

/// The folder of that store. It grows out of the largest one that is smaller, by the flushes and merges of a store that
/// is written to.
pub(super) fn built(bench: &Bench, rows: u64) -> Result<PathBuf> {
    let dir = bench.dir.join(format!("{PREFIX}{rows}"));
    if dir.exists() {
        return Ok(dir);
    }
    let mut from = 0;
    for entry in std::fs::read_dir(&bench.dir)? {
        let name = entry?.file_name();
        let size = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
        from = size.filter(|size| *size < rows).unwrap_or(0).max(from);
    }
    std::fs::create_dir(&dir)?;
    if from > 0 {
        copy_folder(&built(bench, from)?.join(DATE), &dir.join(DATE))?;
    }
    let store = DatedStore::open(DATE, DatedConfig::new(&dir).durability(Durability::Os))?;
    put_batches(&store, from..rows)?;
    store.compact()?;
    store.close()?;
    Ok(dir)
}

/// A folder and all below it, synced: what is measured afterwards is not to wait for the disk on account of that.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), &to)?;
            std::fs::File::open(to)?.sync_all()?;
        }
    }
    Ok(())
}
