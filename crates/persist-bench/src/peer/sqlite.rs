//! SQLite, by way of rusqlite.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::{CACHE_BYTES, Kind, Peer, Session, earlier};
use crate::Result;
use crate::name::Name;

pub(super) const KIND: Kind = Kind {
    name: Name::store("sqlite"),
    how: "WAL with synchronous=FULL (OFF for the writes that only the system has), one connection that \
          writes, under a lock (one for each thread waits by sleeping, for seconds), one for each thread that reads, prepared \
          statements, one table WITHOUT ROWID, a transaction BEGIN IMMEDIATE for each batch, a busy timeout of a minute, \
          1 GiB mapped",
    open,
};

const PUT: &str = "INSERT OR REPLACE INTO flights (key, data) VALUES (?1, ?2)";
const GET: &str = "SELECT data FROM flights WHERE key = ?1";

struct Sqlite {
    path: PathBuf,
    synchronous: &'static str,
    writer: Mutex<Connection>,
}

fn open(dir: &Path, durable: bool) -> Result<Box<dyn Peer>> {
    let path = dir.join("flights.sqlite");
    let synchronous = if durable { "FULL" } else { "OFF" };
    let writer = connect(&path, synchronous)?;
    writer.execute_batch(
        "PRAGMA journal_mode = WAL; CREATE TABLE flights (key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;",
    )?;
    Ok(Box::new(Sqlite { path, synchronous, writer: Mutex::new(writer) }))
}

/// A connection to a database, which is made if there is none.
pub(crate) fn connect(path: &Path, synchronous: &str) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(60))?;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA mmap_size = {}; PRAGMA cache_size = -{};",
        1 << 30,
        CACHE_BYTES >> 10
    ))?;
    Ok(connection)
}

impl Peer for Sqlite {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Thread { sqlite: self, reader: None }))
    }

    /// More than the log holds before its content is put into the table, and it begins anew.
    fn warm_up(&self) -> Result<()> {
        self.session()?.put_all(&earlier(20_000))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.writer.lock().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

struct Thread<'a> {
    sqlite: &'a Sqlite,
    reader: Option<Connection>,
}

impl Session for Thread<'_> {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<()> {
        self.sqlite.writer.lock().prepare_cached(PUT)?.execute((key, value))?;
        Ok(())
    }

    fn put_all(&mut self, records: &[(String, Vec<u8>)]) -> Result<()> {
        let mut writer = self.sqlite.writer.lock();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut put = transaction.prepare_cached(PUT)?;
        for (key, value) in records {
            put.execute((key, value))?;
        }
        drop(put);
        Ok(transaction.commit()?)
    }

    fn get(&mut self, key: &str) -> Result<Option<usize>> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(connect(&self.sqlite.path, self.sqlite.synchronous)?),
        };
        let length = |row: &rusqlite::Row<'_>| Ok(row.get_ref(0)?.as_bytes()?.len());
        Ok(reader.prepare_cached(GET)?.query_row([key], length).optional()?)
    }
}
