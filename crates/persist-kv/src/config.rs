//! The configuration of a key-value store.

use std::path::PathBuf;

use persist_core::{Location, Options, TimestampPolicy};

/// Where a store keeps its log and how it works. Each setter says its default.
///
/// ```
/// use std::time::Duration;
/// use persist_kv::KvConfig;
/// let config = KvConfig::new("./storage").batch_size(5000).flush_interval(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KvConfig {
    base_dir: PathBuf,
    pub(crate) options: Options,
}

persist_core::shared_options!(KvConfig);

impl Default for KvConfig {
    fn default() -> Self {
        Self::new("./storage")
    }
}

impl KvConfig {
    /// Keeps the log, the store's identity and its lock in `base_dir`, a folder that no other store uses. The default
    /// is `./storage`.
    pub fn new(base_dir: impl Into<PathBuf>) -> Self {
        let mut options = Options::default();
        // What is read is what was stored: there is no field of the record's own that a date could stand in.
        options.set_timestamps(TimestampPolicy::Off);
        Self { base_dir: base_dir.into(), options }
    }

    /// The store of the database `path`. Its purpose, which a backup names too, is the same wherever its files are.
    pub(crate) fn location(&self, path: PathBuf) -> Location {
        Location { dir: self.base_dir.clone(), log_folder: None, database: path, purpose: "key-value store".to_owned() }
    }
}
