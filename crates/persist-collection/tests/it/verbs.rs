//! Removal, conditions, batches, tickets, looking around and following, through a crash and a reopening.

use persist_collection::{Change, Collection, CollectionStore, Error, ErrorKind, Event, Scalar, Since};
use persist_test_utils::copy_as_crash_leaves_it;
use serde_json::json;

use crate::{log, open, rows};

/// The same checks on the store, on what a crash would leave of it, and on it after a close.
fn everywhere(check: impl Fn(&CollectionStore), store: CollectionStore, dir: &std::path::Path) {
    check(&store);
    let crashed = tempfile::tempdir().unwrap();
    copy_as_crash_leaves_it(dir, &crashed.path().join("copy"));
    check(&open(&crashed.path().join("copy")));
    store.close().unwrap();
    check(&open(dir));
}

/// The collection and the name of each item that SQL shows, in order.
fn shown(store: &CollectionStore) -> Vec<String> {
    let sql = "SELECT key || '/' || collection_name || '/' || item_name FROM storage_latest ORDER BY ALL";
    rows(store, sql).into_iter().map(|row| row[0].as_str().unwrap().to_owned()).collect()
}

fn fill(store: &CollectionStore) {
    for (key, collection, item) in
        [("k", "a", "x"), ("k", "a", "y"), ("k", "b", "x"), ("k", "", "x"), ("l", "a", "x"), ("l", "a", "y")]
    {
        store.put(key).collection(collection).item(item).value(1).data(&json!({})).unwrap();
    }
    store.flush().unwrap();
}

#[test]
fn a_removed_item_is_gone_but_for_its_history_and_its_versions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store);
    store.put("k").collection("a").item("x").value(2).data(&json!({})).unwrap();
    let removed = store.remove_item("k", "a", "x").unwrap().expect("it was there");
    assert_eq!((removed.version(), removed.typed_value()), (2, &Some(Scalar::Int(2))));
    let check = |store: &CollectionStore| {
        assert!(store.get_item("k", "a", "x").unwrap().is_none() && store.contains("k", "a", "y").unwrap());
        assert!(store.remove_item("k", "a", "x").unwrap().is_none());
        assert!(store.remove_item("k", "a", "never").unwrap().is_none());
        assert_eq!(shown(store), ["k//x", "k/a/y", "k/b/x", "l/a/x", "l/a/y"]);
        let history = store.history("k", "a", "x").unwrap();
        assert_eq!(history.iter().map(Change::version).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(matches!(&history[2], Change::Removed(removed) if removed.seq() == 8));
        assert!(store.verify().unwrap().is_ok());
    };
    everywhere(check, store, dir.path());
    let store = open(dir.path());
    assert_eq!(store.put("k").collection("a").item("x").data(&json!({})).unwrap().version(), 4);
    assert_eq!(store.history("k", "a", "x").unwrap().len(), 4);
}

#[test]
fn a_collection_is_removed_as_one_step_and_no_other_item() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store);
    let mut removed: Vec<String> =
        store.remove_collection("k", "a").unwrap().iter().map(|record| record.part().item().to_owned()).collect();
    removed.sort();
    assert_eq!(removed, ["x", "y"]);
    assert!(
        store.remove_collection("k", "a").unwrap().is_empty() && store.remove_collection("k", "c").unwrap().is_empty()
    );
    let lines = log(dir.path());
    let removals: Vec<&str> = lines.lines().filter(|line| line.contains("\"op\":\"remove\"")).collect();
    assert!(removals.len() == 2 && removals.iter().all(|line| line.contains(r#""batch":""#)), "{removals:?}");
    let check = |store: &CollectionStore| {
        assert!(store.get_key_in("k", "a").unwrap().is_empty());
        assert_eq!(shown(store), ["k//x", "k/b/x", "l/a/x", "l/a/y"]);
    };
    everywhere(check, store, dir.path());
    let store = open(dir.path());
    assert_eq!(store.remove_collection("k", "").unwrap().len(), 1);
    assert_eq!(shown(&store), ["k/b/x", "l/a/x", "l/a/y"]);
}

#[test]
fn a_key_is_removed_with_all_its_collections() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store);
    assert_eq!(store.remove_key("k").unwrap().len(), 4);
    assert!(store.remove_key("k").unwrap().is_empty() && store.remove_key("nobody").unwrap().is_empty());
    let check = |store: &CollectionStore| {
        assert!(store.get_key("k").unwrap().is_empty());
        assert_eq!(shown(store), ["l/a/x", "l/a/y"]);
        assert_eq!(store.history("k", "a", "x").unwrap().len(), 2);
    };
    everywhere(check, store, dir.path());
}

#[test]
fn a_condition_that_is_not_met_writes_nothing_and_names_the_version_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let seat = || store.put("room").collection("a").item("seat");
    seat().if_absent().value("Ada").data(&json!({})).unwrap();
    let conflicts = [
        seat().if_absent().value("Bob").data(&json!({})).map(drop),
        seat().if_version(2).value("Bob").data(&json!({})).map(drop),
        store.remove_item_if_version("room", "a", "seat", 2).map(drop),
        seat().if_absent().value("Bob").submit(&json!({})).unwrap().wait().map(drop),
    ];
    for error in conflicts.map(Result::unwrap_err) {
        assert_eq!((error.kind(), error.present_version()), (ErrorKind::Conflict, Some(1)));
    }
    let free = store.put("room").collection("b").item("seat").if_version(1).data(&json!({})).unwrap_err();
    assert_eq!((free.kind(), free.present_version()), (ErrorKind::Conflict, None));
    assert_eq!((store.stats().last_seq, store.history("room", "a", "seat").unwrap().len()), (1, 1));

    assert_eq!(seat().if_version(1).value("Cy").data(&json!({})).unwrap().version(), 2);
    assert_eq!(store.remove_item_if_version("room", "a", "seat", 2).unwrap().unwrap().version(), 2);
    assert_eq!(seat().if_absent().value("Di").data(&json!({})).unwrap().version(), 4);
}

#[test]
fn of_many_who_want_a_seat_one_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let got: Vec<bool> = std::thread::scope(|scope| {
        let want = |n: u32| {
            let store = &store;
            scope.spawn(move || {
                let seat = store.put("room").collection("a").item("seat").if_absent().value(n).data(&json!({}));
                seat.map_err(|error| assert_eq!(error.kind(), ErrorKind::Conflict)).is_ok()
            })
        };
        let all: Vec<_> = (0..6).map(want).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(got.iter().filter(|got| **got).count(), 1);
    let has = store.get_item("room", "a", "seat").unwrap().unwrap().typed_value().clone();
    assert_eq!(has, Some(Scalar::Int(got.iter().position(|got| *got).unwrap() as i64)));
}

#[test]
fn a_batch_is_there_as_a_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store);
    let mut batch = store.batch();
    batch.put("form").collection("input").item("name").value("Ada").data(&json!({})).unwrap();
    batch.remove_item_if_version("k", "b", "x", 2);
    assert_eq!(batch.commit().unwrap_err().present_version(), Some(1));
    assert!(!store.contains("form", "input", "name").unwrap() && store.contains("k", "b", "x").unwrap());

    let mut batch = store.batch();
    batch.put("form").collection("input").item("name").if_absent().value("Ada").data(&json!({})).unwrap();
    batch.put("form").collection("input").item("age").value(36).data(&json!({})).unwrap();
    batch.put("form").collection("input").item("age").value(37).data(&json!({})).unwrap();
    batch.remove_item_if_version("k", "b", "x", 1);
    batch.remove_item("k", "", "x");
    batch.remove_item("k", "", "never");
    batch.remove_collection("k", "a");
    batch.remove_key("l");
    assert_eq!(batch.put("bad").data(&json!([])).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(batch.len(), 8);
    let changes = batch.commit().unwrap();
    assert_eq!(changes.len(), 9);
    assert_eq!(changes.iter().map(Change::version).collect::<Vec<_>>(), [1, 1, 2, 2, 2, 2, 2, 2, 2]);
    let check = |store: &CollectionStore| {
        assert_eq!(shown(store), ["form/input/age", "form/input/name"]);
        let form = store.get_key_in("form", "input").unwrap();
        assert_eq!(form["age"].typed_value(), &Some(Scalar::Int(37)));
        assert_eq!(store.history("form", "input", "age").unwrap().len(), 2, "each write of the batch is kept");
    };
    everywhere(check, store, dir.path());
}

#[test]
fn a_batch_that_removes_a_collection_takes_what_it_wrote_there_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = store.batch();
    batch.put("k").collection("a").item("x").data(&json!({})).unwrap();
    batch.put("k").collection("b").item("x").data(&json!({})).unwrap();
    batch.remove_collection("k", "a");
    batch.put("k").collection("a").item("y").data(&json!({})).unwrap();
    assert_eq!(batch.commit().unwrap().len(), 4);
    assert_eq!(shown(&store), ["k/a/y", "k/b/x"]);
}

#[test]
fn what_was_written_can_be_looked_through() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // One thread has them all under way, then waits.
    let key = |n: u32| format!("{}/{}", if n < 100 { "hall" } else { "room" }, n / 10);
    let tickets: Vec<_> =
        (0..300).map(|n| store.put(&key(n)).item(&n.to_string()).value(n).submit(&json!({})).unwrap()).collect();
    for (n, ticket) in (0..).zip(tickets) {
        assert_eq!(ticket.wait().unwrap().typed_value(), &Some(Scalar::Int(n)));
    }
    assert_eq!(store.stats().durable_seq, 300);
    store.remove_item("hall/0", "", "0").unwrap();
    let mut seen: Vec<i64> = store
        .iter()
        .unwrap()
        .map(|record| match record.typed_value() {
            Some(Scalar::Int(n)) => *n,
            other => panic!("{other:?}"),
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..300).collect::<Vec<_>>());
    assert_eq!((store.keys().unwrap().count(), store.keys_with_prefix("hall/").unwrap().count()), (30, 10));
    assert_eq!(store.iter_with_prefix("room/").unwrap().count(), 200);
}

#[test]
fn each_change_is_told_to_a_subscriber_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put("k").item("a").value(1).data(&json!({})).unwrap();
    let from_now = store.subscribe(Since::Now).unwrap();
    let from_first = store.subscribe(Since::After(0)).unwrap();
    store.put("k").item("b").value("x").data(&json!({})).unwrap();
    store.remove_item("k", "", "a").unwrap();
    let told = |event: Result<Event<Collection>, Error>| match event.unwrap() {
        Event::Change(change) => {
            let value = change.record().map(|record| record.typed_value().clone());
            (change.seq(), change.part().item().to_owned(), value)
        }
        missed => panic!("{missed:?}"),
    };
    let later = [(2, "b".to_owned(), Some(Some(Scalar::Text("x".into())))), (3, "a".to_owned(), None)];
    let all: Vec<_> = from_first.take(3).map(told).collect();
    assert_eq!((&all[0], &all[1..]), (&(1, "a".to_owned(), Some(Some(Scalar::Int(1)))), &later[..]));
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
        let record = store.put("k").item("i").if_absent().value(1).data_async(&json!({})).await.unwrap();
        assert_eq!((record.version(), store.stats().durable_seq), (1, 1));
        let conflict = store.put("k").item("i").if_absent().data_async(&json!({})).await.unwrap_err();
        assert_eq!(conflict.kind(), ErrorKind::Conflict);
        let mut batch = store.batch();
        batch.put("l").data(&json!({})).unwrap();
        batch.remove_collection("k", "");
        assert_eq!(batch.commit_async().await.unwrap().len(), 2);
        assert_eq!(store.put("m").submit(&json!({})).unwrap().await.unwrap().key(), "m");
    });
    assert!(store.get_key("k").unwrap().is_empty());
}
