//! `verify`.

use std::fs;

use serde_json::json;

use crate::command::{DATE, Scratch, collection, damage, dated, kv, persist};

#[test]
fn sound_stores_are_ok_and_their_records_counted() {
    let (days, items, pairs) = (Scratch::new(), Scratch::new(), Scratch::new());
    dated(&days.path()).close().unwrap();
    collection(&items.path()).close().unwrap();
    kv(&pairs.path()).close().unwrap();
    for (path, records) in [(days.arg(), 3), (items.arg(), 2), (pairs.arg(), 2)] {
        let ran = persist(["verify", &path, "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let answer = ran.json();
        assert_eq!((&answer["ok"], &answer["checked"][0]["records"]), (&json!(true), &json!(records)), "{answer}");
    }
    let backups = persist(["verify", &items.arg(), "--json"]).json();
    assert_eq!(backups["checked"][1]["what"], "backup of a collection store");
}

#[test]
fn beside_an_owner_only_the_log_is_checked_and_that_is_said() {
    let scratch = Scratch::new();
    let store = dated(&scratch.path());
    let ran = persist(["verify", &scratch.join(DATE)]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("only the log was checked"), "{ran:?}");
    store.close().unwrap();
}

#[test]
fn damaged_files_are_found_and_the_other_stores_checked_all_the_same() {
    let scratch = Scratch::new();
    dated(&scratch.path()).close().unwrap();
    let config = persist_dated::DatedConfig::new(scratch.path());
    persist_dated::DatedStore::open("2025-01-16", config).unwrap().close().unwrap();
    fs::remove_file(scratch.path().join(DATE).join("data.duckdb")).unwrap();
    let ran = persist(["verify", &scratch.arg(), "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let answer = ran.json();
    assert_eq!((&answer["checked"][0]["ok"], &answer["checked"][1]["ok"]), (&json!(false), &json!(true)), "{answer}");
    assert!(answer["checked"][0]["found"][0].as_str().unwrap().contains("data.duckdb is missing"), "{answer}");
    assert!(!scratch.path().join(DATE).join("data.duckdb").exists(), "a new database hides what is missing");
}

#[test]
fn a_damaged_backup_is_found() {
    let scratch = Scratch::new();
    let store = dated(&scratch.path());
    let backup = scratch.path().join("backup");
    store.backup(&backup).unwrap();
    store.close().unwrap();
    let path = backup.to_str().unwrap();
    let fine = persist(["verify", path, "--json"]);
    assert_eq!(fine.code, 0, "{fine:?}");
    assert_eq!(fine.json()["checked"][0]["records"], 3);
    damage(&backup.join("data.duckdb"));
    let damaged = persist(["verify", path]);
    assert_eq!(damaged.code, 1, "{damaged:?}");
    assert!(damaged.out.contains("NOT OK") && damaged.out.contains("data.duckdb"), "{damaged:?}");
}

#[test]
fn an_export_is_held_against_its_manifest() {
    let (scratch, lake) = (Scratch::new(), Scratch::new());
    let store = dated(&scratch.path());
    store.export_to(lake.path()).unwrap();
    store.close().unwrap();
    let path = lake.arg();
    let fine = persist(["verify", &path, "--json"]);
    assert_eq!((fine.code, &fine.json()["checked"][0]["records"]), (0, &serde_json::json!(3)), "{fine:?}");
    assert_eq!(persist(["inspect", &path, "--json"]).json()["exports"][0]["rows"], 3);

    let file = lake.path().join("process_name=worker1/date=2025-01-15/data.parquet");
    let other = lake.path().join("process_name=worker2/date=2025-01-15/data.parquet");
    let good = fs::read(&file).unwrap();
    let wrong = |says: &str| {
        let ran = persist(["verify", &path]);
        assert!(ran.code == 1 && ran.out.contains("NOT OK") && ran.out.contains(says), "{says}: {ran:?}");
    };
    fs::write(&file, &good[..good.len() - 1]).unwrap();
    wrong("bytes");
    fs::remove_file(&file).unwrap();
    wrong("No such file");
    let mut flipped = good.clone();
    flipped[good.len() - 20] ^= 0xFF;
    fs::write(&file, &flipped).unwrap();
    wrong("cannot");
    fs::write(&file, &good).unwrap();
    let beside = other.with_file_name("copy.parquet");
    fs::copy(&other, &beside).unwrap();
    wrong("is not of this export");
    fs::remove_file(&beside).unwrap();
    assert_eq!(persist(["verify", &path]).code, 0);

    // One record fewer than the manifest says, in a file of the size that it says.
    let manifest = lake.path().join("_persist_export-2025-01-15.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"rows\": 2", "\"rows\": 3").replace("\"rows\": 1,", "\"rows\": 0,")).unwrap();
    wrong("its manifest says 3");
}
