//! The dated store through its public interface: real files, real DuckDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

mod backup;
mod conformance;
mod disk;
mod doubt;
mod examples;
mod export;
mod extra;
mod input;
mod limits;
mod linear;
mod maintenance;
mod open;
mod poison;
mod property;
mod store;
mod subject;
mod subscribe;
mod takeover;
mod typed;
mod verbs;
mod whole;

use std::path::Path;
use std::time::Duration;

use persist_dated::{DatedConfig, DatedStore};

/// A configuration under which nothing happens in the background by itself.
fn quiet(dir: &Path) -> DatedConfig {
    DatedConfig::new(dir).batch_size(1_000_000).flush_interval(Duration::from_secs(3600))
}

fn open(dir: &Path) -> DatedStore {
    DatedStore::open("2025-01-15", quiet(dir)).unwrap()
}
