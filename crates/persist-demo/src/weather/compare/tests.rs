//! The comparisons see what they are there to see.

#![allow(clippy::unwrap_used)]

use persist_collection::{CollectionConfig, IntoValue};

use super::*;
use crate::weather::observation::tests::{parsed, with};

/// Two hours at one airport.
fn observations() -> Vec<Observation> {
    let rows = ["06", "07"].map(|hour| with(&[("time_hour", &format!("2013-01-01T{hour}:00:00Z"))]));
    parsed(&rows.each_ref().map(String::as_str)).unwrap()
}

/// What disagrees with a store that `write` filled.
fn disagreements(write: impl Fn(&Observation, &CollectionStore)) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let store = CollectionStore::open("2013-01-01", CollectionConfig::new(dir.path())).unwrap();
    let all = observations();
    all.iter().for_each(|one| write(one, &store));
    let mut compared = Comparison::with(&all);
    compared.store(&store).unwrap();
    store.close().unwrap();
    assert_eq!(
        compared.lines.iter().filter(|one| one.expected != one.found).count(),
        compared.checks.disagreements.len()
    );
    compared.checks.disagreements
}

fn is_second_temp(one: &Observation) -> bool {
    (one.measure, one.version) == ("temp", 2)
}

fn store_as_it_is(one: &Observation, store: &CollectionStore) {
    one.store(store, &one.value).unwrap();
}

#[test]
fn a_store_with_all_observations_agrees() {
    assert_eq!(disagreements(store_as_it_is), Vec::<String>::new());
}

#[test]
fn a_value_that_differs_or_is_of_another_type_disagrees() {
    for value in [39.03.into_value(), "39.02".into_value()] {
        let value = value.unwrap().unwrap();
        let found = disagreements(|one, store| {
            one.store(store, if is_second_temp(one) { &value } else { &one.value }).unwrap();
        });
        assert!(found.contains(&"history rows by query, as in the CSV: 11 and not 12".to_owned()), "{found:?}");
        assert!(found.contains(&"newest values in memory: 5 and not 6".to_owned()), "{found:?}");
        assert!(
            found.contains(&"items by query whose count, extremes and sum agree: 5 and not 6".to_owned()),
            "{found:?}"
        );
    }
    // The first hour is only in the past.
    let found = disagreements(|one, store| {
        let first = (one.measure, one.version) == ("temp", 1);
        one.store(store, &if first { Scalar::Int(39) } else { one.value.clone() }).unwrap();
    });
    assert!(found.contains(&"versions of temp at JFK, as in the CSV: 1 and not 2".to_owned()), "{found:?}");
}

#[test]
fn a_write_that_is_lost_made_twice_or_of_another_hour_disagrees() {
    let lost = disagreements(|one, store| {
        if !is_second_temp(one) {
            store_as_it_is(one, store);
        }
    });
    assert!(lost.contains(&"history rows by query: 11 and not 12".to_owned()), "{lost:?}");
    let doubled = disagreements(|one, store| {
        store_as_it_is(one, store);
        if is_second_temp(one) {
            store_as_it_is(one, store);
        }
    });
    assert!(doubled.contains(&"history rows by query: 13 and not 12".to_owned()), "{doubled:?}");
    let later = disagreements(|one, store| {
        let at = Timestamp::from_unix_micros(one.at.unix_micros() + 1);
        Observation { at, ..one.clone() }.store(store, &one.value).unwrap();
    });
    assert!(later.contains(&"history rows by query, as in the CSV: 0 and not 12".to_owned()), "{later:?}");
}

#[test]
fn an_acknowledged_write_that_is_not_there_disagrees() {
    let all = observations();
    let rows = expected::history(&all);
    let mut compared = Comparison::with(&all);
    compared.after_the_crash(&[0, 1, 2], &rows);
    assert_eq!(compared.checks.disagreements, Vec::<String>::new());
    // The second hour of the dew point, observation 7, and nothing else.
    compared.after_the_crash(&[0, 7], rows.get(1..2).unwrap());
    assert_eq!(compared.checks.disagreements, ["acknowledged by the child, and there: 1 and not 2"]);
}
