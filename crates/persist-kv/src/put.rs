//! One write, with whatever is said beside the data, and several as one step.

use persist_core::data::normalize_value;
use persist_core::request::{self, Condition};
use persist_core::{Durability, Entry, Result};
use serde::Serialize;

use crate::model::Kv;
use crate::store::KvStore;

/// A write that is being put together, for a store or for a [`Batch`]; [`Put::data`] makes it.
#[derive(Debug)]
#[must_use = "nothing is written before `data` is called"]
pub struct Put<'a, T = &'a KvStore> {
    to: T,
    key: &'a str,
    condition: Option<Condition>,
    durability: Option<Durability>,
}

impl<'a, T> Put<'a, T> {
    pub(crate) fn new(to: T, key: &'a str) -> Self {
        Self { to, key, condition: None, durability: None }
    }

    fn request<D: Serialize + ?Sized>(&mut self, store: &KvStore, data: &D) -> Result<request::Put<Kv>> {
        let data = normalize_value(data, &[], &store.rules)?;
        Ok(request::Put::new(Entry::new(self.key, (), data.text)).when(self.condition))
    }
}

persist_core::write_verbs!(KvStore, Kv);

impl Batch<'_> {
    /// Adds the removal of the record of a key.
    pub fn remove(&mut self, key: &str) {
        self.request.remove(request::Remove::new(key, ()));
    }

    /// As [`Batch::remove`], only if there is a record, at this version; otherwise the whole batch is a
    /// [`Conflict`](persist_core::ErrorKind::Conflict).
    pub fn remove_if_version(&mut self, key: &str, version: u32) {
        self.request.remove(request::Remove::new(key, ()).when(Some(Condition::Version(version))));
    }
}
