//! A disk that is full or read-only: a small file system of the kernel's, which only root may mount. Elsewhere these
//! tests say so and end; the log's own tests fill a simulated disk everywhere.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use persist_dated::{DatedConfig, DatedStore, ErrorKind};
use persist_test_utils::{FlakyDisk, Kind, Mount};
use serde_json::json;

use crate::quiet;

const DATE: &str = "2025-01-15";

/// A file system of 16 MiB in memory.
fn small_disk() -> Option<Mount> {
    Mount::new(Kind::Tmpfs, 16 << 20).inspect_err(|why| eprintln!("skipped: {why}")).ok()
}

fn config(disk: &Mount) -> DatedConfig {
    quiet(&disk.path().join("stores"))
}

#[test]
fn a_full_disk_refuses_a_write_and_the_store_goes_on_when_there_is_space() {
    let Some(disk) = small_disk() else { return };
    let store = DatedStore::open(DATE, config(&disk)).unwrap();
    let text = "x".repeat(1000);
    store.store("first", &json!({"text": text})).unwrap();
    let ballast = disk.fill_but(0);
    let mut written = 1;
    let error = loop {
        match store.store(&format!("k{written}"), &json!({"text": text})) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 20_000, "the disk never filled");
    };
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains("wal_000001.jsonl"), "{error}");
    assert!(store.get_key(&format!("k{written}")).is_empty(), "a refused write is visible");
    assert_eq!(store.len(), written);
    assert_eq!(store.store("again", &json!({"text": text})).unwrap_err().kind(), ErrorKind::Io);

    fs::remove_file(ballast).unwrap();
    let record = store.store("again", &json!({"text": text})).unwrap();
    assert_eq!(record.seq(), Some(written as u64 + 1), "a refused write takes no seq");
    assert!(store.verify().unwrap().is_ok());
    store.close().unwrap();
    assert_eq!(DatedStore::open(DATE, config(&disk)).unwrap().len(), written + 1);
}

#[test]
fn a_flush_that_finds_no_space_loses_nothing_and_is_done_later() {
    let Some(disk) = small_disk() else { return };
    let store = DatedStore::open(DATE, config(&disk)).unwrap();
    let text = "x".repeat(400);
    for n in 0..500 {
        store.put(&format!("k{n}")).data(&json!({"text": text})).unwrap();
    }
    let ballast = disk.fill_but(0);
    let error = store.query("SELECT count(*) AS n FROM storage").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database, "{error}");
    let stats = store.stats();
    assert_eq!((stats.pending_writes, stats.watermark), (500, 0));
    assert!(stats.last_flush_error.is_some_and(|error| error.contains("data.duckdb")));
    assert!(stats.refuses_writes.is_none(), "DuckDB's troubles are not the log's");
    assert!(store.get_key_process("k499", None).is_some());

    fs::remove_file(ballast).unwrap();
    let start = Instant::now();
    while let Err(error) = store.query("SELECT count(*) AS n FROM storage") {
        assert!(start.elapsed() < Duration::from_secs(20), "{error}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(store.stats().last_flush_error.is_none());
    let verified = store.verify().unwrap();
    assert!(verified.is_ok() && verified.rows == 500, "{verified:?}");
    store.close().unwrap();
    assert_eq!(DatedStore::open(DATE, config(&disk)).unwrap().len(), 500);
}

#[test]
fn a_checkpoint_that_finds_no_space_costs_duckdb_its_instance_and_the_store_nothing() {
    // Space for the checkpoint's journal and not for what it writes; then not even for that: it does not begin.
    for (left, is_lost) in [(300 * 1024, true), (0, false)] {
        checkpoint_without_space(left, is_lost);
    }
}

fn checkpoint_without_space(left: u64, is_lost: bool) {
    let Some(disk) = small_disk() else { return };
    let store = DatedStore::open(DATE, config(&disk)).unwrap();
    let text = "x".repeat(400);
    // So few that no more of the segment is laid out ahead, which closing it would give back.
    (0..180).for_each(|n| drop(store.put(&format!("k{n}")).data(&json!({"text": text})).unwrap()));
    // In DuckDB's own log only, which is not trusted once the instance is lost.
    assert_eq!(store.query("SELECT count(*) AS n FROM storage").unwrap().get(0, "n"), Some(&json!(180)));
    let ballast = disk.fill_but(left);
    // Closes the segment, so that the keeper has something to checkpoint for.
    store.flush().unwrap();
    let aside = store.dir().join("data.duckdb.wal.aside");
    let start = Instant::now();
    if !is_lost {
        // Time for the keeper to try, and to try again.
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!aside.exists(), "a checkpoint began without a journal");
    }
    while is_lost && !aside.exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "the instance was not lost: this test shows nothing");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(store.get_key_process("k179", None).is_some(), "reads go on");

    fs::remove_file(ballast).unwrap();
    store.put("later").data(&json!({})).unwrap();
    let start = Instant::now();
    while let Err(error) = store.compact() {
        assert!(start.elapsed() < Duration::from_secs(20), "{error}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let verified = store.verify().unwrap();
    assert!(verified.is_ok() && verified.rows == 181, "{verified:?}");
    store.close().unwrap();
    assert!(!aside.exists());
    assert_eq!(DatedStore::open(DATE, config(&disk)).unwrap().len(), 181);
}

#[test]
fn hidden_rows_that_can_not_be_taken_out_for_want_of_space_cost_the_store_nothing() {
    let Some(disk) = small_disk() else { return };
    let store = DatedStore::open(DATE, config(&disk)).unwrap();
    let put_all = |round: u64| {
        (0..3_000).for_each(|n| drop(store.put(&format!("k{n}")).data(&json!({"round": round})).unwrap()));
    };
    let sum = "SELECT count(*) AS n, sum((data->>'round')::INTEGER)::INTEGER AS rounds FROM storage";
    put_all(1);
    store.compact().unwrap();
    put_all(2);
    // The second query would take out what these hide, and write more into DuckDB's own log than fits.
    assert_eq!(store.query(sum).unwrap().get(0, "rounds"), Some(&json!(6_000)));
    let ballast = disk.fill_but(0);
    assert_eq!(store.query(sum).unwrap().get(0, "rounds"), Some(&json!(6_000)));
    assert!(!store.dir().join("data.duckdb.wal.aside").exists(), "the instance was lost");
    assert!(store.get_key_process("k2999", None).is_some(), "reads go on");

    fs::remove_file(ballast).unwrap();
    let rows = store.query(sum).unwrap();
    assert_eq!((rows.get(0, "n"), rows.get(0, "rounds")), (Some(&json!(3_000)), Some(&json!(6_000))));
    let verified = store.verify().unwrap();
    assert!(verified.is_ok() && verified.rows == 3_000, "{verified:?}");
    store.close().unwrap();
    assert_eq!(DatedStore::open(DATE, config(&disk)).unwrap().len(), 3_000);
}

#[test]
fn a_database_that_was_lost_is_opened_again_also_if_nobody_writes_any_more() {
    let Some(disk) = small_disk() else { return };
    let stuck = Arc::new(AtomicBool::new(true));
    let refused = Arc::clone(&stuck);
    let unopened = FlakyDisk::new(move |operation, path| {
        let fails = operation == "rename" && path.ends_with("data.duckdb.wal.aside") && refused.load(Ordering::SeqCst);
        if fails { Err(std::io::Error::other("not yet")) } else { Ok(()) }
    });
    let store = DatedStore::open(DATE, config(&disk).fs(Arc::new(unopened))).unwrap();
    let text = "x".repeat(400);
    // So few that no more of the segment is laid out ahead, which closing it would give back.
    (0..180).for_each(|n| drop(store.put(&format!("k{n}")).data(&json!({"text": text})).unwrap()));
    store.query("SELECT count(*) AS n FROM storage").unwrap();
    let ballast = disk.fill_but(300 * 1024);
    store.flush().unwrap();
    let start = Instant::now();
    let soon = || assert!(start.elapsed() < Duration::from_secs(30), "{:?}", store.stats());
    // The checkpoint costs DuckDB its instance, and the first try to open it again fails.
    while !store.stats().last_flush_error.is_some_and(|error| error.contains("not yet")) {
        soon();
        std::thread::sleep(Duration::from_millis(10));
    }
    fs::remove_file(ballast).unwrap();
    stuck.store(false, Ordering::SeqCst);
    while store.query("SELECT count(*) AS n FROM storage").is_err() {
        soon();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(store.query("SELECT count(*) AS n FROM storage").unwrap().get(0, "n"), Some(&json!(180)));
}

#[test]
fn a_flush_that_failed_in_the_background_is_tried_again_without_being_asked() {
    let Some(disk) = small_disk() else { return };
    let store = DatedStore::open(DATE, config(&disk).batch_size(100)).unwrap();
    store.put("first").data(&json!({})).unwrap();
    let ballast = disk.fill_but(0);
    (0..100).for_each(|n| drop(store.put(&format!("k{n}")).data(&json!({"text": "x".repeat(400)})).unwrap()));
    let wait_for = |what: &str, done: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(20), "{what} never came: {:?}", store.stats());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for("the failure", &|| store.stats().last_flush_error.is_some());
    fs::remove_file(ballast).unwrap();
    wait_for("the retry", &|| store.stats().watermark == 101);
    assert!(store.verify().unwrap().is_ok());
}

#[test]
fn a_read_only_disk_is_an_io_error_with_the_path() {
    let Some(disk) = small_disk() else { return };
    DatedStore::open(DATE, config(&disk)).unwrap().store("k", &json!({})).unwrap();
    disk.change("remount,ro").unwrap();
    let error = DatedStore::open(DATE, config(&disk)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains(disk.path().to_str().unwrap()), "{error}");
    disk.change("remount,rw").unwrap();
    assert_eq!(DatedStore::open(DATE, config(&disk)).unwrap().len(), 1);
}

#[test]
fn a_backup_that_finds_no_space_fails_and_costs_the_store_nothing() {
    let Some(disk) = small_disk() else { return };
    let live = tempfile::tempdir().unwrap();
    let store = DatedStore::open(DATE, quiet(live.path())).unwrap();
    let text = "x".repeat(400);
    (0..2000).for_each(|n| drop(store.put(&format!("k{n}")).data(&json!({"text": text})).unwrap()));
    let backups = disk.path().join("backups");
    let old = store.backup(backups.join("old")).unwrap();
    for left in [0, 64 * 1024, 400 * 1024] {
        let ballast = disk.fill_but(left);
        store.backup(backups.join("new")).unwrap_err();
        store.put("later").data(&json!({"left": left})).unwrap();
        fs::remove_file(ballast).unwrap();
        // DuckDB may have lost its instance, which is then opened again.
        let start = Instant::now();
        let new = loop {
            match store.backup(backups.join("new")) {
                Ok(new) => break new,
                Err(error) => assert!(start.elapsed() < Duration::from_secs(20), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!((old.rows, new.rows), (2000, 2001));
        assert_eq!(DatedStore::verify_backup(&old.dir, &quiet(live.path())).unwrap(), old);
        store.compact().unwrap();
        assert!(store.verify().unwrap().is_ok());
        fs::remove_dir_all(&new.dir).unwrap();
    }
    store.close().unwrap();
    assert_eq!(DatedStore::open(DATE, quiet(live.path())).unwrap().len(), 2001);
}

#[test]
fn a_backup_on_a_read_only_disk_is_verified_and_restored() {
    let Some(disk) = small_disk() else { return };
    let live = tempfile::tempdir().unwrap();
    let store = DatedStore::open(DATE, quiet(&live.path().join("live"))).unwrap();
    store.store("k", &json!({})).unwrap();
    let backup = store.backup(disk.path().join("backup")).unwrap();
    disk.change("remount,ro").unwrap();
    let config = quiet(&live.path().join("restored"));
    assert_eq!(DatedStore::verify_backup(&backup.dir, &config).unwrap(), backup);
    assert_eq!(DatedStore::restore(&backup.dir, DATE, config.clone()).unwrap(), backup);
    assert_eq!(DatedStore::open(DATE, config).unwrap().len(), 1);
}
