//! One write, with whatever is said beside the data.

use std::sync::Arc;

use persist_core::data::{normalize, to_json};
use persist_core::{Durability, Entry, Result};
use serde::Serialize;

use crate::store::{KvStore, Record};

/// A write that is being put together; [`Put::data`] makes it.
#[derive(Debug)]
#[must_use = "nothing is written before `data` is called"]
pub struct Put<'a> {
    store: &'a KvStore,
    key: &'a str,
    durability: Option<Durability>,
}

impl<'a> Put<'a> {
    pub(crate) fn new(store: &'a KvStore, key: &'a str) -> Self {
        Self { store, key, durability: None }
    }

    /// When this write is acknowledged. Default: what the configuration says.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Writes the record with this data, which must serialize to a JSON object. Answers the record as it now stands.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) naming the field: nothing was written.
    /// [`Io`](persist_core::ErrorKind::Io), [`Busy`](persist_core::ErrorKind::Busy): nothing was written.
    /// [`Poisoned`](persist_core::ErrorKind::Poisoned), [`Closed`](persist_core::ErrorKind::Closed).
    pub fn data<T: Serialize + ?Sized>(self, data: &T) -> Result<Arc<Record>> {
        let normalized = normalize(&to_json(data)?, &[], &self.store.rules)?;
        self.store.engine.put(Entry::new(self.key, (), normalized.text), self.durability)
    }
}
