//! What all handles of a database share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use persist_core::fs::{Fs, read, replace};
use persist_core::lock::Lock;
use persist_core::wal::{Ancestor, Log, Reach, RecoveryReport};
use persist_core::{Durability, Error, ErrorKind, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::keeper::Signal;
use crate::paths::Paths;
use crate::slot::Table;

/// A database.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) catalog: RwLock<BTreeMap<String, Table>>,
    /// One transaction at a time holds several tables, so that none waits for another in a circle.
    pub(crate) transactions: Mutex<()>,
    /// `None` where the database is in memory alone.
    pub(crate) storage: Option<Storage>,
}

/// The files of a database.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) paths: Paths,
    pub(crate) lineage: Vec<Ancestor>,
    pub(crate) log: Log,
    pub(crate) signal: Arc<Signal>,
    /// Held by who saves, or makes and drops tables.
    pub(crate) saving: Mutex<Identity>,
    pub(crate) recovery: RecoveryReport,
    /// Given back when the database is closed, whoever still has a handle.
    pub(crate) lock: Mutex<Option<Lock>>,
}

/// `database.json`: whose files these are, and up to where of the log the tables' files have everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    format: u32,
    pub(crate) id: String,
    pub(crate) saved_seq: u64,
    /// A damaged log is being recovered, or was, and not everything is saved since: what the log has may not fit what the
    /// tables' files have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_damaged: bool,
    /// A log of another program that is still to be brought into the tables, or was, and not everything is saved since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plain_log: Option<String>,
    /// Tables that were dropped and whose files are still to be removed.
    #[serde(skip)]
    pub(crate) dropped: BTreeSet<String>,
}

impl Identity {
    const FORMAT: u32 = 1;

    pub(crate) fn new(id: String) -> Self {
        Self { format: Self::FORMAT, id, saved_seq: 0, is_damaged: false, plain_log: None, dropped: BTreeSet::new() }
    }

    /// `None` where there is none yet.
    pub(crate) fn load(fs: &dyn Fs, path: &Path) -> Result<Option<Self>> {
        let bytes = match read(fs, path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| Error::io("cannot read", path, error))?,
        };
        let identity: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::Corrupt, format!("{} can't be read: {error}", path.display())).with_source(error)
        })?;
        if identity.format != Self::FORMAT {
            let (present, wanted) = (identity.format, Self::FORMAT);
            return Err(Error::config(format!("{} has format {present}, this version reads {wanted}", path.display())));
        }
        Ok(Some(identity))
    }

    pub(crate) fn write(&self, fs: &dyn Fs, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::config(format!("cannot write {}: {error}", path.display())).with_source(error))?;
        text.push(b'\n');
        replace(fs, path, &text)
    }
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.config.clock.unix_micros())
    }

    /// A table of the catalog.
    ///
    /// # Errors
    /// `Input`, naming those that there are.
    pub(crate) fn table(&self, name: &str) -> Result<Table> {
        let catalog = self.catalog.read();
        catalog.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = catalog.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::input(format!("database {} has no table {name:?}; there are: {known}", self.name))
        })
    }

    /// All tables, by their names.
    pub(crate) fn tables(&self) -> Vec<Table> {
        self.catalog.read().values().cloned().collect()
    }
}

impl Storage {
    /// Waits until a write has come as far as it has to.
    pub(crate) fn acknowledge(&self, seq: u64, durability: Durability) -> Result<()> {
        match durability {
            Durability::Os => self.log.wait(seq, Reach::Written),
            // Without the thread that syncs, nobody would.
            Durability::Interval(interval) if self.signal.is_heard() => {
                self.log.wait(seq, Reach::Written)?;
                self.signal.want_sync_within(interval);
                Ok(())
            }
            _ => self.log.wait(seq, Reach::Durable),
        }
    }
}
