//! Extra columns: every type from the write to DuckDB, over a crash and a merge; what is refused changes nothing.

use persist_dated::{DatedConfig, DatedStore, ErrorKind, Timestamp};
use persist_test_utils::copy_as_crash_leaves_it;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::quiet;

const DATE: &str = "2025-01-15";

/// Every type of the specification, a value of each, and how a query answers it.
fn every_type() -> Vec<(&'static str, &'static str, Value, Value)> {
    vec![
        ("text", "string", json!("naïve \"text\""), json!("naïve \"text\"")),
        ("i64", "int64", json!(i64::MIN), json!(i64::MIN)),
        ("i32", "int32", json!(-5.0), json!(-5)),
        ("i16", "int16", json!(300), json!(300)),
        ("i8", "int8", json!(-128), json!(-128)),
        ("u64", "uint64", json!(u64::MAX), json!(u64::MAX)),
        ("u32", "uint32", json!(u32::MAX), json!(u32::MAX)),
        ("u16", "uint16", json!(65_535), json!(65_535)),
        ("u8", "uint8", json!(255), json!(255)),
        ("f64", "float64", json!(99.99), json!(99.99)),
        ("f32", "float32", json!(0.1), json!(0.1)),
        ("flag", "bool", json!(true), json!(true)),
        ("us", "timestamp[us]", json!("2025-01-15T10:30:00.000001Z"), json!("2025-01-15T10:30:00.000001+00:00")),
        ("ns", "timestamp[ns]", json!("2025-01-15T10:30:00+02:00"), json!("2025-01-15T08:30:00+00:00")),
        ("ms", "timestamp[ms]", json!("2025-01-15"), json!("2025-01-15T00:00:00+00:00")),
        ("s", "timestamp[s]", json!("0001-01-01 00:00"), json!("0001-01-01T00:00:00+00:00")),
        ("d32", "date32", json!("2024-02-29"), json!("2024-02-29")),
        ("d64", "date64", json!("9999-12-31T00:00:00Z"), json!("9999-12-31")),
    ]
}

fn config(dir: &std::path::Path) -> DatedConfig {
    quiet(dir).extra_schema(every_type().into_iter().map(|(name, kind, ..)| (name, kind)))
}

/// The extra columns of each record, by key.
fn columns(store: &DatedStore) -> Vec<Vec<Value>> {
    let names: Vec<_> = every_type().into_iter().map(|(name, ..)| format!("\"{name}\"")).collect();
    let rows = store.query(&format!("SELECT {} FROM storage ORDER BY key", names.join(", "))).unwrap();
    rows.iter().map(<[Value]>::to_vec).collect()
}

#[test]
fn every_type_reaches_its_column_over_flush_merge_crash_and_reopening() {
    let (live, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = DatedStore::open(DATE, config(live.path())).unwrap();
    let data: serde_json::Map<_, _> =
        every_type().into_iter().map(|(name, _, given, _)| (name.to_owned(), given)).collect();
    store.store("all", &data).unwrap();
    store.store("none", &json!({"other": 1})).unwrap();
    store.flush().unwrap();
    store.store("nulls", &json!({"i64": null, "text": null})).unwrap();

    let answered: Vec<Value> = every_type().into_iter().map(|(.., answered)| answered).collect();
    let nulls = vec![Value::Null; answered.len()];
    let expected = [answered, nulls.clone(), nulls];
    assert_eq!(columns(&store), expected);
    copy_as_crash_leaves_it(live.path(), dead.path());
    store.compact().unwrap();
    assert_eq!(columns(&store), expected);
    store.close().unwrap();

    let store = DatedStore::open(DATE, config(live.path())).unwrap();
    assert_eq!(columns(&store), expected);
    let recovered = DatedStore::open(DATE, config(dead.path())).unwrap();
    assert_eq!(columns(&recovered), expected);
    let types = recovered.query(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'storage' AND database_name <> 'temp'",
    );
    let types: Vec<(String, String)> = types.unwrap().iter().map(|row| (text(&row[0]), text(&row[1]))).collect();
    let at = types.iter().position(|(name, _)| name == "version").unwrap();
    let sql = [
        "VARCHAR",
        "BIGINT",
        "INTEGER",
        "SMALLINT",
        "TINYINT",
        "UBIGINT",
        "UINTEGER",
        "USMALLINT",
        "UTINYINT",
        "DOUBLE",
        "FLOAT",
        "BOOLEAN",
        "TIMESTAMP",
        "TIMESTAMP",
        "TIMESTAMP",
        "TIMESTAMP",
        "DATE",
        "DATE",
    ];
    assert!(types[at + 1..].iter().map(|(_, kind)| kind.as_str()).eq(sql), "{types:?}");
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn what_does_not_fit_is_refused_with_its_field_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = DatedStore::open(DATE, config(dir.path())).unwrap();
    store.store("k", &json!({"i8": 1})).unwrap();
    for (name, unfit) in
        [("i8", json!(128)), ("flag", json!("yes")), ("d32", json!("2025-01-15T10:00")), ("us", json!(7))]
    {
        let error = store.store("k", &json!({name: unfit})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
    }
    assert_eq!(store.get_key_process("k", None).unwrap().version(), 1);
    store.close().unwrap();
    assert_eq!(DatedStore::open(DATE, config(dir.path())).unwrap().query("SELECT i8 FROM storage").unwrap().len(), 1);
}

#[test]
fn what_does_not_fit_is_null_where_the_configuration_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = DatedStore::open(DATE, config(dir.path()).unfit_extra_is_null(true)).unwrap();
    store.store("k", &json!({"i8": 128, "i16": 7})).unwrap();
    let rows = store.query("SELECT i8, i16, data->>'i8' AS kept FROM storage").unwrap();
    assert_eq!(rows.iter().next().unwrap(), [Value::Null, json!(7), json!("128")]);
}

#[test]
fn names_and_types_are_checked_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    for (name, kind) in
        [("version", "int64"), ("Process_Name", "string"), ("date", "string"), ("persist_x", "bool"), ("a", "int")]
    {
        let error = DatedStore::open(DATE, quiet(dir.path()).extra_schema([(name, kind)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Schema);
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_table_with_other_columns_is_refused_with_the_differences() {
    let dir = tempfile::tempdir().unwrap();
    let open =
        |columns: &[(&str, &str)]| DatedStore::open(DATE, quiet(dir.path()).extra_schema(columns.iter().copied()));
    let store = open(&[("a", "int64"), ("b", "string")]).unwrap();
    store.store("k", &json!({"a": 1, "b": "x"})).unwrap();
    store.close().unwrap();
    for (columns, says) in [
        (&[("a", "int64")][..], r#"has the column "b" VARCHAR besides"#),
        (&[("a", "int32"), ("b", "string")], r#"column "a" of "storage" is BIGINT and should be INTEGER"#),
        (&[("a", "int64"), ("b", "string"), ("c", "bool")], r#"lacks the column "c" BOOLEAN"#),
        (&[("b", "string"), ("a", "int64")], "in another order"),
    ] {
        let error = open(columns).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Schema);
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(open(&[("a", "int64"), ("b", "string")]).unwrap().len(), 1);
}

#[test]
fn hostile_column_names_are_names() {
    let dir = tempfile::tempdir().unwrap();
    let names =
        ["a b", "x\"; DROP TABLE storage; --", "select", "é", "e\u{301}", "a.b", "'", "\\", "%", "🎂", "a\nb", "\t"];
    let columns = names.map(|name| (name, "string"));
    let store = DatedStore::open(DATE, quiet(dir.path()).extra_schema(columns)).unwrap();
    let data: serde_json::Map<_, _> =
        names.iter().map(|name| ((*name).to_owned(), json!(format!("<{name}>")))).collect();
    store.store("k", &data).unwrap();
    store.compact().unwrap();
    let rows = store.query("SELECT * FROM storage").unwrap();
    for name in names {
        assert_eq!(rows.get(0, name), Some(&json!(format!("<{name}>"))), "{name:?}");
    }
}

/// A value that some type takes and others refuse.
fn value() -> impl Strategy<Value = Value> {
    let edges =
        [0_i64, 1, -1, 127, 128, -128, -129, 255, 256, 32_767, 65_536, -32_769, 1 << 24, (1 << 24) + 1, 1 << 53];
    let texts = ["", "x", "2025-01-15", "2025-01-15T10:30:00.5+02:00", "2025-01-15T02:00:00+02:00", "0001-01-01", "7"];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        proptest::sample::select(edges.to_vec()).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1000.0..1000.0).prop_map(|n: f64| Value::from((n * 4.0).round() / 4.0)),
        any::<f64>().prop_filter("JSON has no such number", |n| n.is_finite()).prop_map(Value::from),
        proptest::sample::select(texts.to_vec()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!([1])),
    ]
}

/// Whether a column of this type has just what the data has.
fn is_same(kind: &str, data: &Value, column: &Value) -> bool {
    let moment = |value: &Value| value.as_str().and_then(Timestamp::parse);
    match (data, kind) {
        (Value::Null, _) => column.is_null(),
        (_, "float32") => data.as_f64().map(|wide| wide as f32) == column.as_f64().map(|wide| wide as f32),
        (Value::Number(_), "float64") => data.as_f64() == column.as_f64(),
        (Value::Number(_), _) if data.is_f64() => data.as_f64() == column.as_f64(),
        (_, "timestamp[us]" | "timestamp[ns]" | "timestamp[ms]" | "timestamp[s]" | "date32" | "date64") => {
            moment(data).is_some() && moment(data) == moment(column)
        }
        _ => data == column,
    }
}

proptest! {
    #![proptest_config(crate::property::config(16))]

    #[test]
    fn what_is_accepted_is_in_its_columns_everywhere_and_what_is_refused_changes_nothing(
        writes in vec((0..every_type().len(), value(), 0..8_usize), 1..60),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = DatedStore::open(DATE, config(dir.path())).unwrap();
        let names: Vec<&str> = every_type().iter().map(|(name, ..)| *name).collect();
        for (n, (column, value, key)) in writes.iter().enumerate() {
            let key = format!("k{key}");
            let before = store.get_key_process(&key, None);
            let stored = store.put(&key).durability(persist_dated::Durability::Os).data(&json!({names[*column]: value}));
            if stored.is_err() {
                prop_assert_eq!(store.get_key_process(&key, None), before, "{:?}", value);
            }
            if n % 16 == 15 {
                store.flush().unwrap();
            }
        }
        let lake = dir.path().join("lake");
        let exported = store.export_to(&lake).unwrap().map_or(0, |export| export.rows());
        prop_assert_eq!(exported, store.len() as u64);
        let list = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let sql = |from: &str| format!("SELECT key, {list} FROM {from} ORDER BY key");
        let rows = store.query(&sql("storage")).unwrap();
        prop_assert_eq!(rows.len(), store.len());
        for row in rows.iter() {
            let data: Value = store.get_key_process(row[0].as_str().unwrap(), None).unwrap().to().unwrap();
            for ((name, kind, ..), column) in every_type().iter().zip(&row[1..]) {
                prop_assert!(is_same(kind, &data[name], column), "{}: {} of {}", kind, column, data[name]);
            }
        }
        if exported > 0 {
            let files = format!("read_parquet('{}/*/*/*.parquet')", lake.display());
            prop_assert_eq!(store.query(&sql(&files)).unwrap(), rows.clone());
        }
        store.close().unwrap();
        let store = DatedStore::open(DATE, config(dir.path())).unwrap();
        prop_assert_eq!(store.query(&sql("storage")).unwrap(), rows);
    }
}
