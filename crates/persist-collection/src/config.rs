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
        Self { base_dir: base_dir.into(), options: Options::default() }
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
