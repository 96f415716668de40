//! The key-value store through its public interface: real files, real DuckDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[cfg(feature = "tokio")]
mod asynchronous;
mod conformance;
mod example;
mod open;
mod property;
mod store;
mod subject;

use std::path::Path;
use std::time::Duration;

use persist_kv::{KvConfig, KvStore};

/// A configuration under which nothing happens in the background by itself.
fn quiet(dir: &Path) -> KvConfig {
    KvConfig::new(dir.join("storage")).batch_size(1_000_000).flush_interval(Duration::from_secs(3600))
}

fn open(dir: &Path) -> KvStore {
    KvStore::open(dir.join("data.duckdb"), quiet(dir)).unwrap()
}

/// The names of the files in a folder, sorted.
fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
