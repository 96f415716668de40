//! A durable key-value store: key → JSON record.
//!
//! A write is on the disk when it returns, a read comes from memory, and all records are a table in a DuckDB file.
//!
//! ```
//! use persist_kv::{KvConfig, KvStore};
//! use serde_json::{Value, json};
//!
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! let config = KvConfig::new(dir.join("storage")); // the folder of the log
//! let store = KvStore::open(dir.join("data.duckdb"), config)?;
//! store.store("user_123", &json!({"name": "Alice", "score": 100}))?; // on disk now
//!
//! let user = store.get("user_123").ok_or("nobody")?;
//! assert_eq!(user.to::<Value>()?, json!({"name": "Alice", "score": 100}));
//! let best = store.query("SELECT max((data->>'score')::INTEGER) AS score FROM storage")?;
//! assert_eq!(best.get(0, "score"), Some(&json!(100)));
//! store.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Conditions, batches, changes, removal
//!
//! ```
//! # use persist_kv::{ErrorKind, KvConfig, KvStore, Since};
//! # use serde_json::json;
//! # let dir = tempfile::tempdir()?;
//! # let store = KvStore::open(dir.path().join("data.duckdb"), KvConfig::new(dir.path().join("storage")))?;
//! let seat = store.put("seat_12A").if_absent().data(&json!({"by": "Ada"}))?;
//! let taken = store.put("seat_12A").if_absent().data(&json!({"by": "Bob"})).unwrap_err();
//! assert_eq!((taken.kind(), taken.present_version()), (ErrorKind::Conflict, Some(1)));
//!
//! let changes = store.subscribe(Since::Now)?; // what becomes durable from here on
//! let mut move_over = store.batch(); // both or neither
//! move_over.remove_if_version("seat_12A", seat.version());
//! move_over.put("seat_14C").if_absent().data(&json!({"by": "Ada"}))?;
//! move_over.commit()?;
//! assert_eq!(store.keys_with_prefix("seat_").collect::<Vec<_>>(), ["seat_14C"]);
//!
//! let moved: Vec<u64> = changes.take(2).map(|event| event.map(|event| event.seq())).collect::<Result<_, _>>()?;
//! assert_eq!(moved, [2, 3]);
//!
//! // Many writes under way at once, by one thread.
//! let scores: Vec<_> =
//!     (0..100).map(|n| store.put(&format!("user_{n}")).submit(&json!({"score": n}))).collect::<Result<_, _>>()?;
//! for written in scores {
//!     written.wait()?; // or `.await` it
//! }
//! assert!(store.remove("user_7")?.is_some() && !store.contains("user_7"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate is also the example of how a model is written on top of `persist-core`: `docs/your-own-model.md` walks
//! through its sources.

mod config;
mod model;
mod put;
mod store;

pub use config::KvConfig;
pub use model::Kv;
pub use put::{Batch, Put};
pub use store::{KvStore, Record};

pub use persist_core::timestamp;
pub use persist_core::wal::{RecoveryPolicy, RecoveryReport};
pub use persist_core::{
    Backup, Change, Durability, Error, ErrorKind, Event, Removed, Result, Rows, Since, Stats, Subscription, Ticket,
    Verification,
};
pub use persist_core::{Number, Timestamp, TimestampPolicy, Value};
