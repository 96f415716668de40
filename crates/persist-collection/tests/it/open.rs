//! Opening: after a crash, after a close, for another date, twice.

use persist_collection::{CollectionStore, DatabaseFile, ErrorKind, Scalar};
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
    // The one has its records from DuckDB, the other as they were written.
    let told = |store: &CollectionStore| {
        let items = store.get_key_in("k", "c").unwrap().into_values();
        items.map(|item| (item.version(), item.json().to_owned(), item.typed_value().clone())).collect::<Vec<_>>()
    };
    assert_eq!(told(&recovered), told(&store));
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
fn a_store_has_one_owner_whatever_the_date() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for date in [DATE, "2025-12-25"] {
        let error = CollectionStore::open(date, quiet(dir.path())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        let told = "another instance is already running for date 2025-12-24";
        assert!(error.to_string().contains(told), "{error}");
    }
    store.close().unwrap();
    open(dir.path());
}

#[test]
fn the_folder_has_the_structure_of_the_specification() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store);
    let databases = ["storage_history.duckdb", "storage_latest.duckdb"];
    let present = |name: &str| files(dir.path()).iter().any(|file| file == name);
    assert!(databases.into_iter().chain([".lock_2025-12-24", "store.json"]).all(present), "{:?}", files(dir.path()));
    let segments = files(&dir.path().join(DATE));
    assert!(!segments.is_empty() && segments.iter().all(|name| name.starts_with("wal_0")), "{segments:?}");
    store.close().unwrap();
    let backup = ["manifest.json", "storage_history.duckdb.backup", "storage_latest.duckdb.backup"];
    assert_eq!(files(&dir.path().join(DATE)), backup, "no log is left");
    let names = files(dir.path());
    assert!(databases.into_iter().all(present) && !present(".lock_2025-12-24"), "{names:?}");
    assert!(names.iter().all(|name| !name.starts_with("wal_") && !name.ends_with(".wal")), "{names:?}");
}

#[test]
fn a_store_rolls_over_to_another_date_while_it_is_written() {
    let (dir, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path());
    let put = |value: i64| store.put("k").item("i").value(value).data(&json!({})).unwrap();
    put(1);
    assert_eq!(store.roll_to("soon").unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(store.date(), time::macros::date!(2025 - 12 - 24));
    store.roll_to("2025-12-25").unwrap();
    assert_eq!(store.date(), time::macros::date!(2025 - 12 - 25));
    put(2);
    let log = |date: &str| files(&dir.path().join(date)).iter().filter(|name| name.starts_with("wal_")).count();
    assert_eq!((log("2025-12-24"), log("2025-12-25")), (1, 1));
    assert!(files(dir.path()).contains(&".lock_2025-12-25".to_owned()));

    // After a crash it is opened for a third date: the logs of all are recovered.
    copy_as_crash_leaves_it(dir.path(), dead.path());
    let recovered = CollectionStore::open("2025-12-26", quiet(dead.path())).unwrap();
    assert_eq!((recovered.recovery().records, recovered.history("k", "", "i").unwrap().len()), (2, 2));
    assert_eq!(recovered.put("k").item("i").value(3).data(&json!({})).unwrap().version(), 3);
    recovered.close().unwrap();
    for date in ["2025-12-24", "2025-12-25", "2025-12-26"] {
        let names = files(&dead.path().join(date));
        assert!(names.iter().all(|name| !name.starts_with("wal_")), "{date}: {names:?}");
    }
}

#[test]
fn a_sound_database_is_called_sound_and_what_is_wrong_with_another_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store);
    let check = |store: &CollectionStore| {
        let check = |file| store.check_database_health(file).unwrap();
        (check(DatabaseFile::Main), check(DatabaseFile::Latest))
    };
    assert_eq!(check(&store), (vec![], vec![]));
    store.close().unwrap();
    for (file, change) in [
        ("storage_latest", "UPDATE storage_latest SET value_int = 7 WHERE item_name = 'i17'"),
        ("storage_history", "DELETE FROM storage_history WHERE persist_seq = 2"),
    ] {
        let database = duckdb::Connection::open(dir.path().join(format!("{file}.duckdb"))).unwrap();
        database.execute_batch(change).unwrap();
    }
    let store = open(dir.path());
    let (history, latest) = check(&store);
    assert!(!history.is_empty() && !latest.is_empty(), "{history:?} {latest:?}");
    assert_eq!(store.rebuild_latest_from_history().unwrap(), 19);
    assert_eq!(check(&store).1, Vec::<String>::new());
    assert_eq!(store.get_item("k", "c", "i17").unwrap().unwrap().typed_value(), &Some(Scalar::Int(17)));
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
