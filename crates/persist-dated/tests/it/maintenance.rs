//! Merges and checkpoints that keep failing while flushes work: nothing grows without end, and somebody is told.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use persist_dated::{DatedConfig, DatedStore, Durability, ErrorKind, Stats};
use persist_test_utils::FlakyDisk;
use serde_json::json;

const DATE: &str = "2025-01-15";
const EIO: i32 = 5;

/// A store with segments of so many bytes, and as many that may wait to be flushed. The step of this name fails while the
/// switch is on.
fn store_whose_step_fails(dir: &Path, step: &'static str, bytes: u64) -> (DatedStore, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&on);
    let disk = FlakyDisk::new(move |operation, path| {
        let fails = operation == "step" && path == Path::new(step) && switch.load(Ordering::SeqCst);
        if fails { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    });
    let config = DatedConfig::new(dir).fs(Arc::new(disk)).durability(Durability::Os).max_wal_size_bytes(bytes);
    let config = config.max_unflushed_bytes(bytes).busy_timeout(Duration::from_millis(200));
    (DatedStore::open(DATE, config).unwrap(), on)
}

fn put_batch(store: &DatedStore, keys: std::ops::Range<u64>) -> persist_dated::Result<()> {
    let mut batch = store.batch();
    for key in keys {
        batch.put(&format!("k{key}")).data(&json!({"n": key}))?;
    }
    batch.commit().map(drop)
}

/// Waits for figures of some kind.
fn wait_for(store: &DatedStore, what: &str, done: impl Fn(&Stats) -> bool) {
    let start = Instant::now();
    while !done(&store.stats()) {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} never came: {:?}", store.stats());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_merge_that_keeps_failing_keeps_no_checkpoint_from_removing_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (store, on) = store_whose_step_fails(dir.path(), "merge: begins", 1 << 20);
    for from in (0..80_000).step_by(500) {
        // Where many segments wait to be removed, writes are to wait for that, and not to be refused.
        let start = Instant::now();
        while let Err(error) = put_batch(&store, from..from + 500) {
            assert!(error.kind() == ErrorKind::Busy && start.elapsed() < Duration::from_secs(20), "{error}");
        }
    }
    store.flush().unwrap();
    wait_for(&store, "a checkpoint", |stats| stats.checkpointed_seq > 75_000);
    wait_for(&store, "the error", |stats| {
        stats.last_maintenance_error.as_ref().is_some_and(|error| error.contains("merge: begins"))
    });
    assert!(store.stats().delta_rows >= 80_000 && store.stats().wal_files_count < 20, "{:?}", store.stats());
    on.store(false, Ordering::SeqCst);
    wait_for(&store, "the merge", |stats| stats.base_rows == 80_000 && stats.last_maintenance_error.is_none());
    assert!(store.verify().unwrap().is_ok());
}

#[test]
fn a_checkpoint_that_keeps_failing_makes_writes_busy_before_memory_and_the_log_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let (store, on) = store_whose_step_fails(dir.path(), "checkpoint: begins", 64 * 1024);
    // One record again and again: all that grows is what no checkpoint covers.
    let text = "x".repeat(1_000);
    let put = || store.put("k").data(&json!({"text": text}));
    let (start, mut acknowledged) = (Instant::now(), 0);
    let error = loop {
        match put() {
            Ok(_) => acknowledged += 1,
            Err(error) if error.to_string().contains("checkpoint") => break error,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{acknowledged} writes, and no end: {:?}", store.stats());
    };
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(acknowledged < 2_000, "{acknowledged} records of 1,000 bytes were taken");
    assert!(store.stats().last_maintenance_error.is_some_and(|error| error.contains("checkpoint: begins")));
    on.store(false, Ordering::SeqCst);
    let start = Instant::now();
    while let Err(error) = put() {
        assert!(start.elapsed() < Duration::from_secs(20), "{error}");
    }
    store.close().unwrap();
    let store = DatedStore::open(DATE, DatedConfig::new(dir.path())).unwrap();
    assert_eq!(store.get_key_process("k", None).unwrap().version(), acknowledged + 1);
}
