//! Opening: where the files are, who may have them, and what a crash leaves.

use std::process::Command;

use persist_kv::{ErrorKind, KvConfig, KvStore};
use serde_json::json;

use crate::{files, open, quiet};

#[test]
fn close_leaves_the_database_where_it_was_named_and_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (0..100).for_each(|n| drop(store.store(&format!("k{n}"), &json!({"n": n})).unwrap()));
    assert_eq!(files(&dir.path().join("storage")), [".lock", "store.json", "wal_000001.jsonl"]);
    store.close().unwrap();
    assert_eq!(files(&dir.path().join("storage")), [".lock", "status.json", "store.json"]);
    assert_eq!(files(dir.path()), ["data.duckdb", "data.duckdb.lock"]);

    let store = open(dir.path());
    assert_eq!((store.len(), store.stats().base_rows), (100, 100));
    let record = store.store("k0", &json!({})).unwrap();
    assert_eq!((record.version(), record.seq()), (2, Some(101)));
}

/// A process of its own, because the working directory is the whole process's; it dies without closing.
#[test]
fn a_relative_path_is_below_the_working_directory_and_not_below_the_base_folder() {
    if std::env::var_os("PERSIST_KV_RELATIVE").is_some() {
        let store = KvStore::open("data.duckdb", KvConfig::default()).unwrap();
        store.store("k", &json!({"n": 1})).unwrap();
        std::process::abort();
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "open::a_relative_path_is_below_the_working_directory_and_not_below_the_base_folder"]);
    let output = child.env("PERSIST_KV_RELATIVE", "").current_dir(dir.path()).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert!(dir.path().join("data.duckdb").is_file());
    assert!(files(&dir.path().join("storage")).contains(&"wal_000001.jsonl".to_owned()));
    let store = open(dir.path());
    assert_eq!(store.recovery().records, 1);
    assert_eq!(store.get("k").unwrap().json(), r#"{"n":1}"#);
}

#[test]
fn one_store_at_a_time_has_a_base_folder_and_a_database() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.store("k", &json!({})).unwrap();
    let other = KvStore::open(dir.path().join("other.duckdb"), quiet(dir.path())).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Locked);
    let holder = format!("pid {}", std::process::id());
    for said in [dir.path().join("storage").to_str().unwrap(), &holder, "key-value store"] {
        assert!(other.to_string().contains(said), "{said} is not in {other}");
    }
    assert!(!dir.path().join("other.duckdb").exists());
    let elsewhere = KvConfig::new(dir.path().join("elsewhere"));
    let same = KvStore::open(dir.path().join("data.duckdb"), elsewhere.clone()).unwrap_err();
    assert_eq!(same.kind(), ErrorKind::Locked);
    assert!(same.to_string().contains("data.duckdb.lock"), "{same}");
    store.close().unwrap();

    // Closed, they still belong together.
    let other = KvStore::open(dir.path().join("other.duckdb"), quiet(dir.path())).unwrap_err();
    assert!(other.to_string().contains("other.duckdb is missing"), "{other}");
    let same = KvStore::open(dir.path().join("data.duckdb"), elsewhere).unwrap_err();
    assert_eq!(same.kind(), ErrorKind::Config, "{same}");
    assert_eq!(open(dir.path()).len(), 1);
}

#[test]
fn a_database_of_others_is_refused_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.duckdb");
    let database = duckdb::Connection::open(&path).unwrap();
    database.execute_batch("CREATE TABLE storage (key VARCHAR); INSERT INTO storage VALUES ('theirs')").unwrap();
    drop(database);
    let before = std::fs::read(&path).unwrap();
    let error = KvStore::open(&path, quiet(dir.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("data.duckdb is not a database of persist"), "{error}");
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn extra_columns_are_filled_from_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let config = quiet(dir.path()).extra_schema([("score", "int64")]);
    let store = KvStore::open(dir.path().join("data.duckdb"), config).unwrap();
    store.store("a", &json!({"score": 3})).unwrap();
    let error = store.store("b", &json!({"score": "three"})).unwrap_err();
    assert!(error.kind() == ErrorKind::Input && error.to_string().contains("score"), "{error}");
    let rows = store.query("SELECT score + 1 AS next FROM storage").unwrap();
    assert_eq!(rows.get(0, "next"), Some(&json!(4)));
    let error = KvStore::open(dir.path().join("x.duckdb"), quiet(dir.path()).extra_schema([("version", "int64")]));
    assert!(error.unwrap_err().to_string().contains("version"));
}
