//! One write, with whatever is said beside the data, and several as one step.

use persist_core::data::Specials;
use persist_core::request::{self, Condition};
use persist_core::{Durability, Entry, Result, Scalar};
use serde::Serialize;

use crate::model::{Collection, ItemName};
use crate::store::CollectionStore;
use crate::value::IntoValue;

/// A write that is being put together, for a store or for a [`Batch`]; [`Put::data`] makes it.
///
/// What is said here beats a field of the data, and a field beats the default.
#[derive(Debug)]
#[must_use = "nothing is written before `data` is called"]
pub struct Put<'a, T = &'a CollectionStore> {
    to: T,
    key: &'a str,
    collection: &'a str,
    item: &'a str,
    value: Result<Option<Scalar>>,
    specials: Specials<'a>,
    condition: Option<Condition>,
    durability: Option<Durability>,
}

impl<'a, T> Put<'a, T> {
    pub(crate) fn new(to: T, key: &'a str) -> Self {
        let specials = Specials::default();
        Self { to, key, collection: "", item: "", value: Ok(None), specials, condition: None, durability: None }
    }

    /// The item's name within its collection. Default: the empty name.
    pub fn item(mut self, name: &'a str) -> Self {
        self.item = name;
        self
    }

    /// The collection. Default: the one with the empty name.
    pub fn collection(mut self, name: &'a str) -> Self {
        self.collection = name;
        self
    }

    /// The typed value, which is kept beside the data, whatever that has under this name. Default: none.
    pub fn value(mut self, value: impl IntoValue) -> Self {
        self.value = value.into_value();
        self
    }

    fn request<D: Serialize + ?Sized>(
        &mut self,
        store: &CollectionStore,
        data: &D,
    ) -> Result<request::Put<Collection>> {
        let value = std::mem::replace(&mut self.value, Ok(None))?;
        let settled = self.specials.settle(data, [], store.now(), &store.rules)?;
        let name = ItemName::new(self.collection, self.item);
        let entry = Entry::<Collection>::new(self.key, name, settled.data).value(value);
        Ok(request::Put::new(entry.repeating(settled.username.as_deref(), settled.timestamp)).when(self.condition))
    }
}

persist_core::special_verbs!();
persist_core::write_verbs!(CollectionStore, Collection);
persist_core::key_verbs!(CollectionStore, Collection);

impl Batch<'_> {
    /// Adds the removal of an item.
    pub fn remove_item(&mut self, key: &str, collection: &str, item: &str) {
        self.request.remove(request::Remove::new(key, ItemName::new(collection, item)));
    }

    /// As [`Batch::remove_item`], only if there is such an item, at this version; otherwise the whole batch is a
    /// [`Conflict`](persist_core::ErrorKind::Conflict).
    pub fn remove_item_if_version(&mut self, key: &str, collection: &str, item: &str, version: u32) {
        let remove = request::Remove::new(key, ItemName::new(collection, item));
        self.request.remove(remove.when(Some(Condition::Version(version))));
    }

    /// Adds the removal of all items of a collection.
    pub fn remove_collection(&mut self, key: &str, collection: &str) {
        self.request.remove_key(request::RemoveKey::within(key, &[Some(collection)]));
    }
}
