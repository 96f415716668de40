//! A record as memory holds it.
//!
//! The data is kept as its normalized JSON text and parsed on demand, so that a record costs its text and little more.

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::key::Key;
use crate::model::Model;
use crate::timestamp::Timestamp;

/// A record that was stored: its id, its data, and when and how often it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<M: Model> {
    pub(crate) key: Key,
    pub(crate) part: M::Part,
    pub(crate) data: Box<str>,
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) version: u32,
}

impl<M: Model> Record<M> {
    /// The record's key.
    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// What tells the record apart from the others of its key.
    pub fn part(&self) -> &M::Part {
        &self.part
    }

    /// The data as normalized JSON text: an object, the special fields that were resolved among its members.
    pub fn json(&self) -> &str {
        &self.data
    }

    /// The data as the caller's own type.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) where the data does not have the shape of `T`.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.data).map_err(|error| {
            Error::input(format!("the record of key {:?} is no {}: {error}", self.key, std::any::type_name::<T>()))
                .with_source(error)
        })
    }

    /// When the record was written; never earlier than a record written before it.
    pub fn written_at(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.at)
    }

    /// How often this id has been written, this write included: 1 for the first.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The record's place in the log; `None` for one read back from DuckDB after the log was retired.
    pub fn seq(&self) -> Option<u64> {
        (self.seq > 0).then_some(self.seq)
    }
}
