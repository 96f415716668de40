//! Storing, reading, flushing: the specification's way of use.

use persist_kv::{KvConfig, KvStore, TimestampPolicy};
use serde_json::{Value, json};

use crate::{open, quiet};

#[test]
fn the_example_of_the_specification_works() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.store("user_123", &json!({"name": "Alice", "score": 100})).unwrap();
    assert_eq!(store.get("user_123").unwrap().to::<Value>().unwrap(), json!({"name": "Alice", "score": 100}));
    assert!(store.get("user_124").is_none());
    let second = store.store("user_123", &json!({"name": "Alice", "score": 101})).unwrap();
    assert_eq!((second.version(), store.len()), (2, 1));
    store.flush().unwrap();
    store.close().unwrap();
}

#[test]
fn the_defaults_are_those_of_the_specification() {
    let config = format!("{:?}", KvConfig::default());
    let bytes = 10 * 1024 * 1024;
    for default in [
        "base_dir: \"./storage\"",
        &format!("max_wal_size_bytes: {bytes}"),
        "max_wal_age: 300s",
        "batch_size: 1000,",
        "flush_interval: 30s",
    ] {
        assert!(config.contains(default), "{default} is not in {config}");
    }
}

#[test]
fn the_table_has_the_columns_of_the_specification_and_a_row_for_each_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 1..=3 {
        store.store("b", &json!({"n": n})).unwrap();
        store.flush().unwrap();
    }
    let written = store.store("a", &json!({})).unwrap();
    let rows = store.query("SELECT * FROM storage ORDER BY key").unwrap();
    assert_eq!(rows.columns(), ["key", "data", "updated_at", "version"]);
    assert_eq!(rows.iter().next().unwrap(), [json!("a"), json!("{}"), json!(written.written_at()), json!(1)]);
    assert_eq!(rows.iter().nth(1).unwrap()[3], 3);
    store.close().unwrap();

    // The closed file, as others see it.
    let database = duckdb::Connection::open(dir.path().join("data.duckdb")).unwrap();
    let mut columns = database
        .prepare("SELECT column_name || ' ' || data_type FROM duckdb_columns() WHERE table_name = 'storage'")
        .unwrap();
    let columns: Vec<String> = columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(columns, ["key VARCHAR", "data JSON", "updated_at TIMESTAMP", "version INTEGER"]);
    let data: String = database.query_row("SELECT data FROM storage WHERE key = 'b'", [], |row| row.get(0)).unwrap();
    assert_eq!(data, r#"{"n":3}"#);
}

#[test]
fn data_come_back_as_they_were_stored_whatever_their_members_are_called() {
    let dir = tempfile::tempdir().unwrap();
    let data = json!({
        "timestamp": "2025-01-15", "username": 7, "process_name": ["x"], "status": {}, "status_int": "one",
        "due": "2025-01-15T10:30:00Z", "key": null, "data": 1e300,
    });
    let store = open(dir.path());
    assert_eq!(store.store("k", &data).unwrap().to::<Value>().unwrap(), data);
    store.close().unwrap();
    assert_eq!(open(dir.path()).get("k").unwrap().to::<Value>().unwrap(), data);

    let config = quiet(dir.path()).timestamps(TimestampPolicy::All);
    let store = KvStore::open(dir.path().join("data.duckdb"), config).unwrap();
    let read: Value = store.store("k", &data).unwrap().to().unwrap();
    assert_eq!((&read["due"], &read["username"]), (&json!("2025-01-15T10:30:00+00:00"), &json!(7)));
}

#[test]
fn a_line_of_the_log_is_the_key_and_the_data_and_our_tail() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let record = store.store("a \"key\"", &json!({"n": 1})).unwrap();
    let log = std::fs::read_to_string(dir.path().join("storage/wal_000001.jsonl")).unwrap();
    let at = record.written_at();
    let body = format!(r#"{{"key":"a \"key\"","data":{{"n":1}},"at":"{at}","version":1,"#);
    assert!(log.starts_with(&body), "{log}");
    let tail: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let mut names: Vec<&String> = tail.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["at", "crc", "data", "key", "segment", "seq", "store", "synced", "version"]);
}

#[test]
fn stats_are_the_six_figures_of_the_specification() {
    let dir = tempfile::tempdir().unwrap();
    let store = KvStore::open(dir.path().join("data.duckdb"), quiet(dir.path()).max_wal_records(4)).unwrap();
    (0..10).for_each(|n| drop(store.store(&format!("k{}", n % 5), &json!({"n": n})).unwrap()));
    let stats = store.stats();
    assert_eq!((stats.cache_size, stats.pending_writes), (5, 10));
    assert_eq!((stats.current_wal_count, stats.wal_files_count, stats.wal_sequence), (2, 3, 3));
    let lines = std::fs::read_to_string(dir.path().join("storage/wal_000003.jsonl")).unwrap();
    assert_eq!(stats.current_wal_size, lines.trim_end_matches('\n').len() as u64 + 1);
    store.flush().unwrap();
    assert_eq!(store.stats().pending_writes, 0);
    let figures = serde_json::to_value(store.stats()).unwrap();
    for name in
        ["cache_size", "pending_writes", "current_wal_size", "current_wal_count", "wal_files_count", "wal_sequence"]
    {
        assert!(figures[name].is_u64(), "{name} in {figures}");
    }
}
