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
//!
//! # Types of your own
//!
//! Data is whatever serializes to a JSON object, and is read back as a type of your own, field by field, or as a dynamic
//! [`Value`]. Dates and times are stored in one form, which the helpers of [`timestamp`] read back into the types of the
//! `time` crate.
//!
//! ```
//! use persist_dated::{DatedConfig, DatedStore, Timestamp, Value, timestamp};
//! use serde::{Deserialize, Serialize};
//! use time::Date;
//!
//! #[derive(Serialize, Deserialize, PartialEq, Debug)]
//! struct Task {
//!     name: String,
//!     progress: u8,
//!     #[serde(with = "timestamp::moment")]
//!     due: Option<Date>,
//! }
//!
//! # let base = tempfile::tempdir()?;
//! # let base = base.path();
//! let store = DatedStore::open("2025-01-15", DatedConfig::new(base))?;
//! let task = Task { name: "load".to_owned(), progress: 75, due: Some(time::macros::date!(2025 - 02 - 01)) };
//! let record = store.put("task").status("running").data(&task)?;
//!
//! assert_eq!(record.to::<Task>()?, task);
//! assert_eq!(record.field::<u8>("progress")?, Some(75));
//! assert_eq!(record.status().as_deref(), Some("running"));
//! assert_eq!(record.value()?.get("due"), Some(&Value::Timestamp(Timestamp::parse("2025-02-01").unwrap())));
//! # store.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Following what changes
//!
//! [`subscribe`](DatedStore::subscribe) gives the durable changes in order. Each has a `seq`; a follower stores the last
//! one with what it made of it, and goes on after it the next time. `keep_log` says how long it may be away.
//!
//! ```
//! use std::time::Duration;
//! use persist_dated::{Change, DatedConfig, DatedStore, ErrorKind, Event, Since};
//! use serde_json::json;
//!
//! # let base = tempfile::tempdir()?;
//! # let base = base.path();
//! # let (mut sent, mut position) = (Vec::new(), 0);
//! let config = DatedConfig::new(base).keep_log(Duration::from_secs(24 * 3600));
//! let store = DatedStore::open("2025-01-15", config.clone())?;
//! store.store("task", &json!({"progress": 75}))?;
//! store.close()?;
//!
//! let store = DatedStore::open("2025-01-15", config)?;
//! store.remove("task", None)?;
//! // `position` is what this follower stored the last time, 0 at first.
//! let mut changes = match store.subscribe(Since::After(position)) {
//!     // It was away for too long: it has to begin anew, with `store.iter()` after `Since::Now`.
//!     Err(error) if error.kind() == ErrorKind::Gone => store.subscribe(Since::Now)?,
//!     changes => changes?,
//! };
//! while let Some(event) = changes.recv_timeout(Duration::from_millis(10))? {
//!     position = event.seq();
//!     match event {
//!         Event::Change(Change::Put(record)) => sent.push(format!("{} v{}", record.key(), record.version())),
//!         Event::Change(Change::Removed(removed)) => sent.push(format!("{} is gone", removed.key())),
//!         Event::Missed { from, to } => sent.push(format!("{from} to {to} are not to be had any more")),
//!     }
//! }
//! assert_eq!((sent, position), (vec!["task v1".to_owned(), "task is gone".to_owned()], 2));
//! # store.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backup;
mod config;
mod export;
pub mod keys;
mod model;
mod partition;
mod put;
mod store;

pub use config::DatedConfig;
pub use export::{Export, ExportedFile};
pub use model::Dated;
pub use put::{Batch, Put};
pub use store::{DatedStore, Record};

pub use persist_core::timestamp;
pub use persist_core::timestamp::{IntoDate, IntoTimestamp};
pub use persist_core::wal::{RecoveryPolicy, RecoveryReport};
pub use persist_core::{
    Backup, Change, Durability, Error, ErrorKind, Event, Removed, Result, Rows, Since, Stats, Subscription, Ticket,
    Verification,
};
pub use persist_core::{Number, Timestamp, TimestampPolicy, Value};
