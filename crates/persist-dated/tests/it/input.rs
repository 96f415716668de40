//! Bad input: an `Input` error that names the field, and nothing written.

use persist_dated::{DatedStore, ErrorKind};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::{open, quiet};

#[test]
fn a_malformed_date_is_refused_before_any_file_is_made() {
    let dir = tempfile::tempdir().unwrap();
    for date in ["", "2025-13-01", "20250115", "tomorrow", "2025-02-30", "2025-1-5"] {
        let error = DatedStore::open(date, quiet(&dir.path().join("s"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{date}");
        assert!(error.to_string().contains("date"), "{error}");
    }
    assert!(!dir.path().join("s").exists());
}

#[test]
fn whatever_holds_a_date_opens_that_date() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |store: DatedStore| store.dir().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(folder(DatedStore::open("2025-01-15T23:30:00-05:00", quiet(dir.path())).unwrap()), "2025-01-15");
    let date = time::macros::date!(2024 - 02 - 29);
    assert_eq!(folder(DatedStore::open(date, quiet(dir.path())).unwrap()), "2024-02-29");
    let moment = time::macros::datetime!(2024-12-31 23:59 -08:00);
    assert_eq!(folder(DatedStore::open(moment, quiet(dir.path())).unwrap()), "2024-12-31");
}

#[derive(Serialize)]
struct Speed {
    leg: Leg,
}

#[derive(Serialize)]
struct Leg {
    knots: f64,
}

#[test]
fn data_that_cannot_be_kept_is_refused_with_the_field_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = DatedStore::open("2025-01-15", quiet(dir.path()).max_record_bytes(1000).max_depth(8)).unwrap();
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let deep = format!("{}1{}", "{\"a\":".repeat(9), "}".repeat(9));
    let refused = |done: persist_dated::Result<_>, field: &str| {
        let done: persist_dated::Result<std::sync::Arc<_>> = done;
        let error = done.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
        assert!(error.to_string().contains(field), "{error} does not name {field}");
    };
    refused(store.store("k", &json!({"text": "x".repeat(2000)})), "1000");
    refused(store.store("k", &raw(&deep)), "deep");
    refused(store.store("k", &json!([1])), "object");
    refused(store.store("k", &json!("text")), "object");
    refused(store.store("k", &Speed { leg: Leg { knots: f64::NAN } }), "knots");
    refused(store.store("k", &Speed { leg: Leg { knots: f64::INFINITY } }), "knots");
    refused(store.store("k", &raw(r#"{"a":1,"b":{"c":1,"c":2}}"#)), "c");
    refused(store.store("k", &raw(r#"{"half":"\ud800"}"#)), "half");
    refused(store.store("k", &json!({"process_name": 7})), "process_name");
    refused(store.store("k", &json!({"timestamp": "yesterday"})), "timestamp");
    refused(store.store("k", &json!({"timestamp": 5})), "timestamp");
    refused(store.store("k", &json!({"status": true})), "status");
    refused(store.store("k", &json!({"status_int": 1.5})), "status_int");
    refused(store.store("k", &json!({"status_int": 3_000_000_000_u64})), "status_int");
    refused(store.store("k", &json!({"username": []})), "username");
    refused(store.put("k").timestamp("soon").data(&json!({})), "timestamp");
    let long = "k".repeat(100_000);
    refused(store.store(&long, &json!({})), "key");
    let stats = store.stats();
    assert_eq!((stats.writes, stats.last_seq, stats.cache_size, stats.wal_files_count), (0, 0, 0, 0));
    assert_eq!(store.store("k", &json!({})).unwrap().seq(), Some(1));
}

#[test]
fn the_default_limits_are_those_of_the_documentation() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let nested = |depth: usize| {
        let text = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        RawValue::from_string(text).unwrap()
    };
    store.store("deep", &nested(128)).unwrap();
    assert_eq!(store.store("deep", &nested(129)).unwrap_err().kind(), ErrorKind::Input);
    store.store("large", &json!({"text": "x".repeat(16 * 1024 * 1024 - 200)})).unwrap();
    let error = store.store("large", &json!({"text": "x".repeat(16 * 1024 * 1024)})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    store.close().unwrap();
    assert_eq!(open(dir.path()).len(), 2);
}
