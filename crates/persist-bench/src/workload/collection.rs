//! The collection store: its writes beside those of a dated store, and flushes at a growing history.

use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use persist_collection::{CollectionConfig, CollectionStore};
use persist_core::Durability;

use super::bench::{Bench, DATE};
use super::write;
use crate::Result;
use crate::drive::{Contender, Figures, drive, in_turns};
use crate::flight::Flight;
use crate::floor::appender::{self, Table};
use crate::name::{Name, PERSIST};
use crate::report::Report;

const DATED: Name = Name::floor("dated store");
const APPENDER: Name = Name::floor("Appender");
const COLLECTION: &str = "form";
/// The items of each collection; each key has one collection.
pub(super) const ITEMS: u64 = 100;
const ROWS: u64 = 1000;
/// Beside the store's files.
const REWRITES: &str = "rewrites";

/// Durable writes of new items, beside those of new records of a dated store.
pub(super) fn durable(bench: &Bench, report: &mut Report) -> Result<()> {
    for (name, threads) in
        [("coll-durable-1-thread", 1), ("coll-durable-8-threads", 8), ("coll-durable-64-threads", 64)]
    {
        if !bench.wants(name) {
            continue;
        }
        let contenders: Vec<Contender<'_>> = vec![
            (PERSIST, Box::new(move || writes(bench, threads))),
            (DATED, Box::new(move || write::store(bench, threads, persist_dated::Durability::Sync, true))),
        ];
        report.add(name, &in_turns(bench.scale.rounds, contenders)?);
    }
    Ok(())
}

/// A flush of 1,000 rows into a history of so many. Figures are rows per second.
pub(super) fn flush(bench: &Bench, report: &mut Report, name: &str, rows: u64) -> Result<()> {
    if !bench.wants(name) {
        return Ok(());
    }
    let dir = bench.folder("coll-flush")?;
    build(bench, &dir, rows)?;
    let store = loaded(&dir)?;
    let table = Table::new(&dir.join("floor.duckdb"), rows)?;
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for n in 0..=bench.scale.flushes as u64 {
        let from = rows + n * ROWS;
        put_all(&store, from..from + ROWS)?;
        store.sync()?;
        let start = Instant::now();
        store.flush()?;
        ours.push(start.elapsed());
        let batch = appender::batch(from..from + ROWS)?;
        let start = Instant::now();
        table.append(batch)?;
        floor.push(start.elapsed());
        table.checkpoint()?;
    }
    // The first of each finds nothing cached and is left out.
    let of = |each: &[Duration]| vec![Figures::of_each(each.get(1..).unwrap_or_default(), ROWS)];
    report.add(name, &[(PERSIST, of(&ours)), (APPENDER, of(&floor))]);
    store.close()?;
    Ok(std::fs::remove_dir_all(&dir)?)
}

fn writes(bench: &Bench, threads: usize) -> Result<Figures> {
    let dir = bench.folder("coll")?;
    let store = CollectionStore::open(DATE, CollectionConfig::new(&dir))?;
    // The collections of each thread are in memory: a write to one that is not reads it first.
    load_all(&store)?;
    let names: Vec<Mutex<(String, String)>> = (0..threads).map(|_| Mutex::default()).collect();
    let figures = drive(threads, bench.scale.run, 1, |thread, n| {
        let Some(mut names) = names.get(thread).and_then(Mutex::try_lock) else {
            return Err("two threads, one name".into());
        };
        put(&store, (thread as u64) << 24 | n, &mut names)
    })?;
    store.close()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

/// Writes an item by its number.
fn put(store: &CollectionStore, n: u64, names: &mut (String, String)) -> Result<()> {
    let (key, item) = name(n, names);
    store.put(key).collection(COLLECTION).item(item).value(n as i64).data(&Flight::new(n))?;
    Ok(())
}

fn name(n: u64, (key, item): &mut (String, String)) -> (&str, &str) {
    *key = self::key(n / ITEMS);
    *item = format!("item{}", n % ITEMS);
    (key, item)
}

/// Writes items by their numbers, many at a time.
pub(super) fn put_all(store: &CollectionStore, numbers: impl Iterator<Item = u64>) -> Result<()> {
    let (mut numbers, mut names) = (numbers.peekable(), Default::default());
    while numbers.peek().is_some() {
        let mut batch = store.batch();
        for n in numbers.by_ref().take(ITEMS as usize) {
            let (key, item) = name(n, &mut names);
            batch.put(key).collection(COLLECTION).item(item).value(n as i64).data(&Flight::new(n))?;
        }
        batch.commit()?;
    }
    Ok(())
}

/// The key of a collection by its number. All begin alike.
pub(super) fn key(collection: u64) -> String {
    format!("customer/2025/{collection:08}")
}

/// Loads a collection that is not in memory.
pub(super) fn load(store: &CollectionStore, collection: u64) -> Result<()> {
    match store.get_key_in(&key(collection), COLLECTION)?.len() as u64 {
        ITEMS => Ok(()),
        other => Err(format!("collection {collection} has {other} items").into()),
    }
}

/// Has all items in memory, lest what is measured be the loading. Answers how many there are.
pub(super) fn load_all(store: &CollectionStore) -> Result<u64> {
    Ok(store.iter()?.count() as u64)
}

/// A store whose writes are flushed when it is told to.
pub(super) fn unflushed(dir: &Path) -> Result<CollectionStore> {
    Ok(CollectionStore::open(DATE, never_flushed(dir))?)
}

pub(super) fn never_flushed(dir: &Path) -> CollectionConfig {
    let config = CollectionConfig::new(dir).durability(Durability::Os);
    config.batch_size(usize::MAX).flush_interval(Duration::from_secs(3600)).max_unflushed_bytes(1 << 40)
}

/// The same with all items in memory.
pub(super) fn loaded(dir: &Path) -> Result<CollectionStore> {
    let store = unflushed(dir)?;
    load_all(&store)?;
    Ok(store)
}

/// Makes a store of so many items ahead, for the first who [asks](build) for one.
pub(super) fn prepare(bench: &Bench, items: u64) -> Result<()> {
    let rewrites = make(&bench.folder(&prepared(items))?, items)?;
    Ok(std::fs::write(bench.dir.join(prepared(items)).join(REWRITES), rewrites.to_string())?)
}

fn prepared(items: u64) -> String {
    format!("items-{items}")
}

/// Puts a store of so many items into an empty folder, all of them in the table of the newest. Answers how often an item was
/// written to that table.
pub(super) fn build(bench: &Bench, dir: &Path, items: u64) -> Result<f64> {
    let ahead = bench.dir.join(prepared(items));
    if !ahead.exists() {
        return make(dir, items);
    }
    let rewrites = std::fs::read_to_string(ahead.join(REWRITES))?.parse()?;
    std::fs::rename(ahead, dir)?;
    Ok(rewrites)
}

/// It grows as a store does that is written to, by its own merges, and by flushes of twenty times the usual rows.
fn make(dir: &Path, items: u64) -> Result<f64> {
    let config = CollectionConfig::new(dir).durability(Durability::Os).batch_size(20 * ROWS as usize);
    // Nothing is timed here, and to copy and read back a large history at each close takes long.
    let store = CollectionStore::open(DATE, config.backups(false).busy_timeout(Duration::from_secs(60)))?;
    put_all(&store, 0..items)?;
    store.refresh_latest()?;
    let stats = store.stats();
    store.close()?;
    Ok((stats.merged_rows + stats.rewritten_rows) as f64 / items as f64)
}
