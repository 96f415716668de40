//! The options that all stores share, with their defaults and bounds.
//!
//! A store's own configuration holds an [`Options`] and gets the setters from [`shared_options!`](crate::shared_options),
//! so that each option is named, explained and checked once.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::data::{MAX_DEPTH, Rules};
use crate::error::{Error, Result};
use crate::fs::{Disk, Fs};
use crate::timestamp::TimestampPolicy;
use crate::wal::RecoveryPolicy;

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// When it is on the disk (`fdatasync`): it survives a power cut, and so does every write before it.
    #[default]
    Sync,
    /// When the operating system has it: it survives the death of the process, and a power cut after at most so long
    /// (and however long a flush takes that is under way then).
    Interval(Duration),
    /// When the operating system has it: it survives the death of the process. A power cut may take what was not
    /// flushed or synced for another reason.
    Os,
}

/// The options that all stores share.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// See the setter.
    pub max_wal_size_bytes: u64,
    /// See the setter.
    pub max_wal_age: Duration,
    /// See the setter.
    pub max_wal_records: Option<u64>,
    /// See the setter.
    pub keep_log: Duration,
    /// In a model with [log folders](crate::Model::LOG_FOLDERS): a backup is made in the present one when the store is
    /// closed, and one that is for so many days before the newest may go. Default `None`: no backup by itself.
    pub backups: Option<u32>,
    /// In a model with [log folders](crate::Model::LOG_FOLDERS): if the log lies in the one for the present moment, it
    /// goes on in the next when its time has come. Default `false`.
    pub roll_by_clock: bool,
    /// See the setter.
    pub batch_size: usize,
    /// See the setter.
    pub flush_interval: Duration,
    /// See the setter.
    pub durability: Durability,
    /// See the setter.
    pub recovery: RecoveryPolicy,
    /// See the setters `max_record_bytes`, `max_depth` and `timestamps`.
    pub rules: Rules,
    /// Name and type of each extra column. See the setter.
    pub extra_schema: Vec<(String, String)>,
    /// See the setter.
    pub unfit_extra_is_null: bool,
    /// See the setter.
    pub max_unflushed_bytes: u64,
    /// See the setter.
    pub busy_timeout: Duration,
    /// Whether the databases of a model that keeps all writes are read whole at each opening; otherwise only after a stop
    /// without a close.
    pub check_at_open: bool,
    /// The file system; another one than the disk is for tests.
    pub fs: Arc<dyn Fs>,
    /// The clock; another one than the system's is for tests.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_wal_size_bytes: 10 * 1024 * 1024,
            max_wal_age: Duration::from_secs(300),
            max_wal_records: None,
            keep_log: Duration::ZERO,
            backups: None,
            roll_by_clock: false,
            batch_size: 1000,
            flush_interval: Duration::from_secs(30),
            durability: Durability::Sync,
            recovery: RecoveryPolicy::Strict,
            rules: Rules::default(),
            extra_schema: Vec::new(),
            unfit_extra_is_null: false,
            max_unflushed_bytes: 256 * 1024 * 1024,
            busy_timeout: Duration::from_secs(5),
            check_at_open: true,
            fs: Arc::new(Disk),
            clock: Arc::new(SystemClock::default()),
        }
    }
}

impl Options {
    /// Checks the options against each other and their bounds.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config), naming the option.
    pub fn validate(&self) -> Result<()> {
        let refuse = |option: &str, bound: &str| Err(Error::config(format!("{option} must be {bound}")));
        match self {
            _ if self.max_wal_size_bytes < 4096 => refuse("max_wal_size_bytes", "at least 4096"),
            _ if self.max_wal_age.is_zero() => refuse("max_wal_age", "more than zero"),
            _ if self.max_wal_records == Some(0) => refuse("max_wal_records", "at least 1"),
            _ if self.batch_size == 0 => refuse("batch_size", "at least 1"),
            _ if self.flush_interval.is_zero() => refuse("flush_interval", "more than zero"),
            _ if self.durability == Durability::Interval(Duration::ZERO) => {
                refuse("durability", "an interval above zero")
            }
            _ if self.max_unflushed_bytes == 0 => refuse("max_unflushed_bytes", "at least 1"),
            _ if !(1..=MAX_DEPTH).contains(&self.rules.max_depth) => refuse("max_depth", "from 1 to 1000"),
            _ => Ok(()),
        }
    }

    /// Sets which strings become timestamps.
    pub fn set_timestamps(&mut self, policy: TimestampPolicy) {
        self.rules.timestamps = policy;
    }
}

/// Gives a configuration that has a field `options: Options` the setters of the options that all stores share.
#[macro_export]
macro_rules! shared_options {
    ($config:ty) => {
        impl $config {
            /// The size in bytes past which a segment of the log is closed and another begun. Default 10 MiB.
            #[must_use]
            pub fn max_wal_size_bytes(mut self, bytes: u64) -> Self {
                self.options.max_wal_size_bytes = bytes;
                self
            }

            /// The age past which a segment of the log is closed and another begun. Default 5 minutes.
            #[must_use]
            pub fn max_wal_age(mut self, age: ::std::time::Duration) -> Self {
                self.options.max_wal_age = age;
                self
            }

            /// The number of records past which a segment of the log is closed and another begun. Default: the size
            /// decides.
            #[must_use]
            pub fn max_wal_records(mut self, records: u64) -> Self {
                self.options.max_wal_records = Some(records);
                self
            }

            /// How long a segment of the log stays for subscribers once DuckDB has all of it, by the write time of its
            /// last record. Kept segments are compressed, and stay over closing and opening; the disk has to hold them.
            /// Default zero: none is kept.
            #[must_use]
            pub fn keep_log(mut self, time: ::std::time::Duration) -> Self {
                self.options.keep_log = time;
                self
            }

            /// So many unflushed records start a flush into DuckDB. Default 1,000.
            #[must_use]
            pub fn batch_size(mut self, records: usize) -> Self {
                self.options.batch_size = records;
                self
            }

            /// After so long at most, what was written is flushed into DuckDB. Default 30 seconds.
            #[must_use]
            pub fn flush_interval(mut self, interval: ::std::time::Duration) -> Self {
                self.options.flush_interval = interval;
                self
            }

            /// When a write is acknowledged; a single write may say otherwise. Default: when it is on the disk.
            #[must_use]
            pub fn durability(mut self, durability: $crate::Durability) -> Self {
                self.options.durability = durability;
                self
            }

            /// What opening does about a damaged log. Default: it refuses, and changes nothing.
            #[must_use]
            pub fn recovery(mut self, policy: $crate::wal::RecoveryPolicy) -> Self {
                self.options.recovery = policy;
                self
            }

            /// The largest record in bytes of normalized JSON. Default 16 MiB.
            #[must_use]
            pub fn max_record_bytes(mut self, bytes: usize) -> Self {
                self.options.rules.max_bytes = bytes;
                self
            }

            /// The deepest nesting of arrays and objects in a record, the record itself counted. Default 128, at
            /// most 1,000.
            #[must_use]
            pub fn max_depth(mut self, depth: usize) -> Self {
                self.options.rules.max_depth = depth;
                self
            }

            /// Which strings in the data become timestamps. Default: all that are ISO 8601 dates or times; in a store
            /// whose records have no special fields, none.
            #[must_use]
            pub fn timestamps(mut self, policy: $crate::TimestampPolicy) -> Self {
                self.options.set_timestamps(policy);
                self
            }

            /// Columns of the table besides its own, in this order: the name, which is that of the member of the data
            /// that fills it, and the type by its name in Arrow, such as `int64`, `string` or `timestamp[us]`. A
            /// table that exists must have just these. Default: none.
            ///
            /// [`ExtraType`](persist_core::extra::ExtraType) lists the types,
            /// [`ExtraType::convert`](persist_core::extra::ExtraType::convert) says what each takes.
            #[must_use]
            pub fn extra_schema<N, T>(mut self, columns: impl ::std::iter::IntoIterator<Item = (N, T)>) -> Self
            where
                N: ::std::convert::Into<::std::string::String>,
                T: ::std::convert::Into<::std::string::String>,
            {
                self.options.extra_schema =
                    columns.into_iter().map(|(name, kind)| (name.into(), kind.into())).collect();
                self
            }

            /// Whether data that does not fit its extra column is stored, with NULL in the column, rather than refused.
            /// Default `false`.
            #[must_use]
            pub fn unfit_extra_is_null(mut self, is_null: bool) -> Self {
                self.options.unfit_extra_is_null = is_null;
                self
            }

            /// So many bytes may wait to be flushed; a write beyond that waits, see `busy_timeout`. Default 256 MiB.
            #[must_use]
            pub fn max_unflushed_bytes(mut self, bytes: u64) -> Self {
                self.options.max_unflushed_bytes = bytes;
                self
            }

            /// So long does a write wait while too much is unflushed, before it fails with
            /// [`Busy`](persist_core::ErrorKind::Busy). Default 5 seconds.
            #[must_use]
            pub fn busy_timeout(mut self, timeout: ::std::time::Duration) -> Self {
                self.options.busy_timeout = timeout;
                self
            }

            /// The file system. For tests.
            #[must_use]
            pub fn fs(mut self, fs: ::std::sync::Arc<dyn $crate::fs::Fs>) -> Self {
                self.options.fs = fs;
                self
            }

            /// The clock. For tests.
            #[must_use]
            pub fn clock(mut self, clock: ::std::sync::Arc<dyn $crate::clock::Clock>) -> Self {
                self.options.clock = clock;
                self
            }
        }
    };
}
