//! Extra columns stand in both tables.

use persist_collection::{CollectionConfig, CollectionStore, ErrorKind};
use persist_test_utils::copy_as_crash_leaves_it;
use serde_json::{Value, json};

use crate::{DATE, quiet, rows};

fn config(dir: &std::path::Path) -> CollectionConfig {
    quiet(dir).extra_schema([("priority", "int32"), ("score", "float64"), ("category", "string"), ("due", "date32")])
}

#[test]
fn extra_columns_stand_in_both_tables_over_crash_merge_and_reopening() {
    let (live, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = CollectionStore::open(DATE, config(live.path())).unwrap();
    let task = json!({"priority": 1, "score": 95.5, "category": "urgent", "due": "2025-12-31"});
    store.put("task_1").collection("tasks").item("item_a").value(100).data(&task).unwrap();
    store.put("task_2").collection("tasks").item("item_b").value(50).data(&json!({"priority": 5})).unwrap();
    store.put("task_2").collection("tasks").item("item_b").value(50).data(&json!({"priority": 6})).unwrap();
    let check = |store: &CollectionStore, place: &str| {
        let columns = "key, priority, score, category, due";
        let one = [json!("task_1"), json!(1), json!(95.5), json!("urgent"), json!("2025-12-31")];
        let two = |n: i32| [json!("task_2"), json!(n), Value::Null, Value::Null, Value::Null];
        let latest = rows(store, &format!("SELECT {columns} FROM storage_latest ORDER BY key"));
        assert_eq!(latest, [one.clone(), two(6)], "{place}");
        let history = rows(store, &format!("SELECT {columns} FROM storage_history ORDER BY persist_seq"));
        assert_eq!(history, [one, two(5), two(6)], "{place}");
    };
    check(&store, "written");
    copy_as_crash_leaves_it(live.path(), dead.path());
    store.refresh_latest().unwrap();
    check(&store, "merged");
    store.close().unwrap();
    check(&CollectionStore::open(DATE, config(live.path())).unwrap(), "reopened");
    check(&CollectionStore::open(DATE, config(dead.path())).unwrap(), "recovered");
}

#[test]
fn no_extra_column_takes_a_name_of_the_specification() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "key",
        "collection_name",
        "item_name",
        "data",
        "value_int",
        "value_float",
        "value_string",
        "timestamp",
        "status",
        "status_int",
        "username",
        "updated_at",
        "version",
    ] {
        let error = CollectionStore::open(DATE, quiet(dir.path()).extra_schema([(name, "string")])).unwrap_err();
        assert!(error.kind() == ErrorKind::Schema && error.to_string().contains(name), "{error}");
    }
    let error = CollectionStore::open(DATE, quiet(dir.path()).extra_schema([("size", "huge")])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
}

#[test]
fn what_does_not_fit_is_refused_and_other_columns_than_those_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = CollectionStore::open(DATE, config(dir.path())).unwrap();
    let error = store.put("k").value(1).data(&json!({"priority": "high"})).unwrap_err();
    assert!(error.kind() == ErrorKind::Input && error.to_string().starts_with("priority: "), "{error}");
    assert_eq!(store.stats().last_seq, 0);
    store.close().unwrap();
    assert_eq!(CollectionStore::open(DATE, quiet(dir.path())).unwrap_err().kind(), ErrorKind::Schema);
}
