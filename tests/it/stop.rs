//! Row 2: the file operations of a whole store end at any of them.

use persist_tests::{CollectionSubject, DatedSubject, stop};

#[test]
fn a_store_whose_disk_stops_at_any_operation_loses_and_halves_nothing() {
    let verdict = stop::run::<DatedSubject>(40, 1).unwrap_or_else(|broken| panic!("{broken}"));
    assert!(verdict.stopped > 25, "the disks hardly stopped: {verdict:?}");
    assert!(verdict.acknowledged > 200 && verdict.replayed > 50, "hardly anything was at stake: {verdict:?}");
}

#[test]
fn a_collection_store_whose_disk_stops_at_any_operation_loses_and_halves_nothing() {
    let verdict = stop::run::<CollectionSubject>(8, 1).unwrap_or_else(|broken| panic!("{broken}"));
    assert!(verdict.stopped > 3, "the disks hardly stopped: {verdict:?}");
    assert!(verdict.acknowledged > 40 && verdict.replayed > 10, "hardly anything was at stake: {verdict:?}");
}
