//! Storing and reading.

use std::time::{Duration, Instant};

use persist_core::{Durability, ErrorKind};
use serde_json::{Map, Value, json};

use super::{data, everywhere, holds, open, perform, put, putting, row, versions};
use crate::oracle::{Call, Id};
use crate::subject::{Row, Settings, Subject};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// From memory, from SQL, after a crash and after a close; numbers and text to the last digit.
///
/// # Panics
/// Where the store breaks it.
pub fn what_is_stored_is_read_back_everywhere<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let all = json!({
        "int": [i64::MIN, u64::MAX, 0], "float": [1e300, -0.5, 0.1], "text": "\u{feff}\u{2028}\r\n\"\\ '; --", "none": null,
        "deep": {"er": [{"": [[], {}]}]}, "date": 20250115, "basic": "20250115", "n": 7,
    });
    let ids: Vec<Id> = ["", "k", "it's; --", "\u{1f980}/%_\"\\"].iter().map(|key| S::id(key, S::PER_KEY - 1)).collect();
    let rows: Vec<Row> = ids.iter().map(|id| (id.clone(), 1, S::data(id, object(all.clone())))).collect();
    for (id, _, data) in &rows {
        perform(&store, &Call::Put(id.clone(), data.clone(), None)).unwrap();
    }
    assert_eq!(store.get(&S::id("nobody", 0)).unwrap(), None);
    everywhere(store, dir.path(), |store| holds(store, &rows));
}

/// A store without them takes the same data as they are.
///
/// # Panics
/// Where the store breaks it.
pub fn fields_that_a_store_knows_are_checked_and_text_becomes_a_timestamp_where_it_has_them<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let id = S::id("k", 0);
    let mut taken = 0;
    for (field, wrong) in
        [("status", json!(1)), ("status_int", json!("one")), ("username", json!([])), ("timestamp", json!("soon"))]
    {
        let data = S::data(&id, Map::from_iter([(field.to_owned(), wrong)]));
        let done = store.perform(&Call::Put(id.clone(), data.clone(), None), Durability::Sync);
        if S::HAS_SPECIALS {
            let error = done.unwrap_err();
            assert!(error.kind() == ErrorKind::Input && error.to_string().contains(field), "{error}");
        } else {
            taken += 1;
            holds(&store, &[(id.clone(), taken, data)]);
        }
    }
    let given =
        S::data(&id, object(json!({"due": "2025-01-15 10:30Z", "at": ["2025-01-15T10:30:00.1+01:00", "2025-W03"]})));
    let mut wanted = given.clone();
    if S::HAS_SPECIALS {
        wanted["due"] = json!("2025-01-15T10:30:00+00:00");
        wanted["at"][0] = json!("2025-01-15T10:30:00.100000+01:00");
    }
    perform(&store, &Call::Put(id.clone(), given, None)).unwrap();
    everywhere(store, dir.path(), |store| holds(store, &[(id.clone(), taken + 1, wanted.clone())]));
}

/// # Panics
/// Where the store breaks it.
pub fn what_cannot_be_kept_is_refused_and_nothing_is_written<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let id = S::id("k", 0);
    let deep = (0..200).fold(json!({}), |inner, _| json!({ "in": inner }));
    for data in [json!(1), json!("text"), json!([{}]), Value::Null, deep] {
        let puts = [
            Call::Put(id.clone(), data.clone(), None),
            Call::Batch(vec![putting::<S>(&id, 1, None), Call::Put(id.clone(), data, None)]),
        ];
        for call in puts {
            let refused =
                [store.perform(&call, Durability::Sync).map(drop), store.submit(&call, Durability::Sync).map(drop)];
            assert!(refused.into_iter().all(|refused| refused.unwrap_err().kind() == ErrorKind::Input), "{call:?}");
        }
    }
    holds(&store, &[]);
    assert_eq!((put(&store, &id, 1), store.last_seq()), (1, 1));
}

/// # Panics
/// Where the store breaks it.
pub fn a_write_is_durable_when_it_returns_unless_it_says_otherwise<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let id = S::id("k", 0);
    put(&store, &id, 1);
    assert_eq!(store.durable_seq(), 1);
    store.perform(&putting::<S>(&id, 2, None), Durability::Os).unwrap().unwrap();
    assert_eq!((store.durable_seq(), store.get(&id).unwrap()), (1, Some((2, data::<S>(&id, 2)))));
    store.sync().unwrap();
    assert_eq!(store.durable_seq(), 2);
    store.perform(&putting::<S>(&id, 3, None), Durability::Os).unwrap().unwrap();
    put(&store, &id, 4);
    assert_eq!(store.durable_seq(), 4, "with it all that was written before");
}

/// # Panics
/// Where the store breaks it.
pub fn a_batch_is_flushed_without_being_asked_for<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store = S::open(dir.path(), 1, &Settings { batch_size: 10, ..Settings::default() }).unwrap();
    for n in 0..10 {
        put(&store, &S::id(&format!("k{n}"), 0), n);
    }
    let start = Instant::now();
    while store.unflushed() > 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "no flush came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// # Panics
/// Where the store breaks it.
pub fn threads_share_a_store_and_read_their_own_writes<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store = S::open(dir.path(), 1, &Settings { batch_size: 50, ..Settings::default() }).unwrap();
    let shared = S::id("all", 0);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (store, shared, own) = (&store, &shared, S::id(&format!("k{thread}"), thread % S::PER_KEY));
            scope.spawn(move || {
                for n in 1..=50 {
                    assert_eq!(u64::from(put(store, &own, n)), n);
                    assert_eq!(store.get(&own).unwrap(), Some((n as u32, data::<S>(&own, n))));
                    put(store, shared, thread);
                }
            });
        }
    });
    let mut rows: Vec<Row> =
        (0..4).map(|thread| row::<S>(&S::id(&format!("k{thread}"), thread % S::PER_KEY), 50, 50)).collect();
    let (version, last) = store.get(&shared).unwrap().unwrap();
    assert_eq!(version, 200);
    rows.push((shared.clone(), version, last));
    holds(&store, &rows);
    assert!(versions(&store, &shared).is_none_or(|versions| versions.into_iter().eq(1..=200)));
}
