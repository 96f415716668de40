//! Row 6: power cuts of a real kernel. They take root and some programs; elsewhere these tests say so and end.

use std::path::Path;

use persist_test_utils::{Kind, Subject};
use persist_tests::{CollectionSubject, DatedSubject, power};

fn cut_the_power<S: Subject>(kind: Kind, cuts: u64) {
    if let Some(why) = power::unavailable(kind) {
        eprintln!("skipped: no power can be cut here: {why}");
        return;
    }
    let program = Path::new(env!("CARGO_BIN_EXE_crash"));
    let verdict = power::run::<S>(program, kind, cuts, 1).unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(verdict.cuts, cuts);
    assert!(verdict.durable > 100, "the children hardly wrote: {verdict:?}");
    assert!(verdict.after_a_kill > 0 && verdict.probes_lost > 0, "nothing was at stake: {verdict:?}");
}

#[test]
fn a_power_cut_on_xfs_loses_nothing_that_was_durable() {
    cut_the_power::<DatedSubject>(Kind::Xfs, 15);
}

#[test]
fn a_power_cut_on_ext4_loses_nothing_that_was_durable() {
    cut_the_power::<DatedSubject>(Kind::Ext4, 15);
}

#[test]
fn a_power_cut_on_xfs_costs_a_collection_store_nothing_that_was_durable() {
    cut_the_power::<CollectionSubject>(Kind::Xfs, 10);
}

#[test]
fn a_power_cut_on_ext4_costs_a_collection_store_nothing_that_was_durable() {
    cut_the_power::<CollectionSubject>(Kind::Ext4, 10);
}
