//! Subscriptions over whole stores: real files, real DuckDB.

mod durable;
mod follow;
mod kept;

use std::path::Path;
use std::time::Duration;

use persist_core::data::{Rules, normalize, to_json};
use persist_core::{Change, Durability, Engine, Entry, Event, Location, Options, Result, Subscription};
use serde_json::json;

use crate::plain::plain_model;

const HOUR: Duration = Duration::from_secs(3600);

plain_model! {
    Plain {}
}

pub(crate) type Store = Engine<Plain>;

/// Options under which nothing happens in the background by itself, with small segments.
pub(crate) fn quiet() -> Options {
    let mut options = Options::default();
    options.batch_size = 1_000_000;
    options.flush_interval = HOUR;
    options.max_wal_size_bytes = 4096;
    options
}

/// [`quiet`], with the log kept for an hour.
fn keeping() -> Options {
    let mut options = quiet();
    options.keep_log = HOUR;
    options
}

pub(crate) fn open(dir: &Path, options: Options) -> Result<Store> {
    let location = Location {
        dir: dir.to_owned(),
        log_folder: None,
        database: dir.join("data.duckdb"),
        purpose: "store of a test".to_owned(),
    };
    Engine::open(&location, options)
}

fn put_as(store: &Store, key: &str, n: u64, durability: Durability) -> Result<u64> {
    let data = normalize(&to_json(&json!({"n": n})).unwrap(), &[], &Rules::default()).unwrap();
    let record = store.put(Entry::new(key, (), data.text), Some(durability))?;
    Ok(record.seq().unwrap())
}

fn put(store: &Store, key: &str, n: u64) -> u64 {
    put_as(store, key, n, Durability::Sync).unwrap()
}

/// So many records, whose data is their `seq`.
fn put_many(store: &Store, records: u64) {
    let first = store.stats().last_seq + 1;
    for n in first..first + records {
        assert_eq!(put(store, &format!("k{}", n % 7), n), n);
    }
}

/// An event as text: `7` for the change 7, which [`put_many`] made, `1-6` for those that were missed.
fn text(event: &Event<Plain>) -> String {
    match event {
        Event::Change(Change::Put(record)) => {
            let seq = record.seq().unwrap();
            assert_eq!(record.field::<u64>("n").unwrap(), Some(seq));
            assert_eq!(record.key(), format!("k{}", seq % 7));
            seq.to_string()
        }
        Event::Change(Change::Removed(removed)) => format!("removed {} as {}", removed.key(), removed.seq()),
        Event::Missed { from, to } => format!("{from}-{to}"),
    }
}

/// All events that there are by now.
fn all(subscription: &mut Subscription<Plain>) -> Vec<String> {
    let mut events = Vec::new();
    while let Some(event) = subscription.try_recv().unwrap() {
        assert_eq!(subscription.last_seq(), event.seq());
        events.push(text(&event));
    }
    events
}

fn seqs(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|seq| seq.to_string()).collect()
}

/// The names of the log's files.
fn log_files(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("wal_")).collect();
    names.sort();
    names
}
