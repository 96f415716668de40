//! The collection store through its public interface: real files, real DuckDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod backups;
mod between;
mod conformance;
mod examples;
mod extra;
mod lazy;
mod open;
mod past;
mod property;
mod rebuild;
mod repair;
mod store;
mod subject;
mod typed;
mod verbs;

use std::path::Path;
use std::time::Duration;

use persist_collection::{CollectionConfig, CollectionStore};
use serde_json::Value;

const DATE: &str = "2025-12-24";

/// A configuration under which nothing happens in the background by itself.
fn quiet(dir: &Path) -> CollectionConfig {
    CollectionConfig::new(dir).batch_size(1_000_000).flush_interval(Duration::from_secs(3600))
}

fn open(dir: &Path) -> CollectionStore {
    CollectionStore::open(DATE, quiet(dir)).unwrap()
}

/// The rows that a query answers.
fn rows(store: &CollectionStore, sql: &str) -> Vec<Vec<Value>> {
    store.query(sql).unwrap().iter().map(<[Value]>::to_vec).collect()
}

/// The lines of the log.
fn log(dir: &Path) -> String {
    let dir = dir.join(DATE);
    let segments = files(&dir).into_iter().filter(|name| name.starts_with("wal_"));
    segments.map(|name| std::fs::read_to_string(dir.join(name)).unwrap()).collect()
}

/// The names of the files in a folder, sorted.
fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
