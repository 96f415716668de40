//! Where a database keeps its files and how it works.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use persist_core::clock::{Clock, SystemClock};
use persist_core::fs::{Disk, Fs};
use persist_core::wal::RecoveryPolicy;
use persist_core::{Durability, Error, Result};

/// The options of a database. Each setter says its default.
///
/// ```
/// use std::time::Duration;
/// use persist_table::Config;
/// let config = Config::new().base_path("/var/lib/myapp/data").save_interval(Some(Duration::from_secs(60)));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    pub(crate) base_path: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) recovery: RecoveryPolicy,
    pub(crate) save_interval: Option<Duration>,
    pub(crate) save_log_bytes: Option<u64>,
    pub(crate) max_log_bytes: u64,
    pub(crate) max_record_bytes: usize,
    pub(crate) archives: Option<usize>,
    pub(crate) compress_archives: bool,
    pub(crate) compress_data: bool,
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_path: PathBuf::from("./data"),
            durability: Durability::Sync,
            recovery: RecoveryPolicy::Strict,
            save_interval: Some(Duration::from_secs(300)),
            save_log_bytes: Some(64 << 20),
            max_log_bytes: 64 << 20,
            max_record_bytes: 16 << 20,
            archives: Some(10),
            compress_archives: false,
            compress_data: false,
            fs: Arc::new(Disk),
            clock: Arc::new(SystemClock::default()),
        }
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The folder that holds a folder for each database. Default `./data`.
    #[must_use]
    pub fn base_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.base_path = path.into();
        self
    }

    /// When a write is acknowledged; [`Rows::durability`](crate::Rows::durability) says otherwise for some. Default: when it
    /// is on the disk.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// What opening does about a damaged log. Default: it refuses, and changes nothing.
    #[must_use]
    pub fn recovery(mut self, policy: RecoveryPolicy) -> Self {
        self.recovery = policy;
        self
    }

    /// Changed tables are saved after so long at most; `None`: not by time. Default 5 minutes.
    #[must_use]
    pub fn save_interval(mut self, interval: Option<Duration>) -> Self {
        self.save_interval = interval;
        self
    }

    /// When the log has grown by so many bytes, changed tables are saved, and the log is archived; `None`: not by size.
    /// Default 64 MiB.
    #[must_use]
    pub fn save_log_bytes(mut self, bytes: Option<u64>) -> Self {
        self.save_log_bytes = bytes;
        self
    }

    /// The size in bytes past which the log goes on in another file; the one before stays beside it, by its number, until a
    /// checkpoint. Default 64 MiB.
    #[must_use]
    pub fn max_log_bytes(mut self, bytes: u64) -> Self {
        self.max_log_bytes = bytes;
        self
    }

    /// The largest record in bytes of JSON. Default 16 MiB.
    #[must_use]
    pub fn max_record_bytes(mut self, bytes: usize) -> Self {
        self.max_record_bytes = bytes;
        self
    }

    /// So many archived logs stay; a checkpoint removes the oldest beyond that. `None`: all stay. Default 10.
    #[must_use]
    pub fn archives(mut self, number: Option<usize>) -> Self {
        self.archives = number;
        self
    }

    /// Whether archived logs are compressed with gzip. Default `false`.
    #[must_use]
    pub fn compress_archives(mut self, compress: bool) -> Self {
        self.compress_archives = compress;
        self
    }

    /// Whether the files of the records are compressed with gzip: `student.records.gz`. A file that is otherwise is
    /// rewritten with the table's next save. Default `false`.
    #[must_use]
    pub fn compress_data(mut self, compress: bool) -> Self {
        self.compress_data = compress;
        self
    }

    /// The file system. For tests.
    #[must_use]
    pub fn fs(mut self, fs: Arc<dyn Fs>) -> Self {
        self.fs = fs;
        self
    }

    /// The clock. For tests.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let refuse = |option: &str, bound: &str| Err(Error::config(format!("{option} must be {bound}")));
        match self {
            _ if self.max_log_bytes < 4096 => refuse("max_log_bytes", "at least 4096"),
            _ if self.save_interval == Some(Duration::ZERO) => refuse("save_interval", "more than zero"),
            _ if self.save_log_bytes == Some(0) => refuse("save_log_bytes", "at least 1"),
            _ if self.max_record_bytes == 0 => refuse("max_record_bytes", "at least 1"),
            _ if self.durability == Durability::Interval(Duration::ZERO) => {
                refuse("durability", "an interval above zero")
            }
            _ => Ok(()),
        }
    }
}
