//! The examples, as the documents tell to run them. Each can be run again.

use std::path::Path;

use persist_collection::{CollectionConfig, CollectionStore};
use persist_test_utils::example_program;
use serde_json::{Value, json};

use crate::{DATE, files, rows};

fn run(name: &str, dir: &Path) -> String {
    let run = || example_program(name).arg(dir).output().unwrap();
    let (first, second) = (run(), run());
    assert!(first.status.success() && second.status.success(), "{first:?}");
    assert_eq!(first.stdout, second.stdout);
    String::from_utf8(second.stdout).unwrap()
}

fn reopened(base: &Path) -> CollectionStore {
    CollectionStore::open(DATE, CollectionConfig::new(base)).unwrap()
}

#[test]
fn profile_keeps_values_of_several_types_and_what_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let text = run("collection-profile", dir.path());
    for line in [
        "age: Some(Int(33)), version 2",
        "height: Some(Float(1.75)), version 1",
        "Age: 33",
        "on 2025-12-10: Some(Int(32))",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{text}");
    }
    let store = reopened(&dir.path().join("my_storage"));
    let latest =
        rows(&store, "SELECT item_name, value_int, value_float, value_string FROM storage_latest ORDER BY ALL");
    let null = Value::Null;
    assert_eq!(
        latest,
        [
            [json!("age"), json!(33), null.clone(), null.clone()],
            [json!("city"), null.clone(), null.clone(), json!("Ulm")],
            [json!("height"), null.clone(), json!(1.75), null],
        ]
    );
}

#[test]
fn form_is_saved_whole_and_a_late_correction_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = run("collection-form", dir.path());
    assert!(text.starts_with("5 fields saved\nrefused: ") && text.contains("subscribe: Some(Int(1))"), "{text}");
    let store = reopened(&dir.path().join("forms"));
    let phone = rows(&store, "SELECT value_string FROM storage_latest WHERE item_name = 'phone'");
    assert_eq!(phone, [[json!("555-9999")]]);
    let form = store.get_key_in("registration_form", "user_input").unwrap();
    assert_eq!(form.len(), 5);
    assert_eq!(form["full_name"].field::<String>("label").unwrap().as_deref(), Some("Full Name"));
}

#[test]
fn seating_gives_each_seat_once() {
    let dir = tempfile::tempdir().unwrap();
    let text = run("collection-seating", dir.path());
    assert!(text.starts_with("30 seats taken\nseat_12 is taken\n"), "{text}");
    assert!(text.ends_with("seat_12 was written 2 times\n"), "{text}");
    let store = reopened(&dir.path().join("seating"));
    let moved = store.get_item("classroom_seating", "room_b", "seat_1").unwrap().unwrap();
    assert_eq!(moved.field::<String>("student_id").unwrap().as_deref(), Some("STU1012"));
    assert_eq!(rows(&store, "SELECT count(*) FROM storage_latest WHERE collection_name = 'room_a'"), [[json!(29)]]);
}

#[test]
fn crash_aborts_with_its_log_recovers_24_records_and_makes_both_databases_anew() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("storage");
    // A core dump would land in the working folder.
    let stage = |stage: &str| {
        example_program("collection-crash").arg(stage).arg(dir.path()).current_dir(dir.path()).output().unwrap()
    };
    let printed = |stage: std::process::Output| {
        assert!(stage.status.success(), "{stage:?}");
        String::from_utf8(stage.stdout).unwrap()
    };
    for _ in 0..2 {
        let crashed = stage("1");
        assert_eq!(crashed.status.code(), None, "ended by a signal: {crashed:?}");
        assert!(String::from_utf8_lossy(&crashed.stdout).contains("24 records are acknowledged"), "{crashed:?}");
        assert!(files(&base.join(DATE)).iter().any(|name| name.starts_with("wal_")));
        let text = printed(stage("2"));
        assert!(text.starts_with("24 records replayed after seq 0"), "{text}");
        assert!(text.ends_with("all 24 records recovered and verified, closed, no log left, in a backup\n"), "{text}");
        let text = printed(stage("3"));
        assert!(text.starts_with("24 items made anew of the history\n"), "{text}");
        let whole = "the history made anew of the backup and 0 records of the log, with 24 items\n\
                     all 24 records are there, in memory and in both databases\n";
        assert!(text.ends_with(whole), "{text}");
    }
    // Without the store of a crash there is nothing to verify.
    std::fs::remove_dir_all(&base).unwrap();
    assert_eq!(stage("2").status.code(), Some(1));
    assert_eq!(stage("4").status.code(), Some(1));
}
