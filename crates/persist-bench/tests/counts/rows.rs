//! Rows written into DuckDB: by flushes, and once more by merges.

use std::collections::BTreeMap;

use persist_core::Stats;
use persist_dated::Durability::Os;

use crate::bounds;
use crate::stores::{FLIGHT, Place, key, settle};

/// With these, the first merge and the second one come after the fifth and the tenth flush.
const FLUSHES: usize = 10;
const ROWS: usize = 14_000;

const WRITES: f64 = (FLUSHES * ROWS) as f64;
const SHORT: BTreeMap<&str, u32> = BTreeMap::new();

/// Flushes, each with the checkpoint and the merge that is due after it.
fn flush_often(write: impl Fn(usize), flush: impl Fn(), stats: impl Fn() -> Stats) -> Stats {
    for n in 0..FLUSHES {
        write(n * ROWS);
        flush();
        settle(&stats);
    }
    stats()
}

#[test]
fn of_a_dated_store() {
    let place = Place::new();
    let store = place.dated();
    let write = |from: usize| {
        let mut batch = store.batch().durability(Os);
        (from..from + ROWS).for_each(|n| batch.put(&key(n)).data(&SHORT).unwrap());
        batch.commit().unwrap();
    };
    let stats = flush_often(write, || store.flush().unwrap(), || store.stats());
    assert_eq!((stats.base_rows, stats.delta_rows), (WRITES as u64, 0));
    bounds::DATED_APPENDED.holds(stats.flushed_rows as f64 / WRITES);
    bounds::DATED_MERGED.holds(stats.merged_rows as f64 / WRITES);
    bounds::DATED_REWRITTEN.holds(stats.rewritten_rows as f64 / WRITES);
}

#[test]
fn of_a_dated_store_whose_ids_are_written_again() {
    let place = Place::new();
    let store = place.dated();
    for n in 0..1_000 {
        store.put(&key(n % 10)).durability(Os).data(&FLIGHT).unwrap();
    }
    store.flush().unwrap();
    bounds::AGAIN_APPENDED.holds(store.stats().flushed_rows as f64 / 1_000.0);
}

#[test]
fn of_a_collection_store() {
    let place = Place::new();
    let store = place.collection();
    let write = |from: usize| {
        let mut batch = store.batch().durability(Os);
        for n in from..from + ROWS {
            let key = format!("user {}", n / 100);
            batch.put(&key).collection("form").item(&(n % 100).to_string()).data(&SHORT).unwrap();
        }
        batch.commit().unwrap();
    };
    let stats = flush_often(write, || store.flush().unwrap(), || store.stats());
    assert_eq!((stats.base_rows, stats.delta_rows), (WRITES as u64, 0));
    bounds::COLLECTION_APPENDED.holds(stats.flushed_rows as f64 / WRITES);
    bounds::COLLECTION_MERGED.holds(stats.merged_rows as f64 / WRITES);
    bounds::COLLECTION_REWRITTEN.holds(stats.rewritten_rows as f64 / WRITES);
}
