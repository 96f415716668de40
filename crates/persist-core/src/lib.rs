//! The engine under every persist store: a write-ahead log, memory for reads, background flushes into DuckDB.
mod cache;
pub mod clock;
#[cfg(feature = "duckdb")]
#[allow(dead_code, unused_imports, reason = "the flush engine, its user, comes next")]
mod duck;
pub mod error;
pub mod fs;
mod identity;
pub mod keys;
pub mod lock;
pub mod model;
pub mod record;
pub mod timestamp;
pub mod wal;

#[cfg(feature = "duckdb")]
pub use duck::Rows;
pub use error::{Error, ErrorKind, Result};
pub use model::{Column, Model, Source};
pub use record::Record;
pub use timestamp::{Timestamp, TimestampPolicy};
