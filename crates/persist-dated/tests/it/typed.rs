//! Types of the caller's own: in by `Serialize`, out by `Deserialize`, under each policy.

use std::collections::BTreeSet;

use persist_dated::{DatedStore, ErrorKind, Timestamp, TimestampPolicy, Value, timestamp};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use time::macros::{date, datetime};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::{open, quiet};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Task {
    name: String,
    id: u64,
    load: f64,
    #[serde(with = "timestamp::text")]
    note: String,
    #[serde(with = "timestamp::text")]
    label: Option<String>,
    #[serde(with = "timestamp::moment")]
    begun: OffsetDateTime,
    #[serde(with = "timestamp::moment")]
    local: PrimitiveDateTime,
    #[serde(with = "timestamp::moment")]
    due: Date,
    #[serde(with = "timestamp::moment")]
    ended: Option<OffsetDateTime>,
    #[serde(with = "timestamp::moment")]
    planned: Option<PrimitiveDateTime>,
    #[serde(with = "timestamp::moment")]
    day: Option<Date>,
    seen: Vec<Timestamp>,
    more: Value,
}

fn policies() -> [TimestampPolicy; 3] {
    let some = ["begun", "note", "day", "seen"].map(str::to_owned);
    [TimestampPolicy::All, TimestampPolicy::Fields(BTreeSet::from(some)), TimestampPolicy::Off]
}

prop_compose! {
    fn any_moment()(
        // Two days inside the years that a timestamp has, so that no offset leads out of them.
        seconds in -62_135_424_000_i64..253_402_128_000, micros in 0..1_000_000_i64, offset in -86_399..86_400,
    ) -> OffsetDateTime {
        let utc = OffsetDateTime::from_unix_timestamp(seconds).unwrap() + time::Duration::microseconds(micros);
        utc.to_offset(UtcOffset::from_whole_seconds(offset).unwrap())
    }
}

fn any_local() -> impl Strategy<Value = PrimitiveDateTime> {
    any_moment().prop_map(|at| PrimitiveDateTime::new(at.date(), at.time()))
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "'{0,3}2025-0[1-9]-1[0-9]([T ]10:30(:00(\\.[0-9]{1,7})?)?(Z|[+-]0[0-9]:?30)?)?",
        "'{0,3}[a-z0-9]{0,3}",
    ]
}

fn any_more() -> impl Strategy<Value = Value> {
    prop_oneof![
        "-?[1-9][0-9]{0,40}(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?"
            .prop_map(|text| Value::Number(text.parse().unwrap())),
        any_moment().prop_map(|at| Value::List(vec![Value::Timestamp(at.into()), Value::Null])),
        "[a-z]{0,9}".prop_map(|text| Value::Object(vec![("z".into(), Value::Text(text)), ("a".into(), Value::Null)])),
    ]
}

prop_compose! {
    fn any_task()(
        (name, id, load) in ("[a-z]{0,9}", any::<u64>(), -1e300..1e300_f64),
        (note, label) in (any_text(), prop::option::of(any_text())),
        (begun, local, due) in (any_moment(), any_local(), any_moment()),
        (ended, planned, day) in (
            prop::option::of(any_moment()), prop::option::of(any_local()), prop::option::of(any_moment())
        ),
        seen in prop::collection::vec(any_moment().prop_map(Timestamp::from), 0..3),
        more in any_more(),
    ) -> Task {
        let (due, day) = (due.date(), day.map(OffsetDateTime::date));
        Task { name, id, load, note, label, begun, local, due, ended, planned, day, seen, more }
    }
}

#[test]
fn a_struct_comes_back_equal_under_each_policy_and_after_reopening() {
    for policy in policies() {
        let dir = tempfile::tempdir().unwrap();
        let open = || DatedStore::open("2025-01-15", quiet(dir.path()).timestamps(policy.clone())).unwrap();
        let store = open();
        let mut tasks = Vec::new();
        let config = ProptestConfig { cases: 100, ..ProptestConfig::default() };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let tasks_seen = std::cell::RefCell::new(&mut tasks);
        let run = runner.run(&any_task(), |task| {
            let mut tasks = tasks_seen.borrow_mut();
            let record = store.store(&tasks.len().to_string(), &task).unwrap();
            prop_assert_eq!(&record.to::<Task>().unwrap(), &task);
            prop_assert_eq!(record.field::<Value>("more").unwrap().unwrap(), task.more.clone());
            // An offset is part of a moment, though two of different offsets are equal.
            prop_assert_eq!(record.to::<Task>().unwrap().begun.offset(), task.begun.offset());
            tasks.push(task);
            Ok(())
        });
        run.unwrap_or_else(|failure| panic!("{policy:?}: {failure}"));
        store.close().unwrap();

        let store = open();
        for (key, task) in tasks.iter().enumerate() {
            let record = store.get_key_process(&key.to_string(), None).unwrap();
            assert_eq!(&record.to::<Task>().unwrap(), task, "{policy:?}");
        }
        assert_eq!(store.len(), tasks.len());
    }
}

#[test]
fn single_fields_and_the_special_ones_are_read_without_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let data = json!({"inner": {"progress": 1}, "progress": 75, "none": null, "status_int": 3.0, "day": "2025-02-01"});
    let record = store.put("k").username("bob").status("run\"ning").timestamp("2025-01-15T10:30:00+01:00").data(&data);
    let record = record.unwrap();
    assert_eq!(record.field::<u8>("progress").unwrap(), Some(75));
    assert_eq!(record.field::<u8>("absent").unwrap(), None);
    assert_eq!(record.field::<u8>("none").unwrap(), None);
    assert_eq!(record.field::<Timestamp>("day").unwrap(), Timestamp::parse("2025-02-01"));
    let error = record.field::<String>("progress").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("\"progress\" of key \"k\""), "{error}");

    assert_eq!(record.timestamp().unwrap().to_string(), "2025-01-15T10:30:00+01:00");
    assert_eq!((record.status().as_deref(), record.status_int()), (Some("run\"ning"), Some(3)));
    assert_eq!(record.username().as_deref(), Some("bob"));
    let bare = store.store("bare", &json!({"status": null})).unwrap();
    assert_eq!((bare.status(), bare.status_int(), bare.username()), (None, None, None));
    assert!(bare.timestamp().is_some());
}

#[test]
fn numbers_beyond_64_bits_and_long_decimals_are_exact_after_reopening() {
    let text = r#"{"id":123456789012345678901234567890,"price":0.1000000000000000000000000000001,"zero":-0.0}"#;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.store("k", &RawValue::from_string(text.to_owned()).unwrap()).unwrap();
    // A value goes in as it came out.
    let value = store.get_key_process("k", None).unwrap().value().unwrap();
    store.store("copy", &value).unwrap();
    store.close().unwrap();
    for key in ["k", "copy"] {
        let record = open(dir.path()).get_key_process(key, None).unwrap();
        assert!(record.json().starts_with(text.trim_end_matches('}')), "{}", record.json());
        assert_eq!(record.value().unwrap(), value);
        assert_eq!(record.value().unwrap().to_string(), record.json());
    }
}

#[test]
fn the_deepest_record_that_a_store_takes_can_be_read() {
    let nested = |depth: usize| {
        let text = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        RawValue::from_string(text).unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let store = DatedStore::open("2025-01-15", quiet(dir.path()).max_depth(1000)).unwrap();
    let record = store.store("k", &nested(1000)).unwrap();
    assert_eq!(record.value().unwrap().to_string(), record.json());
    assert!(record.to::<serde_json::Value>().unwrap().is_object());
    let error = DatedStore::open("2025-01-16", quiet(dir.path()).max_depth(1001)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("max_depth"), "{error}");
}

#[derive(Debug, Serialize, Deserialize)]
struct Moments {
    #[serde(with = "timestamp::moment")]
    at: OffsetDateTime,
    #[serde(with = "timestamp::moment", default)]
    day: Option<Date>,
    #[serde(with = "timestamp::moment", default)]
    local: Option<PrimitiveDateTime>,
}

#[test]
fn what_is_no_moment_is_refused_going_in_and_coming_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let at = datetime!(2025-01-15 10:30 UTC);
    let before = Date::from_calendar_date(0, Month::December, 31).unwrap();
    for moments in [
        Moments { at, day: Some(before), local: None },
        // The year 0 of UTC, or of the offset.
        Moments { at: datetime!(0001-01-01 00:30 +1), day: None, local: None },
        Moments { at: datetime!(0000-12-31 23:30 -1), day: None, local: None },
    ] {
        let error = store.store("k", &moments).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{moments:?}");
        assert!(error.to_string().contains("year"), "{error}");
    }
    assert!(store.is_empty());

    let read = |data| store.store("k", &data).unwrap().to::<Moments>();
    assert!(read(json!({"at": null})).unwrap_err().to_string().contains("null"));
    assert!(read(json!({"at": "soon"})).unwrap_err().to_string().contains("soon"));
    assert!(read(json!({"at": "2025-01-15", "day": "2025-01-15T10:30"})).is_err());
    let found = read(json!({"at": "2025-01-15T12:30+02:00", "day": "2025-01-15 00:00+05:00"})).unwrap();
    assert_eq!((found.at, found.day), (at, Some(date!(2025 - 01 - 15))));
    let found = read(json!({"at": "2025-01-15", "local": "2025-01-15T12:30+02:00"}));
    assert_eq!(found.unwrap().local, Some(datetime!(2025-01-15 10:30)));
    // Finer than a microsecond is cut.
    let fine = at.replace_time(Time::from_hms_nano(10, 30, 0, 123_456_789).unwrap());
    let found: Moments = store.store("k", &Moments { at: fine, day: None, local: None }).unwrap().to().unwrap();
    assert_eq!(found.at, fine.replace_nanosecond(123_456_000).unwrap());
}
