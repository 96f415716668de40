//! Copies of a database in use.

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

#[test]
fn a_copy_has_base_delta_and_watermark_of_one_moment_and_is_a_file_of_its_own() {
    let (_dir, database, mut appender, path) = half_merged();
    let (expected, state) = (loaded(&database), database.state().unwrap());
    database.copy_to(&path, "copy").unwrap();
    appender.append(&[numbered(9_999, 5_001)], 5_001, AT).unwrap();
    assert!(database.checkpoint(&Disk).unwrap());
    let copy = Database::open_to_read(&Disk, &path, &Table::of::<Dated>(crate::extra::ExtraSchema::default())).unwrap();
    assert_eq!((loaded(&copy), copy.state().unwrap()), (expected.clone(), state.clone()));
    assert_eq!(copy.check_rows().unwrap(), 4_000);
    drop(copy);
    let copy = reopen(&path);
    copy.merge().unwrap();
    assert_eq!((queried(&copy), copy.check_rows().unwrap()), (expected, 4_000));
    copy.hand_over("store-2").unwrap();
    copy.close(&Disk).unwrap();
    refuse_own_logs(&Disk, &path).unwrap();
    let handed_over = reopen(&path).state().unwrap();
    assert_eq!((&*handed_over.store_id, handed_over.watermark, handed_over.at), ("store-2", 5_000, AT + 7));
    assert_eq!(database.state().unwrap().store_id, STORE);
    // The name is free again.
    database.copy_to(&path.with_extension("2"), "copy").unwrap();
}

#[test]
fn neither_an_old_reader_nor_one_of_all_databases_hinders_a_copy_or_the_checkpoint_after_it() {
    let (_dir, database, mut appender, path) = half_merged();
    let reader = database.connect().unwrap();
    reader.execute_batch("BEGIN TRANSACTION READ ONLY; SELECT count(*) FROM storage; FROM duckdb_tables()").unwrap();
    let expected = loaded(&database);
    database.copy_to(&path, "copy").unwrap();
    let copy = reopen(&path);
    assert_eq!(loaded(&copy), expected);
    copy.close(&Disk).unwrap();
    appender.append(&[numbered(9_999, 5_001)], 5_001, AT).unwrap();
    database.merge().unwrap();
    assert!(database.checkpoint(&Disk).unwrap());
    drop(reader);
    assert_eq!(database.check_rows().unwrap(), 4_001);
}

#[test]
fn a_copy_that_cannot_be_made_leaves_the_database_as_it_was() {
    let (dir, database, mut appender, path) = half_merged();
    let error = database.copy_to(&dir.path().join("missing/copy.duckdb"), "copy").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Database | ErrorKind::Io), "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
    // There is something in the way within the new file.
    database.copy_to(&path, "copy").unwrap();
    let error = database.copy_to(&path, "copy").unwrap_err();
    assert!(error.to_string().contains("it's a copy"), "{error}");
    appender.append(&[numbered(9_999, 5_001)], 5_001, AT).unwrap();
    assert!(database.checkpoint(&Disk).unwrap());
    database.copy_to(&path.with_extension("2"), "copy").unwrap();
    assert_eq!(reopen(&path.with_extension("2")).check_rows().unwrap(), 4_001);
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
