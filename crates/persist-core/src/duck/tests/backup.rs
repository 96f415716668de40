//! Copies of a database in use.

use std::path::Path;

use super::*;
use crate::duck::{aside, put_in_place, refuse_own_logs};

/// A database with rows in the base and in the delta, and where a copy of it goes.
fn half_merged() -> (TempDir, Database, Appender, PathBuf) {
    let (dir, database, mut appender) = new_database();
    appender.append(&(0..3_000).map(|n| numbered(n, n + 1)).collect::<Vec<_>>(), 3_000, AT).unwrap();
    database.merge().unwrap();
    appender.append(&(2_000..4_000).map(|n| numbered(n, n + 1_001)).collect::<Vec<_>>(), 5_000, AT + 7).unwrap();
    let copy = dir.path().join("it's a copy.duckdb");
    (dir, database, appender, copy)
}

/// Copies the file as it is, by the handle that is held open.
fn copy_raw(database: &Database, to: &Path) {
    let (_, raw) = database.raw_files().next().unwrap();
    std::fs::write(to, crate::fs::read_range(raw, 0, raw.len().unwrap()).unwrap()).unwrap();
}

#[test]
fn the_file_of_a_database_in_use_is_as_of_its_last_checkpoint_whatever_comes_after() {
    let (_dir, database, mut appender, path) = half_merged();
    let reader = database.connect().unwrap();
    reader.execute_batch("BEGIN TRANSACTION READ ONLY; SELECT count(*) FROM storage; FROM duckdb_tables()").unwrap();
    database.merge().unwrap();
    assert!(database.checkpoint(&Disk).unwrap(), "an old reader hinders it");
    let (expected, state) = (loaded(&database), database.state().unwrap());
    // More than a row group, which DuckDB writes into the file before it is committed.
    let many: Vec<_> = (10_000..200_000).map(|n| numbered(n, n)).collect();
    appender.append(&many, 200_000, AT + 9).unwrap();
    database.merge().unwrap();
    copy_raw(&database, &path);
    let copy = Database::open_to_read(&Disk, &path, &Table::of::<Dated>(crate::extra::ExtraSchema::default())).unwrap();
    assert_eq!((loaded(&copy), copy.state().unwrap()), (expected, state));
    assert_eq!(copy.check_rows().unwrap(), 4_000);
    drop(copy);
    let copy = reopen(&path);
    copy.hand_over("store-2").unwrap();
    copy.close(&Disk).unwrap();
    refuse_own_logs(&Disk, &path).unwrap();
    let handed_over = reopen(&path).state().unwrap();
    assert_eq!((&*handed_over.store_id, handed_over.watermark, handed_over.at), ("store-2", 5_000, AT + 7));
    assert_eq!(database.state().unwrap().store_id, STORE);
    assert!(database.checkpoint(&Disk).unwrap());
    copy_raw(&database, &path);
    assert_eq!(reopen(&path).check_rows().unwrap(), 4_000 + 190_000);
}

#[test]
fn a_file_that_was_not_closed_is_not_put_in_place() {
    let (dir, path) = new_file();
    let other = dir.path().join("other.duckdb");
    std::fs::rename(&path, aside(&other)).unwrap();
    let database = reopen(&aside(&other));
    database.appender().unwrap().append(&[numbered(1, 1)], 1, AT).unwrap();
    drop(database);
    let error = put_in_place(&Disk, &other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("other.duckdb.new.wal") && !other.exists(), "{error}");
    reopen(&aside(&other)).close(&Disk).unwrap();
    put_in_place(&Disk, &other).unwrap();
    assert_eq!(reopen(&other).check_rows().unwrap(), 1);
}

#[test]
fn ids_that_stand_twice_are_found() {
    let (_dir, database, _appender, _) = half_merged();
    meddle(&database, "INSERT INTO storage SELECT * FROM storage WHERE key = 'k7'");
    let error = database.check_rows().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("1 ids more than once"), "{error}");
}
