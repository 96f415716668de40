//! Typed values: each type to its column, over a crash, a merge and a reopening; what is none is refused.

use persist_collection::{CollectionStore, ErrorKind, IntoValue, Scalar};
use persist_test_utils::copy_as_crash_leaves_it;
use serde_json::{Value, json};

use crate::{open, rows};

fn text(text: &str) -> Option<Scalar> {
    Some(Scalar::Text(text.into()))
}

#[test]
fn each_type_becomes_what_the_table_says() {
    let cases = [
        (7_i8.into_value(), Some(Scalar::Int(7))),
        (7_u8.into_value(), Some(Scalar::Int(7))),
        ((-7_i16).into_value(), Some(Scalar::Int(-7))),
        (7_u16.into_value(), Some(Scalar::Int(7))),
        (7_i32.into_value(), Some(Scalar::Int(7))),
        (7_u32.into_value(), Some(Scalar::Int(7))),
        (i64::MIN.into_value(), Some(Scalar::Int(i64::MIN))),
        ((i64::MAX as u64).into_value(), Some(Scalar::Int(i64::MAX))),
        (7_i128.into_value(), Some(Scalar::Int(7))),
        (7_u128.into_value(), Some(Scalar::Int(7))),
        (7_usize.into_value(), Some(Scalar::Int(7))),
        (7_isize.into_value(), Some(Scalar::Int(7))),
        (true.into_value(), Some(Scalar::Int(1))),
        (false.into_value(), Some(Scalar::Int(0))),
        (0.5_f32.into_value(), Some(Scalar::Float(0.5))),
        (1e300.into_value(), Some(Scalar::Float(1e300))),
        ("a".into_value(), text("a")),
        ("a".to_owned().into_value(), text("a")),
        ((&"a".to_owned()).into_value(), text("a")),
        (().into_value(), None),
        (None::<i32>.into_value(), None),
        (Some("a").into_value(), text("a")),
        (Scalar::Int(7).into_value(), Some(Scalar::Int(7))),
        (json!(null).into_value(), None),
        (json!(true).into_value(), Some(Scalar::Int(1))),
        (json!(7).into_value(), Some(Scalar::Int(7))),
        (json!(7.0).into_value(), Some(Scalar::Float(7.0))),
        ((&json!("a")).into_value(), text("a")),
    ];
    for (n, (given, wanted)) in cases.into_iter().enumerate() {
        assert_eq!(given.unwrap(), wanted, "case {n}");
    }
}

#[test]
fn what_is_no_value_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let refused = [
        u64::MAX.into_value(),
        (i64::MAX as u64 + 1).into_value(),
        i128::MIN.into_value(),
        u128::MAX.into_value(),
        f64::NAN.into_value(),
        f32::INFINITY.into_value(),
        Scalar::Float(f64::NEG_INFINITY).into_value(),
        json!(u64::MAX).into_value(),
        json!([1]).into_value(),
        json!({}).into_value(),
        Some(f64::NAN).into_value(),
    ];
    for (n, refused) in refused.into_iter().enumerate() {
        let error = refused.unwrap_err();
        assert!(error.kind() == ErrorKind::Input && error.to_string().starts_with("value: "), "case {n}: {error}");
    }
    assert_eq!(store.put("k").value(u64::MAX).data(&json!({})).unwrap_err().kind(), ErrorKind::Input);
    let mut batch = store.batch();
    assert_eq!(batch.put("k").value(f64::NAN).data(&json!({})).unwrap_err().kind(), ErrorKind::Input);
    assert!(batch.is_empty());
    assert_eq!(store.stats().last_seq, 0);
}

fn values() -> Vec<Option<Scalar>> {
    vec![
        Some(Scalar::Int(i64::MIN)),
        Some(Scalar::Int(i64::MAX)),
        Some(Scalar::Float(1.75)),
        Some(Scalar::Float(32.0)),
        Some(Scalar::Float(-0.0)),
        Some(Scalar::Float(f64::MIN_POSITIVE)),
        Some(Scalar::Float(f64::MAX)),
        text(""),
        text("2025-12-24T10:30:00Z"),
        text("32"),
        text("naïve \"text\"\n\u{0}"),
        None,
    ]
}

fn check(store: &CollectionStore, place: &str) {
    let columns = "SELECT value_int, value_float, value_string FROM storage_latest ORDER BY item_name";
    let columns = rows(store, columns);
    for (n, value) in values().into_iter().enumerate() {
        let read = store.get_item("k", "values", &format!("{n:02}")).unwrap().unwrap();
        assert_eq!(format!("{:?}", read.typed_value()), format!("{value:?}"), "{place}");
        assert_eq!(read.field::<u64>("n").unwrap(), Some(n as u64), "{place}");
        let wanted = match &value {
            Some(Scalar::Int(value)) => [json!(value), Value::Null, Value::Null],
            Some(Scalar::Float(value)) => [Value::Null, json!(value), Value::Null],
            Some(Scalar::Text(text)) => [Value::Null, Value::Null, json!(text)],
            None => [Value::Null, Value::Null, Value::Null],
        };
        assert_eq!(columns[n], wanted, "{place}");
    }
}

#[test]
fn values_stay_as_they_are_in_memory_log_and_both_files() {
    let (live, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(live.path());
    for (n, value) in values().into_iter().enumerate() {
        store.put("k").collection("values").item(&format!("{n:02}")).value(value).data(&json!({"n": n})).unwrap();
    }
    check(&store, "written");
    copy_as_crash_leaves_it(live.path(), dead.path());
    store.refresh_latest().unwrap();
    check(&store, "merged");
    store.close().unwrap();
    check(&open(live.path()), "reopened");
    check(&open(dead.path()), "recovered");
}

#[test]
fn the_type_of_a_value_may_change_with_each_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let given = [Some(Scalar::Int(32)), text("thirty"), Some(Scalar::Float(32.5)), None, Some(Scalar::Int(1))];
    for value in given.clone() {
        store.put("k").collection("c").item("age").value(value.clone()).data(&json!({"value": "mine"})).unwrap();
        let read = store.get_item("k", "c", "age").unwrap().unwrap();
        assert_eq!((read.typed_value(), read.field::<String>("value").unwrap().as_deref()), (&value, Some("mine")));
    }
    let history = store.history("k", "c", "age").unwrap();
    let values: Vec<_> = history.iter().map(|change| change.record().unwrap().typed_value().clone()).collect();
    assert_eq!(values, given);
    let shown = "SELECT version, coalesce(value_int::VARCHAR, value_float::VARCHAR, value_string) FROM storage_history \
                 ORDER BY version";
    let shown = rows(&store, shown);
    let texts = ["32", "thirty", "32.5"].map(|text| json!(text));
    assert_eq!(shown.iter().map(|row| row[1].clone()).take(3).collect::<Vec<_>>(), texts);
    let latest = rows(&store, "SELECT value_int, value_float, value_string, version FROM storage_latest");
    assert_eq!(latest, [[json!(1), Value::Null, Value::Null, json!(1)]]);
}
