//! Removing collections, batches and conditions as this store names them, and waiting without blocking a thread.

use persist_collection::CollectionStore;
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
        assert_eq!(conflict.kind(), persist_collection::ErrorKind::Conflict);
        let mut batch = store.batch();
        batch.put("l").data(&json!({})).unwrap();
        batch.remove_collection("k", "");
        assert_eq!(batch.commit_async().await.unwrap().len(), 2);
        assert_eq!(store.put("m").submit(&json!({})).unwrap().await.unwrap().key(), "m");
    });
    assert!(store.get_key("k").unwrap().is_empty());
}
