//! Stores with many rows, closed: built once in a run, and copied by each workload that needs one.

use std::path::{Path, PathBuf};

use duckdb::Connection;
use persist_dated::{DatedConfig, DatedStore, Durability};

use super::bench::{Bench, DATE};
use crate::Result;
use crate::flight::{self, Flight};

/// Records that are written together.
const BATCH: u64 = 100;

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

/// The folder of that store. Up to a million rows are written through the store, in its own flushes and merges. A larger one
/// is that one and copies of its rows under further keys, which DuckDB puts into the main table: to write five millions
/// takes as long as all that is measured of them.
pub(super) fn built(bench: &Bench, rows: u64) -> Result<PathBuf> {
    let dir = bench.dir.join(format!("table-{rows}"));
    if dir.exists() {
        return Ok(dir);
    }
    let written = bench.scale.records;
    if rows > written {
        copy_folder(&built(bench, written)?.join(DATE), &dir.join(DATE))?;
        multiply(&dir.join(DATE).join("data.duckdb"), written, rows)?;
    } else {
        let store = DatedStore::open(DATE, DatedConfig::new(&dir).durability(Durability::Os))?;
        put_batches(&store, 0..rows)?;
        store.compact()?;
        store.close()?;
    }
    Ok(dir)
}

/// Has so many rows in the main table that has the first of them.
fn multiply(database: &Path, first: u64, rows: u64) -> Result<()> {
    let connection = Connection::open(database)?;
    let digits = format!("lpad((number + {first} * copy)::VARCHAR, 10, '0')");
    connection.execute_batch(&format!(
        "INSERT INTO storage SELECT * EXCLUDE (number, copy) REPLACE (key[:-11] || {digits} AS key) FROM \
         (SELECT *, key[-10:]::UBIGINT AS number FROM storage), range(1, {}) copies(copy) \
         WHERE number + {first} * copy < {rows}; CHECKPOINT",
        rows.div_ceil(first),
    ))?;
    Ok(())
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
