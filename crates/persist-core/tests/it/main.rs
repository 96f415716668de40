//! The integration tests of persist-core, in one binary: each further one would link DuckDB again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr)]

mod files;
#[cfg(feature = "duckdb")]
mod history;
#[cfg(feature = "duckdb")]
mod plain;
mod replay;
#[cfg(feature = "duckdb")]
mod roll;
#[cfg(persist_schedules)]
mod schedules;
#[cfg(feature = "duckdb")]
mod subscribe;
mod wal;
#[cfg(feature = "duckdb")]
mod worker;
