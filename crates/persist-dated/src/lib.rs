//! One durable store per date: key → process name → record.
//!
//! Each date has a folder of its own with its log and its DuckDB file, so that dates can be written by different
//! processes, recovered, archived and deleted independently.
//!
//! ```
//! use persist_dated::{DatedConfig, DatedStore};
//! use serde_json::json;
//!
//! # let base = tempfile::tempdir()?;
//! # let base = base.path();
//! let store = DatedStore::open("2025-01-15", DatedConfig::new(base))?;
//! store.store("task", &json!({"progress": 75, "process_name": "worker1", "status": "running"}))?; // on disk now
//! store.put("task").process("worker2").username("bob").data(&json!({"progress": 50}))?;
//!
//! assert_eq!(store.get_key("task").len(), 2);
//! let running = store.query("SELECT count(*) AS n FROM storage WHERE status = 'running'")?;
//! assert_eq!(running.get(0, "n"), Some(&json!(1)));
//! store.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backup;
mod config;
pub mod keys;
mod model;
mod moment;
mod put;
#[cfg(doctest)]
mod readme;
mod store;

pub use config::DatedConfig;
pub use model::Dated;
pub use moment::{IntoDate, IntoTimestamp};
pub use put::Put;
pub use store::{DatedStore, Record};

pub use persist_core::wal::{RecoveryPolicy, RecoveryReport};
pub use persist_core::{
    Backup, Durability, Error, ErrorKind, Result, Rows, Stats, Timestamp, TimestampPolicy, Verification,
};
