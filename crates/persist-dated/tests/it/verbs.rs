//! Removing, batches, compare and set, tickets and looking around, through a crash, a flush and a reopening each.

use std::time::Duration;

use persist_dated::{Change, DatedConfig, DatedStore, Durability, ErrorKind, Timestamp};
use persist_test_utils::copy_as_crash_leaves_it;
use serde_json::json;
use tempfile::TempDir;

use crate::quiet;

fn open(dir: &TempDir) -> DatedStore {
    DatedStore::open("2025-01-15", quiet(dir.path())).unwrap()
}

/// What a store may go through between two calls.
const PASSAGES: [&str; 5] = ["nothing", "flush", "compact", "crash", "reopen"];

/// A store with its folder, which a crash replaces.
struct Place {
    dir: TempDir,
    store: Option<DatedStore>,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(open(&dir));
        Self { dir, store }
    }

    fn store(&self) -> &DatedStore {
        self.store.as_ref().unwrap()
    }

    fn go_through(&mut self, passage: &str) {
        match passage {
            "flush" => self.store().flush().unwrap(),
            "compact" => self.store().compact().unwrap(),
            "crash" => {
                let next = tempfile::tempdir().unwrap();
                copy_as_crash_leaves_it(self.dir.path(), next.path());
                self.store = None;
                self.dir = next;
                self.store = Some(open(&self.dir));
            }
            "reopen" => {
                self.store.take().unwrap().close().unwrap();
                self.store = Some(open(&self.dir));
            }
            _ => {}
        }
    }
}

fn count(store: &DatedStore) -> i64 {
    store.query("SELECT count(*) AS n FROM storage").unwrap().get(0, "n").unwrap().as_i64().unwrap()
}

#[test]
fn a_removed_record_is_gone_everywhere_and_its_versions_go_on() {
    for before in PASSAGES {
        for after in PASSAGES {
            let mut place = Place::new();
            for n in 1..=2 {
                place.store().put("k").process("p").data(&json!({"n": n})).unwrap();
            }
            place.store().store("k", &json!({"n": 3})).unwrap();
            place.go_through(before);
            let removed = place.store().remove("k", Some("p")).unwrap().expect("it was there");
            assert_eq!((removed.version(), removed.field::<i32>("n").unwrap()), (2, Some(2)));
            place.go_through(after);
            let store = place.store();
            assert!(!store.contains("k", Some("p")) && store.contains("k", None), "{before}, {after}");
            assert_eq!((store.len(), store.get_key("k").len(), store.iter().count(), count(store)), (1, 1, 1, 1));
            assert_eq!(store.stats().removed_ids, 1, "{before}, {after}");
            assert!(store.remove("k", Some("p")).unwrap().is_none());
            assert!(store.remove("other", None).unwrap().is_none());
            assert!(store.verify().unwrap().is_ok());
            place.go_through(before);
            let again = place.store().put("k").process("p").data(&json!({"n": 4})).unwrap();
            assert_eq!(again.version(), 4, "{before}, {after}");
            place.go_through(after);
            assert_eq!(place.store().get_key_process("k", Some("p")).unwrap().version(), 4);
            assert_eq!((place.store().stats().removed_ids, count(place.store())), (0, 2));
        }
    }
}

#[test]
fn forgotten_removals_start_at_version_one_also_after_a_crash() {
    for passage in PASSAGES {
        let mut place = Place::new();
        place.store().store("old", &json!({})).unwrap();
        place.store().store("new", &json!({})).unwrap();
        place.store().remove("old", None).unwrap();
        let between = place.store().store("between", &json!({})).unwrap().written_at();
        std::thread::sleep(Duration::from_millis(2));
        place.store().remove("new", None).unwrap();
        assert_eq!(place.store().forget_removed(Timestamp::parse("2020-01-01").unwrap()).unwrap(), 0);
        assert_eq!(place.store().forget_removed(between).unwrap(), 1);
        place.go_through(passage);
        assert_eq!(place.store().stats().removed_ids, 1);
        assert_eq!(place.store().store("old", &json!({})).unwrap().version(), 1, "{passage}");
        assert_eq!(place.store().store("new", &json!({})).unwrap().version(), 3, "{passage}");
    }
}

#[test]
fn a_batch_is_one_step_with_one_sync() {
    for passage in PASSAGES {
        let mut place = Place::new();
        let store = place.store();
        store.store("gone", &json!({})).unwrap();
        let before = store.stats();
        let mut batch = store.batch();
        for n in 0..50 {
            batch.put("k").process(&format!("p{n}")).data(&json!({"n": n})).unwrap();
        }
        batch.put("twice").data(&json!({"n": 1})).unwrap();
        batch.put("twice").data(&json!({"n": 2})).unwrap();
        batch.remove("gone", None);
        batch.remove("never there", None);
        batch.put("short-lived").data(&json!({})).unwrap();
        batch.remove_key("short-lived");
        assert_eq!(batch.len(), 56);
        let changes = batch.commit().unwrap();
        let after = store.stats();
        assert_eq!((changes.len(), after.last_seq - before.last_seq, after.syncs - before.syncs), (55, 55, 1));
        assert!(changes.windows(2).all(|pair| pair[0].seq() + 1 == pair[1].seq()));
        assert!(matches!(&changes[52], Change::Removed(removed) if removed.key() == "gone" && removed.version() == 2));
        place.go_through(passage);
        let store = place.store();
        assert_eq!((store.len(), count(store)), (51, 51), "{passage}");
        let twice = store.get_key_process("twice", None).unwrap();
        assert_eq!((twice.version(), twice.field::<i32>("n").unwrap()), (2, Some(2)));
        assert_eq!(store.store("short-lived", &json!({})).unwrap().version(), 3);
        assert!(store.verify().unwrap().is_ok());
    }
}

#[test]
fn nothing_of_a_batch_is_done_where_one_condition_is_not_met() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    store.store("taken", &json!({"by": "Ada"})).unwrap();
    let seq = store.stats().last_seq;
    let mut batch = store.batch();
    batch.put("free").if_absent().data(&json!({"by": "Bob"})).unwrap();
    batch.put("taken").if_absent().data(&json!({"by": "Bob"})).unwrap();
    let error = batch.commit().unwrap_err();
    assert_eq!((error.kind(), error.present_version()), (ErrorKind::Conflict, Some(1)));
    let mut batch = store.batch();
    batch.put("free").data(&json!({})).unwrap();
    batch.remove_if_version("taken", None, 2);
    assert_eq!(batch.commit().unwrap_err().present_version(), Some(1));
    assert_eq!(batch_error(&store), ErrorKind::Input);
    assert_eq!((store.len(), store.stats().last_seq), (1, seq));
    // What the batch itself does counts for what follows in it.
    let mut batch = store.batch();
    batch.put("free").if_absent().data(&json!({"n": 1})).unwrap();
    batch.put("free").if_version(1).data(&json!({"n": 2})).unwrap();
    batch.remove_if_version("free", None, 2);
    batch.put("free").if_absent().data(&json!({"n": 4})).unwrap();
    assert_eq!(batch.commit().unwrap().len(), 4);
    assert_eq!(store.get_key_process("free", None).unwrap().version(), 4);
    assert!(store.batch().commit().unwrap().is_empty());
}

fn batch_error(store: &DatedStore) -> ErrorKind {
    let mut batch = store.batch();
    batch.put("fine").data(&json!({})).unwrap();
    let refused = batch.put("not fine").data(&json!("no object")).unwrap_err();
    refused.kind()
}

#[test]
fn what_there_is_can_be_looked_through_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for n in 0..300 {
        let key = format!("{}/{n}", if n % 3 == 0 { "hall" } else { "room" });
        store.put(&key).process("p").durability(Durability::Os).data(&json!({"n": n})).unwrap();
        store.put(&key).durability(Durability::Os).data(&json!({"n": n})).unwrap();
    }
    store.remove("hall/0", None).unwrap();
    store.remove_key("room/1").unwrap();
    assert_eq!((store.len(), store.iter().count(), store.keys().count()), (597, 597, 299));
    assert_eq!((store.keys_with_prefix("hall/").count(), store.iter_with_prefix("hall/").count()), (100, 199));
    assert_eq!(store.keys_with_prefix("nowhere").count(), 0);
    // No lock is held while the caller has a record: it can write the very records it walks over.
    for record in store.iter() {
        store.put(record.key()).process("p").durability(Durability::Os).data(&json!({"seen": true})).unwrap();
    }
    let mut keys: Vec<String> = store.keys().collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 299);
}

/// An answer that rested on nothing was taken for one that rests on the last `Sync` write.
#[test]
fn a_relaxed_write_waits_for_no_sync_whatever_was_written_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    store.store("k", &json!({})).unwrap();
    let syncs = store.stats().syncs;
    for key in ["k", "new", "k"] {
        store.put(key).durability(Durability::Os).data(&json!({})).unwrap();
    }
    assert_eq!((store.stats().syncs, store.stats().durable_seq), (syncs, 1));
}

#[test]
fn one_thread_has_thousands_of_writes_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let before = store.stats();
    let tickets: Vec<_> = (0..10_000).map(|n| store.put(&format!("k{n}")).submit(&json!({"n": n})).unwrap()).collect();
    assert_eq!(store.len(), 10_000);
    for (n, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.wait().unwrap().field::<usize>("n").unwrap(), Some(n));
    }
    let after = store.stats();
    assert!(after.durable_seq >= 10_000);
    let (writes, syncs) = (after.writes - before.writes, after.syncs - before.syncs);
    assert!(writes / syncs >= 50, "{writes} writes in {syncs} syncs");
}

#[test]
fn tickets_that_nobody_waits_for_become_durable_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let ticket = store.put("k").submit(&json!({})).unwrap();
    drop(store.put("dropped").submit(&json!({})).unwrap());
    let relaxed = store.put("k").durability(Durability::Os).submit(&json!({})).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while !(ticket.is_done() && relaxed.is_done() && store.stats().durable_seq >= 2) {
        assert!(std::time::Instant::now() < until, "nobody syncs");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(ticket.wait().unwrap().version(), 1);
    let conflict = store.put("k").if_absent().submit(&json!({})).unwrap();
    assert_eq!(conflict.wait().unwrap_err().present_version(), Some(2));
    let next = tempfile::tempdir().unwrap();
    copy_as_crash_leaves_it(dir.path(), next.path());
    assert!(open(&next).contains("dropped", None));
}

#[test]
fn a_large_batch_is_flushed_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let config: DatedConfig = quiet(dir.path()).max_wal_size_bytes(4096);
    let store = DatedStore::open("2025-01-15", config.clone()).unwrap();
    let mut batch = store.batch();
    for n in 0..30_000 {
        batch.put(&format!("k{n}")).data(&json!({"n": n})).unwrap();
    }
    batch.commit().unwrap();
    store.store("after", &json!({})).unwrap();
    let counted = count(&store);
    assert_eq!(counted, 30_001);
    drop(store);
    let store = DatedStore::open("2025-01-15", config).unwrap();
    assert_eq!((store.len(), store.recovery().left_out.len()), (30_001, 0));
}

#[test]
fn removals_reach_exports_and_backups() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, backup, restored) = (dir.path().join("lake"), dir.path().join("backup"), dir.path().join("restored"));
    let store = DatedStore::open("2025-01-15", quiet(&dir.path().join("store")).parquet(&lake)).unwrap();
    for process in ["stays", "goes"] {
        store.put("k").process(process).data(&json!({})).unwrap();
    }
    assert_eq!(store.export().unwrap().unwrap().rows(), 2);
    store.compact().unwrap();
    store.remove("k", Some("goes")).unwrap();
    // Flushed and not merged yet: the export shows it all the same.
    let export = store.export().unwrap().unwrap();
    assert_eq!((export.rows(), export.files().len()), (1, 1));
    assert!(!lake.join("process_name=goes").join("date=2025-01-15").join("data.parquet").exists());
    store.backup(&backup).unwrap();
    store.close().unwrap();
    DatedStore::restore(&backup, "2025-01-15", quiet(&restored)).unwrap();
    let store = DatedStore::open("2025-01-15", quiet(&restored)).unwrap();
    assert_eq!((store.len(), store.stats().removed_ids), (1, 1));
    assert_eq!(store.put("k").process("goes").data(&json!({})).unwrap().version(), 3);
}
