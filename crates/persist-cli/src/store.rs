//! Opens a store as its owner would, so that everything acknowledged is there, and closes it again.
//!
//! What the owner has configured is not written down, so the options here are those that lose nothing of it: the log that
//! followers may still want is kept, and no backup goes, however old. The owner's next opening does as it is configured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use persist_collection::{CollectionConfig, CollectionStore};
use persist_core::Timestamp;
use persist_core::clock::{Clock, SystemClock};
use persist_core::fs::{Disk, Fs};
use persist_core::timestamp::date_text;
use persist_core::wal::{RecoveryPolicy, RecoveryReport};
use persist_dated::{DatedConfig, DatedStore};
use persist_kv::{KvConfig, KvStore};

use crate::failure::{Failure, Result};
use crate::folder::{Folder, Place, date_folders, names, some};

/// Longer than any follower is away.
const KEEP: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Which store is meant, and what it can't be asked for while it is closed.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StoreArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) shape: Shape,
}

/// What a store looks like, as far as its folder does not say.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Shape {
    /// The DuckDB file, where it is not in the store's folder
    #[arg(long, value_name = "FILE")]
    pub(crate) database: Option<PathBuf>,
    /// An extra column of the store with its Arrow type, such as `seats=int64`; once for each, in their order
    #[arg(long = "column", value_name = "NAME=TYPE", value_parser = column)]
    pub(crate) columns: Vec<(String, String)>,
    /// What opening does about a damaged log.
    #[arg(skip)]
    recovery: RecoveryPolicy,
    /// Whether the database is made if it is not there.
    #[arg(skip)]
    is_new: bool,
    /// The disk, where somebody watches it.
    #[arg(skip)]
    watched: Option<Arc<dyn Fs>>,
}

fn column(text: &str) -> Result<(String, String), String> {
    let column = text.split_once('=').ok_or("write NAME=TYPE, such as seats=int64")?;
    Ok((column.0.to_owned(), column.1.to_owned()))
}

/// A store that is open.
#[derive(Debug)]
pub(crate) enum Store {
    /// Of a date.
    Dated(Box<DatedStore>),
    /// Of items and their history.
    Collection(Box<CollectionStore>),
    /// Of keys and records.
    Kv(Box<KvStore>),
}

impl StoreArgs {
    /// The one store that is meant.
    pub(crate) fn one(&self) -> Result<Folder> {
        match self.place.find()? {
            Folder::Dates(base, dates) => {
                let message = format!("{} has {}: name one with --date", base.display(), some(&dates));
                Err(Failure::Usage(message))
            }
            found @ Folder::Unfinished(_) => {
                let dir = found.dir();
                Err(Failure::Unfit(format!("{} is unfinished: `persist inspect` says what to do", dir.display())))
            }
            found @ (Folder::Backup(_) | Folder::Exports(..)) => {
                let message = format!("{} is {}: it is read by `query` alone", found.dir().display(), found.name());
                Err(Failure::Unfit(message))
            }
            store => Ok(store),
        }
    }

    /// The one store that is meant, which nobody has open.
    pub(crate) fn one_without_owner(&self) -> Result<Folder> {
        let folder = self.one()?;
        folder.refuse_owner()?;
        Ok(folder)
    }

    /// Opens the one store that is meant.
    pub(crate) fn open(&self) -> Result<Store> {
        Store::open(&self.one()?, &self.shape)
    }
}

impl Shape {
    /// The same, with a disk that somebody watches.
    pub(crate) fn watched(&self, fs: Arc<dyn Fs>) -> Self {
        Self { watched: Some(fs), ..self.clone() }
    }

    /// The same; what is lost of a damaged log is given up, if that is said.
    pub(crate) fn salvaging(&self, is_salvaged: bool) -> Self {
        let recovery = if is_salvaged { RecoveryPolicy::Salvage } else { RecoveryPolicy::Strict };
        Self { recovery, ..self.clone() }
    }

    /// The same, for a key-value store that is made in a folder.
    pub(crate) fn in_new_file(&self, dir: &Path) -> Self {
        let database = self.database.clone().or_else(|| Some(dir.join("data.duckdb")));
        Self { database, is_new: true, ..self.clone() }
    }

    fn fs(&self) -> Arc<dyn Fs> {
        self.watched.clone().unwrap_or_else(|| Arc::new(Disk))
    }

    /// The configuration of a dated store.
    pub(crate) fn dated(&self, base: &Path) -> DatedConfig {
        let config = DatedConfig::new(base).keep_log(KEEP).extra_schema(self.columns.clone());
        let config = config.recovery(self.recovery).fs(self.fs());
        match &self.database {
            Some(file) => config.db_path(absolute(file)),
            None => config,
        }
    }

    /// The database of a dated store in a folder.
    pub(crate) fn dated_database(&self, dir: &Path) -> PathBuf {
        self.database.as_deref().map_or_else(|| dir.join("data.duckdb"), absolute)
    }

    /// The configuration of a collection store.
    pub(crate) fn collection(&self, dir: &Path) -> Result<CollectionConfig> {
        let mut has_backup = false;
        let dates = if dir.exists() { date_folders(dir)? } else { Vec::new() };
        for date in dates {
            has_backup |= dir.join(date).join("manifest.json").exists();
        }
        let config = CollectionConfig::new(dir).keep_log(KEEP).extra_schema(self.columns.clone());
        let config = config.recovery(self.recovery).fs(self.fs());
        Ok(config.roll_at_midnight(false).retain_days(u32::MAX).backups(has_backup))
    }

    /// The configuration of a key-value store.
    pub(crate) fn kv(&self, dir: &Path) -> KvConfig {
        let config = KvConfig::new(dir).keep_log(KEEP).extra_schema(self.columns.clone());
        config.recovery(self.recovery).fs(self.fs())
    }

    /// The database of a key-value store.
    pub(crate) fn kv_database(&self, dir: &Path) -> Result<PathBuf> {
        if let Some(file) = &self.database {
            return match file.exists() || self.is_new {
                true => Ok(file.clone()),
                false => Err(Failure::Unfit(format!("there is no {}", file.display()))),
            };
        }
        let mut databases = names(dir)?;
        databases.retain(|name| name.ends_with(".duckdb"));
        match databases.as_slice() {
            [one] => Ok(dir.join(one)),
            found => {
                let found = if found.is_empty() { "none" } else { "several" };
                let message = format!(
                    "which DuckDB file belongs to {}? There is {found} in the folder: name it with --database FILE",
                    dir.display()
                );
                Err(Failure::Usage(message))
            }
        }
    }
}

impl Store {
    /// Opens a store that is there; none is made.
    pub(crate) fn open(folder: &Folder, shape: &Shape) -> Result<Self> {
        match folder {
            Folder::Dated { base, date } => Ok(Self::Dated(Box::new(DatedStore::open(date, shape.dated(base))?))),
            Folder::Collection(dir) => {
                // Not a new date's folder, if there is any.
                let date = match date_folders(dir)?.pop() {
                    Some(newest) => newest,
                    None => today(),
                };
                let config = shape.collection(dir)?;
                Ok(Self::Collection(Box::new(CollectionStore::open(&date, config)?)))
            }
            Folder::Kv(dir) => {
                let database = shape.kv_database(dir)?;
                Ok(Self::Kv(Box::new(KvStore::open(database, shape.kv(dir))?)))
            }
            Folder::Dates(..) | Folder::Backup(_) | Folder::Exports(..) | Folder::Unfinished(_) => {
                Err(Failure::Unfit(format!("{} is {}: it can't be opened", folder.dir().display(), folder.name())))
            }
        }
    }

    /// Bytes that wait to be flushed.
    pub(crate) fn unflushed_bytes(&self) -> u64 {
        match self {
            Self::Dated(store) => store.stats().unflushed_bytes,
            Self::Collection(store) => store.stats().unflushed_bytes,
            Self::Kv(store) => store.stats().unflushed_bytes,
        }
    }

    /// Brings all that was written into its database.
    pub(crate) fn flush(&self) -> Result<()> {
        match self {
            Self::Dated(store) => store.flush()?,
            Self::Collection(store) => store.flush()?,
            Self::Kv(store) => store.flush()?,
        }
        Ok(())
    }

    /// What opening it found in its log.
    pub(crate) fn recovery(&self) -> &RecoveryReport {
        match self {
            Self::Dated(store) => store.recovery(),
            Self::Collection(store) => store.recovery(),
            Self::Kv(store) => store.recovery(),
        }
    }

    /// Closes it: everything is in its database then.
    pub(crate) fn close(self) -> Result<()> {
        match self {
            Self::Dated(store) => store.close()?,
            Self::Collection(store) => store.close()?,
            Self::Kv(store) => store.close()?,
        }
        Ok(())
    }
}

/// The date in UTC.
pub(crate) fn today() -> String {
    date_text(now().to_offset_date_time().date())
}

/// The present moment.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_micros(SystemClock::default().unix_micros())
}

/// A path that means the same wherever it is taken from.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
