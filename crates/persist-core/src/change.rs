//! What became of an id: it was written or removed.

use std::sync::Arc;

use crate::model::Model;
use crate::record::Record;
use crate::timestamp::Timestamp;

/// A change that was made to a store.
#[derive(Debug, Clone)]
pub enum Change<M: Model> {
    /// The record was written.
    Put(Arc<Record<M>>),
    /// The record was removed.
    Removed(Removed<M>),
}

impl<M: Model> Change<M> {
    /// The change that this record or removal is.
    pub(crate) fn of(record: Arc<Record<M>>) -> Self {
        if record.is_removal() { Self::Removed(Removed(record)) } else { Self::Put(record) }
    }

    /// The key.
    pub fn key(&self) -> &str {
        self.inner().key()
    }

    /// What tells the record apart from the others of its key.
    pub fn part(&self) -> &M::Part {
        self.inner().part()
    }

    /// How often the id has been written, this change included.
    pub fn version(&self) -> u32 {
        self.inner().version()
    }

    /// The change's place in the log.
    pub fn seq(&self) -> u64 {
        self.inner().seq
    }

    /// When the change was made; never earlier than a change before it.
    pub fn written_at(&self) -> Timestamp {
        self.inner().written_at()
    }

    /// The record as it stands now; `None` if it was removed.
    pub fn record(&self) -> Option<&Arc<Record<M>>> {
        match self {
            Self::Put(record) => Some(record),
            Self::Removed(_) => None,
        }
    }

    fn inner(&self) -> &Record<M> {
        match self {
            Self::Put(record) | Self::Removed(Removed(record)) => record,
        }
    }
}

/// The removal of a record.
#[derive(Debug, Clone)]
pub struct Removed<M: Model>(Arc<Record<M>>);

impl<M: Model> Removed<M> {
    /// The key.
    pub fn key(&self) -> &str {
        self.0.key()
    }

    /// What told the record apart from the others of its key.
    pub fn part(&self) -> &M::Part {
        self.0.part()
    }

    /// How often the id has been written, the removal included.
    pub fn version(&self) -> u32 {
        self.0.version()
    }

    /// The removal's place in the log.
    pub fn seq(&self) -> u64 {
        self.0.seq
    }

    /// When the record was removed.
    pub fn removed_at(&self) -> Timestamp {
        self.0.written_at()
    }
}
