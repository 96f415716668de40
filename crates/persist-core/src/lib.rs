//! The engine under every persist store: a write-ahead log, memory for reads, background flushes into DuckDB.
pub mod clock;
pub mod data;
pub mod error;
pub mod fs;
pub mod keys;
pub mod model;
pub mod record;
pub mod timestamp;

pub use error::{Error, ErrorKind, Result};
