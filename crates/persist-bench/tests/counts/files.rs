//! What the log and a flush ask of the file system.

use std::time::Duration;

use persist_dated::Durability;

use crate::bounds;
use crate::stores::{FLIGHT, Place, fill, key, settle};

#[test]
fn ten_thousand_writes() {
    let place = Place::new();
    let store = place.dated();
    let (before, other_before) = (place.disk.log(), place.disk.other());
    fill(&store, 0..10_000);
    let (counts, other) = (place.disk.log().since(before), place.disk.other().since(other_before));
    let line_bytes = (counts.bytes - counts.fill_bytes) as f64;
    let record = key(0).len() + store.get_key_process(&key(0), None).unwrap().json().len();
    assert_eq!(line_bytes, store.stats().current_wal_size as f64);
    bounds::LINE_BYTES.holds(line_bytes / 10_000.0 - record as f64);
    bounds::DISK_BYTES.holds(counts.bytes as f64 / line_bytes);
    bounds::LOG_FILES.holds((counts.created + counts.opened + counts.renamed + counts.removed) as f64);
    bounds::LOG_SYNCS.holds(counts.syncs as f64);
    bounds::OTHER_FILES.holds(other.all() as f64);
}

#[test]
fn a_line_of_a_batch() {
    let place = Place::new();
    let store = place.dated();
    fill(&store, 0..1);
    let before = place.disk.log();
    let mut batch = store.batch().durability(Durability::Os);
    (0..100).for_each(|n| batch.put(&key(n)).data(&FLIGHT).unwrap());
    batch.commit().unwrap();
    let counts = place.disk.log().since(before);
    let record = key(0).len() + store.get_key_process(&key(0), None).unwrap().json().len();
    assert_eq!(counts.fills, 0);
    bounds::BATCH_LINE_BYTES.holds(counts.bytes as f64 / 100.0 - record as f64);
    bounds::BATCH_WRITES.holds(counts.writes as f64);
}

#[test]
fn one_thread_syncs_once_for_each_durable_write() {
    let place = Place::new();
    let store = place.dated();
    fill(&store, 0..1);
    let before = place.disk.log();
    (0..100).for_each(|n| drop(store.put(&key(n)).data(&FLIGHT).unwrap()));
    let counts = place.disk.log().since(before);
    assert_eq!(counts.fills, 0);
    bounds::SYNCS_1.holds(counts.syncs as f64 / 100.0);
    bounds::DURABLE_WRITES_1.holds(counts.writes as f64 / 100.0);
}

#[test]
fn a_flush_and_the_checkpoint_after_it() {
    let place = Place::new();
    let store = place.dated();
    // The first makes what the next ones find.
    let mut figures = Default::default();
    for round in 0..2 {
        fill(&store, round * 1_000..(round + 1) * 1_000);
        let before = (place.disk.log(), place.disk.other());
        store.flush().unwrap();
        settle(|| store.stats());
        // The folder of what was removed is synced last.
        std::thread::sleep(Duration::from_millis(100));
        figures = (place.disk.log().since(before.0), place.disk.other().since(before.1));
    }
    let (log, other) = figures;
    bounds::FLUSH_OPENS.holds((log.opened + log.created + other.opened + other.created) as f64);
    bounds::FLUSH_NAMES.holds((log.renamed + log.removed + other.renamed + other.removed) as f64);
    bounds::FLUSH_SYNCS.holds((log.syncs + other.syncs) as f64);
    bounds::FLUSH_WRITES.holds((log.writes + other.writes) as f64);
    bounds::FLUSH_BYTES.holds((log.bytes + other.bytes) as f64);
}
