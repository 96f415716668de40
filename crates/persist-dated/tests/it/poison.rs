//! A write or sync of the log that fails, and a thread that panics: poisoned at once, reads go on, reopening recovers.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use persist_dated::{DatedStore, Durability, ErrorKind};
use persist_test_utils::FlakyDisk;
use serde_json::json;

use crate::{open, quiet};

const DATE: &str = "2025-01-15";
const EIO: i32 = 5;

/// A disk whose operation of this kind fails on segments of the log once it is switched on, and how often it was tried.
fn broken(kind: &'static str, on: &Arc<AtomicBool>, tries: &Arc<AtomicUsize>) -> Arc<FlakyDisk> {
    let (on, tries) = (Arc::clone(on), Arc::clone(tries));
    Arc::new(FlakyDisk::new(move |operation: &str, path: &Path| {
        let is_segment = path.extension().is_some_and(|extension| extension == "jsonl");
        if operation == kind && is_segment && on.load(Ordering::SeqCst) {
            tries.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(())
    }))
}

#[test]
fn a_failed_write_or_sync_poisons_the_store_and_is_not_tried_again() {
    for kind in ["sync", "write"] {
        let dir = tempfile::tempdir().unwrap();
        let (on, tries) = (Arc::default(), Arc::default());
        let store = DatedStore::open(DATE, quiet(dir.path()).fs(broken(kind, &on, &tries))).unwrap();
        store.store("before", &json!({"n": 1})).unwrap();
        on.store(true, Ordering::SeqCst);
        let error = store.store("doubt", &json!({"n": 2})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned, "{kind}: {error}");
        assert!(error.to_string().contains("wal_000001.jsonl"), "{error}");
        on.store(false, Ordering::SeqCst);
        for durability in [Durability::Sync, Durability::Os] {
            let error = store.put("after").durability(durability).data(&json!({})).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Poisoned);
        }
        assert_eq!(store.sync().unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(store.flush().unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(tries.load(Ordering::SeqCst), 1, "a failed {kind} was tried again");

        assert!(store.get_key_process("before", None).is_some(), "reads go on");
        assert!(store.get_key_process("doubt", None).is_some(), "what is in doubt stays readable");
        assert!(store.get_key_process("after", None).is_none());
        let rows = store.query("SELECT key FROM storage").unwrap();
        assert_eq!(rows.to::<serde_json::Value>().unwrap(), [json!({"key": "before"})], "doubt was flushed");
        assert!(store.stats().refuses_writes.is_some());
        assert_eq!(store.close().unwrap_err().kind(), ErrorKind::Poisoned);

        let store = open(dir.path());
        assert!(store.get_key_process("before", None).is_some());
        store.store("after", &json!({})).unwrap();
        assert!(store.verify().unwrap().is_ok());
    }
}

#[test]
fn a_record_that_was_written_but_could_not_be_synced_is_never_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let (on, tries) = (Arc::default(), Arc::default());
    let store = DatedStore::open(DATE, quiet(dir.path()).fs(broken("sync", &on, &tries))).unwrap();
    store.store("before", &json!({})).unwrap();
    store.put("doubt").durability(Durability::Os).data(&json!({})).unwrap();
    on.store(true, Ordering::SeqCst);
    let rows = store.query("SELECT key FROM storage").unwrap();
    assert_eq!(rows.to::<serde_json::Value>().unwrap(), [json!({"key": "before"})]);
    let stats = store.stats();
    assert_eq!((stats.watermark, stats.pending_writes, tries.load(Ordering::SeqCst)), (1, 1, 1));
    assert!(store.get_key_process("doubt", None).is_some());
}

#[test]
fn everyone_who_waits_is_told_when_the_sync_fails() {
    let dir = tempfile::tempdir().unwrap();
    let (on, tries) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let store = DatedStore::open(DATE, quiet(dir.path()).fs(broken("sync", &on, &tries))).unwrap();
    let acknowledged = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (store, acknowledged) = (&store, &acknowledged);
            scope.spawn(move || {
                loop {
                    match store.put(&format!("{writer}")).data(&json!({})) {
                        Ok(_) => acknowledged.fetch_add(1, Ordering::SeqCst),
                        Err(error) => return assert_eq!(error.kind(), ErrorKind::Poisoned),
                    };
                }
            });
        }
        std::thread::sleep(Duration::from_millis(50));
        on.store(true, Ordering::SeqCst);
    });
    assert_eq!(tries.load(Ordering::SeqCst), 1);
    assert!(store.stats().durable_seq >= acknowledged.load(Ordering::SeqCst) as u64);
}

/// A store on a disk that panics at each operation on a file of this name poisons itself when it is told to do this, and
/// hangs nobody.
fn a_panic_poisons(file: &'static str, work: fn(&DatedStore) -> persist_dated::Result<()>) {
    let dir = tempfile::tempdir().unwrap();
    let panics = FlakyDisk::new(move |_, path| {
        let is_it = path.file_name().is_some_and(|name| name == file);
        assert!(!is_it, "planted: {file}");
        Ok(())
    });
    let store = DatedStore::open(DATE, quiet(dir.path()).fs(Arc::new(panics))).unwrap();
    store.store("k", &json!({})).unwrap();
    let start = Instant::now();
    assert_eq!(work(&store).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(store.store("k", &json!({})).unwrap_err().kind(), ErrorKind::Poisoned);
    assert!(store.get_key_process("k", None).is_some());
    assert_eq!(work(&store).unwrap_err().kind(), ErrorKind::Poisoned);
    assert!(start.elapsed() < Duration::from_secs(5), "somebody waited for a thread that is gone");
    assert!(store.close().is_err());
    let store = open(dir.path());
    assert_eq!(store.len(), 1);
    assert!(store.verify().unwrap().is_ok());
}

#[test]
fn a_worker_that_panics_poisons_the_store_and_hangs_nobody() {
    a_panic_poisons("status.json.tmp", DatedStore::flush);
}

#[test]
fn a_keeper_that_panics_poisons_the_store_and_hangs_nobody() {
    a_panic_poisons("data.duckdb.journal", DatedStore::compact);
}
