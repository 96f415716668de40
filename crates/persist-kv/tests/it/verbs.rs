//! Removal, conditions, batches, tickets and looking around, through a crash and a reopening.

use persist_kv::{Change, Error, ErrorKind, Event, Kv, KvStore, Since, Timestamp};
use persist_test_utils::copy_as_crash_leaves_it;
use serde_json::json;

use crate::open;

/// The same checks on the store, on what a crash would leave of it, and on it after a close.
fn everywhere(check: impl Fn(&KvStore), store: KvStore, dir: &std::path::Path) {
    check(&store);
    let crashed = tempfile::tempdir().unwrap();
    copy_as_crash_leaves_it(dir, &crashed.path().join("copy"));
    check(&open(&crashed.path().join("copy")));
    store.close().unwrap();
    check(&open(dir));
}

#[test]
fn a_removed_record_is_gone_and_its_versions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 1..=2 {
        store.store("k", &json!({"n": n})).unwrap();
        store.store("other", &json!({"n": n})).unwrap();
    }
    store.flush().unwrap();
    let removed = store.remove("k").unwrap().expect("it was there");
    assert_eq!((removed.version(), removed.json()), (2, r#"{"n":2}"#));
    let check = |store: &KvStore| {
        assert!(!store.contains("k") && store.contains("other") && store.get("k").is_none());
        assert!(store.remove("k").unwrap().is_none() && store.remove("never").unwrap().is_none());
        let keys: Vec<String> =
            store.query("SELECT key FROM storage").unwrap().iter().map(|r| r[0].to_string()).collect();
        assert_eq!((keys, store.len(), store.stats().removed_ids), (vec!["\"other\"".to_owned()], 1, 1));
        assert!(store.verify().unwrap().is_ok());
    };
    everywhere(check, store, dir.path());
    let store = open(dir.path());
    assert_eq!(store.store("k", &json!({})).unwrap().version(), 4);
    store.remove("k").unwrap();
    assert_eq!(store.forget_removed(Timestamp::parse("2999-01-01").unwrap()).unwrap(), 1);
    assert_eq!(store.store("k", &json!({})).unwrap().version(), 1);
}

#[test]
fn a_condition_that_is_not_met_writes_nothing_and_names_the_version_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let by = |name: &str| json!({"by": name});
    store.put("seat").if_absent().data(&by("Ada")).unwrap();
    let conflicts = [
        store.put("seat").if_absent().data(&by("Bob")).map(drop),
        store.put("seat").if_version(2).data(&by("Bob")).map(drop),
        store.remove_if_version("seat", 2).map(drop),
        store.put("seat").if_absent().submit(&by("Bob")).unwrap().wait().map(drop),
    ];
    for error in conflicts.map(Result::unwrap_err) {
        assert_eq!((error.kind(), error.present_version()), (ErrorKind::Conflict, Some(1)));
    }
    let free = store.put("free").if_version(1).data(&by("Bob")).unwrap_err();
    assert_eq!((free.kind(), free.present_version()), (ErrorKind::Conflict, None));
    assert_eq!((store.stats().last_seq, store.get("seat").unwrap().json()), (1, r#"{"by":"Ada"}"#));

    assert_eq!(store.put("seat").if_version(1).data(&by("Cy")).unwrap().version(), 2);
    assert_eq!(store.remove_if_version("seat", 2).unwrap().unwrap().version(), 2);
    assert_eq!(store.put("seat").if_absent().data(&by("Di")).unwrap().version(), 4);
}

#[test]
fn a_batch_is_there_as_a_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.store("from", &json!({"n": 1})).unwrap();
    store.store("gone", &json!({})).unwrap();
    let mut batch = store.batch();
    batch.put("to").if_absent().data(&json!({"n": 1})).unwrap();
    batch.remove_if_version("from", 2);
    assert_eq!(batch.commit().unwrap_err().present_version(), Some(1));
    assert!(!store.contains("to") && store.contains("from"));

    let mut batch = store.batch();
    batch.put("to").if_absent().data(&json!({"n": 2})).unwrap();
    batch.remove_if_version("from", 1);
    batch.remove("gone");
    batch.remove("never");
    assert_eq!(batch.put("bad").data(&json!([])).unwrap_err().kind(), ErrorKind::Input);
    let changes = batch.commit().unwrap();
    let keys: Vec<&str> = changes.iter().map(Change::key).collect();
    assert_eq!(keys, ["to", "from", "gone"]);
    assert!(changes[0].record().is_some() && matches!(&changes[1], Change::Removed(from) if from.version() == 2));
    let log = std::fs::read_to_string(dir.path().join("storage/wal_000001.jsonl")).unwrap();
    let removal = log.lines().find(|line| line.contains("\"op\":\"remove\"")).unwrap();
    assert!(removal.starts_with(r#"{"key":"from","at":""#) && removal.contains(r#""batch":"2/"#), "{removal}");
    let check = |store: &KvStore| {
        assert_eq!(store.keys().collect::<Vec<_>>(), ["to"]);
        assert_eq!(store.get("to").unwrap().json(), r#"{"n":2}"#);
    };
    everywhere(check, store, dir.path());
}

#[test]
fn what_there_is_can_be_looked_through() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // One thread has them all under way, then waits.
    let key = |n: u32| format!("{}/{n}", if n < 100 { "hall" } else { "room" });
    let tickets: Vec<_> = (0..300).map(|n| store.put(&key(n)).submit(&json!({"n": n})).unwrap()).collect();
    for (n, ticket) in (0..).zip(tickets) {
        assert_eq!(ticket.wait().unwrap().field::<u32>("n").unwrap(), Some(n));
    }
    assert_eq!(store.stats().durable_seq, 300);
    store.remove("hall/0").unwrap();
    let mut seen: Vec<u32> = store.iter().map(|record| record.field("n").unwrap().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..300).collect::<Vec<_>>());
    assert_eq!((store.keys().count(), store.keys_with_prefix("hall/").count()), (299, 99));
    assert!(store.iter_with_prefix("room/").all(|record| record.key().starts_with("room/")));
    assert_eq!(store.iter_with_prefix("room/").count(), 200);
    assert_eq!(store.keys_with_prefix("nowhere").count(), 0);
}

#[test]
fn each_change_is_told_to_a_subscriber_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.store("a", &json!({"n": 1})).unwrap();
    let from_now = store.subscribe(Since::Now).unwrap();
    let from_first = store.subscribe(Since::After(0)).unwrap();
    store.store("b", &json!({"n": 2})).unwrap();
    store.remove("a").unwrap();
    assert_eq!(store.subscribe(Since::After(9)).unwrap_err().kind(), ErrorKind::Input);
    let told = |event: Result<Event<Kv>, Error>| match event.unwrap() {
        Event::Change(change) => (change.seq(), change.key().to_owned(), change.record().map(|r| r.json().to_owned())),
        missed => panic!("{missed:?}"),
    };
    let data = |n: u32| Some(format!(r#"{{"n":{n}}}"#));
    let later = [(2, "b".to_owned(), data(2)), (3, "a".to_owned(), None)];
    let all: Vec<_> = from_first.take(3).map(told).collect();
    assert_eq!((&all[0], &all[1..]), (&(1, "a".to_owned(), data(1)), &later[..]));
    store.close().unwrap();
    assert_eq!(from_now.map(told).collect::<Vec<_>>(), later, "it ends with the store");
}

#[cfg(feature = "tokio")]
#[test]
fn writes_can_be_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let record = store.put("k").if_absent().data_async(&json!({"n": 1})).await.unwrap();
        assert_eq!((record.version(), store.stats().durable_seq), (1, 1));
        let conflict = store.put("k").if_absent().data_async(&json!({"n": 2})).await.unwrap_err();
        assert_eq!(conflict.kind(), ErrorKind::Conflict);
        let mut batch = store.batch();
        batch.put("l").data(&json!({})).unwrap();
        batch.remove("k");
        assert_eq!(batch.commit_async().await.unwrap().len(), 2);
        assert_eq!(store.put("m").submit(&json!({})).unwrap().await.unwrap().key(), "m");
        store.sync_async().await.unwrap();
        assert_eq!(store.stats().durable_seq, 4);
    });
    assert!(!store.contains("k") && store.contains("l"));
}
