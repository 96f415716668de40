//! A collection store.

use std::collections::BTreeMap;
use std::sync::Arc;

use persist_core::clock::Clock;
use persist_core::data::Rules;
use persist_core::request::{self, Condition};
use persist_core::timestamp::IntoDate;
use persist_core::{Engine, Result, Timestamp};
use serde::Serialize;
use time::Date;

use crate::config::CollectionConfig;
use crate::model::{Collection, ItemName};
use crate::put::Put;

/// A record of a collection store: an item as it was written.
pub type Record = persist_core::Record<Collection>;

/// Durable items by key, collection and name, with all that was ever written of each. In SQL the newest of each item are
/// the table `storage_latest`, and all writes are the table `storage_history`.
///
/// It is [`Send`] and [`Sync`]: share it among threads by reference or in an [`Arc`].
///
/// Dropping it closes it, and only logs what goes wrong; [`CollectionStore::close`] returns that.
#[derive(Debug)]
pub struct CollectionStore {
    date: Date,
    clock: Arc<dyn Clock>,
    pub(crate) rules: Rules,
    pub(crate) engine: Engine<Collection>,
}

impl CollectionStore {
    /// Opens the store, or makes it, and recovers what a crash left.
    ///
    /// The date is a [`time::Date`], a moment, or ISO text (`2025-12-24`, `2025-12-24T10:30:00`). The items of all dates
    /// are in one store.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) for a malformed date, [`Config`](persist_core::ErrorKind::Config) for
    /// an option out of bounds or another's database, [`Locked`](persist_core::ErrorKind::Locked) naming the process
    /// that has it open, [`Corrupt`](persist_core::ErrorKind::Corrupt) naming file, line and offset,
    /// [`Io`](persist_core::ErrorKind::Io) with the path.
    pub fn open(date: impl IntoDate, config: CollectionConfig) -> Result<Self> {
        let date = date.into_date()?;
        let location = config.location();
        let (clock, rules) = (Arc::clone(&config.options.clock), config.options.rules.clone());
        Ok(Self { date, clock, rules, engine: Engine::open(&location, config.options)? })
    }

    /// Stores data under a key, as the item of the empty name in the collection of the empty name; on disk when it
    /// returns. [`put`](Self::put) says which item it is.
    ///
    /// # Errors
    /// As [`Put::data`].
    pub fn store<T: Serialize + ?Sized>(&self, key: &str, data: &T) -> Result<Arc<Record>> {
        self.put(key).data(data)
    }

    /// Begins a write of an item.
    pub fn put<'a>(&'a self, key: &'a str) -> Put<'a, &'a Self> {
        Put::new(self, key)
    }

    /// All items of a key: collection, then name. Empty where there is none.
    ///
    /// # Errors
    /// [`Database`](persist_core::ErrorKind::Database).
    pub fn get_key(&self, key: &str) -> Result<BTreeMap<String, BTreeMap<String, Arc<Record>>>> {
        let mut collections: BTreeMap<String, BTreeMap<String, Arc<Record>>> = BTreeMap::new();
        for record in self.engine.get_key(key) {
            let name = record.part();
            let collection = collections.entry(name.collection().to_owned()).or_default();
            collection.insert(name.item().to_owned(), record);
        }
        Ok(collections)
    }

    /// The items of a collection, by name. Empty where there is none.
    ///
    /// # Errors
    /// As [`get_key`](Self::get_key).
    pub fn get_key_in(&self, key: &str, collection: &str) -> Result<BTreeMap<String, Arc<Record>>> {
        let records = self.engine.get_key(key).into_iter().filter(|record| record.part().collection() == collection);
        Ok(records.map(|record| (record.part().item().to_owned(), record)).collect())
    }

    /// An item.
    ///
    /// # Errors
    /// As [`get_key`](Self::get_key).
    pub fn get_item(&self, key: &str, collection: &str, item: &str) -> Result<Option<Arc<Record>>> {
        Ok(self.engine.get(key, &[Some(collection), Some(item)]))
    }

    /// Whether there is an item.
    ///
    /// # Errors
    /// As [`get_key`](Self::get_key).
    pub fn contains(&self, key: &str, collection: &str, item: &str) -> Result<bool> {
        Ok(self.get_item(key, collection, item)?.is_some())
    }

    /// Removes an item, durably. Answers the record that it removed, or `None` where there was none.
    ///
    /// The removal counts as a write: it stands in the history with a version of its own, and if the item is written
    /// again, its versions go on from there.
    ///
    /// # Errors
    /// As [`Put::data`].
    pub fn remove_item(&self, key: &str, collection: &str, item: &str) -> Result<Option<Arc<Record>>> {
        self.engine.write(request::Remove::new(key, ItemName::new(collection, item)), None)
    }

    /// As [`remove_item`](Self::remove_item), only if there is such an item, at this version.
    ///
    /// # Errors
    /// As [`Put::data`]; [`Conflict`](persist_core::ErrorKind::Conflict) carries the
    /// [version](persist_core::Error::present_version) of the item that is there.
    pub fn remove_item_if_version(
        &self,
        key: &str,
        collection: &str,
        item: &str,
        version: u32,
    ) -> Result<Option<Arc<Record>>> {
        let remove = request::Remove::new(key, ItemName::new(collection, item));
        self.engine.write(remove.when(Some(Condition::Version(version))), None)
    }

    /// Removes all items of a collection as one step, durably. Answers those that it removed, in no particular order.
    ///
    /// # Errors
    /// As [`Put::data`].
    pub fn remove_collection(&self, key: &str, collection: &str) -> Result<Vec<Arc<Record>>> {
        self.engine.write(request::RemoveKey::within(key, &[Some(collection)]), None)
    }

    /// Brings the table `storage_latest` itself up to date in its file, for those who read that without this store.
    /// [`query`](Self::query) shows it right at every moment, and [`close`](Self::close) brings it up to date as well.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn refresh_latest(&self) -> Result<()> {
        self.engine.compact()
    }

    /// The date the store was opened for.
    pub fn date(&self) -> Date {
        self.date
    }

    /// Closes the store: everything is flushed into `storage_history`, `storage_latest` is brought up to date, and the
    /// log is removed.
    ///
    /// # Errors
    /// What could not be done. Nothing acknowledged is lost then: the log stays, and the next opening replays it.
    pub fn close(self) -> Result<()> {
        self.engine.close()
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.clock.unix_micros())
    }
}

persist_core::store_verbs!(CollectionStore, Collection);
