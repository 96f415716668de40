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
//! The crate is also the example of how a model is written on top of `persist-core`: `docs/your-own-model.md` walks
//! through its sources.

mod config;
mod model;
mod put;
mod store;

pub use config::KvConfig;
pub use model::Kv;
pub use put::Put;
pub use store::{KvStore, Record};

pub use persist_core::timestamp;
pub use persist_core::wal::{RecoveryPolicy, RecoveryReport};
pub use persist_core::{Durability, Error, ErrorKind, Result, Rows, Stats, Verification};
pub use persist_core::{Number, Timestamp, TimestampPolicy, Value};
