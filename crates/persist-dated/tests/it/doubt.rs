//! Nobody is told of a write that a failed sync may take back: who is refused because of it, or finds nothing left to
//! remove, waits until it is acknowledged.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use persist_dated::{DatedStore, Durability, Error, ErrorKind};
use persist_test_utils::FlakyDisk;
use serde_json::json;

use crate::quiet;

/// A disk whose syncs of the log wait, once it is told so, and then succeed or fail.
#[derive(Default)]
struct Slow {
    waits: AtomicBool,
    fails: AtomicBool,
    door: Mutex<()>,
}

fn slow_disk(slow: &Arc<Slow>) -> Arc<FlakyDisk> {
    let slow = Arc::clone(slow);
    Arc::new(FlakyDisk::new(move |operation: &str, path: &Path| {
        let is_segment = path.extension().is_some_and(|extension| extension == "jsonl");
        if operation == "sync" && is_segment && slow.waits.load(Ordering::SeqCst) {
            drop(slow.door.lock());
            if slow.fails.load(Ordering::SeqCst) {
                return Err(io::Error::from_raw_os_error(5));
            }
        }
        Ok(())
    }))
}

/// The kind of an error, and the version that a conflict names.
fn told<T>(answer: Result<T, Error>) -> Result<T, (ErrorKind, Option<u32>)> {
    answer.map_err(|error| (error.kind(), error.present_version()))
}

#[test]
fn an_answer_that_rests_on_anothers_write_waits_for_its_sync() {
    for fails in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let slow = Arc::new(Slow::default());
        let store = DatedStore::open("2025-01-15", quiet(dir.path()).fs(slow_disk(&slow))).unwrap();
        store.store("gone", &json!({})).unwrap();
        slow.fails.store(fails, Ordering::SeqCst);
        let shut = slow.door.lock();
        slow.waits.store(true, Ordering::SeqCst);
        thread::scope(|scope| {
            let first = scope.spawn(|| told(store.put("seat").if_absent().data(&json!({"by": "Ada"}))));
            let removal = scope.spawn(|| told(store.remove("gone", None)));
            while !store.contains("seat", None) || store.contains("gone", None) {
                thread::sleep(Duration::from_millis(1));
            }
            let take = |durability| told(store.put("seat").if_absent().durability(durability).data(&json!({})));
            let strict = scope.spawn(move || take(Durability::Sync));
            let relaxed = scope.spawn(move || take(Durability::Os));
            let nothing = scope.spawn(|| told(store.remove("gone", None)));
            let ticket = store.put("seat").if_version(7).submit(&json!({})).unwrap();
            thread::sleep(Duration::from_millis(50));
            assert!(!strict.is_finished() && !relaxed.is_finished() && !nothing.is_finished() && !ticket.is_done());
            drop(shut);
            let (first, removal) = (first.join().unwrap(), removal.join().unwrap());
            let refused = [strict.join().unwrap(), relaxed.join().unwrap(), told(ticket.wait())];
            let poisoned = (ErrorKind::Poisoned, None);
            if fails {
                assert_eq!((first.unwrap_err(), removal.unwrap_err()), (poisoned, poisoned));
                assert!(refused.into_iter().all(|answer| answer.unwrap_err() == poisoned));
                assert_eq!(nothing.join().unwrap().unwrap_err(), poisoned);
            } else {
                assert!(first.is_ok() && removal.unwrap().is_some());
                assert!(refused.into_iter().all(|answer| answer.unwrap_err() == (ErrorKind::Conflict, Some(1))));
                assert!(nothing.join().unwrap().unwrap().is_none());
            }
        });
        slow.waits.store(false, Ordering::SeqCst);
        drop(store);
        let store = crate::open(dir.path());
        assert!(fails || (store.contains("seat", None) && !store.contains("gone", None)));
    }
}

#[test]
fn a_relaxed_answer_waits_for_no_sync_that_nobody_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = crate::open(dir.path());
    let relaxed = |key| store.put(key).durability(Durability::Os);
    relaxed("k").data(&json!({})).unwrap();
    let error = relaxed("k").if_absent().data(&json!({})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    relaxed("k").if_version(1).data(&json!({})).unwrap();
    assert!(store.stats().durable_seq < 1, "a sync was made that nobody asked for");
    store.store("other", &json!({})).unwrap();
    let durable = store.stats().durable_seq;
    relaxed("k").if_version(2).data(&json!({})).unwrap();
    assert_eq!(store.stats().durable_seq, durable, "what was durable already was synced again");
}
