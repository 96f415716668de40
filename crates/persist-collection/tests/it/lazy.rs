//! Collections are read into memory as they are asked for, whatever asks.

use persist_collection::{CollectionStore, ErrorKind};
use serde_json::json;

use crate::open;

/// Three keys with three collections of four items, of which one was removed, in a store that was closed since.
fn reopened(dir: &std::path::Path) -> CollectionStore {
    let store = open(dir);
    let mut batch = store.batch();
    for n in 0..36 {
        let (key, collection, item) = (format!("k{}", n / 12), format!("c{}", n / 4 % 3), format!("i{}", n % 4));
        batch.put(&key).collection(&collection).item(&item).value(n).data(&json!({})).unwrap();
    }
    batch.commit().unwrap();
    store.remove_item("k0", "c0", "i0").unwrap();
    store.close().unwrap();
    let store = open(dir);
    assert_eq!(in_memory(&store), 0);
    store
}

fn in_memory(store: &CollectionStore) -> usize {
    store.stats().cache_size
}

#[test]
fn a_read_loads_the_collection_of_the_item_and_a_key_all_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = reopened(dir.path());
    assert!(store.get_item("k0", "c0", "i1").unwrap().is_some());
    assert_eq!((in_memory(&store), store.stats().removed_ids), (3, 1));
    assert!(
        store.get_item("k0", "c0", "i0").unwrap().is_none() && store.get_item("k0", "c0", "never").unwrap().is_none()
    );
    assert_eq!(in_memory(&store), 3, "read once");
    assert_eq!(store.get_key_in("k0", "c1").unwrap().len(), 4);
    assert_eq!(in_memory(&store), 7);
    assert_eq!(store.get_key("k1").unwrap().len(), 3);
    assert_eq!(in_memory(&store), 19);
    assert!(store.get_key("nobody").unwrap().is_empty());
    assert_eq!(in_memory(&store), 19);
    assert_eq!(store.iter().unwrap().count(), 35);
    assert_eq!((in_memory(&store), store.keys_with_prefix("k1").unwrap().count()), (35, 1));
}

#[test]
fn a_write_knows_what_is_not_in_memory_yet() {
    let dir = tempfile::tempdir().unwrap();
    let store = reopened(dir.path());
    let put = |key, item| store.put(key).collection("c0").item(item);
    assert_eq!(put("k0", "i1").data(&json!({})).unwrap().version(), 2);
    assert_eq!(
        put("k0", "i0").if_absent().data(&json!({})).unwrap().version(),
        3,
        "it was removed as its second version"
    );
    assert_eq!(in_memory(&store), 4);
    let conflict = put("k1", "i1").if_absent().data(&json!({})).unwrap_err();
    assert_eq!((conflict.kind(), conflict.present_version()), (ErrorKind::Conflict, Some(1)));
    assert_eq!(store.remove_item("k2", "c0", "i1").unwrap().unwrap().version(), 1);

    drop(store);
    let store = open(dir.path());
    assert_eq!(store.remove_collection("k1", "c1").unwrap().len(), 4);
    assert_eq!(in_memory(&store), 0, "of a collection that is removed no other is read");
    assert_eq!(store.remove_key("k1").unwrap().len(), 8);
    let left = store.query("SELECT count(*) AS n FROM storage_latest").unwrap();
    assert_eq!(left.get(0, "n"), Some(&json!(23)));
    assert!(store.verify().unwrap().is_ok());
}

#[test]
fn what_was_written_meanwhile_is_there_when_its_collection_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = reopened(dir.path());
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..9_u32 {
                    let (key, collection) = (format!("k{}", (n + thread) / 3 % 3), format!("c{}", n % 3));
                    let item = format!("t{thread}");
                    let put = || store.put(&key).collection(&collection).item(&item);
                    put().if_absent().data(&json!({})).unwrap();
                    let read = store.get_key_in(&key, &collection).unwrap();
                    assert!(read.contains_key(&item) && read.contains_key("i3"), "{read:?}");
                }
            });
        }
    });
    assert_eq!(store.iter().unwrap().count(), 35 + 36);
}
