//! A collection store.

use std::collections::BTreeMap;
use std::sync::Arc;

use persist_core::clock::Clock;
use persist_core::data::Rules;
use persist_core::request::{self, Condition};
use persist_core::timestamp::{IntoDate, date_text};
use persist_core::{Opened, Result, Timestamp};
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
    clock: Arc<dyn Clock>,
    pub(crate) rules: Rules,
    pub(crate) engine: Opened<Collection>,
}

impl CollectionStore {
    /// Opens the store, or makes it, and recovers what a crash left.
    ///
    /// The date is a [`time::Date`], a moment, or ISO text (`2025-12-24`, `2025-12-24T10:30:00`). The items of all dates
    /// are in one store, which one process at a time has open: of its files a date only has the log. Logs of other dates
    /// that a crash left are recovered too.
    ///
    /// Where `storage_history.duckdb` is missing, and other files say that there was one, the store opens to be rebuilt:
    /// reads and writes are refused with what to do, until
    /// [`rebuild_latest_from_history`](Self::rebuild_latest_from_history) brings it into service. A missing
    /// `storage_latest.duckdb` is made anew at once.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) for a malformed date, [`Config`](persist_core::ErrorKind::Config) for
    /// an option out of bounds or another's database, [`Locked`](persist_core::ErrorKind::Locked) naming the process
    /// that has it open, [`Corrupt`](persist_core::ErrorKind::Corrupt) naming file, line and offset, and for a damaged
    /// database what to do, [`Io`](persist_core::ErrorKind::Io) with the path.
    pub fn open(date: impl IntoDate, config: CollectionConfig) -> Result<Self> {
        let date = date.into_date()?;
        let location = config.location(date);
        let (clock, rules) = (Arc::clone(&config.options.clock), config.options.rules.clone());
        let engine = Opened::open(&location, config.into_options())?;
        Ok(Self { clock, rules, engine })
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
        let engine = self.engine.in_service()?;
        engine.load(key, None)?;
        let mut collections: BTreeMap<String, BTreeMap<String, Arc<Record>>> = BTreeMap::new();
        for record in engine.get_key(key) {
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
        let engine = self.engine.in_service()?;
        engine.load(key, Some(&[Some(collection)]))?;
        let records = engine.get_key_where(key, |name| name.collection() == collection);
        Ok(records.into_iter().map(|record| (record.part().item().to_owned(), record)).collect())
    }

    /// An item. The first read or write of a collection reads all of it into memory.
    ///
    /// # Errors
    /// As [`get_key`](Self::get_key).
    pub fn get_item(&self, key: &str, collection: &str, item: &str) -> Result<Option<Arc<Record>>> {
        let fields = [Some(collection), Some(item)];
        let engine = self.engine.in_service()?;
        engine.load(key, Some(&fields))?;
        Ok(engine.get(key, &fields))
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
        self.engine.in_service()?.write(request::Remove::new(key, ItemName::new(collection, item)), None)
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
        self.engine.in_service()?.write(remove.when(Some(Condition::Version(version))), None)
    }

    /// Removes all items of a collection as one step, durably. Answers those that it removed, in no particular order.
    ///
    /// # Errors
    /// As [`Put::data`].
    pub fn remove_collection(&self, key: &str, collection: &str) -> Result<Vec<Arc<Record>>> {
        self.engine.in_service()?.write(request::RemoveKey::within(key, &[Some(collection)]), None)
    }

    /// All items, in no particular order. It reads all of them into memory first; see
    /// [`get_key`](Self::get_key) for those of a key.
    ///
    /// No lock is held while the caller has one. An item that is there throughout is given once; one that is written or
    /// removed meanwhile, in its old form, its new form, or not at all.
    ///
    /// # Errors
    /// As [`get_key`](Self::get_key).
    pub fn iter(&self) -> Result<impl Iterator<Item = Arc<Record>>> {
        self.iter_with_prefix("")
    }

    /// The items whose key begins with `prefix`, as [`iter`](Self::iter).
    ///
    /// # Errors
    /// As [`get_key`](Self::get_key).
    pub fn iter_with_prefix(&self, prefix: &str) -> Result<impl Iterator<Item = Arc<Record>>> {
        let engine = self.engine.in_service()?;
        engine.load_all()?;
        Ok(engine.records(prefix))
    }

    /// All keys, each once, as [`iter`](Self::iter).
    ///
    /// # Errors
    /// As [`get_key`](Self::get_key).
    pub fn keys(&self) -> Result<impl Iterator<Item = String>> {
        self.keys_with_prefix("")
    }

    /// The keys that begin with `prefix`, as [`iter`](Self::iter).
    ///
    /// # Errors
    /// As [`get_key`](Self::get_key).
    pub fn keys_with_prefix(&self, prefix: &str) -> Result<impl Iterator<Item = String>> {
        let engine = self.engine.in_service()?;
        engine.load_all()?;
        Ok(engine.keys(prefix))
    }

    /// Brings the table `storage_latest` itself up to date in its file, for those who read that without this store.
    /// [`query`](Self::query) shows it right at every moment, and [`close`](Self::close) brings it up to date as well.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn refresh_latest(&self) -> Result<()> {
        self.engine.in_service()?.compact()
    }

    /// The date whose folder takes the log: the one the store was opened for, or has gone on to since, by
    /// [`roll_to`](Self::roll_to) or [at midnight](CollectionConfig::roll_at_midnight).
    pub fn date(&self) -> Date {
        let folder = self.engine.log_folder().unwrap_or_default();
        // The engine takes no folder but a date's.
        folder.into_date().unwrap_or(Date::MIN)
    }

    /// Has the log go on in the folder of another date, while other threads read and write. No backup is made. If it is the
    /// date of this day, in UTC, the store goes on by itself [at midnight](CollectionConfig::roll_at_midnight).
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) for a malformed date. [`Io`](persist_core::ErrorKind::Io): call it again;
    /// until it succeeds the log may be in either folder. [`Poisoned`](persist_core::ErrorKind::Poisoned).
    pub fn roll_to(&self, date: impl IntoDate) -> Result<()> {
        self.engine.in_service()?.roll_to(&date_text(date.into_date()?))
    }

    /// Closes the store: everything is flushed into `storage_history`, `storage_latest` is brought up to date, both are
    /// backed up into the folder of [the date](Self::date) ([unless off](CollectionConfig::backups)), and of the log only what
    /// the oldest backup lacks is kept.
    ///
    /// # Errors
    /// What could not be done. Nothing acknowledged is lost then: it is in the databases, or in the log, which the next
    /// opening replays.
    pub fn close(self) -> Result<()> {
        self.engine.close()
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.clock.unix_micros())
    }
}

persist_core::store_verbs!(CollectionStore, Collection);
persist_core::backup_verbs!(CollectionStore, Collection, CollectionConfig);
