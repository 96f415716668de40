//! What a store can do, in the words of the naive one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use persist_core::fs::{Disk, Fs};
use persist_core::wal::RecoveryReport;
use persist_core::{Durability, ErrorKind, Result, Timestamp};
use serde_json::{Map, Value};

use crate::oracle::{Call, Changed, Conflict, Id};

/// The changes, in the order of their ids and versions.
pub type Outcome = Result<std::result::Result<Vec<Changed>, Conflict>>;
/// What is to be waited for.
pub type Waiting = Box<dyn FnOnce() -> Outcome + Send>;
/// A record: its id, version and data.
pub type Row = (Id, u32, Value);
/// Changes as a subscriber is told of them.
pub type Follower = Box<dyn Iterator<Item = Result<Told>> + Send>;

/// A change that a store tells of.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its `seq`.
    pub seq: u64,
    /// What was changed.
    pub changed: Changed,
    /// What was put.
    pub data: Option<Value>,
    /// When.
    pub at: Timestamp,
}

/// The options that the tests set.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Settings {
    pub batch_size: usize,
    pub flush_interval: Duration,
    pub max_wal_size_bytes: u64,
    pub max_wal_age: Duration,
    pub max_wal_records: u64,
    pub max_unflushed_bytes: u64,
    pub busy_timeout: Duration,
    /// Whether a store that can makes backups by itself.
    pub backups: bool,
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
            max_unflushed_bytes: 256 << 20,
            busy_timeout: Duration::from_secs(5),
            backups: false,
            fs: Arc::new(Disk),
        }
    }
}

/// A store under test. The data of a record is what is read back.
pub trait Subject: Sized + Send + Sync + 'static {
    /// What it is called on the command line.
    const NAME: &'static str;
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
    fn rows(&self, prefix: &str) -> Result<Vec<Row>>;
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
    /// What SQL says of the newest records, in the order of their ids.
    ///
    /// # Errors
    /// The store's.
    fn table(&self) -> Result<Vec<Row>>;
    /// Every write there was, in order, if the store keeps them.
    ///
    /// # Errors
    /// The store's.
    fn history(&self) -> Result<Option<Vec<Told>>> {
        Ok(None)
    }
    /// Every write of an id, in order, if the store keeps them.
    ///
    /// # Errors
    /// The store's.
    fn history_of(&self, _id: &Id) -> Result<Option<Vec<Told>>> {
        Ok(None)
    }
    /// The records as they stood at a moment, by their timestamps, or by when they were written, if the store tells that.
    ///
    /// # Errors
    /// The store's.
    fn as_of(&self, _moment: Timestamp, _written: bool) -> Result<Option<Vec<Row>>> {
        Ok(None)
    }
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
    /// Makes the newest records anew of all writes, where these are kept; answers how many there are.
    ///
    /// # Errors
    /// The store's.
    fn rebuild_latest(&self) -> Result<Option<u64>> {
        Ok(None)
    }
    /// Loses the file of the history of a store that is closed, or that a crash has left, and opens the store again: after
    /// what its error says was done, or after a repair in one call. Where a history is kept.
    ///
    /// # Errors
    /// The store's.
    fn lose_history(_dir: &Path, _day: u8, _settings: &Settings, _by_hand: bool) -> Result<Option<Self>> {
        Ok(None)
    }
    /// Makes a store of the one in `from` as it stood at a moment; answers its `seq`. Where a history is kept.
    ///
    /// # Errors
    /// The store's.
    fn restore_to(_from: &Path, _moment: Timestamp, _dir: &Path, _day: u8, _: &Settings) -> Result<Option<u64>> {
        Ok(None)
    }
    /// Forgets the versions of what was removed, where that can be; answers of how many ids.
    ///
    /// # Errors
    /// The store's.
    fn forget_removed(&self) -> Result<Option<usize>> {
        Ok(None)
    }
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
    /// Exports to this root, where that can be; answers how many records.
    ///
    /// # Errors
    /// The store's.
    fn export(&self, _root: &Path) -> Result<Option<u64>> {
        Ok(None)
    }
    /// Reads all that was exported to a root, and answers how many records that is.
    ///
    /// # Errors
    /// The store's, also for a file that is not whole.
    fn exported(&self, _root: &Path) -> Result<u64> {
        Ok(0)
    }
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
