//! The past: every write of an item, and all items as they stood at a moment, by either of a write's times.

use std::sync::Arc;

use persist_collection::{Change, CollectionStore, ErrorKind, Record, Scalar, Timestamp};
use persist_test_utils::copy_as_crash_leaves_it;
use serde_json::json;

use crate::{open, rows};

/// Item and value of each record.
fn told(records: Vec<Arc<Record>>) -> Vec<(String, Option<Scalar>)> {
    records.iter().map(|record| (record.part().item().to_owned(), record.typed_value().clone())).collect()
}

fn told_of(wanted: &[(&str, i64)]) -> Vec<(String, Option<Scalar>)> {
    wanted.iter().map(|(item, value)| ((*item).to_owned(), Some(Scalar::Int(*value)))).collect()
}

#[test]
fn versions_in_the_history_have_no_gap_whatever_happens_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let mut at = dir.path().join("0");
    for round in 0..4_u32 {
        let store = open(&at);
        for n in 0..3 {
            store.put("k").collection("c").item("i").value(round * 10 + n).data(&json!({})).unwrap();
            store.put("k").collection("c").item(&format!("other{n}")).data(&json!({})).unwrap();
            match n {
                0 => store.flush().unwrap(),
                1 if round % 2 == 0 => store.refresh_latest().unwrap(),
                _ => {}
            }
        }
        if round % 2 == 0 {
            let next = dir.path().join((round + 1).to_string());
            copy_as_crash_leaves_it(&at, &next);
            at = next;
        }
        store.close().unwrap();
    }
    let store = open(&at);
    let versions = rows(&store, "SELECT version FROM storage_history WHERE item_name = 'i' ORDER BY persist_seq");
    assert_eq!(versions, (1..=12).map(|version| [json!(version)]).collect::<Vec<_>>());
    let seqs = rows(&store, "SELECT persist_seq FROM storage_history ORDER BY ALL");
    assert_eq!(seqs, (1..=24).map(|seq| [json!(seq)]).collect::<Vec<_>>());
    assert_eq!(rows(&store, "SELECT DISTINCT version FROM storage_latest"), [[json!(1)]]);
}

#[test]
fn the_history_of_an_item_is_all_that_was_written_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // Names that SQL could trip over.
    let (key, collection, item) = ("it's; --", "\u{0}%", "\"_\"");
    let put = |n: i64| {
        let put = store.put(key).collection(collection).item(item).value(n).username("ada");
        put.timestamp("2025-12-01").data(&json!({"n": n})).unwrap()
    };
    let first = put(1);
    put(2);
    store.remove_item(key, collection, item).unwrap();
    store.put(key).collection(collection).item("_").data(&json!({})).unwrap();
    store.refresh_latest().unwrap();
    let last = put(4);

    let history = store.history(key, collection, item).unwrap();
    assert_eq!(history.iter().map(Change::version).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(history.iter().map(Change::seq).collect::<Vec<_>>(), [1, 2, 3, 5]);
    assert!(history.iter().all(|change| change.key() == key && change.part().item() == item));
    assert_eq!(history[0].record().unwrap(), &first);
    assert_eq!(history[3].record().unwrap(), &last);
    assert_eq!(first.timestamp(), Timestamp::parse("2025-12-01"));
    assert!(history[2].record().is_none() && history[2].written_at() >= first.written_at());
    assert!(store.history(key, collection, "other").unwrap().is_empty());
}

/// Two items, corrected later with a timestamp of before, one of them removed.
fn story(store: &CollectionStore) -> Vec<Timestamp> {
    let put = |item: &str, value: i64, day: &str| {
        let put = store.put("k").collection("c").item(item).value(value).timestamp(day);
        let at = put.data(&json!({})).unwrap().written_at();
        // The next is written later by the clock as well.
        std::thread::sleep(std::time::Duration::from_millis(2));
        at
    };
    let mut written = vec![
        put("a", 1, "2025-01-10"),
        put("b", 2, "2025-01-12"),
        put("a", 3, "2025-01-20"),
        put("a", 4, "2025-01-11"),
    ];
    store.remove_item("k", "c", "b").unwrap();
    written.push(store.history("k", "c", "b").unwrap()[1].written_at());
    written
}

#[test]
fn as_of_goes_by_the_timestamp_of_the_records() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    story(&store);
    let check = |store: &CollectionStore| {
        let as_of = |day: &str| told(store.as_of(day).unwrap());
        assert_eq!(as_of("2025-01-09"), []);
        assert_eq!(as_of("2025-01-10"), told_of(&[("a", 1)]), "at the very moment");
        assert_eq!(as_of("2025-01-11T12:00:00Z"), told_of(&[("a", 4)]), "as corrected since");
        assert_eq!(as_of("2025-01-15"), told_of(&[("a", 4), ("b", 2)]));
        // Of those not after the moment the one that was written last counts.
        assert_eq!(as_of("2025-01-20"), told_of(&[("a", 4), ("b", 2)]));
        assert_eq!(as_of("2999-01-01"), told_of(&[("a", 4)]), "b was removed when it was removed");
    };
    check(&store);
    store.refresh_latest().unwrap();
    check(&store);
    store.close().unwrap();
    let store = open(dir.path());
    check(&store);
    assert_eq!(store.as_of("yesterday").unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn as_of_written_goes_by_when_the_records_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let written = story(&store);
    store.flush().unwrap();
    let as_of = |moment: Timestamp| told(store.as_of_written(moment).unwrap());
    assert_eq!(as_of(Timestamp::parse("2025-01-20").unwrap()), []);
    assert_eq!(as_of(written[0]), told_of(&[("a", 1)]));
    assert_eq!(as_of(written[1]), told_of(&[("a", 1), ("b", 2)]));
    assert_eq!(as_of(written[2]), told_of(&[("a", 3), ("b", 2)]));
    assert_eq!(as_of(written[3]), told_of(&[("a", 4), ("b", 2)]));
    assert_eq!(as_of(written[4]), told_of(&[("a", 4)]));
    let records = store.as_of_written(written[2]).unwrap();
    assert_eq!((records[0].version(), records[0].seq(), records[0].written_at()), (2, Some(3), written[2]));
}
