//! SQLite, by way of rusqlite.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::{CACHE_BYTES, Kind, Peer, Session};
use crate::Result;
use crate::name::Name;

pub(super) const KIND: Kind = Kind {
    name: Name::store("sqlite"),
    how: "WAL with synchronous=FULL (OFF for the writes that only the system has), a connection for each thread, prepared \
          statements, one table WITHOUT ROWID, a transaction BEGIN IMMEDIATE for each batch, a busy timeout of a minute, \
          1 GiB mapped",
    open,
};

const PUT: &str = "INSERT OR REPLACE INTO flights (key, data) VALUES (?1, ?2)";
const GET: &str = "SELECT data FROM flights WHERE key = ?1";

struct Sqlite {
    path: PathBuf,
    synchronous: &'static str,
}

fn open(dir: &Path, durable: bool) -> Result<Box<dyn Peer>> {
    let sqlite = Sqlite { path: dir.join("flights.sqlite"), synchronous: if durable { "FULL" } else { "OFF" } };
    sqlite.connection()?.execute_batch(
        "PRAGMA journal_mode = WAL; CREATE TABLE flights (key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;",
    )?;
    Ok(Box::new(sqlite))
}

impl Sqlite {
    fn connection(&self) -> Result<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(Duration::from_secs(60))?;
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {}; PRAGMA mmap_size = {}; PRAGMA cache_size = -{};",
            self.synchronous,
            1 << 30,
            CACHE_BYTES >> 10
        ))?;
        Ok(connection)
    }
}

impl Peer for Sqlite {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self.connection()?))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.connection()?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

impl Session for Connection {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<()> {
        self.prepare_cached(PUT)?.execute((key, value))?;
        Ok(())
    }

    fn put_all(&mut self, records: &[(String, Vec<u8>)]) -> Result<()> {
        let transaction = self.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut put = transaction.prepare_cached(PUT)?;
        for (key, value) in records {
            put.execute((key, value))?;
        }
        drop(put);
        Ok(transaction.commit()?)
    }

    fn get(&mut self, key: &str) -> Result<Option<usize>> {
        let length = |row: &rusqlite::Row<'_>| Ok(row.get_ref(0)?.as_bytes()?.len());
        Ok(self.prepare_cached(GET)?.query_row([key], length).optional()?)
    }
}
