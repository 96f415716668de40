//! fjall.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{CACHE_BYTES, Kind, Peer, Session};
use crate::Result;
use crate::name::Name;

pub(super) const KIND: Kind = Kind {
    name: Name::store("fjall"),
    how: "PersistMode::SyncData after each write or batch (Buffer for the writes that only the system has), the journal \
          persisted by hand, 512 MiB of block cache; read after a major compaction",
    open,
};

struct Fjall {
    database: Database,
    flights: Keyspace,
    mode: PersistMode,
}

fn open(dir: &Path, durable: bool) -> Result<Box<dyn Peer>> {
    let database = Database::builder(dir).manual_journal_persist(true).cache_size(u64::from(CACHE_BYTES)).open()?;
    let flights = database.keyspace("flights", KeyspaceCreateOptions::default)?;
    let mode = if durable { PersistMode::SyncData } else { PersistMode::Buffer };
    Ok(Box::new(Fjall { database, flights, mode }))
}

impl Peer for Fjall {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn settle(&self) -> Result<()> {
        self.flights.rotate_memtable_and_wait()?;
        Ok(self.flights.major_compact()?)
    }
}

impl Session for &Fjall {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<()> {
        self.flights.insert(key, value)?;
        Ok(self.database.persist(self.mode)?)
    }

    fn put_all(&mut self, records: &[(String, Vec<u8>)]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(self.mode));
        for (key, value) in records {
            batch.insert(&self.flights, key.as_str(), value.as_slice());
        }
        Ok(batch.commit()?)
    }

    fn get(&mut self, key: &str) -> Result<Option<usize>> {
        Ok(self.flights.get(key)?.map(|value| value.len()))
    }
}
