//! Row 7 on a real kernel: a device that fails to write. It takes root and some programs; elsewhere these tests say so and
//! end.

use std::path::Path;

use persist_test_utils::Subject;
use persist_tests::eio::{self, At};
use persist_tests::{CollectionSubject, DatedSubject};

fn fail_to_write<S: Subject>() {
    if let Some(why) = eio::unavailable() {
        eprintln!("skipped: no device can be made to fail here: {why}");
        return;
    }
    let (program, cases) = (Path::new(env!("CARGO_BIN_EXE_crash")), At::ALL.len() as u64);
    let verdict = eio::run::<S>(program, cases, 0).unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(verdict.cases, cases);
    assert!(verdict.durable > 50, "hardly anything was at stake: {verdict:?}");
    assert!(verdict.went_on > 0, "none of the stores outlived DuckDB's failure: {verdict:?}");
}

#[test]
fn a_device_that_fails_to_write_costs_nothing_that_was_durable() {
    fail_to_write::<DatedSubject>();
}

#[test]
fn a_device_that_fails_to_write_costs_a_collection_store_nothing_that_was_durable() {
    fail_to_write::<CollectionSubject>();
}
