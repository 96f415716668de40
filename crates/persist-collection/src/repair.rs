//! What to do about damage and loss: looking for it, rebuilding, repairing, restoring.

use std::path::Path;

use persist_core::timestamp::{IntoDate, IntoTimestamp, date_text};
use persist_core::{Backup, DatabaseFile, Engine, RepairReport, Restored, Result, Timestamp};

use crate::config::CollectionConfig;
use crate::model::Collection;
use crate::store::CollectionStore;

impl CollectionStore {
    /// Reads one of the two databases whole, and answers what is wrong with it; nothing, if it is sound. In the history
    /// ([`DatabaseFile::Main`]) each write stands once and the versions of an item have no gap; the newest items
    /// ([`DatabaseFile::Latest`]) are those of the history.
    ///
    /// # Errors
    /// [`Database`](persist_core::ErrorKind::Database) where it can't be asked at all.
    pub fn check_database_health(&self, file: DatabaseFile) -> Result<Vec<String>> {
        self.engine.in_service()?.check_health(file)
    }

    /// Brings what the log has in the folder of a date into `storage_history.duckdb`, where that is missing: the file was
    /// deleted because it was damaged. The first call begins with the newest backup in the dates' folders that is whole, and
    /// what that has is not brought in again. Answers how many records of the log were not there.
    ///
    /// The order of the dates does not matter. [`rebuild_latest_from_history`](Self::rebuild_latest_from_history) is the
    /// last step; it says if a date was left out. On a store in service there is nothing to do, and the answer is 0.
    ///
    /// ```
    /// use persist_collection::{CollectionConfig, CollectionStore, ErrorKind};
    /// use serde_json::json;
    ///
    /// # let base = tempfile::tempdir()?;
    /// # let base = base.path();
    /// let config = || CollectionConfig::new(base);
    /// let store = CollectionStore::open("2025-12-23", config())?;
    /// store.put("ada").item("seat").value("12A").data(&json!({}))?;
    /// store.close()?; // with a backup
    /// let store = CollectionStore::open("2025-12-24", config().backups(false))?;
    /// store.put("ada").item("seat").value("14C").data(&json!({}))?;
    /// # let other = tempfile::tempdir()?;
    /// # let copy = other.path().join("copy");
    /// # persist_test_utils::copy_as_crash_leaves_it(base, &copy);
    /// # drop(store);
    /// # let base = copy.as_path();
    /// # let config = || CollectionConfig::new(base);
    /// // Here the process was killed, and the disk damaged the file.
    /// std::fs::remove_file(base.join("storage_history.duckdb"))?;
    ///
    /// let store = CollectionStore::open("2025-12-24", config())?;
    /// assert_eq!(store.get_item("ada", "", "seat").unwrap_err().kind(), ErrorKind::Corrupt);
    /// assert_eq!(store.rebuild_history_from_wal("2025-12-23")?, 0); // the backup has it
    /// assert_eq!(store.rebuild_history_from_wal("2025-12-24")?, 1);
    /// assert_eq!(store.rebuild_latest_from_history()?, 1);
    /// assert_eq!(store.history("ada", "", "seat")?.len(), 2);
    /// # store.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) for a malformed date, [`Config`](persist_core::ErrorKind::Config) for one
    /// without a folder, [`Schema`](persist_core::ErrorKind::Schema) where a backup has other columns;
    /// [`Io`](persist_core::ErrorKind::Io), [`Database`](persist_core::ErrorKind::Database): call it again.
    pub fn rebuild_history_from_wal(&self, date: impl IntoDate) -> Result<u64> {
        self.engine.rebuild_history(&date_text(date.into_date()?))
    }

    /// Makes `storage_latest` anew of `storage_history`, also while the store is in use, and answers how many items there
    /// are. As the last step of rebuilding a history it puts both files in place, recovers what the log has besides, and
    /// brings the store into service.
    ///
    /// # Errors
    /// As [`flush`](Self::flush). [`Corrupt`](persist_core::ErrorKind::Corrupt) where records are missing that the history
    /// had: the message says which, and nothing is put in place. Bring in the dates it names; if the records are in no
    /// backup and in no log, open with [`RecoveryPolicy::Salvage`](crate::RecoveryPolicy::Salvage) to go on without them.
    pub fn rebuild_latest_from_history(&self) -> Result<u64> {
        self.engine.rebuild_latest()
    }

    /// Finds out which of the two database files of a store that is closed are damaged, and does what the error of
    /// [`open`](Self::open) says: the damaged file is renamed (`.broken` is added), and made anew, a history of the newest
    /// backup and the logs of all dates. What a crash left is recovered. The store is closed again, with a backup in the
    /// newest date's folder ([unless off](CollectionConfig::backups)).
    ///
    /// Both files are read whole. Of a sound store nothing is made anew.
    ///
    /// # Errors
    /// As [`open`](Self::open), [`rebuild_latest_from_history`](Self::rebuild_latest_from_history) and
    /// [`close`](Self::close); call it again when what it names is mended.
    pub fn repair(config: CollectionConfig) -> Result<RepairReport> {
        let today = Timestamp::from_unix_micros(config.options.clock.unix_micros());
        let location = config.location(today.to_offset_date_time().date());
        Engine::<Collection>::repair(&location, config.into_options())
    }

    /// Makes a store of a backup, below a base folder without files, and with `date` for its log; open it afterwards. The
    /// items and their histories are as they were at the backup's [`seq`](Backup::seq); `seq` and versions go on from there,
    /// under a new store id.
    ///
    /// The backup is read whole and stays as it is. A restore that was interrupted may be started over; if it then says
    /// that the database is there already, open the store: that finishes it.
    ///
    /// # Errors
    /// As [`CollectionStore::verify_backup`]. [`Config`](persist_core::ErrorKind::Config) also for a place that has files,
    /// and for a backup of another kind of store.
    pub fn restore(backup: impl AsRef<Path>, date: impl IntoDate, config: CollectionConfig) -> Result<Backup> {
        Engine::<Collection>::restore(backup.as_ref(), &config.location(date.into_date()?), &config.options)
    }

    /// Makes a store of the one in `base_dir` as it stood at a moment, by when the records were written, below a base folder
    /// without files; open it afterwards. It begins with the newest backup in the dates' folders of `base_dir` that is not
    /// after the moment, and goes on with the kept logs. `seq` and versions go on from there, under a new store id.
    ///
    /// The store in `base_dir` stays as it is, and may be in use. Restoring to the present moment makes a copy of it.
    ///
    /// # Errors
    /// As [`restore`](Self::restore). [`Gone`](persist_core::ErrorKind::Gone) for a moment before the oldest backup, unless
    /// the log goes back to the beginning; [`Corrupt`](persist_core::ErrorKind::Corrupt) naming the records that the logs
    /// lack. [`Input`](persist_core::ErrorKind::Input) for a text that is no moment.
    pub fn restore_to(
        base_dir: impl AsRef<Path>,
        moment: impl IntoTimestamp,
        date: impl IntoDate,
        config: CollectionConfig,
    ) -> Result<Restored> {
        let location = config.location(date.into_date()?);
        Engine::<Collection>::restore_to(base_dir.as_ref(), moment.into_timestamp()?, &location, &config.options)
    }
}
