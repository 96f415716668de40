//! The configuration of a collection store.

use std::path::PathBuf;

use persist_core::timestamp::date_text;
use persist_core::{Location, Options};
use time::Date;

/// Where a collection store is and how it works. Each setter says its default.
///
/// ```
/// use std::time::Duration;
/// use persist_collection::CollectionConfig;
/// let config = CollectionConfig::new("./my_storage").batch_size(5000).flush_interval(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CollectionConfig {
    base_dir: PathBuf,
    retain_days: u32,
    backups: bool,
    roll_at_midnight: bool,
    pub(crate) options: Options,
}

persist_core::shared_options!(CollectionConfig);

impl Default for CollectionConfig {
    fn default() -> Self {
        Self::new("./collection_storage")
    }
}

impl CollectionConfig {
    /// Stores in `base_dir`, a folder that no other store uses, with the log of each date in a folder `YYYY-MM-DD` of its
    /// own within. The default is `./collection_storage`.
    pub fn new(base_dir: impl Into<PathBuf>) -> Self {
        let (retain_days, backups, roll_at_midnight) = (5, true, true);
        Self { base_dir: base_dir.into(), retain_days, backups, roll_at_midnight, options: Options::default() }
    }

    /// A backup of a date that is more than so many days before the newest date there is goes, and so does what else the
    /// store has in that date's folder. The newest backup always stays. Default 5.
    #[must_use]
    pub fn retain_days(mut self, days: u32) -> Self {
        self.retain_days = days;
        self
    }

    /// Whether `close` backs the store up into the present date's folder, and passing midnight into the former one's. The
    /// log is kept, compressed, from the oldest of these backups on. Default `true`; with `false` none is made, none
    /// goes, and the log is not kept for them.
    #[must_use]
    pub fn backups(mut self, are_made: bool) -> Self {
        self.backups = are_made;
        self
    }

    /// Whether each opening reads both databases whole, and refuses a damaged one. Default `true`. With `false` only one after
    /// a stop without a close does: for a history so large that reading it takes too long. (DuckDB looks at the headers and
    /// lists of its files at each opening, and at a block when it reads it.)
    #[must_use]
    pub fn check_at_open(mut self, always: bool) -> Self {
        self.options.check_at_open = always;
        self
    }

    /// Whether a store that was opened for the date of that day, in UTC, goes on in the folder of the next date at midnight.
    /// Default `true`. One that was opened for another date stays with it.
    #[must_use]
    pub fn roll_at_midnight(mut self, rolls: bool) -> Self {
        self.roll_at_midnight = rolls;
        self
    }

    /// The options with what this says of backups and dates.
    pub(crate) fn into_options(self) -> Options {
        let mut options = self.options;
        options.backups = self.backups.then_some(self.retain_days);
        options.roll_by_clock = self.roll_at_midnight;
        options
    }

    pub(crate) fn location(&self, date: Date) -> Location {
        Location {
            dir: self.base_dir.clone(),
            log_folder: Some(date_text(date)),
            database: self.base_dir.join("storage_history.duckdb"),
            purpose: "collection store".to_owned(),
        }
    }
}
