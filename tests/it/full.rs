//! Row 9: a full disk of a real kernel, whatever is asked of the store. It takes root; elsewhere these tests say so and end.

use persist_test_utils::Subject;
use persist_tests::{CollectionSubject, DatedSubject, full};

fn fill_the_disk<S: Subject>() {
    if let Some(why) = full::unavailable() {
        eprintln!("skipped: no small disk can be made here: {why}");
        return;
    }
    let cases = full::ASKED.len() as u64;
    let verdict = full::run::<S>(cases, 0).unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(verdict.cases, cases);
    assert!(verdict.refused >= cases / 2, "there was space: {verdict:?}");
}

#[test]
fn a_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_space() {
    fill_the_disk::<DatedSubject>();
}

#[test]
fn a_full_disk_costs_a_collection_store_nothing_which_goes_on_when_there_is_space() {
    fill_the_disk::<CollectionSubject>();
}
