//! Row 1: kill -9 at any moment while all threads are busy.

use std::path::Path;

use persist_tests::kill;

#[test]
fn a_killed_process_loses_and_doubles_nothing() {
    let verdict =
        kill::run(Path::new(env!("CARGO_BIN_EXE_crash")), 100, 20_260_101).unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(verdict.cycles, 100);
    assert!(verdict.acknowledged > 2_000, "the children hardly wrote: {verdict:?}");
    assert!(verdict.unacknowledged > 20, "hardly anything was under way: {verdict:?}");
    assert!(verdict.replayed > 1_000, "hardly anything was left to recover: {verdict:?}");
}
