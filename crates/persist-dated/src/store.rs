//! A store of one date.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use persist_core::data::Rules;
use persist_core::fs::Fs;
use persist_core::request::{self, Condition};
use persist_core::timestamp::IntoDate;
use persist_core::{Engine, Error, Result, Timestamp};
use serde::Serialize;
use time::Date;

use crate::config::DatedConfig;
use crate::export::{Export, export};
use crate::model::Dated;
use crate::put::Put;

/// A record of a dated store.
pub type Record = persist_core::Record<Dated>;

/// The durable records of one date; in SQL they are the table `storage`.
///
/// It is [`Send`] and [`Sync`]: share it among threads by reference or in an [`Arc`].
///
/// Dropping it closes it, and only logs what goes wrong; [`DatedStore::close`] returns that.
#[derive(Debug)]
pub struct DatedStore {
    date: Date,
    dir: PathBuf,
    clock: Arc<dyn persist_core::clock::Clock>,
    rules: Rules,
    fs: Arc<dyn Fs>,
    parquet: Option<PathBuf>,
    /// One export at a time.
    exporting: Mutex<()>,
    pub(crate) engine: Engine<Dated>,
}

impl DatedStore {
    /// Opens the store of a date, or makes it, and recovers what a crash left.
    ///
    /// The date is a [`time::Date`], a moment, or ISO text (`2025-01-15`, `2025-01-15T10:30:00`).
    /// A folder of the Python original is taken over; its files are kept with `.taken-over` added to their names, and
    /// [`recovery`](DatedStore::recovery) lists what could not be kept as it was.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) for a malformed date, [`Config`](persist_core::ErrorKind::Config) for
    /// an option out of bounds or another's database, [`Locked`](persist_core::ErrorKind::Locked) naming the process
    /// that has it open, [`Corrupt`](persist_core::ErrorKind::Corrupt) naming file, line and offset,
    /// [`Io`](persist_core::ErrorKind::Io) with the path.
    pub fn open(date: impl IntoDate, config: DatedConfig) -> Result<Self> {
        let date = date.into_date()?;
        let location = config.location(date);
        let (clock, rules) = (Arc::clone(&config.options.clock), config.options.rules.clone());
        let fs = Arc::clone(&config.options.fs);
        let engine = Engine::open(&location, config.options)?;
        let exporting = Mutex::new(());
        Ok(Self { date, dir: location.dir, clock, rules, fs, parquet: config.parquet, exporting, engine })
    }

    /// Stores a record under a key, with the special fields that its data names; on disk when it returns.
    ///
    /// # Errors
    /// As [`Put::data`].
    pub fn store<T: Serialize + ?Sized>(&self, key: &str, data: &T) -> Result<Arc<Record>> {
        self.put(key).data(data)
    }

    /// Begins a write that says more than its data does.
    pub fn put<'a>(&'a self, key: &'a str) -> Put<'a, &'a Self> {
        Put::new(self, key)
    }

    /// The records of all processes of a key, by process name; empty where there is none.
    pub fn get_key(&self, key: &str) -> BTreeMap<Option<String>, Arc<Record>> {
        let records = self.engine.get_key(key).into_iter();
        records.map(|record| (record.part().as_deref().map(str::to_owned), record)).collect()
    }

    /// The record of a key and a process name; `None` is the record without one.
    pub fn get_key_process(&self, key: &str, process_name: Option<&str>) -> Option<Arc<Record>> {
        self.engine.get(key, &[process_name])
    }

    /// Whether there is a record of a key and a process name; `None` is the record without one.
    pub fn contains(&self, key: &str, process_name: Option<&str>) -> bool {
        self.engine.contains(key, &[process_name])
    }

    /// Removes the record of a key and a process name, durably; `None` is the record without one. Answers the record that
    /// it removed, or `None` where there was none.
    ///
    /// The removal counts as a write: if the id is written again, its versions go on from there.
    ///
    /// # Errors
    /// As [`Put::data`].
    pub fn remove(&self, key: &str, process_name: Option<&str>) -> Result<Option<Arc<Record>>> {
        self.engine.write(request::Remove::new(key, process_name.map(Box::from)), None)
    }

    /// As [`DatedStore::remove`], only if there is such a record, at this version.
    ///
    /// # Errors
    /// As [`Put::data`]; [`Conflict`](persist_core::ErrorKind::Conflict) carries the
    /// [version](persist_core::Error::present_version) of the record that is there.
    pub fn remove_if_version(
        &self,
        key: &str,
        process_name: Option<&str>,
        version: u32,
    ) -> Result<Option<Arc<Record>>> {
        let condition = Some(Condition::Version(version));
        self.engine.write(request::Remove::new(key, process_name.map(Box::from)).when(condition), None)
    }

    /// The store's date.
    pub fn date(&self) -> Date {
        self.date
    }

    /// The store's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Exports all records written before this call to Parquet files below the configured root; `None` where there is
    /// no record.
    ///
    /// As [`DatedStore::export_to`].
    ///
    /// # Errors
    /// As [`DatedStore::export_to`]; [`Config`](persist_core::ErrorKind::Config) where no root is configured.
    pub fn export(&self) -> Result<Option<Export>> {
        let root = self.parquet.as_deref().ok_or_else(|| {
            Error::config("there is nowhere to export to: configure `parquet`, or name the root to `export_to`")
        })?;
        self.export_to(root)
    }

    /// Exports all records written before this call to Parquet files below `root`, durably; `None` where there is no
    /// record.
    ///
    /// There is a file for each process name, `process_name={percent-encoded}/date=YYYY-MM-DD/data.parquet`; records
    /// without one are below `__HIVE_DEFAULT_PARTITION__`, which readers take for NULL. Each file is replaced at once,
    /// and what an earlier export of this date wrote for other process names is removed. Other dates are not touched.
    /// The manifest, `_persist_export-YYYY-MM-DD.json`, is written last.
    ///
    /// # Errors
    /// [`Io`](persist_core::ErrorKind::Io), [`Database`](persist_core::ErrorKind::Database): some files may be new and
    /// others old, each of them whole; export again.
    /// [`Config`](persist_core::ErrorKind::Config) where another's Parquet files stand in a folder of this date, or the
    /// export of another store, which may be all there is of that: nothing is changed then.
    pub fn export_to(&self, root: impl AsRef<Path>) -> Result<Option<Export>> {
        let _one = self.exporting.lock();
        export(self.fs.as_ref(), &self.engine, self.date, self.now(), root.as_ref())
    }

    /// Closes the store: everything is flushed into the table `storage`, exported if a root is configured
    /// ([`DatedConfig::parquet`]), and the log is removed.
    ///
    /// # Errors
    /// What could not be done. Nothing acknowledged is lost then: the log stays, and the next opening replays it. After
    /// an export that failed the store is closed all the same.
    pub fn close(self) -> Result<()> {
        // A table without a delta is exported quicker.
        let exported = match &self.parquet {
            Some(root) => self.compact().and_then(|()| self.export_to(root)).map(drop),
            None => Ok(()),
        };
        self.engine.close().and(exported)
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.clock.unix_micros())
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }
}

persist_core::store_verbs!(DatedStore, Dated);
persist_core::memory_verbs!(DatedStore, Dated);
