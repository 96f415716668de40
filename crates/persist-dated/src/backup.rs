//! Backups of a dated store, and stores made of them.

use std::path::Path;

use persist_core::{Backup, Engine, Result};

use crate::config::DatedConfig;
use crate::model::Dated;
use crate::moment::IntoDate;
use crate::store::DatedStore;

persist_core::backup_verbs!(DatedStore, Dated, DatedConfig);

impl DatedStore {
    /// Makes the store of a date from a backup of that date, below a base folder where the date has no files yet; open
    /// it afterwards. The records are as they were at the backup's [`seq`](Backup::seq); `seq` and versions go on from
    /// there, under a new store id.
    ///
    /// The backup is read whole and stays as it is. A restore that was interrupted may be started over; if it then says
    /// that the database is there already, open the store: that finishes it.
    ///
    /// ```
    /// use persist_dated::{DatedConfig, DatedStore};
    /// use serde_json::json;
    ///
    /// # let base = tempfile::tempdir()?;
    /// # let base = base.path();
    /// let store = DatedStore::open("2025-01-15", DatedConfig::new(base.join("live")))?;
    /// store.store("task", &json!({"progress": 75}))?;
    /// let backup = store.backup(base.join("backups/2025-01-15-a"))?;
    /// assert_eq!((backup.seq, backup.rows), (1, 1));
    /// store.store("task", &json!({"progress": 100}))?;
    ///
    /// let elsewhere = DatedConfig::new(base.join("restored"));
    /// DatedStore::restore(&backup.dir, "2025-01-15", elsewhere.clone())?;
    /// let restored = DatedStore::open("2025-01-15", elsewhere)?;
    /// assert_eq!(restored.get_key_process("task", None).unwrap().to::<serde_json::Value>()?["progress"], 75);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`DatedStore::verify_backup`]. [`Config`](persist_core::ErrorKind::Config) also for a backup of another date,
    /// and for a place that has files. [`Locked`](persist_core::ErrorKind::Locked), [`Io`](persist_core::ErrorKind::Io).
    pub fn restore(backup: impl AsRef<Path>, date: impl IntoDate, config: DatedConfig) -> Result<Backup> {
        Engine::<Dated>::restore(backup.as_ref(), &config.location(date.into_date()?), &config.options)
    }
}
