//! The configuration of a dated store.

use std::path::{Path, PathBuf};

use persist_core::timestamp::date_text;
use persist_core::{Location, Options};
use time::Date;

/// Where a dated store is and how it works. Each setter says its default.
///
/// ```
/// use std::time::Duration;
/// use persist_dated::DatedConfig;
/// let config = DatedConfig::new("./storage").batch_size(5000).flush_interval(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DatedConfig {
    base_dir: PathBuf,
    db_path: PathBuf,
    pub(crate) parquet: Option<PathBuf>,
    pub(crate) options: Options,
}

persist_core::shared_options!(DatedConfig);

impl Default for DatedConfig {
    fn default() -> Self {
        Self::new("./storage")
    }
}

impl DatedConfig {
    /// Stores below `base_dir`, each date in a folder `YYYY-MM-DD` of its own. The default is `./storage`.
    pub fn new(base_dir: impl Into<PathBuf>) -> Self {
        Self {
            base_dir: base_dir.into(),
            db_path: PathBuf::from("data.duckdb"),
            parquet: None,
            options: Options::default(),
        }
    }

    /// The DuckDB file. A relative path is one below the date's folder, an absolute one is taken as it is; two dates
    /// can't share a file. Default `data.duckdb`.
    #[must_use]
    pub fn db_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.db_path = path.into();
        self
    }

    /// The root of the export to Parquet, which [`DatedStore::close`](crate::DatedStore::close) then makes, and
    /// [`DatedStore::export`](crate::DatedStore::export) at any time. Stores of many dates may share a root; stores of
    /// one date may not. Default: no export.
    #[must_use]
    pub fn parquet(mut self, root: impl Into<PathBuf>) -> Self {
        self.parquet = Some(root.into());
        self
    }

    pub(crate) fn location(&self, date: Date) -> Location {
        let date = date_text(date);
        let dir = self.base_dir.join(&date);
        let database = dir.join(Path::new(&self.db_path));
        Location { dir, log_folder: None, database, purpose: format!("dated store of {date}") }
    }
}
