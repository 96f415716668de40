//! Opening: one owner, whose files they are, damage, folders that can't be used.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use persist_dated::{DatedStore, Durability, ErrorKind, RecoveryPolicy};
use persist_test_utils::{FlakyDisk, copy_as_crash_leaves_it};
use serde_json::json;

use crate::{open, quiet};

const DATE: &str = "2025-01-15";

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir.join(DATE)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    paths
}

/// A folder as a crash leaves it: 30 records over some segments, the first ten of them flushed.
fn crashed() -> tempfile::TempDir {
    let live = tempfile::tempdir().unwrap();
    let dead = tempfile::tempdir().unwrap();
    let store = DatedStore::open(DATE, quiet(live.path()).max_wal_records(8)).unwrap();
    for n in 0..30 {
        store.put(&format!("k{n}")).process("p").data(&json!({"n": n})).unwrap();
        if n == 9 {
            store.flush().unwrap();
        }
    }
    copy_as_crash_leaves_it(live.path(), dead.path());
    dead
}

#[test]
fn a_second_opener_is_told_who_has_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = DatedStore::open(DATE, quiet(dir.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
    let elsewhere = quiet(dir.path()).db_path(dir.path().join(DATE).join("data.duckdb"));
    let error = DatedStore::open("2025-01-16", elsewhere).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "a database has one owner too: {error}");
    store.close().unwrap();
    open(dir.path());
}

#[test]
fn a_database_belongs_to_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let shared = quiet(dir.path()).db_path(dir.path().join("all.duckdb"));
    DatedStore::open(DATE, shared.clone()).unwrap().close().unwrap();
    for records in 0..2 {
        let error = DatedStore::open("2025-01-16", shared.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "with {records} records: {error}");
        let store = DatedStore::open(DATE, shared.clone()).unwrap();
        assert_eq!(store.len(), records);
        store.store("k", &json!({})).unwrap();
        store.close().unwrap();
    }
}

#[test]
fn a_store_whose_making_was_interrupted_is_made_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().unwrap();
    let folder = dir.path().join(DATE);
    let id = |folder: &Path| {
        let identity = fs::read_to_string(folder.join("store.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&identity).unwrap()["id"].clone()
    };
    let before = id(&folder);
    // Before the last rename of all.
    fs::rename(folder.join("store.json"), folder.join("store.json.tmp")).unwrap();
    open(dir.path()).store("k", &json!({})).unwrap();
    assert_eq!(id(&folder), before);
    // Before the database had its name.
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(DATE);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("store.json.tmp"), "{ torn").unwrap();
    fs::write(folder.join("data.duckdb.new"), "half").unwrap();
    open(dir.path()).store("k", &json!({})).unwrap();
    assert_eq!(open(dir.path()).len(), 1);
    assert!(!folder.join("data.duckdb.new").exists() && !folder.join("store.json.tmp").exists());
}

#[test]
fn a_relative_database_path_stays_below_the_date() {
    let dir = tempfile::tempdir().unwrap();
    let config = quiet(dir.path()).db_path("db/my.duckdb");
    DatedStore::open(DATE, config.clone()).unwrap().store("k", &json!({})).unwrap();
    assert!(dir.path().join(DATE).join("db/my.duckdb").is_file());
    assert_eq!(DatedStore::open(DATE, config).unwrap().len(), 1);
}

#[test]
fn what_a_crash_leaves_is_recovered_and_reported() {
    let dir = crashed();
    let store = open(dir.path());
    let report = store.recovery();
    assert_eq!(report.records + report.watermark, 30, "{report}");
    assert!(report.left_out.is_empty());
    for n in 0..30 {
        let record = store.get_key_process(&format!("k{n}"), Some("p")).unwrap();
        assert_eq!(record.to::<serde_json::Value>().unwrap()["n"], n);
        assert_eq!(record.version(), 1);
    }
    assert!(store.verify().unwrap().is_ok());
    assert_eq!(store.store("next", &json!({})).unwrap().seq(), Some(31));
}

#[test]
fn a_torn_tail_is_cut_kept_and_reported() {
    let dir = crashed();
    let last = segments(dir.path()).pop().unwrap();
    let text = fs::read(&last).unwrap();
    let end = text.iter().rposition(|byte| *byte == b'}').unwrap();
    fs::write(&last, &text[..end - 20]).unwrap();
    let store = open(dir.path());
    let report = store.recovery();
    assert_eq!((report.left_out.len(), report.is_damaged()), (1, false), "{report}");
    let kept = report.left_out[0].kept_as.clone().unwrap();
    assert_eq!(fs::metadata(kept).unwrap().len(), report.bytes_left_out());
    assert_eq!(store.len(), 29);
}

#[test]
fn a_damaged_segment_is_refused_with_its_place_and_the_policies_say_what_else() {
    let flip = |dir: &Path| {
        // Not the last one, and none that the checkpoint after the flush may cover by now.
        let path = segments(dir).into_iter().rev().nth(1).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.iter().position(|byte| *byte == b'n').unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        (path, at)
    };
    let dir = crashed();
    let (path, _) = flip(dir.path());
    let before = fs::read(&path).unwrap();
    let error = DatedStore::open(DATE, quiet(dir.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let message = error.to_string();
    assert!(
        message.contains(path.to_str().unwrap()) && message.contains("line 1") && message.contains("offset 0"),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), before, "nothing was changed");

    let store = DatedStore::open(DATE, quiet(dir.path()).recovery(RecoveryPolicy::Salvage)).unwrap();
    assert!(store.recovery().is_damaged());
    assert_eq!((store.len(), store.recovery().lost.len()), (29, 1));
    assert!(store.verify().unwrap().is_ok());
    drop(store);
    assert_eq!(open(dir.path()).len(), 29, "what was salvaged opens strictly");

    let dir = crashed();
    flip(dir.path());
    let store = DatedStore::open(DATE, quiet(dir.path()).recovery(RecoveryPolicy::TruncateTail)).unwrap();
    assert!(store.recovery().is_damaged() && store.len() < 29 && store.len() >= 18, "{}", store.recovery());
}

#[test]
fn folders_that_cannot_be_used_are_io_errors_with_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = DatedStore::open(DATE, quiet(&file)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"x");
}

#[test]
fn files_of_others_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(DATE)).unwrap();
    let strange = dir.path().join(DATE).join("wal_000001.jsonl");
    fs::write(&strange, "{}\n").unwrap();
    assert_eq!(DatedStore::open(DATE, quiet(dir.path())).unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(fs::read(&strange).unwrap(), b"{}\n");

    let store = open(crashed().path());
    drop(store);
    let (ours, theirs) = (crashed(), crashed());
    let foreign = segments(theirs.path()).pop().unwrap();
    fs::copy(&foreign, ours.path().join(DATE).join("wal_000099.jsonl")).unwrap();
    let error = DatedStore::open(DATE, quiet(ours.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("another store"), "{error}");
}

#[test]
fn a_missing_or_damaged_database_is_refused() {
    let dir = crashed();
    let database = dir.path().join(DATE).join("data.duckdb");
    fs::rename(&database, dir.path().join("away")).unwrap();
    let error = DatedStore::open(DATE, quiet(dir.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("data.duckdb"), "{error}");
    assert!(!database.exists(), "no empty database takes its place");

    let mut bytes = fs::read(dir.path().join("away")).unwrap();
    bytes.truncate(5000);
    fs::write(&database, bytes).unwrap();
    let error = DatedStore::open(DATE, quiet(dir.path())).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Database), "{error}");
}

#[test]
fn a_database_of_some_time_ago_is_refused_where_no_log_is_left_to_tell() {
    let dir = tempfile::tempdir().unwrap();
    let (database, note) = (dir.path().join(DATE).join("data.duckdb"), dir.path().join(DATE).join("store.json"));
    let write = |n: u64| {
        let store = open(dir.path());
        store.put(&format!("k{n}")).data(&json!({"n": n})).unwrap();
        store.close().unwrap();
    };
    write(1);
    let of_that_time = [&database, &note].map(|path| fs::read(path).unwrap());
    write(2);
    fs::write(&database, &of_that_time[0]).unwrap();
    assert!(segments(dir.path()).is_empty());
    for _ in 0..2 {
        let error = DatedStore::open(DATE, quiet(dir.path())).unwrap_err();
        let told = error.to_string();
        assert!(error.kind() == ErrorKind::Corrupt && told.contains("ends at record 1 and had 2"), "{error}");
    }
    // All of that time is a store of that time.
    fs::write(&note, &of_that_time[1]).unwrap();
    assert_eq!(open(dir.path()).len(), 1);
}

#[test]
fn duckdbs_own_log_is_not_trusted_after_a_crash() {
    let (live, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(live.path());
    for n in 0..10 {
        store.put(&format!("k{n}")).data(&json!({"n": n})).unwrap();
        // Commits each, with no checkpoint after it: no segment is closed.
        store.query("SELECT 1").unwrap();
    }
    copy_as_crash_leaves_it(live.path(), dead.path());
    let own = dead.path().join(DATE).join("data.duckdb.wal");
    let bytes = fs::read(&own).expect("the crash came between a flush and its checkpoint");
    fs::write(&own, &bytes[..bytes.len() - 1]).unwrap();
    let store = open(dead.path());
    assert_eq!(store.recovery().records, 10);
    let verified = store.verify().unwrap();
    assert!(verified.is_ok() && verified.rows == 10, "{verified:?}");
    assert!(dead.path().join(DATE).join("data.duckdb.wal.aside").exists());
}

#[test]
fn options_out_of_bounds_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for (config, name) in [
        (quiet(dir.path()).batch_size(0), "batch_size"),
        (quiet(dir.path()).max_wal_size_bytes(10), "max_wal_size_bytes"),
        (quiet(dir.path()).flush_interval(std::time::Duration::ZERO), "flush_interval"),
        (quiet(dir.path()).durability(Durability::Interval(std::time::Duration::ZERO)), "durability"),
    ] {
        let error = DatedStore::open(DATE, config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_database_is_synced_before_anything_is_believed_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.store("a", &json!({})).unwrap();
    store.close().unwrap();
    // A process killed within a checkpoint may have left it in the system's cache alone.
    let operations: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&operations);
    let disk = FlakyDisk::new(move |operation, path| {
        if path.ends_with("data.duckdb") {
            seen.lock().unwrap().push(operation.to_owned());
        }
        Ok(())
    });
    DatedStore::open("2025-01-15", quiet(dir.path()).fs(Arc::new(disk))).unwrap().close().unwrap();
    assert_eq!(operations.lock().unwrap().first().map(String::as_str), Some("sync"));

    let disk = FlakyDisk::new(|operation, path| {
        let fails = operation == "sync" && path.ends_with("data.duckdb");
        if fails { Err(std::io::Error::other("a bad disk")) } else { Ok(()) }
    });
    let error = DatedStore::open("2025-01-15", quiet(dir.path()).fs(Arc::new(disk))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains("data.duckdb"), "{error}");
}

#[test]
fn a_segment_after_which_no_number_is_left_is_refused_by_its_name() {
    let dir = crashed();
    let before = segments(dir.path()).len();
    let name = "wal_18446744073709551615.jsonl.torn";
    let path = dir.path().join("2025-01-15").join(name);
    fs::write(&path, "").unwrap();
    let error = DatedStore::open("2025-01-15", quiet(dir.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("wal_18446744073709551615.jsonl"), "{error}");
    fs::remove_file(path).unwrap();
    assert_eq!(segments(dir.path()).len(), before, "the log is as it was");
    assert!(!DatedStore::open("2025-01-15", quiet(dir.path())).unwrap().is_empty());
}
