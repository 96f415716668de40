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

/// What a second caller asks while the first one's write is in doubt.
type Asker = fn(&DatedStore) -> Result<(), Error>;

/// Of a record that is there since a write in doubt.
const OF_A_PUT: [(&str, Asker); 4] = [
    ("put if absent", |store| store.put("k").if_absent().data(&json!({})).map(drop)),
    ("put if another version", |store| store.put("k").if_version(7).data(&json!({})).map(drop)),
    ("remove if another version", |store| store.remove_if_version("k", None, 7).map(drop)),
    ("put if absent in a batch", |store| {
        let mut batch = store.batch().durability(Durability::Os);
        batch.put("other").data(&json!({}))?;
        batch.put("k").if_absent().data(&json!({}))?;
        batch.commit().map(drop)
    }),
];

/// Of a record that is gone since a removal in doubt.
const OF_A_REMOVAL: [(&str, Asker); 6] = [
    ("put if this version", |store| store.put("k").if_version(1).data(&json!({})).map(drop)),
    ("remove", |store| store.remove("k", None).map(drop)),
    ("remove if this version", |store| store.remove_if_version("k", None, 1).map(drop)),
    ("remove the key", |store| store.remove_key("k").map(drop)),
    ("remove in a batch", |store| {
        let mut batch = store.batch().durability(Durability::Os);
        batch.remove("k", None);
        batch.commit().map(drop)
    }),
    ("remove the key in a batch", |store| {
        let mut batch = store.batch().durability(Durability::Os);
        batch.remove_key("k");
        batch.commit().map(drop)
    }),
];

/// The removal of a key that has no record any more was answered at once.
#[test]
fn each_verb_waits_for_the_write_that_its_answer_rests_on() {
    let cases = OF_A_PUT.map(|ask| (false, ask)).into_iter().chain(OF_A_REMOVAL.map(|ask| (true, ask)));
    for (is_removal, (what, ask)) in cases {
        let dir = tempfile::tempdir().unwrap();
        let slow = Arc::new(Slow::default());
        let store = &DatedStore::open("2025-01-15", quiet(dir.path()).fs(slow_disk(&slow))).unwrap();
        store.store(if is_removal { "k" } else { "another" }, &json!({})).unwrap();
        slow.fails.store(true, Ordering::SeqCst);
        let shut = slow.door.lock();
        slow.waits.store(true, Ordering::SeqCst);
        thread::scope(|scope| {
            let first = scope.spawn(move || match is_removal {
                false => store.store("k", &json!({})).map(drop),
                true => store.remove("k", None).map(drop),
            });
            while store.contains("k", None) == is_removal {
                thread::sleep(Duration::from_millis(1));
            }
            let second = scope.spawn(move || ask(store));
            thread::sleep(Duration::from_millis(100));
            let early = second.is_finished();
            drop(shut);
            let second = second.join().unwrap();
            assert!(!early, "{what}: {second:?} while the write before it was in doubt");
            let poisoned = Err((ErrorKind::Poisoned, None));
            assert_eq!((told(second), told(first.join().unwrap())), (poisoned, poisoned), "{what}");
        });
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
