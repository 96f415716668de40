//! Storing and reading, as the specification shows it, and what then stands in the files.

use std::path::Path;

use persist_collection::{CollectionConfig, CollectionStore, ErrorKind, Scalar, Timestamp};
use serde_json::{Value, json};
use time::macros::{date, datetime};

use crate::{DATE, files, log, open, quiet, rows};

#[test]
fn the_basic_example_of_the_specification_works() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let age = json!({"label": "Age", "timestamp": "2025-12-24T08:00:00", "status": "valid", "username": "john_doe"});
    store.put("user_profile").item("age").collection("personal_info").value(32).data(&age).unwrap();
    let height = json!({"label": "Height", "timestamp": "2025-12-24T08:00:01"});
    store.put("user_profile").item("height").collection("personal_info").value(1.75).data(&height).unwrap();

    let info = store.get_key_in("user_profile", "personal_info").unwrap();
    assert_eq!(info.keys().collect::<Vec<_>>(), ["age", "height"]);
    assert_eq!(info["age"].typed_value(), &Some(Scalar::Int(32)));
    assert_eq!(info["height"].typed_value(), &Some(Scalar::Float(1.75)));
    let age = store.get_item("user_profile", "personal_info", "age").unwrap().unwrap();
    assert_eq!((age.key(), age.part().collection(), age.part().item()), ("user_profile", "personal_info", "age"));
    assert_eq!(age.timestamp(), Timestamp::parse("2025-12-24T08:00:00Z"));
    assert_eq!((age.status().as_deref(), age.username().as_deref()), (Some("valid"), Some("john_doe")));
    assert_eq!(age.field::<String>("label").unwrap().as_deref(), Some("Age"));
    store.close().unwrap();
    assert_eq!(open(dir.path()).get_key_in("user_profile", "personal_info").unwrap().len(), 2);
}

#[test]
fn the_defaults_are_those_of_the_specification() {
    let config = format!("{:?}", CollectionConfig::default());
    let bytes = 10 * 1024 * 1024;
    for default in [
        "base_dir: \"./collection_storage\"",
        &format!("max_wal_size_bytes: {bytes}"),
        "batch_size: 1000,",
        "flush_interval: 30s",
        "extra_schema: []",
    ] {
        assert!(config.contains(default), "{default} is not in {config}");
    }
}

#[test]
fn a_key_has_collections_and_these_have_items() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (collection, item) in [("a", "x"), ("a", "y"), ("b", "x"), ("", ""), ("", "x"), ("a", "")] {
        store
            .put("k")
            .collection(collection)
            .item(item)
            .value(format!("{collection}/{item}"))
            .data(&json!({}))
            .unwrap();
    }
    store.put("other").collection("a").item("x").data(&json!({})).unwrap();
    let check = |store: &CollectionStore| {
        let found: Vec<(String, Vec<String>)> =
            store.get_key("k").unwrap().into_iter().map(|(name, items)| (name, items.into_keys().collect())).collect();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let wanted = [("", names(&["", "x"])), ("a", names(&["", "x", "y"])), ("b", names(&["x"]))];
        assert_eq!(found, wanted.map(|(collection, items)| (collection.to_owned(), items)));
        for (collection, items) in store.get_key("k").unwrap() {
            assert_eq!(store.get_key_in("k", &collection).unwrap(), items);
            for (item, record) in items {
                assert_eq!(record.typed_value(), &Some(Scalar::Text(format!("{collection}/{item}").into())));
                assert_eq!(store.get_item("k", &collection, &item).unwrap(), Some(record));
            }
        }
        assert!(store.get_key("nobody").unwrap().is_empty() && store.get_key_in("k", "c").unwrap().is_empty());
        assert!(store.get_item("k", "b", "y").unwrap().is_none() && !store.contains("k", "x", "a").unwrap());
        assert!(store.contains("k", "", "").unwrap());
    };
    check(&store);
    store.close().unwrap();
    check(&open(dir.path()));
}

#[test]
fn what_names_no_item_is_the_one_of_the_empty_names() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let record = store.store("k", &json!({"collection_name": "mine", "item_name": 7, "value": [1]})).unwrap();
    assert_eq!((record.part().collection(), record.part().item(), record.typed_value()), ("", "", &None));
    let data: Value = record.to().unwrap();
    assert_eq!(
        (&data["collection_name"], &data["item_name"], &data["value"]),
        (&json!("mine"), &json!(7), &json!([1]))
    );
    let columns = rows(&store, "SELECT collection_name, item_name, value_int FROM storage_latest");
    assert_eq!(columns, [[json!(""), json!(""), Value::Null]]);
}

#[test]
fn what_the_call_says_beats_the_data_and_a_missing_timestamp_is_now() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let data = json!({"status": "old", "status_int": 1, "username": "eve", "timestamp": "2020-01-01"});
    let put = store.put("k").item("i").status("new").status_int(2).username("ada");
    let record = put.timestamp(datetime!(2025-12-24 10:30 +1)).data(&data).unwrap();
    let resolved = json!({
        "status": "new", "status_int": 2, "username": "ada", "timestamp": "2025-12-24T10:30:00+01:00",
    });
    assert_eq!(record.to::<Value>().unwrap(), resolved);
    let columns = rows(&store, "SELECT timestamp, status, status_int, username FROM storage_latest");
    assert_eq!(columns, [[json!("2025-12-24T09:30:00+00:00"), json!("new"), json!(2), json!("ada")]]);

    let now = store.put("k").item("j").data(&json!({})).unwrap();
    let age = now.written_at().unix_micros() - now.timestamp().unwrap().unix_micros();
    assert!((0..60_000_000).contains(&age), "{age}");
    for (field, data) in [("status", json!({"status": 1})), ("timestamp", json!({"timestamp": "soon"}))] {
        let error = store.store("k", &data).unwrap_err();
        assert!(error.kind() == ErrorKind::Input && error.to_string().contains(field), "{error}");
    }
    assert_eq!(store.put("k").timestamp("soon").data(&json!({})).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(store.stats().last_seq, 2);
}

#[test]
fn a_line_of_the_log_is_the_item_and_our_tail() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let put = |value: Option<Scalar>| {
        let put = store.put("k").collection("c").item("\"i\"").value(value).username("ada");
        put.timestamp("2025-12-24").data(&json!({"n": 1})).unwrap()
    };
    let record = put(Some(Scalar::Text("x".into())));
    put(Some(Scalar::Float(2.0)));
    put(None);
    store.remove_item("k", "c", "\"i\"").unwrap();
    let log = log(dir.path());
    let lines: Vec<&str> = log.lines().collect();
    let id = r#"{"key":"k","collection_name":"c","item_name":"\"i\"""#;
    let at = record.written_at();
    let said = r#""username":"ada","timestamp":"2025-12-24T00:00:00+00:00""#;
    let first = format!(
        r#"{id},"data":{{"n":1,"timestamp":"2025-12-24T00:00:00+00:00","username":"ada"}},"value":"x",{said},"at":"{at}","version":1,"#
    );
    assert!(lines[0].starts_with(&first), "{}\n{first}", lines[0]);
    assert!(lines[1].contains(r#""value":2.0,"username""#) && lines[2].contains(r#""value":null,"username""#), "{log}");
    assert!(lines[3].starts_with(&format!(r#"{id},"at":""#)) && lines[3].contains(r#""op":"remove""#), "{log}");
}

fn columns_of(file: &Path, table: &str) -> Vec<String> {
    let database = duckdb::Connection::open(file).unwrap();
    let mut columns = database
        .prepare(
            "SELECT column_name || ' ' || data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
        )
        .unwrap();
    columns.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn the_closed_files_have_the_tables_of_the_specification() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 1..=3 {
        store.put("k").collection("c").item("i").value(n).username("ada").data(&json!({"n": n})).unwrap();
    }
    store.put("k").collection("c").item("gone").data(&json!({})).unwrap();
    store.remove_item("k", "c", "gone").unwrap();
    store.close().unwrap();
    assert_eq!(
        files(dir.path())
            .into_iter()
            .filter(|name| name.contains("duckdb") && !name.ends_with(".lock"))
            .collect::<Vec<_>>(),
        ["storage_history.duckdb", "storage_latest.duckdb"]
    );

    let specified = [
        "key VARCHAR",
        "collection_name VARCHAR",
        "item_name VARCHAR",
        "data JSON",
        "value_int BIGINT",
        "value_float DOUBLE",
        "value_string VARCHAR",
        "timestamp TIMESTAMP",
        "status VARCHAR",
        "status_int INTEGER",
        "username VARCHAR",
        "updated_at TIMESTAMP",
        "version INTEGER",
    ];
    let (history, latest) = (dir.path().join("storage_history.duckdb"), dir.path().join("storage_latest.duckdb"));
    let with = |more: [&str; 2]| specified.into_iter().chain(more).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(columns_of(&history, "storage_history"), with(["persist_seq UBIGINT", "persist_op UTINYINT"]));
    assert_eq!(columns_of(&latest, "storage_latest"), with(["persist_version INTEGER", "persist_hash UBIGINT"]));

    let database = duckdb::Connection::open(latest).unwrap();
    let row = |row: &duckdb::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
    let rows: Vec<(String, i64, i32, i32, String)> = database
        .prepare("SELECT item_name, value_int, version, persist_version, username FROM storage_latest")
        .unwrap()
        .query_map([], row)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows, [("i".to_owned(), 3, 1, 3, "ada".to_owned())], "one row for each item, called version 1");
    let database = duckdb::Connection::open(history).unwrap();
    let writes: Vec<(String, i32, bool)> = database
        .prepare("SELECT item_name, version, data IS NULL FROM storage_history ORDER BY persist_seq")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let writes: Vec<(&str, i32, bool)> =
        writes.iter().map(|(item, version, gone)| (&**item, *version, *gone)).collect();
    assert_eq!(writes, [("i", 1, false), ("i", 2, false), ("i", 3, false), ("gone", 1, false), ("gone", 2, true)]);
}

#[test]
fn latest_is_right_for_sql_at_every_moment() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let shown = || rows(&store, "SELECT item_name, value_int, version FROM storage_latest ORDER BY item_name");
    let put = |item: &str, value: i64| store.put("k").collection("c").item(item).value(value).data(&json!({})).unwrap();
    put("a", 1);
    assert_eq!(shown(), [[json!("a"), json!(1), json!(1)]], "written, not merged");
    put("b", 2);
    store.refresh_latest().unwrap();
    assert_eq!(shown(), [[json!("a"), json!(1), json!(1)], [json!("b"), json!(2), json!(1)]], "merged");
    put("a", 3);
    put("a", 4);
    store.remove_item("k", "c", "b").unwrap();
    put("c", 5);
    let wanted = [[json!("a"), json!(4), json!(1)], [json!("c"), json!(5), json!(1)]];
    assert_eq!(shown(), wanted, "some of it merged");
    store.flush().unwrap();
    assert_eq!(shown(), wanted);
    store.refresh_latest().unwrap();
    assert_eq!(shown(), wanted);
    put("b", 6);
    assert_eq!(shown()[1], [json!("b"), json!(6), json!(1)], "there again");
    let joined = "SELECT l.item_name, max(h.version) FROM storage_latest l JOIN storage_history h USING (key, item_name) \
                  GROUP BY ALL ORDER BY ALL";
    let joined = rows(&store, joined);
    assert_eq!(joined, [[json!("a"), json!(3)], [json!("b"), json!(3)], [json!("c"), json!(1)]]);
}

#[test]
fn stats_have_the_figures_of_the_specification() {
    let dir = tempfile::tempdir().unwrap();
    let store = CollectionStore::open(DATE, quiet(dir.path()).max_wal_records(4)).unwrap();
    for n in 0..10 {
        store.put("k").item(&format!("i{}", n % 5)).data(&json!({"n": n})).unwrap();
    }
    let stats = store.stats();
    assert_eq!((stats.cache_size, stats.pending_writes), (5, 10));
    assert_eq!((stats.current_wal_count, stats.wal_files_count, stats.wal_sequence), (2, 3, 3));
    assert!(stats.current_wal_size > 0);
    assert_eq!(stats.modified_records, 10);
    store.flush().unwrap();
    assert_eq!((store.stats().pending_writes, store.stats().modified_records), (0, 10));
    store.put("k").data(&json!({})).unwrap();
    assert_eq!(store.stats().modified_records, 11);
    store.refresh_latest().unwrap();
    assert_eq!((store.stats().modified_records, store.stats().base_rows), (0, 6));
    let figures = serde_json::to_value(store.stats()).unwrap();
    for name in [
        "cache_size",
        "pending_writes",
        "modified_records",
        "current_wal_size",
        "current_wal_count",
        "wal_files_count",
        "wal_sequence",
    ] {
        assert!(figures[name].is_u64(), "{name} in {figures}");
    }
}

#[test]
fn the_date_is_any_form_of_a_date() {
    let dir = tempfile::tempdir().unwrap();
    let day = date!(2025 - 12 - 24);
    let open = |store: persist_collection::Result<CollectionStore>| -> time::Date {
        let store = store.unwrap();
        let date = store.date();
        store.close().unwrap();
        date
    };
    assert_eq!(open(CollectionStore::open(day, quiet(dir.path()))), day);
    assert_eq!(open(CollectionStore::open(datetime!(2025-12-24 23:59 UTC), quiet(dir.path()))), day);
    assert_eq!(open(CollectionStore::open("2025-12-24T10:30:00", quiet(dir.path()))), day);
    assert_eq!(CollectionStore::open("today", quiet(dir.path())).unwrap_err().kind(), ErrorKind::Input);
}
