//! Folders of the Python original, written by it (`tests/data/original/make.py`), and ours in the hands of others.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use duckdb::Connection;
use flate2::read::GzDecoder;
use persist_dated::{DatedStore, ErrorKind, RecoveryPolicy, Timestamp};
use persist_test_utils::{FlakyDisk, copy_as_crash_leaves_it};
use serde_json::{Value, json};

use crate::{open, quiet};

const DATE: &str = "2025-01-15";

type Id = (String, Option<String>);

/// Folders as the original left them, fresh.
struct Original(tempfile::TempDir);

impl Original {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let archive = include_bytes!("../data/original/folders.tar.gz");
        tar::Archive::new(GzDecoder::new(&archive[..])).unpack(dir.path()).unwrap();
        Self(dir)
    }

    fn base(&self, folder: &str) -> PathBuf {
        self.0.path().join(folder)
    }

    /// What the original itself reads back.
    fn expected(&self, folder: &str) -> BTreeMap<Id, Value> {
        let text = fs::read_to_string(self.0.path().join(format!("{folder}.json"))).unwrap();
        let all: Vec<(String, Option<String>, Value)> = serde_json::from_str(&text).unwrap();
        all.into_iter().map(|(key, process, data)| ((key, process), data)).collect()
    }
}

fn held(store: &DatedStore, ids: impl IntoIterator<Item = Id>) -> BTreeMap<Id, Value> {
    let data = |(key, process): &Id| store.get_key_process(key, process.as_deref())?.to::<Value>().ok();
    ids.into_iter().filter_map(|id| data(&id).map(|data| (id, data))).collect()
}

fn assert_holds(store: &DatedStore, expected: &BTreeMap<Id, Value>) {
    assert_eq!(&held(store, expected.keys().cloned()), expected);
    assert_eq!(store.len(), expected.len());
    let verified = store.verify().unwrap();
    assert!(verified.is_ok() && verified.rows == expected.len() as u64, "{verified:?}");
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir.join(DATE)).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
    named.filter(|(name, _)| !name.ends_with(".lock")).collect()
}

fn segment(base: &Path, number: u64) -> PathBuf {
    base.join(DATE).join(format!("wal_{number:06}.jsonl"))
}

fn append(path: &Path, text: &str) {
    let mut bytes = fs::read(path).unwrap();
    bytes.extend_from_slice(text.as_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_folder_of_the_original_opens_with_all_its_records_and_goes_on() {
    let original = Original::new();
    for folder in ["closed", "killed", "doubled"] {
        let (base, mut expected) = (original.base(folder), original.expected(folder));
        let before = files(&base);
        assert!(!expected.is_empty());
        let store = open(&base);
        assert_holds(&store, &expected);
        assert_eq!(store.recovery().left_out, []);
        let has_nan = expected.contains_key(&("nan".to_owned(), None));
        assert_eq!(store.recovery().changed.len(), usize::from(has_nan), "{}", store.recovery());

        let record = store.put("new").data(&json!({"timestamp": "2025-01-15"})).unwrap();
        assert_eq!((record.seq(), record.version()), (Some(1), 1));
        expected.insert(("new".to_owned(), None), record.to().unwrap());
        // As a crash leaves it, then closed, then once more.
        let dead = tempfile::tempdir().unwrap();
        copy_as_crash_leaves_it(&base, dead.path());
        for _ in 0..2 {
            let store = open(dead.path());
            assert_holds(&store, &expected);
            assert!(store.recovery().changed.is_empty() && store.recovery().doubled == 0);
            store.close().unwrap();
        }
        assert_eq!(open(dead.path()).store("new", &json!({})).unwrap().seq(), Some(2));

        // Nothing of the original is gone.
        drop(store);
        let after = files(&base);
        for (name, bytes) in before.iter().filter(|(name, _)| name.starts_with("wal_")) {
            assert_eq!(after.get(&format!("{name}.taken-over")), Some(bytes), "{name}");
        }
        assert!(after.contains_key("data.duckdb.taken-over") && after.contains_key("store.json"), "{:?}", after.keys());
    }
}

#[test]
fn what_a_takeover_keeps_is_the_whole_of_the_originals_folder() {
    let original = Original::new();
    for folder in ["closed", "killed", "doubled"] {
        let base = original.base(folder);
        open(&base).store("ours", &json!({})).unwrap();
        let dir = base.join(DATE);
        for name in files(&base).into_keys() {
            if !name.ends_with(".taken-over") {
                fs::remove_file(dir.join(&name)).unwrap();
            }
        }
        for name in files(&base).into_keys() {
            fs::rename(dir.join(&name), dir.join(name.strip_suffix(".taken-over").unwrap())).unwrap();
        }
        let store = open(&base);
        assert_holds(&store, &original.expected(folder));
        assert_eq!(store.recovery().doubled, if folder == "doubled" { 3 } else { 0 });
    }
}

#[test]
fn extra_columns_are_taken_over_where_they_are_asked_for() {
    let original = Original::new();
    let base = original.base("extra");
    let before = files(&base);
    assert_eq!(DatedStore::open(DATE, quiet(&base)).unwrap_err().kind(), ErrorKind::Schema);
    assert_eq!(files(&base), before, "nothing was changed");

    let columns = [("n", "int64"), ("price", "float64"), ("flag", "bool"), ("due", "date32"), ("notes", "string")];
    let store = DatedStore::open(DATE, quiet(&base).extra_schema(columns)).unwrap();
    assert_holds(&store, &original.expected("extra"));
    let rows = store
        .query("SELECT key, n, price, flag, due, notes FROM storage WHERE key IN ('k0', 'k1', 'unfit') ORDER BY key");
    let rows: Vec<Value> = rows.unwrap().iter().map(|row| json!(row)).collect();
    // What the original could not put into its column stays in the data alone.
    let expected = [
        json!(["k0", 100, 1.5, false, null, "later"]),
        json!(["k1", 1, 1.25, false, null, "note 1"]),
        json!(["unfit", null, 2.0, null, null, null]),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn timestamps_and_versions_are_the_originals_and_lines_count_on() {
    let original = Original::new();
    let store = open(&original.base("killed"));
    // One flushed row, and its line again.
    let twice = store.get_key_process("key5", Some("worker2")).unwrap();
    assert_eq!((twice.version(), twice.to::<Value>().unwrap()["n"].clone()), (2, json!(5)));
    assert_eq!(store.get_key_process("key5", None).unwrap().version(), 1);
    assert_eq!(store.recovery().records, 25);
    let dates = store.get_key_process("dates", Some("p")).unwrap().to::<Value>().unwrap();
    assert_eq!(dates["timestamp"], "2025-01-15T10:30:00-05:00");
    assert_eq!(dates["space"], "2025-03-04T05:06:07.250000+00:00");
    let sql = "SELECT process_name, \"timestamp\", status, status_int, username, version FROM storage \
               WHERE key IN ('dates', 'by field', 'key5') ORDER BY key, process_name NULLS FIRST";
    let rows = store.query(sql).unwrap();
    let rows: Vec<_> = rows.iter().map(<[Value]>::to_vec).collect();
    assert_eq!(
        json!(rows),
        json!([
            ["f", "2025-01-15T11:00:00+00:00", null, null, "ann", 1],
            ["p", "2025-01-15T15:30:00+00:00", null, null, null, 1],
            [null, "2025-01-15T10:00:12+00:00", "late", 12, "bob", 1],
            ["worker1", "2025-01-15T10:00:19.500000+00:00", "running", 19, null, 1],
            ["worker2", "2025-01-15T10:00:05.500000+00:00", "running", 5, null, 2],
        ])
    );
}

#[test]
fn of_doubled_rows_the_newest_stays() {
    let original = Original::new();
    let store = open(&original.base("doubled"));
    assert_eq!(store.recovery().doubled, 3);
    for process in [None, Some("p")] {
        let record = store.get_key_process("k", process).unwrap();
        let n = if process.is_some() { 30 } else { 3 };
        assert_eq!((record.version(), record.to::<Value>().unwrap()["n"].clone()), (4, json!(n)));
        assert!(record.written_at() > Timestamp::parse("2026-01-01").unwrap(), "updated_at of the row");
    }
    assert_eq!(store.store("k", &json!({})).unwrap().version(), 5);
}

#[test]
fn a_takeover_that_stops_at_any_operation_is_done_at_the_next_opening() {
    let expected = Original::new().expected("killed");
    let mut stops = 0;
    for stop in 0.. {
        let original = Original::new();
        let base = original.base("killed");
        let calls = AtomicUsize::new(0);
        let taken = Arc::new(std::sync::Mutex::new(String::new()));
        let place = Arc::clone(&taken);
        let disk = FlakyDisk::new(move |operation, path| {
            // From the stop on everything fails, as for a process that is gone.
            if calls.fetch_add(1, Ordering::SeqCst) < stop {
                return Ok(());
            }
            let mut place = place.lock().unwrap();
            if place.is_empty() {
                *place = format!("{operation} of {}", path.display());
            }
            Err(io::Error::other("stopped"))
        });
        let opened = DatedStore::open(DATE, quiet(&base).fs(Arc::new(disk)));
        let place = taken.lock().unwrap().clone();
        let done = base.join(DATE).join("store.json").exists();
        let finished = opened.is_ok();
        drop(opened);
        let store = open(&base);
        assert_holds(&store, &expected);
        if !done {
            assert_eq!((store.recovery().records, store.recovery().changed.len()), (25, 1), "{stop}: {place}");
        }
        assert_eq!(store.get_key_process("key5", Some("worker2")).unwrap().version(), 2, "{stop}: {place}");
        store.close().unwrap();
        let after = files(&base);
        let kept = after.keys().filter(|name| name.ends_with(".taken-over")).count();
        assert_eq!(kept, 4, "{stop}: {place}: {:?}", after.keys());
        stops = stop;
        if finished {
            break;
        }
    }
    assert!(stops > 15, "only {stops} operations");
}

#[test]
fn an_interrupted_takeover_that_is_interrupted_again_is_done_in_the_end() {
    let original = Original::new();
    let (base, expected) = (original.base("killed"), original.expected("killed"));
    // Each run gets one operation further than the last, so that starting over is interrupted at each place too.
    for stop in 0..60 {
        let calls = AtomicUsize::new(0);
        let disk = FlakyDisk::new(move |_, _| match calls.fetch_add(1, Ordering::SeqCst) < stop {
            true => Ok(()),
            false => Err(io::Error::other("stopped")),
        });
        drop(DatedStore::open(DATE, quiet(&base).fs(Arc::new(disk))));
        if base.join(DATE).join("store.json").exists() {
            break;
        }
    }
    assert!(base.join(DATE).join("store.json").exists());
    assert_holds(&open(&base), &expected);
}

#[test]
fn what_another_hand_puts_into_an_interrupted_takeover_is_not_replaced() {
    for name in ["wal_000003.jsonl", "data.duckdb"] {
        let original = Original::new();
        let base = original.base("killed");
        let disk = FlakyDisk::new(|operation, path| match operation == "rename" && path.ends_with("store.json") {
            true => Err(io::Error::other("stopped")),
            false => Ok(()),
        });
        drop(DatedStore::open(DATE, quiet(&base).fs(Arc::new(disk))).unwrap_err());
        let path = base.join(DATE).join(name);
        let another =
            Original::new().base(if name == "data.duckdb" { "closed" } else { "killed" }).join(DATE).join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, fs::read(another).unwrap_or_else(|_| b"{}\n".to_vec())).unwrap();
        let before = files(&base);
        let error = DatedStore::open(DATE, quiet(&base)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(files(&base), before);
        fs::remove_file(&path).unwrap();
        assert_holds(&open(&base), &original.expected("killed"));
    }
}

/// A database of the original's with a log of DuckDB's, which ends with the commit of a row of this key. Answers the database
/// and where that commit begins.
fn with_last_commit(base: &Path, key: &str) -> (PathBuf, u64) {
    let database = base.join(DATE).join("data.duckdb");
    let connection = Connection::open(&database).unwrap();
    connection.execute_batch("PRAGMA disable_checkpoint_on_shutdown; SET checkpoint_threshold = '1TB'").unwrap();
    let insert = |key: &str| {
        let sql = "INSERT INTO storage BY NAME (SELECT * REPLACE (? AS key) FROM storage LIMIT 1)";
        assert_eq!(connection.execute(sql, [key]).unwrap(), 1);
    };
    insert("before");
    let begins = fs::metadata(own_log(&database)).unwrap().len();
    insert(key);
    assert!(fs::metadata(own_log(&database)).unwrap().len() > begins);
    (database, begins)
}

fn own_log(database: &Path) -> PathBuf {
    database.with_extension("duckdb.wal")
}

#[test]
fn duckdbs_log_of_the_original_may_be_cut_or_damaged_anywhere_in_its_last_commit() {
    let original = Original::new();
    let base = original.base("closed");
    let (database, begins) = with_last_commit(&base, "last");
    let whole = fs::read(own_log(&database)).unwrap();
    let (mut with, mut without, mut refused) = (0, 0, 0);
    let mut judge = |bytes: &[u8], is_whole: bool, what: &str| {
        let hit = tempfile::tempdir().unwrap();
        copy_as_crash_leaves_it(&base, hit.path());
        let hit_database = hit.path().join(DATE).join("data.duckdb");
        fs::write(own_log(&hit_database), bytes).unwrap();
        // DuckDB alone shows for each byte what it makes of it; a takeover takes long.
        let found: Result<Vec<bool>, String> = if is_whole {
            let opened = DatedStore::open(DATE, quiet(hit.path()));
            // Whoever looks first is not told of an opening that came back.
            assert!(!hit.path().join(DATE).join("data.duckdb.opening").exists(), "{what}");
            let kinds = [ErrorKind::Corrupt, ErrorKind::Database];
            assert!(opened.as_ref().err().is_none_or(|error| kinds.contains(&error.kind())), "{what}: {opened:?}");
            let has = |store: DatedStore| ["before", "last"].map(|key| store.get_key(key).len() == 1).to_vec();
            opened.map(has).map_err(|error| error.to_string())
        } else {
            let count = "SELECT count(*) = 1 FROM storage WHERE key = ?";
            let has = |connection: Connection| {
                ["before", "last"].iter().map(|key| connection.query_row(count, [key], |row| row.get(0))).collect()
            };
            Connection::open(&hit_database).and_then(has).map_err(|error| error.to_string())
        };
        match found.as_deref() {
            Ok([before, last]) => {
                assert!(before, "{what}: what was committed before is gone");
                (with, without) = (with + u32::from(*last), without + u32::from(!last));
            }
            Ok(_) => unreachable!(),
            Err(_) => refused += 1,
        }
    };
    judge(&whole, true, "whole");
    for at in begins as usize..whole.len() {
        judge(&whole[..at], at % 64 == 0, &format!("cut at {at}"));
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        judge(&flipped, at % 64 == 32, &format!("flipped at {at}"));
    }
    assert!(with > 0 && without > 0 && refused > 0, "{with} with, {without} without, {refused} refused");
}

#[test]
fn a_log_of_duckdbs_over_which_the_process_dies_is_not_opened_for_ever() {
    let original = Original::new();
    let base = original.base("closed");
    let (database, _) = with_last_commit(&base, "last");
    let begun = base.join(DATE).join("data.duckdb.opening");
    // As processes leave it that died within DuckDB.
    fs::write(&begun, "...").unwrap();
    for _ in 0..2 {
        let error = DatedStore::open(DATE, quiet(&base)).unwrap_err();
        let told = error.to_string();
        assert!(error.kind() == ErrorKind::Corrupt && told.contains("has died 3 times"), "{error}");
        assert!(told.contains("data.duckdb.opening") && own_log(&database).exists(), "{error}");
    }
    fs::write(&begun, "..").unwrap();
    assert_eq!(open(&base).get_key("last").len(), 1);
    assert!(!begun.exists());
}

#[test]
fn a_torn_last_line_is_left_out_and_reported() {
    for torn in ["{\"key\": \"torn\", \"process_na", "{\"key\": \"torn\", \"data\"\n", "\0\0\0\0"] {
        let original = Original::new();
        let (base, expected) = (original.base("killed"), original.expected("killed"));
        let path = segment(&base, 4);
        let length = fs::metadata(&path).unwrap().len();
        append(&path, torn);
        let store = open(&base);
        assert_holds(&store, &expected);
        let report = store.recovery();
        assert!(!report.is_damaged(), "{report}");
        let torn = torn.trim_end_matches(['\n', '\0']);
        assert_eq!(report.bytes_left_out(), torn.len() as u64);
        for stretch in &report.left_out {
            assert_eq!((stretch.file.as_path(), stretch.offset), (path.as_path(), length));
            assert!(stretch.kept_as.as_ref().unwrap().exists());
        }
    }
    // A whole line whose newline alone is missing counts.
    let original = Original::new();
    let base = original.base("killed");
    append(
        &segment(&base, 4),
        r#"{"key": "whole", "process_name": null, "data": {}, "username": null, "timestamp": null}"#,
    );
    let whole = open(&base).get_key_process("whole", None).unwrap().to::<Value>().unwrap();
    assert_eq!(whole, json!({"timestamp": null, "process_name": null}));
}

#[test]
fn a_broken_line_elsewhere_is_refused_or_left_out_and_reported() {
    let broken = || {
        let original = Original::new();
        let path = segment(&original.base("killed"), 3);
        let text = fs::read_to_string(&path).unwrap();
        let line = text.lines().nth(2).unwrap().to_owned();
        fs::write(&path, text.replace(&line, &line.replace("\"data\"", "data"))).unwrap();
        (original, path, text.find(&line).unwrap())
    };
    let (original, path, offset) = broken();
    let base = original.base("killed");
    let before = files(&base);
    let error = DatedStore::open(DATE, quiet(&base)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&format!("{}, line 3, offset {offset}", path.display())), "{error}");
    assert_eq!(files(&base), before, "nothing was changed");

    let store = DatedStore::open(DATE, quiet(&base).recovery(RecoveryPolicy::Salvage)).unwrap();
    assert!(store.recovery().is_damaged());
    assert_eq!((store.recovery().records, store.recovery().left_out.len()), (24, 1));
    assert_eq!((store.recovery().left_out[0].line, store.recovery().left_out[0].offset), (3, offset as u64));

    let (original, ..) = broken();
    let truncating = quiet(&original.base("killed")).recovery(RecoveryPolicy::TruncateTail);
    let store = DatedStore::open(DATE, truncating).unwrap();
    assert_eq!((store.recovery().records, store.recovery().left_out.len()), (11, 14), "{}", store.recovery());
    assert!(store.get_key_process("dates", Some("p")).is_none());
}

#[test]
fn what_a_record_may_not_have_is_brought_near_and_reported() {
    let original = Original::new();
    let base = original.base("killed");
    let line = r#"{"key": 7, "process_name": 8, "data": {"half": "\ud83e!", "a": 1, "a": [{"b": 1, "b": 2.50}], "status": 5, "status_int": "6", "timestamp": "soon", "process_name": 8}, "username": null, "timestamp": null}"#;
    append(&segment(&base, 3), &format!("{line}\n"));
    let store = open(&base);
    let record = store.get_key_process("7", Some("8")).unwrap();
    let data = r#"{"half":"\ufffd!","a":[{"b":2.50}],"status":"5","status_int":6,"timestamp":null,"process_name":"8"}"#;
    assert_eq!(record.json(), data);
    let changed = &store.recovery().changed;
    let place = format!("{}, line 10: ", segment(&base, 3).display());
    assert!(changed.iter().any(|change| change.starts_with(&place)), "{changed:?}");
    assert!(store.recovery().to_string().contains(&place));

    // What the limits refuse is not lost: nothing is touched until the limits are others.
    let original = Original::new();
    let base = original.base("killed");
    let before = files(&base);
    let error = DatedStore::open(DATE, quiet(&base).max_depth(3)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("wal_000004.jsonl, line 4"), "{error}");
    assert_eq!(files(&base), before);
    assert_holds(&open(&base), &original.expected("killed"));
}

#[test]
fn a_database_of_a_newer_duckdb_is_refused_with_its_version() {
    let original = Original::new();
    let base = original.base("closed");
    let path = base.join(DATE).join("data.duckdb");
    let mut bytes = fs::read(&path).unwrap();
    // Behind the block's checksum and the letters DUCK stands the version of the file's format.
    assert_eq!(&bytes[8..12], b"DUCK");
    bytes[12..20].copy_from_slice(&999_u64.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    // The right checksum stands in the complaint about the wrong one.
    let complaint = Connection::open(&path).unwrap_err().to_string();
    let checksum = complaint.split("computed checksum ").nth(1).unwrap().split(' ').next().unwrap();
    bytes[..8].copy_from_slice(&checksum.parse::<u64>().unwrap().to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let error = DatedStore::open(DATE, quiet(&base)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database, "{error}");
    assert!(error.to_string().contains("999") && error.to_string().contains("data.duckdb"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn what_is_not_the_originals_is_refused_and_left_alone() {
    let made = |sql: &str| {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(DATE)).unwrap();
        let connection = Connection::open(dir.path().join(DATE).join("data.duckdb")).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
        dir
    };
    let columns = "key VARCHAR, process_name VARCHAR, data JSON, \"timestamp\" TIMESTAMP, status VARCHAR";
    for (sql, kind, says) in [
        ("CREATE TABLE other (x INTEGER)".to_owned(), ErrorKind::Config, "persist_meta"),
        (format!("CREATE TABLE storage ({columns})"), ErrorKind::Schema, "status_int"),
    ] {
        let dir = made(&sql);
        let before = files(dir.path());
        let error = DatedStore::open(DATE, quiet(dir.path())).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(files(dir.path()), before);
    }
    // One that the original was killed in before it made its table.
    let dir = made("CREATE TABLE t (x INTEGER); DROP TABLE t");
    assert!(open(dir.path()).is_empty());

    // A log of ours beside a database that is not.
    let ours = tempfile::tempdir().unwrap();
    let store = open(ours.path());
    store.store("k", &json!({})).unwrap();
    let original = Original::new();
    let base = original.base("closed");
    fs::copy(segment(ours.path(), 1), segment(&base, 1)).unwrap();
    let error = DatedStore::open(DATE, quiet(&base)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("wal_000001.jsonl"), "{error}");

    // What an earlier takeover kept is not replaced.
    let original = Original::new();
    let base = original.base("killed");
    fs::write(base.join(DATE).join("wal_000003.jsonl.taken-over"), "x").unwrap();
    assert_eq!(DatedStore::open(DATE, quiet(&base)).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_closed_folder_of_ours_is_read_by_any_duckdb() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..50 {
        store.put(&format!("k{}", n % 20)).process("p").username("bob").data(&json!({"n": n, "status": "s"})).unwrap();
        if n == 30 {
            store.flush().unwrap();
        }
    }
    store.close().unwrap();
    assert!(!dir.path().join(DATE).join("data.duckdb.wal").exists());
    let connection = Connection::open(dir.path().join(DATE).join("data.duckdb")).unwrap();
    let columns: String = connection
        .query_row(
            "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY column_index) FROM duckdb_columns() \
             WHERE table_name = 'storage'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        columns,
        "key VARCHAR, process_name VARCHAR, data JSON, timestamp TIMESTAMP, status VARCHAR, status_int INTEGER, \
         username VARCHAR, updated_at TIMESTAMP, version INTEGER"
    );
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM storage"), 20);
    assert_eq!(count("SELECT count(*) FROM storage WHERE (data->>'n')::INTEGER >= 30 AND version > 1"), 20);
    assert_eq!(count("SELECT count(*) FROM storage_delta"), 0);
}
