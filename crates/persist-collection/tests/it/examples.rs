//! The examples, as the documents tell to run them. Each can be run again.

use std::path::Path;

use persist_collection::{CollectionConfig, CollectionStore};
use persist_test_utils::example_program;
use serde_json::{Value, json};

use crate::{DATE, rows};

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
    for line in
        ["age: Some(Int(33)), version 2", "height: Some(Float(1.75)), version 1", "on 2025-12-10: Some(Int(32))"]
    {
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
    assert_eq!(store.get_key_in("registration_form", "user_input").unwrap().len(), 5);
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
