//! redb.

use std::fs::File;
use std::io;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, StorageBackend, TableDefinition};

use super::{CACHE_BYTES, Kind, Peer, Session};
use crate::Result;
use crate::name::Name;

pub(super) const KIND: Kind = Kind {
    name: Name::store("redb"),
    how: "Durability::Immediate, its default; for the writes that only the system has, the same on a file whose syncs do \
          nothing, as Durability::None keeps a commit in the process; a read transaction for each get",
    open,
};

const FLIGHTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("flights");

struct Redb(Database);

fn open(dir: &Path, durable: bool) -> Result<Box<dyn Peer>> {
    let path = dir.join("flights.redb");
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES as usize);
    let database = if durable {
        builder.create(path)?
    } else {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        builder.create_with_backend(Unsynced(FileBackend::new(file)?))?
    };
    let transaction = database.begin_write()?;
    transaction.open_table(FLIGHTS)?;
    transaction.commit()?;
    Ok(Box::new(Redb(database)))
}

impl Peer for Redb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(&self.0))
    }
}

impl Session for &Database {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<()> {
        let transaction = self.begin_write()?;
        transaction.open_table(FLIGHTS)?.insert(key, value)?;
        Ok(transaction.commit()?)
    }

    fn put_all(&mut self, records: &[(String, Vec<u8>)]) -> Result<()> {
        let transaction = self.begin_write()?;
        let mut table = transaction.open_table(FLIGHTS)?;
        for (key, value) in records {
            table.insert(key.as_str(), value.as_slice())?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }

    fn get(&mut self, key: &str) -> Result<Option<usize>> {
        let table = self.begin_read()?.open_table(FLIGHTS)?;
        Ok(table.get(key)?.map(|value| value.value().len()))
    }
}

/// A file that is written and never synced.
#[derive(Debug)]
struct Unsynced(FileBackend);

impl StorageBackend for Unsynced {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}
