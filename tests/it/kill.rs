//! Row 1: kill -9 at any moment while all threads are busy.

use std::path::Path;

use persist_test_utils::Subject;
use persist_tests::{CollectionSubject, DatedSubject, kill};

fn kill_a_hundred_times<S: Subject>() {
    let program = Path::new(env!("CARGO_BIN_EXE_crash"));
    let verdict = kill::run::<S>(program, 100, 20_260_101).unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(verdict.cycles, 100);
    assert!(verdict.acknowledged > 2_000, "the children hardly wrote: {verdict:?}");
    assert!(verdict.unacknowledged > 20, "hardly anything was under way: {verdict:?}");
    assert!(verdict.replayed > 1_000, "hardly anything was left to recover: {verdict:?}");
    assert!(verdict.backups > 0, "no backup was made: {verdict:?}");
}

#[test]
fn a_killed_process_loses_and_doubles_nothing() {
    kill_a_hundred_times::<DatedSubject>();
}

#[test]
fn a_killed_process_that_had_a_collection_store_loses_and_doubles_nothing() {
    kill_a_hundred_times::<CollectionSubject>();
}
