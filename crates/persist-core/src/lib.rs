//! The engine under every persist store: a write-ahead log, memory for reads, background flushes into DuckDB.
pub mod clock;
#[cfg(feature = "duckdb")]
#[allow(dead_code, unused_imports, reason = "the flush engine, its user, comes next")]
mod duck;
pub mod error;
pub mod fs;
pub mod model;
pub mod record;
pub mod timestamp;

#[cfg(feature = "duckdb")]
pub use duck::Rows;
pub use error::{Error, ErrorKind, Result};
