//! LMDB, by way of heed.

use std::path::Path;

use heed::types::{Bytes, Str};
use heed::{Database, Env, EnvFlags, EnvOpenOptions};

use super::{Kind, Peer, Session};
use crate::Result;
use crate::name::Name;

pub(super) const KIND: Kind = Kind {
    name: Name::store("lmdb"),
    how: "its defaults (MDB_WRITEMAP and MDB_MAPASYNC for the writes that only the system has), a transaction for each write, batch or get, a \
          map of 16 GiB",
    open,
};

/// Address space, which costs nothing until it is filled.
const MAP_BYTES: usize = 16 << 30;

struct Lmdb {
    env: Env,
    flights: Database<Str, Bytes>,
}

fn open(dir: &Path, durable: bool) -> Result<Box<dyn Peer>> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES).max_readers(512);
    let flags = if durable { EnvFlags::empty() } else { EnvFlags::WRITE_MAP | EnvFlags::MAP_ASYNC };
    #[expect(unsafe_code, reason = "LMDB maps its file, and says itself that it may lose it in a power cut")]
    // SAFETY: the folder was made for this run alone, so nobody else touches the file while it is mapped; a file that
    // MAP_ASYNC lets a power cut destroy is removed after the run and never opened again.
    let env = unsafe { options.flags(flags).open(dir)? };
    let mut transaction = env.write_txn()?;
    let flights = env.create_database(&mut transaction, None)?;
    transaction.commit()?;
    Ok(Box::new(Lmdb { env, flights }))
}

impl Peer for Lmdb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }
}

impl Session for &Lmdb {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        self.flights.put(&mut transaction, key, value)?;
        Ok(transaction.commit()?)
    }

    fn put_all(&mut self, records: &[(String, Vec<u8>)]) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        for (key, value) in records {
            self.flights.put(&mut transaction, key, value)?;
        }
        Ok(transaction.commit()?)
    }

    fn get(&mut self, key: &str) -> Result<Option<usize>> {
        let transaction = self.env.read_txn()?;
        Ok(self.flights.get(&transaction, key)?.map(<[u8]>::len))
    }
}
