//! What a store can do, in the words of the naive one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use persist_core::fs::{Disk, Fs};
use persist_core::wal::RecoveryReport;
use persist_core::{Durability, ErrorKind, Result};
use serde_json::{Map, Value};

use crate::oracle::{Call, Changed, Conflict, Id};

/// The changes, in the order of their ids and versions.
pub type Outcome = Result<std::result::Result<Vec<Changed>, Conflict>>;
/// What is to be waited for.
pub type Waiting = Box<dyn FnOnce() -> Outcome + Send>;
/// A change, and what was put.
pub type Told = (Changed, Option<Value>);
/// Changes as a subscriber is told of them, each with its `seq`.
pub type Follower = Box<dyn Iterator<Item = Result<(u64, Told)>> + Send>;

/// The options that the tests set.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Settings {
    pub batch_size: usize,
    pub flush_interval: Duration,
    pub max_wal_size_bytes: u64,
    pub max_wal_age: Duration,
    pub max_wal_records: u64,
    pub fs: Arc<dyn Fs>,
}

impl Default for Settings {
    /// Nothing happens in the background by itself.
    fn default() -> Self {
        Self {
            batch_size: 1_000_000,
            flush_interval: Duration::from_secs(3600),
            max_wal_size_bytes: 10 << 20,
            max_wal_age: Duration::from_secs(3600),
            max_wal_records: u64::MAX,
            fs: Arc::new(Disk),
        }
    }
}

/// A store under test. The data of a record is what is read back.
pub trait Subject: Sized + Send + Sync {
    /// So many ids has each key.
    const PER_KEY: u64;
    /// Whether some fields of the data are special, and text in it may become a timestamp.
    const HAS_SPECIALS: bool;
    /// Whether the records of a key that agree in the first field of their part can be removed as one.
    const HAS_COLLECTIONS: bool;

    /// Opens the store in a folder, for some day of a month where it has dates.
    ///
    /// # Errors
    /// The store's.
    fn open(dir: &Path, day: u8, settings: &Settings) -> Result<Self>;
    /// Makes a store of a backup; answers the `seq` of this.
    ///
    /// # Errors
    /// The store's.
    fn restore(backup: &Path, dir: &Path, day: u8, settings: &Settings) -> Result<u64>;
    /// Reads a backup; answers its `seq`.
    ///
    /// # Errors
    /// The store's.
    fn verify_backup(backup: &Path, settings: &Settings) -> Result<u64>;
    /// An id of a key, the first of which is number 0; there are [`Subject::PER_KEY`].
    fn id(key: &str, n: u64) -> Id;
    /// What the store holds of these fields under an id.
    fn data(id: &Id, fields: Map<String, Value>) -> Value;

    /// Does it and waits.
    ///
    /// # Errors
    /// The store's, but for a conflict.
    fn perform(&self, call: &Call, durability: Durability) -> Outcome;
    /// Does it, and answers what to wait for.
    ///
    /// # Errors
    /// The store's.
    fn submit(&self, call: &Call, durability: Durability) -> Result<Waiting>;
    /// The record of an id: its version and data.
    ///
    /// # Errors
    /// The store's.
    fn get(&self, id: &Id) -> Result<Option<(u32, Value)>>;
    /// The records whose key begins so, in the order of their ids.
    ///
    /// # Errors
    /// The store's.
    fn rows(&self, prefix: &str) -> Result<Vec<(Id, u32, Value)>>;
    /// The keys that begin so, in order.
    ///
    /// # Errors
    /// The store's.
    fn keys(&self, prefix: &str) -> Result<Vec<String>>;
    /// The changes after a `seq`, or from now on.
    ///
    /// # Errors
    /// The store's.
    fn follow(&self, after: Option<u64>) -> Result<Follower>;
    /// Every write of the keys that begin so, in order, if the store keeps that.
    ///
    /// # Errors
    /// The store's.
    fn history(&self, _prefix: &str) -> Result<Option<Vec<Told>>> {
        Ok(None)
    }
    /// How many ids the table has, and the sum of their versions.
    ///
    /// # Errors
    /// The store's.
    fn in_sql(&self) -> Result<(u64, u64)>;
    /// Where memory and the databases differ, or these are not sound.
    ///
    /// # Errors
    /// The store's.
    fn problems(&self) -> Result<Vec<String>>;

    /// Flushes.
    ///
    /// # Errors
    /// The store's.
    fn flush(&self) -> Result<()>;
    /// Flushes and merges.
    ///
    /// # Errors
    /// The store's.
    fn compact(&self) -> Result<()>;
    /// Makes all writes durable.
    ///
    /// # Errors
    /// The store's.
    fn sync(&self) -> Result<()>;
    /// Makes a backup; answers its `seq`.
    ///
    /// # Errors
    /// The store's.
    fn backup(&self, dir: &Path) -> Result<u64>;
    /// Goes on with the log of another day, where there are such.
    ///
    /// # Errors
    /// The store's.
    fn roll_to(&self, _day: u8) -> Result<()> {
        Ok(())
    }
    /// The `seq` of the last write.
    fn last_seq(&self) -> u64;
    /// The last `seq` that is durable.
    fn durable_seq(&self) -> u64;
    /// How many writes are not flushed.
    fn unflushed(&self) -> usize;
    /// What the opening found.
    fn recovery(&self) -> &RecoveryReport;
    /// Closes the store.
    ///
    /// # Errors
    /// The store's.
    fn close(self) -> Result<()>;
}

/// What a call answers whose changes are these.
///
/// # Errors
/// That one, but for a conflict.
pub fn outcome(done: Result<Vec<Changed>>) -> Outcome {
    match done {
        Ok(mut changes) => {
            changes.sort();
            Ok(Ok(changes))
        }
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(Err(Conflict(error.present_version()))),
        Err(error) => Err(error),
    }
}
