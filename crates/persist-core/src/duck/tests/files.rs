//! Creating, opening, refusing, closing.

use std::fs;
use std::path::Path;

use duckdb::Connection;

use super::*;
use crate::duck::{State, is_invalidated, own_logs};
use crate::error::ErrorKind;
use crate::extra::ExtraSchema;

fn open_error(path: &Path) -> crate::Error {
    Database::open(&Disk, path, &Table::of::<Dated>(ExtraSchema::default())).expect_err("it opened")
}

fn make(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn names(dir: &TempDir) -> Vec<String> {
    use crate::fs::Fs;
    Disk.list(dir.path()).unwrap()
}

#[test]
fn a_new_file_has_empty_tables_and_no_log() {
    let (dir, path) = new_file();
    assert_eq!(names(&dir), ["data.duckdb"]);
    let database = reopen(&path);
    let state = State { store_id: STORE.into(), watermark: 0, at: 0, applied: 0, base_rows: 0, delta_rows: 0 };
    assert_eq!(database.state().unwrap(), state);
    assert_eq!(database.query("SELECT * FROM storage").unwrap().columns(), Dated::COLUMNS.map_names());
    database.close(&Disk).unwrap();
    assert_eq!(names(&dir), ["data.duckdb"]);
}

trait MapNames {
    fn map_names(&self) -> Vec<&'static str>;
}

impl MapNames for &[Column] {
    fn map_names(&self) -> Vec<&'static str> {
        self.iter().map(|column| column.name).collect()
    }
}

#[test]
fn columns_have_the_types_of_the_spec() {
    let (_dir, database, _) = new_database();
    let sql = "SELECT data_type FROM duckdb_columns() WHERE table_name = 'storage' ORDER BY column_index";
    let types: Vec<_> = database.query(sql).unwrap().iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    let spec = ["VARCHAR", "VARCHAR", "JSON", "TIMESTAMP", "VARCHAR", "INTEGER", "VARCHAR", "TIMESTAMP", "INTEGER"];
    assert_eq!(types, spec);
}

#[test]
fn creation_replaces_what_an_interrupted_one_left_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.duckdb");
    for leftover in ["data.duckdb.new", "data.duckdb.new.wal", "data.duckdb.new.wal.checkpoint"] {
        fs::write(dir.path().join(leftover), "half a file").unwrap();
    }
    Database::create(&Disk, &path, &Table::of::<Dated>(ExtraSchema::default()), STORE).unwrap();
    assert_eq!(names(&dir), ["data.duckdb"]);
    let error = Database::create(&Disk, &path, &Table::of::<Dated>(ExtraSchema::default()), STORE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    fs::rename(&path, dir.path().join("away")).unwrap();
    fs::write(&own_logs(&path)[0], "a log whose database is gone").unwrap();
    let error = Database::create(&Disk, &path, &Table::of::<Dated>(ExtraSchema::default()), STORE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(own_logs(&path)[0].exists());
}

#[test]
fn opening_never_creates() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.duckdb");
    assert_eq!(open_error(&path).kind(), ErrorKind::Io);
    fs::write(&path, "").unwrap();
    assert_eq!(open_error(&path).kind(), ErrorKind::Corrupt);
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
}

#[test]
fn columns_that_differ_are_listed() {
    let (_dir, path) = new_file();
    make(
        &path,
        "ALTER TABLE storage DROP status; ALTER TABLE storage ALTER version TYPE BIGINT; \
         ALTER TABLE storage ADD extra DOUBLE; DROP TABLE storage_delta",
    );
    let error = open_error(&path);
    assert_eq!(error.kind(), ErrorKind::Schema);
    let text = error.to_string();
    for part in [
        r#""storage" lacks the column "status" VARCHAR"#,
        r#"column "version" of "storage" is BIGINT and should be INTEGER"#,
        r#""storage" has the column "extra" DOUBLE besides"#,
        r#"table "storage_delta" is missing"#,
        "data.duckdb",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_order_of_columns_counts() {
    let (_dir, path) = new_file();
    make(&path, "ALTER TABLE persist_meta DROP watermark; ALTER TABLE persist_meta ADD watermark UBIGINT");
    let error = open_error(&path);
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!(error.to_string().contains("another order"), "{error}");
}

#[test]
fn anothers_database_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("theirs.duckdb");
    make(&path, "CREATE TABLE storage AS SELECT 1 AS key");
    let before = fs::read(&path).unwrap();
    let error = open_error(&path);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("theirs.duckdb"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_names_no_store_is_corrupt() {
    let (_dir, path) = new_file();
    make(&path, "DELETE FROM persist_meta");
    assert_eq!(reopen(&path).state().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_file_of_a_later_duckdb_is_refused_by_its_version() {
    let (_dir, path) = new_file();
    let mut bytes = fs::read(&path).unwrap();
    // The main header: a checksum, "DUCK", the version of the storage format.
    assert_eq!(&bytes[8..12], b"DUCK");
    bytes[12..20].copy_from_slice(&9_999_u64.to_le_bytes());
    let sum = header_checksum(&bytes[8..4096]);
    bytes[..8].copy_from_slice(&sum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = open_error(&path);
    assert_eq!(error.kind(), ErrorKind::Database, "{error}");
    assert!(error.to_string().contains("9999") && error.to_string().contains("data.duckdb"), "{error}");
}

/// As in DuckDB's `checksum.cpp`: here the length is a multiple of 8, so that no rest is hashed.
fn header_checksum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    words.fold(5381, |sum, word| sum ^ word.wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

#[test]
fn another_process_s_lock_is_told_apart() {
    // One process can't conflict with its own lock, so the message is taken from DuckDB's sources.
    let message = "IO Error: Could not set lock on file \"x\": Conflicting lock is held in y (PID 7)";
    let error = duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(message.into()));
    assert_eq!(crate::duck::failure::failed("cannot open", Path::new("x"), error).kind(), ErrorKind::Locked);
}

#[test]
fn a_question_mark_in_the_path_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("what?.duckdb");
    let error = Database::create(&Disk, &path, &Table::of::<Dated>(ExtraSchema::default()), STORE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(names(&dir), [""; 0]);
}

#[test]
fn any_other_file_name_will_do() {
    for name in ["temp.duckdb", "system", "main.db", "data", "a b.c'd\"e.duckdb", "ünï.duckdb", "x;y%20*[1]#.duckdb"]
    {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        Database::create(&Disk, &path, &Table::of::<Dated>(ExtraSchema::default()), STORE).unwrap();
        let database = reopen(&path);
        let mut appender = database.appender().unwrap();
        appender.append(&[numbered(1, 1)], 1, AT).unwrap();
        let [log, ..] = own_logs(&path);
        assert!(log.exists(), "{name}: the log has another name");
        assert_eq!(queried(&database).len(), 1, "{name}");
        database.merge().unwrap();
        assert_eq!(queried(&database).len(), 1, "{name}");
        drop(appender);
        database.close(&Disk).unwrap();
        assert_eq!(names(&dir), [name]);
    }
}

#[test]
fn dropping_keeps_the_log_and_closing_leaves_none() {
    let (dir, path) = new_file();
    let database = reopen(&path);
    database.appender().unwrap().append(&[numbered(1, 1)], 1, AT).unwrap();
    let main_file = fs::metadata(&path).unwrap().len();
    drop(database);
    assert_eq!(names(&dir), ["data.duckdb", "data.duckdb.wal"]);
    assert_eq!(fs::metadata(&path).unwrap().len(), main_file);
    let database = reopen(&path);
    assert_eq!(database.state().unwrap().watermark, 1);
    database.close(&Disk).unwrap();
    assert_eq!(names(&dir), ["data.duckdb"]);
    assert_eq!(reopen(&path).state().unwrap().delta_rows, 1);
}

#[test]
fn flushes_never_checkpoint_by_themselves() {
    let (_dir, path) = new_file();
    let database = reopen(&path);
    let mut appender = database.appender().unwrap();
    let text = "x".repeat(4_000);
    for batch in 0..6_u64 {
        let records: Vec<_> = (0..1_000)
            .map(|n| record(&format!("k{batch}-{n}"), None, batch * 1_000 + n + 1, &format!(r#"{{"t":"{text}{n}"}}"#)))
            .collect();
        appender.append(&records, (batch + 1) * 1_000, AT).unwrap();
    }
    // DuckDB's own threshold is 16 MiB.
    assert!(fs::metadata(&own_logs(&path)[0]).unwrap().len() > 20 << 20);
    let settings = database.query("SELECT current_setting('checkpoint_threshold')").unwrap();
    assert!(settings.to_string().contains("TiB"), "{settings}");
}

#[test]
fn without_its_log_the_main_file_is_as_of_the_last_checkpoint() {
    let (dir, path) = new_file();
    let database = reopen(&path);
    let mut appender = database.appender().unwrap();
    let batch = |from: u64| (from..from + 500).map(|n| numbered(n, n)).collect::<Vec<_>>();
    appender.append(&batch(1), 500, AT).unwrap();
    assert!(database.checkpoint(&Disk).unwrap());
    appender.append(&batch(501), 1_000, AT).unwrap();
    database.merge().unwrap();
    appender.append(&batch(1_001), 1_500, AT).unwrap();
    // The file's lock is lost by this reading, which only a test can afford.
    let copy = dir.path().join("copy.duckdb");
    fs::copy(&path, &copy).unwrap();
    let copied = reopen(&copy);
    assert_eq!(
        copied.state().unwrap(),
        State { store_id: STORE.into(), watermark: 500, at: AT, applied: 0, base_rows: 0, delta_rows: 500 }
    );
    assert_eq!(loaded(&copied).len(), 500);
    assert_eq!(loaded(&database).len(), 1_500);
}

#[test]
fn a_checkpoint_waits_for_others_only_after_an_update() {
    let (_dir, database, mut appender) = new_database();
    appender.append(&[numbered(1, 1), numbered(2, 2)], 2, AT).unwrap();
    let reader = database.connect().unwrap();
    reader.execute_batch("BEGIN; FROM storage_delta").unwrap();
    database.merge().unwrap();
    appender.append(&[numbered(3, 3)], 3, AT).unwrap();
    assert!(database.checkpoint(&Disk).unwrap());
    meddle(&database, "UPDATE storage SET version = 9");
    assert!(!database.checkpoint(&Disk).unwrap());
    let error = database.close(&Disk).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
}

#[test]
fn an_instance_that_gave_up_says_so() {
    let (_dir, path) = new_file();
    let database = reopen(&path);
    let mut appender = database.appender().unwrap();
    appender.append(&[numbered(1, 1)], 1, AT).unwrap();
    assert!(!is_invalidated(&database.query("SELECT nothing").unwrap_err()));
    meddle(&database, "SET debug_checkpoint_abort = 'before_header'");
    let error = database.checkpoint(&Disk).unwrap_err();
    assert!(is_invalidated(&error), "{error}");
    let error = appender.append(&[numbered(2, 2)], 2, AT).unwrap_err();
    assert!(is_invalidated(&error), "{error}");
    assert!(is_invalidated(&database.merge().unwrap_err()));
    drop((appender, database));
    assert_eq!(reopen(&path).state().unwrap().watermark, 1);
}
