//! What the protocol asks of a database, and of a record.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::fs::Fs;

/// A record as the queue holds it.
pub trait Entry: Debug + Send + Sync {
    /// Its place in the log.
    fn seq(&self) -> u64;

    /// When it was written, in microseconds since 1970-01-01 UTC.
    fn at(&self) -> i64;

    /// What it takes in memory; only a rough measure of what waits.
    fn bytes(&self) -> u64;
}

/// An instance of a database, which gets lost as a whole when it can't write: what it committed since its last checkpoint
/// is not to be had from it again.
pub trait Base: Debug + Send + Sync {
    /// What appends to it, on a connection of its own.
    type Appender;

    /// What appends to it. It keeps the instance alive.
    ///
    /// # Errors
    /// The database's.
    fn appender(&self) -> Result<Self::Appender>;

    /// How far it has come.
    ///
    /// # Errors
    /// The database's.
    fn reached(&self) -> Result<Reached>;

    /// Moves what was appended into the main table, in one transaction. Flushes go on meanwhile.
    ///
    /// # Errors
    /// The database's: nothing was moved.
    fn merge(&self) -> Result<Merged>;

    /// Brings what was committed before the call into the main file and makes it durable; `false` where that is refused for
    /// now. What is committed meanwhile may be in the file or not.
    ///
    /// # Errors
    /// The database's: the file is as it was.
    fn checkpoint(&self, fs: &dyn Fs) -> Result<bool>;

    /// Whether the instance is lost with this error.
    fn is_lost(error: &Error) -> bool;
}

/// Takes records into a base.
pub trait Append<R> {
    /// Appends records, in the order of their `seq`, and says that all up to `watermark` are there: both or neither.
    /// Answers how many rows that were.
    ///
    /// # Errors
    /// The database's: nothing was appended, or the instance is lost.
    fn append(&mut self, records: &[Arc<R>], watermark: u64, at: i64) -> Result<usize>;
}

/// Where a base is, and how it is opened.
pub trait Place: Debug + Send + Sync {
    /// What is there.
    type Base: Base;

    /// The database's file.
    fn path(&self) -> &Path;

    /// Opens it as of its last checkpoint, whatever it committed after that.
    ///
    /// # Errors
    /// The database's.
    fn open(&self) -> Result<Self::Base>;

    /// Notes durably, beside the file, that it has everything up to this `seq`.
    ///
    /// # Errors
    /// The file system's.
    fn note(&self, checkpointed: u64) -> Result<()>;
}

/// How far a base has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// Up to this `seq` all records are in it.
    pub watermark: u64,
    /// The rows of the main table.
    pub base_rows: u64,
    /// The rows that wait for a merge.
    pub delta_rows: u64,
}

/// What a merge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// Rows put into the base: the newest of each id that is there.
    pub rows_moved: u64,
    /// Rows taken out of the base, because the delta had a newer one or a removal.
    pub rows_replaced: u64,
    /// Rows of the base written once more, to keep it in order.
    pub rows_rewritten: u64,
    /// The rows of the base afterwards.
    pub base_rows: u64,
}
