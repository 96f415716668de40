//! `keys`, `get`, `put`, `rm`.

use std::fs;
use std::time::Duration;

use persist_collection::{CollectionConfig, CollectionStore};
use persist_dated::{DatedConfig, DatedStore, Since};
use serde_json::json;

use crate::command::{DATE, Scratch, collection, crashed, dated, kv, persist, persist_with};

#[test]
fn a_dated_store_is_read_and_written() {
    let scratch = Scratch::new();
    dated(&scratch.path()).close().unwrap();
    let path = scratch.join(DATE);
    let both = persist(["get", &path, "load", "--json"]).json();
    let processes: Vec<&str> =
        both["records"].as_array().unwrap().iter().map(|record| record["process_name"].as_str().unwrap()).collect();
    assert_eq!(processes, ["worker1", "worker2"]);
    assert_eq!((&both["records"][1]["data"]["progress"], &both["records"][1]["version"]), (&json!(20), &json!(1)));

    let written = persist(["put", &path, "load", r#"{"progress":50}"#, "--process", "worker2", "--status", "late"]);
    assert_eq!(written.code, 0, "{written:?}");
    assert!(written.out.contains("worker2") && written.out.contains(r#""progress":50"#), "{written:?}");
    let refused = persist(["put", &path, "load", "{}", "--process", "worker2", "--if-version", "1"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("version 2"), "{refused:?}");
    let removed = persist(["rm", &path, "save", "--process", "worker1"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    assert_eq!(persist(["rm", &path, "save", "--process", "worker1"]).code, 1, "there is nothing left to remove");

    let store = DatedStore::open(DATE, DatedConfig::new(scratch.path())).unwrap();
    let record = store.get_key_process("load", Some("worker2")).unwrap();
    assert_eq!((record.version(), record.status().as_deref()), (2, Some("late")));
    assert_eq!(record.field::<u8>("progress").unwrap(), Some(50));
    assert_eq!(store.len(), 2);
    store.close().unwrap();
    assert_eq!(persist(["rm", &path, "load", "--all"]).code, 0);
    assert_eq!(persist(["keys", &path]).out, "");
}

#[test]
fn a_key_value_store_is_read_and_written_digit_by_digit() {
    let scratch = Scratch::new();
    kv(&scratch.path()).close().unwrap();
    let path = scratch.arg();
    assert_eq!(persist(["keys", &path, "--prefix", "user_2"]).out, "user_2\n");
    assert!(persist(["get", &path, "user_2", "--json"]).out.contains("12345678901234567890"));
    let long = "123456789012345678901234567890.5";
    assert_eq!(persist_with(["put", &path, "pi", "-"], &format!("{{\"long\":{long}}}")).code, 0);
    assert!(persist(["get", &path, "pi"]).out.contains(long));
    let nobody = persist(["get", &path, "nobody"]);
    assert_eq!((nobody.code, nobody.out.as_str()), (1, ""));
    assert!(nobody.err.contains("\"nobody\""), "{nobody:?}");
    for wrong in ["no json", "[1]", r#"{"a":1,"a":2}"#] {
        let ran = persist(["put", &path, "wrong", wrong]);
        assert_ne!(ran.code, 0, "{ran:?}");
    }
    assert_eq!(persist(["keys", &path]).out, "pi\nuser_1\nuser_2\n");
}

#[test]
fn a_collection_store_is_read_and_written_with_its_values() {
    let scratch = Scratch::new();
    collection(&scratch.path()).close().unwrap();
    let path = scratch.arg();
    let age = persist(["get", &path, "ada", "--collection", "info", "--item", "age", "--json"]).json();
    assert_eq!((&age["records"][0]["value"], &age["records"][0]["version"]), (&json!(33), &json!(2)));
    let put = ["put", &path, "ada", "{}", "--collection", "info", "--item", "age", "--value", "-1.5"];
    let written = persist(put);
    assert_eq!(written.code, 0, "{written:?}");
    assert_eq!(persist(["rm", &path, "ada", "--collection", "info", "--item", "size"]).code, 0);
    let wrong = persist(["get", &path, "ada", "--process", "worker1"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");

    let store = CollectionStore::open("2025-12-24", CollectionConfig::new(scratch.path())).unwrap();
    let items = store.get_key_in("ada", "info").unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(items["age"].typed_value(), &Some(persist_collection::Scalar::Float(-1.5)));
}

#[test]
fn what_a_crash_left_is_read_and_kept() {
    let scratch = Scratch::new();
    let dir = crashed(&scratch.path());
    assert_eq!(persist(["keys", dir.to_str().unwrap()]).out, "load\nsave\n");
    assert_eq!(persist(["keys", dir.to_str().unwrap()]).out, "load\nsave\n");
}

#[test]
fn log_that_followers_may_want_and_old_backups_stay() {
    let scratch = Scratch::new();
    let config = || DatedConfig::new(scratch.path()).keep_log(Duration::from_secs(3600));
    let store = DatedStore::open(DATE, config()).unwrap();
    store.store("task", &json!({})).unwrap();
    store.close().unwrap();
    assert_eq!(persist(["put", &scratch.join(DATE), "task", "{}"]).code, 0);
    let store = DatedStore::open(DATE, config()).unwrap();
    let mut changes = store.subscribe(Since::After(0)).unwrap();
    let seqs = [changes.recv().unwrap().seq(), changes.recv().unwrap().seq()];
    assert_eq!(seqs, [1, 2]);

    let items = Scratch::new();
    let days = CollectionConfig::new(items.path()).retain_days(1000);
    collection(&items.path()).close().unwrap();
    for day in ["2026-01-24", "2026-02-24"] {
        let store = CollectionStore::open(day, days.clone()).unwrap();
        store.store("more", &json!({"day": day})).unwrap();
        store.close().unwrap();
    }
    assert_eq!(persist(["put", &items.arg(), "more", "{}"]).code, 0);
    for day in ["2025-12-24", "2026-01-24", "2026-02-24"] {
        assert!(items.path().join(day).join("manifest.json").exists(), "the backup of {day} is gone");
    }
    let folders = fs::read_dir(items.path()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(folders, 3, "no folder of another date was made");
}

#[test]
fn extra_columns_are_named_or_the_error_says_how() {
    let scratch = Scratch::new();
    let config = DatedConfig::new(scratch.path()).extra_schema([("seats", "int64"), ("gate", "string")]);
    let store = DatedStore::open(DATE, config).unwrap();
    store.store("flight", &json!({"seats": 180, "gate": "A1"})).unwrap();
    store.close().unwrap();
    let path = scratch.join(DATE);
    let unnamed = persist(["keys", &path]);
    assert_eq!(unnamed.code, 1, "{unnamed:?}");
    assert!(unnamed.err.contains("seats") && unnamed.err.contains("--column NAME=TYPE"), "{unnamed:?}");
    let named = persist(["keys", &path, "--column", "seats=int64", "--column", "gate=string"]);
    assert_eq!((named.code, named.out.as_str()), (0, "flight\n"), "{named:?}");
}
