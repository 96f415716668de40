//! `inspect`: true, beside an owner too, and without a trace.

use std::fs;

use serde_json::json;

use crate::command::{DATE, Scratch, at_rest, collection, contents, crashed, dated, kv, persist};

#[test]
fn a_store_in_use_is_inspected_without_a_trace() {
    let scratch = Scratch::new();
    let store = dated(&scratch.path());
    store.compact().unwrap();
    store.put("load").process("worker3").data(&json!({})).unwrap();
    let before = at_rest(&scratch.path());
    let ran = persist(["inspect", &scratch.join(DATE), "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(contents(&scratch.path()), before, "inspecting changed something");
    let found = &ran.json()["stores"][0];
    let owner = found["owner"].as_str().unwrap();
    assert!(owner.starts_with(&format!("pid {}", std::process::id())), "{owner}");
    assert!(owner.ends_with(", dated store of 2025-01-15"), "{owner}");
    assert_eq!((&found["last_flush"]["records"], &found["last_flush"]["watermark"]), (&json!(3), &json!(3)));
    assert_eq!(found["log"]["unflushed"], 1);
    assert!(found["last_flush"]["age_seconds"].as_i64().unwrap() < 60);
    assert_eq!(found["databases"][0]["name"], "data.duckdb");
    let text = persist(["inspect", &scratch.join(DATE)]);
    assert!(text.out.contains("what follows is as of then") && text.out.contains(owner), "{text:?}");
    store.close().unwrap();
    let closed = persist(["inspect", &scratch.join(DATE), "--json"]).json();
    assert_eq!((&closed["stores"][0]["owner"], &closed["stores"][0]["log"]["segments"]), (&json!(null), &json!(0)));
    assert_eq!(closed["stores"][0]["last_flush"]["records"], 4);
}

#[test]
fn the_lock_of_a_dead_process_is_no_owner() {
    let scratch = Scratch::new();
    let dir = crashed(&scratch.path());
    assert!(!fs::read_to_string(dir.join(".lock")).unwrap().is_empty(), "the copy has what its owner said");
    let found = persist(["inspect", dir.to_str().unwrap(), "--json"]).json();
    assert_eq!((&found["stores"][0]["owner"], &found["stores"][0]["log"]["unflushed"]), (&json!(null), &json!(3)));
}

#[test]
fn a_base_folder_shows_a_line_for_each_date() {
    let scratch = Scratch::new();
    dated(&scratch.path()).close().unwrap();
    let config = persist_dated::DatedConfig::new(scratch.path());
    persist_dated::DatedStore::open("2025-01-16", config).unwrap().close().unwrap();
    let text = persist(["inspect", &scratch.arg()]);
    assert_eq!(text.code, 0, "{text:?}");
    let row = |date: &str| text.out.lines().find(|line| line.starts_with(date)).unwrap().to_owned();
    assert!(row("2025-01-15").split(" | ").nth(1).map(str::trim) == Some("3"), "{text:?}");
    assert!(row("2025-01-16").contains("fine"), "{text:?}");
    let one = persist(["inspect", &scratch.arg(), "--date", "2025-01-15", "--json"]).json();
    assert_eq!((one["model"].as_str(), one["stores"].as_array().unwrap().len()), (Some("dated"), 1));
}

#[test]
fn a_collection_store_shows_its_backups_and_a_key_value_store_its_records() {
    let (items, pairs) = (Scratch::new(), Scratch::new());
    collection(&items.path()).close().unwrap();
    let found = persist(["inspect", &items.arg(), "--json"]).json();
    assert_eq!((&found["backups"][0]["seq"], &found["backups"][0]["rows"]), (&json!(3), &json!(2)));
    assert_eq!(found["stores"][0]["last_flush"]["records"], 2);
    assert_eq!(found["stores"][0]["databases"].as_array().unwrap().len(), 2);
    kv(&pairs.path()).close().unwrap();
    assert_eq!(persist(["inspect", &pairs.arg(), "--json"]).json()["stores"][0]["last_flush"]["records"], 2);
}

#[test]
fn without_status_json_the_log_still_tells() {
    let scratch = Scratch::new();
    let dir = crashed(&scratch.path());
    let _ = fs::remove_file(dir.join("status.json"));
    let found = persist(["inspect", dir.to_str().unwrap(), "--json"]);
    assert_eq!(found.code, 0, "{found:?}");
    let found = found.json();
    assert_eq!((&found["stores"][0]["last_flush"], &found["stores"][0]["log"]["unflushed"]), (&json!(null), &json!(3)));
}
