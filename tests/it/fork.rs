//! A process that is forked while its store is open.

use std::process::Command;

#[test]
fn a_forked_child_is_refused_and_costs_its_parent_neither_records_nor_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_crash")).arg("--fork").arg(dir.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
