//! The engine under every persist store: a write-ahead log, memory for reads, background flushes into DuckDB.
mod cache;
pub mod clock;
mod codec;
mod config;
pub mod data;
#[cfg(feature = "duckdb")]
mod duck;
#[cfg(feature = "duckdb")]
mod engine;
pub mod error;
pub mod fs;
mod identity;
mod key;
pub mod keys;
pub mod lock;
pub mod model;
pub mod record;
pub mod timestamp;
pub mod wal;

pub use codec::Entry;
pub use config::{Durability, Options};
#[cfg(feature = "duckdb")]
pub use duck::Rows;
#[cfg(feature = "duckdb")]
pub use engine::{Engine, Location, Stats, Verification};
pub use error::{Error, ErrorKind, Result};
pub use model::{Column, Model, Source};
pub use record::Record;
pub use timestamp::{Timestamp, TimestampPolicy};
