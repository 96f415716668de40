//! The stores that persist is set against, each as its own documentation says for small durable writes.
//!
//! All keep the same texts under the same keys, and all turn a record into that text within the time that is measured,
//! as persist has to.

mod fjall;
mod lmdb;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod sqlite;

use std::path::Path;

pub(crate) use sqlite::connect as connect_to_sqlite;

use crate::Result;
use crate::flight::Flight;
use crate::name::Name;

/// What a store can keep in memory of its files: more than the million records that are read take.
const CACHE_BYTES: u32 = 512 << 20;

/// One of the peers.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: Name,
    /// How it is configured, as the report says below the table.
    pub(crate) how: &'static str,
    /// Makes a store in an empty folder. Each write that returned survives a power cut if it is `durable`, else the death
    /// of the process.
    pub(crate) open: fn(dir: &Path, durable: bool) -> Result<Box<dyn Peer>>,
}

pub(crate) const ALL: &[Kind] = &[
    sqlite::KIND,
    redb::KIND,
    fjall::KIND,
    lmdb::KIND,
    #[cfg(feature = "rocksdb")]
    rocksdb::KIND,
];

/// A store, opened.
pub(crate) trait Peer: Send + Sync {
    /// What one thread works with.
    fn session(&self) -> Result<Box<dyn Session + '_>>;

    /// Writes what a process that has run for a while has written, where the file of a log is written over afterwards:
    /// a short run would only see it grow.
    fn warm_up(&self) -> Result<()> {
        Ok(())
    }

    /// Brings what was written into the shape that reads find in the long run.
    fn settle(&self) -> Result<()> {
        Ok(())
    }
}

/// Records that come before all that a workload writes.
fn earlier(count: u64) -> Vec<(String, Vec<u8>)> {
    let text = |n| serde_json::to_vec(&Flight::new(n)).unwrap_or_default();
    (0..count).map(|n| (format!("2012-12-31/{n:010}"), text(n))).collect()
}

/// What one thread works with.
pub(crate) trait Session: Send {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<()>;

    /// Puts all in one transaction.
    fn put_all(&mut self, records: &[(String, Vec<u8>)]) -> Result<()>;

    /// How long the value is, once it was found.
    fn get(&mut self, key: &str) -> Result<Option<usize>>;
}
