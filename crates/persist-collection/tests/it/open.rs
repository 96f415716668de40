//! Opening: after a crash, after a close, for another date, twice.

use persist_collection::{CollectionStore, ErrorKind, Scalar};
use persist_test_utils::copy_as_crash_leaves_it;
use serde_json::json;

use crate::{DATE, files, open, quiet, rows};

/// Writes some of everything, flushed, merged and neither.
fn write(store: &CollectionStore) {
    let put = |item: &str, value: i64| store.put("k").collection("c").item(item).value(value).data(&json!({})).unwrap();
    (0..20).for_each(|n| drop(put(&format!("i{n:02}"), n)));
    store.refresh_latest().unwrap();
    (0..10).for_each(|n| drop(put(&format!("i{n:02}"), 100 + n)));
    store.remove_item("k", "c", "i19").unwrap();
    store.flush().unwrap();
    (0..5).for_each(|n| drop(put(&format!("i{n:02}"), 200 + n)));
    store.remove_item("k", "c", "i18").unwrap();
    store.put("new").value("x").data(&json!({})).unwrap();
}

const ALL: &str = "SELECT * FROM storage_history ORDER BY persist_seq";
const LATEST: &str = "SELECT * FROM storage_latest ORDER BY key, collection_name, item_name";

#[test]
fn after_a_crash_memory_and_both_tables_are_as_they_were() {
    let (live, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(live.path());
    write(&store);
    copy_as_crash_leaves_it(live.path(), dead.path());
    let recovered = open(dead.path());
    assert!(!recovered.recovery().is_damaged() && recovered.recovery().records > 0, "{}", recovered.recovery());
    let (history, latest) = (rows(&store, ALL), rows(&store, LATEST));
    assert_eq!((history.len(), latest.len()), (38, 19));
    assert_eq!(rows(&recovered, ALL), history);
    assert_eq!(rows(&recovered, LATEST), latest);
    assert_eq!(recovered.get_key_in("k", "c").unwrap(), store.get_key_in("k", "c").unwrap());
    assert_eq!(recovered.get_item("k", "c", "i00").unwrap().unwrap().version(), 3);
    assert!(recovered.verify().unwrap().is_ok());

    store.close().unwrap();
    recovered.close().unwrap();
    for dir in [live.path(), dead.path()] {
        let store = open(dir);
        assert_eq!(store.recovery().records, 0);
        assert_eq!((rows(&store, ALL), rows(&store, LATEST)), (history.clone(), latest.clone()));
        // The next version goes on from the one in the history.
        for (item, version) in [("i00", 4), ("i09", 3), ("i17", 2), ("i18", 3), ("i19", 3)] {
            assert_eq!(
                store.put("k").collection("c").item(item).data(&json!({})).unwrap().version(),
                version,
                "{item}"
            );
        }
    }
}

#[test]
fn latest_is_a_plain_table_after_close_as_the_history_tells() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store);
    let latest = rows(&store, "SELECT item_name, value_int FROM storage_latest ORDER BY ALL");
    store.close().unwrap();
    let database = duckdb::Connection::open(dir.path().join("storage_latest.duckdb")).unwrap();
    let attach = format!("ATTACH '{}' AS history (READ_ONLY)", dir.path().join("storage_history.duckdb").display());
    database.execute_batch(&attach).unwrap();
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM storage_latest"), latest.len() as u64);
    let fold = "SELECT key, collection_name, item_name, data, value_int, value_float, value_string, timestamp \
                FROM history.storage_history WHERE persist_op = 0 AND persist_seq IN \
                (SELECT max(persist_seq) FROM history.storage_history GROUP BY key, collection_name, item_name)";
    let table = "SELECT key, collection_name, item_name, data, value_int, value_float, value_string, timestamp \
                 FROM storage_latest";
    assert_eq!(count(&format!("SELECT count(*) FROM ({fold} EXCEPT {table})")), 0);
    assert_eq!(count(&format!("SELECT count(*) FROM ({table} EXCEPT {fold})")), 0);
}

#[test]
fn the_items_of_all_dates_are_in_one_store() {
    let dir = tempfile::tempdir().unwrap();
    for (n, date) in ["2025-12-23", "2025-12-24", "2025-12-20"].into_iter().enumerate() {
        let store = CollectionStore::open(date, quiet(dir.path())).unwrap();
        assert_eq!(store.put("k").item("i").value(n as u64).data(&json!({})).unwrap().version(), n as u32 + 1);
        store.close().unwrap();
    }
    let store = open(dir.path());
    assert_eq!(store.history("k", "", "i").unwrap().len(), 3);
    assert_eq!(store.get_item("k", "", "i").unwrap().unwrap().typed_value(), &Some(Scalar::Int(2)));
}

#[test]
fn a_store_has_one_owner_whatever_the_date() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for date in [DATE, "2025-12-25"] {
        let error = CollectionStore::open(date, quiet(dir.path())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    }
    store.close().unwrap();
    open(dir.path());
}

#[test]
fn no_log_is_left_after_a_close() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store);
    store.close().unwrap();
    let names = files(dir.path());
    assert!(names.iter().all(|name| !name.starts_with("wal_") && !name.ends_with(".wal")), "{names:?}");
}

#[test]
fn another_s_database_is_refused_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("storage_history.duckdb");
    duckdb::Connection::open(&file).unwrap().execute_batch("CREATE TABLE storage_history (key VARCHAR)").unwrap();
    let before = std::fs::read(&file).unwrap();
    assert_eq!(CollectionStore::open(DATE, quiet(dir.path())).unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}
