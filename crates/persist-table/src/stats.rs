//! Figures of a database.

use std::collections::BTreeMap;
use std::path::Path;

use persist_core::fs::{Access, Fs};
use persist_core::{Error, Result};

use crate::meta::Meta;
use crate::shared::{Shared, Storage};

/// Figures of a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Of each table, in memory.
    pub tables: BTreeMap<String, TableStats>,
    /// Of the files; `None` for a database in memory.
    pub disk: Option<DiskStats>,
}

/// Figures of a table in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TableStats {
    /// Its rows; `None` while they are not loaded.
    pub records: Option<u64>,
    /// Its columns.
    pub columns: usize,
    /// Whether something has changed since its last save.
    pub is_unsaved: bool,
}

/// Figures of the files of a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DiskStats {
    /// What the files of schemas, records and the log take together.
    pub total_size_bytes: u64,
    /// What the log takes, the part that is laid out ahead and the archives included.
    pub wal_size_bytes: u64,
    /// Everything up to this operation of the log is in the tables' files.
    pub saved_seq: u64,
    /// The last operation.
    pub last_seq: u64,
    /// Of each table.
    pub tables: BTreeMap<String, FileStats>,
}

/// Figures of a table's file of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FileStats {
    /// The records in it; 0 where it was written by hand and not saved since.
    pub records: u64,
    /// What it takes.
    pub size_bytes: u64,
}

pub(crate) fn stats(shared: &Shared) -> Result<Stats> {
    let mut tables = BTreeMap::new();
    for table in shared.tables() {
        let slot = table.read();
        let stats = TableStats {
            records: slot.state.as_ref().map(|state| state.rows.len() as u64),
            columns: slot.layout.schema.columns.len(),
            is_unsaved: slot.state.as_ref().is_some_and(|state| state.dirty),
        };
        tables.insert(slot.name().to_owned(), stats);
    }
    let disk = shared.storage.as_ref().map(|storage| of_disk(storage, tables.keys())).transpose()?;
    Ok(Stats { tables, disk })
}

fn of_disk<'n>(storage: &Storage, names: impl Iterator<Item = &'n String>) -> Result<DiskStats> {
    // Nobody renames or removes files meanwhile, but the log its own.
    let identity = storage.saving.lock();
    let fs = storage.fs.as_ref();
    let wal_size_bytes = of_folder(fs, &storage.paths.wal)?;
    let others = of_folder(fs, &storage.paths.schema)? + of_folder(fs, &storage.paths.data)?;
    let mut tables = BTreeMap::new();
    for name in names {
        let meta = Meta::read(fs, &storage.paths.meta_of(name))?;
        let of = |meta: Meta| FileStats { records: meta.content.records, size_bytes: meta.content.length };
        tables.insert(name.clone(), meta.map(of).unwrap_or_default());
    }
    Ok(DiskStats {
        total_size_bytes: wal_size_bytes + others,
        wal_size_bytes,
        saved_seq: identity.saved_seq,
        last_seq: storage.log.last_seq(),
        tables,
    })
}

fn of_folder(fs: &dyn Fs, folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for name in fs.list(folder).map_err(|error| Error::io("cannot list", folder, error))? {
        let path = folder.join(name);
        match fs.open(&path, Access::Read).and_then(|file| file.len()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            length => bytes += length.map_err(|error| Error::io("cannot look at", &path, error))?,
        }
    }
    Ok(bytes)
}
