//! Following a dated store by its facade; the guarantees are shown in persist-core.

use std::collections::BTreeMap;
use std::time::Duration;

use persist_dated::{Change, Dated, DatedStore, ErrorKind, Event, Since};
use serde_json::json;

use crate::quiet;

/// What a follower makes of the changes: the data's `n` by key and process.
type Copy = BTreeMap<(String, Option<String>), u64>;

fn apply(copy: &mut Copy, change: &Change<Dated>) {
    let id = (change.key().to_owned(), change.part().as_deref().map(str::to_owned));
    match change.record() {
        Some(record) => copy.insert(id, record.field("n").unwrap().unwrap()),
        None => copy.remove(&id),
    };
}

fn copy_of(store: &DatedStore) -> Copy {
    let of = |record: &persist_dated::Record| {
        let id = (record.key().to_owned(), record.part().as_deref().map(str::to_owned));
        (id, record.field("n").unwrap().unwrap())
    };
    store.iter().map(|record| of(&record)).collect()
}

#[test]
fn a_follower_that_stores_its_position_has_the_same_records_over_openings_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let config = quiet(dir.path()).max_wal_size_bytes(4096).keep_log(Duration::from_secs(3600));
    let (mut copy, mut position) = (Copy::new(), 0);
    for round in 0..4_u64 {
        let store = DatedStore::open("2025-01-15", config.clone()).unwrap();
        for n in round * 50..(round + 1) * 50 {
            let key = format!("k{}", n % 11);
            match n % 7 {
                0 => drop(store.remove(&key, Some("p")).unwrap()),
                1 => drop(store.put(&key).data(&json!({"n": n})).unwrap()),
                _ => drop(store.put(&key).process("p").data(&json!({"n": n})).unwrap()),
            }
            if n % 30 == 29 {
                store.compact().unwrap();
            }
            // The follower comes only now and then, and a new one each time.
            if n % 20 == 19 {
                let mut changes = store.subscribe(Since::After(position)).unwrap();
                while let Some(event) = changes.try_recv().unwrap() {
                    position = event.seq();
                    let Event::Change(change) = event else { panic!("{event:?}") };
                    apply(&mut copy, &change);
                }
                assert_eq!(copy, copy_of(&store));
            }
        }
        store.close().unwrap();
    }
    assert!(position > 150 && copy.len() > 10, "{position} {copy:?}");
}

#[test]
fn what_is_no_longer_kept_is_gone_and_a_follower_begins_anew_from_the_records() {
    let dir = tempfile::tempdir().unwrap();
    let store = DatedStore::open("2025-01-15", quiet(dir.path())).unwrap();
    for n in 0..30 {
        store.store(&format!("k{n}"), &json!({"n": n})).unwrap();
    }
    store.compact().unwrap();
    assert_eq!(store.subscribe(Since::After(10)).unwrap_err().kind(), ErrorKind::Gone);
    let mut changes = store.subscribe(Since::Now).unwrap();
    let mut copy = copy_of(&store);
    store.remove("k3", None).unwrap();
    store.store("k4", &json!({"n": 400})).unwrap();
    while let Some(event) = changes.try_recv().unwrap() {
        let Event::Change(change) = event else { panic!("{event:?}") };
        apply(&mut copy, &change);
    }
    assert_eq!((copy.len(), copy[&("k4".to_owned(), None)]), (29, 400));
    assert_eq!(copy, copy_of(&store));
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_task_follows_a_store_from_the_disk_and_from_memory_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let config = quiet(dir.path()).max_wal_size_bytes(4096).keep_log(Duration::from_secs(3600));
    let store = DatedStore::open("2025-01-15", config).unwrap();
    for n in 0..60 {
        store.store("k", &json!({"n": n})).unwrap();
    }
    store.compact().unwrap();
    let mut changes = store.subscribe(Since::After(0)).unwrap();
    let follower = tokio::spawn(async move {
        let mut seqs = Vec::new();
        loop {
            match changes.recv_async().await {
                Ok(event) => seqs.push(event.seq()),
                Err(error) => return (seqs, error.kind()),
            }
        }
    });
    for n in 60..100 {
        // The runtime has one thread: what blocked it would end here.
        store.put("k").data_async(&json!({"n": n})).await.unwrap();
    }
    tokio::task::spawn_blocking(move || store.close().unwrap()).await.unwrap();
    assert_eq!(follower.await.unwrap(), ((1..=100).collect(), ErrorKind::Closed));
}
