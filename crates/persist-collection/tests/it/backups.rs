//! Backups that the store makes by itself, at `close` and at midnight, and which of them go.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use persist_collection::{CollectionConfig, CollectionStore, ErrorKind};
use persist_core::clock::{Clock, ManualClock};
use persist_test_utils::{FlakyDisk, copy_as_crash_leaves_it};
use serde_json::json;
use tempfile::TempDir;
use time::Date;
use time::macros::date;

use crate::{files, quiet, rows};

const BACKUP: [&str; 3] = ["manifest.json", "storage_history.duckdb.backup", "storage_latest.duckdb.backup"];
const ALL: &str = "SELECT * FROM storage_history ORDER BY persist_seq";

fn open(dir: &Path, date: &str) -> CollectionStore {
    CollectionStore::open(date, quiet(dir)).unwrap()
}

/// Writes an item so many times.
fn put(store: &CollectionStore, times: u64) {
    for _ in 0..times {
        store.put("k").collection("c").item("i").value(store.stats().last_seq).data(&json!({})).unwrap();
    }
}

/// Opens the store for a date, writes an item so many times, and closes it.
fn day(config: CollectionConfig, date: &str, times: u64) {
    let store = CollectionStore::open(date, config).unwrap();
    put(&store, times);
    store.close().unwrap();
}

/// The last `seq` in the backup of a date, which is read whole.
fn backed_up(dir: &Path, date: &str) -> Result<u64, ErrorKind> {
    CollectionStore::verify_backup(dir.join(date), &quiet(dir)).map(|backup| backup.seq).map_err(|error| error.kind())
}

/// The names of the files in each date's folder.
fn folders(dir: &Path) -> BTreeMap<String, Vec<String>> {
    let folders = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    folders.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), files(&path))).collect()
}

fn dates(dir: &Path) -> Vec<String> {
    folders(dir).into_keys().collect()
}

fn segments(dir: &Path, suffix: &str) -> usize {
    folders(dir).values().flatten().filter(|name| name.starts_with("wal_") && name.ends_with(suffix)).count()
}

/// The store as a crash leaves it now, empty folders too.
fn crashed(dir: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    copy_as_crash_leaves_it(dir, copy.path());
    dates(dir).iter().for_each(|date| fs::create_dir_all(copy.path().join(date)).unwrap());
    copy
}

#[test]
fn close_backs_the_store_up_into_the_folder_of_the_date() {
    let (dir, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(dir.path(), "2025-12-24");
    assert_eq!(store.stats().newest_backup_seq, None);
    put(&store, 3);
    store.put("other").value(1.5).data(&json!({})).unwrap();
    let all = rows(&store, ALL);
    let written = store.get_item("other", "", "").unwrap().unwrap().written_at();
    store.close().unwrap();
    assert_eq!(folders(dir.path())["2025-12-24"], BACKUP);
    let folder = dir.path().join("2025-12-24");
    let backup = CollectionStore::verify_backup(&folder, &quiet(dir.path())).unwrap();
    assert_eq!((backup.seq, backup.rows, backup.written), (4, 2, written));

    CollectionStore::restore(&folder, "2025-12-25", quiet(elsewhere.path())).unwrap();
    let restored = open(elsewhere.path(), "2025-12-25");
    assert_eq!(rows(&restored, ALL), all);
    assert_eq!(restored.stats().newest_backup_seq, None, "that is the other store's");

    // It is made again if there is something new, and in another date's folder.
    let store = open(dir.path(), "2025-12-24");
    assert_eq!(store.stats().newest_backup_seq, Some(4));
    store.close().unwrap();
    assert_eq!(CollectionStore::verify_backup(&folder, &quiet(dir.path())).unwrap(), backup);
    day(quiet(dir.path()), "2025-12-24", 1);
    day(quiet(dir.path()), "2025-12-25", 0);
    assert_eq!((backed_up(dir.path(), "2025-12-24"), backed_up(dir.path(), "2025-12-25")), (Ok(5), Ok(5)));
    // One that somebody has broken is no backup.
    fs::remove_file(folder.join(BACKUP[1])).unwrap();
    day(quiet(dir.path()), "2025-12-24", 0);
    assert_eq!(backed_up(dir.path(), "2025-12-24"), Ok(5));
}

#[test]
fn without_backups_none_is_made_and_none_goes() {
    let dir = TempDir::new().unwrap();
    day(quiet(dir.path()), "2025-12-01", 1);
    day(quiet(dir.path()).backups(false), "2025-12-24", 2);
    assert_eq!(folders(dir.path())["2025-12-24"], Vec::<String>::new());
    assert_eq!(backed_up(dir.path(), "2025-12-01"), Ok(1));
}

#[test]
fn flushed_segments_are_kept_from_the_oldest_backup_on() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), "2025-12-20");
    put(&store, 2);
    store.refresh_latest().unwrap();
    assert_eq!((segments(dir.path(), ".jsonl"), segments(dir.path(), ".gz")), (0, 1), "no backup has them");
    let stats = store.stats();
    assert!(stats.kept_segments == 1 && stats.kept_bytes > 50, "{stats:?}");
    put(&store, 2);
    store.close().unwrap();
    assert_eq!(folders(dir.path())["2025-12-20"], BACKUP, "the backup has them all");

    for (date, kept) in [("2025-12-21", 1), ("2025-12-22", 2), ("2025-12-25", 3)] {
        day(quiet(dir.path()), date, 2);
        assert_eq!((segments(dir.path(), ".jsonl"), segments(dir.path(), ".gz")), (0, kept), "{date}");
    }
    assert_eq!(open(dir.path(), "2025-12-25").stats().kept_segments, 3);
    // The oldest is now of the 21st, with all that was written up to then; the next day, of the 22nd.
    day(quiet(dir.path()), "2025-12-26", 0);
    assert_eq!((dates(dir.path()).len(), segments(dir.path(), ".gz")), (4, 2));
    day(quiet(dir.path()), "2025-12-27", 0);
    assert_eq!((dates(dir.path()).len(), segments(dir.path(), ".gz")), (4, 1));
    let (floor, newest) = (backed_up(dir.path(), "2025-12-22"), backed_up(dir.path(), "2025-12-27"));
    assert_eq!((floor, newest), (Ok(8), Ok(10)));
}

#[test]
fn old_backups_go_counted_from_the_newest_date_and_what_is_not_the_stores_stays() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let path = |name: &str| dir.path().join(name);
    for n in 10..=15 {
        day(quiet(dir.path()), &format!("2025-12-{n}"), 1);
    }
    assert_eq!(dates(dir.path()).len(), 6, "five days before the newest stay, wherever the clock is");
    // Not the store's, or of use to somebody.
    day(quiet(other.path()), "2025-12-09", 1);
    fs::rename(other.path().join("2025-12-09"), path("2025-12-09")).unwrap();
    fs::write(path("2025-12-10/notes.txt"), "mine").unwrap();
    fs::write(path("2025-12-10/wal_000007.jsonl.torn"), "{").unwrap();
    fs::write(path("2025-12-11/wal_000008.jsonl.broken"), "{").unwrap();
    fs::create_dir(path("2025-12-01")).unwrap();
    fs::create_dir_all(path("2025-11-30/mine")).unwrap();
    fs::create_dir(path("archive")).unwrap();
    day(quiet(dir.path()), "2025-12-16", 1);
    let left = folders(dir.path());
    assert_eq!(left["2025-12-09"], BACKUP, "another store's");
    assert_eq!(left["2025-12-10"], ["notes.txt"]);
    assert!(left["2025-12-11"].contains(&BACKUP[0].to_owned()) && left["2025-12-11"].len() == 4, "{left:?}");
    assert!(!left.contains_key("2025-12-01") && left.contains_key("2025-11-30") && left.contains_key("archive"));
    day(quiet(dir.path()).retain_days(0), "2025-12-16", 0);
    assert_eq!(dates(dir.path()), ["2025-11-30", "2025-12-09", "2025-12-10", "2025-12-16", "archive"]);
    // Opened for an old date: its folder takes the log and the backup, and both stay.
    let store = CollectionStore::open("2025-12-02", quiet(dir.path()).retain_days(0)).unwrap();
    put(&store, 1);
    store.close().unwrap();
    assert_eq!((backed_up(dir.path(), "2025-12-02"), backed_up(dir.path(), "2025-12-16")), (Ok(8), Ok(7)));
}

/// A manifest has no checksum, and one that names other files had them removed: in this folder, a kept segment, say.
#[test]
fn of_an_old_folder_those_files_go_that_a_backup_has_whatever_its_manifest_names() {
    let dir = TempDir::new().unwrap();
    day(quiet(dir.path()), "2025-12-10", 1);
    day(quiet(dir.path()), "2025-12-11", 1);
    let old = dir.path().join("2025-12-10");
    let manifest = fs::read_to_string(old.join(BACKUP[0])).unwrap();
    assert!(manifest.contains(BACKUP[2]), "{manifest}");
    fs::write(old.join(BACKUP[0]), manifest.replace(BACKUP[2], "notes.txt")).unwrap();
    fs::write(old.join("notes.txt"), "mine").unwrap();
    day(quiet(dir.path()), "2025-12-24", 1);
    let left = files(&old);
    assert!(
        left.contains(&"notes.txt".to_owned()) && BACKUP.iter().all(|name| !left.contains(&(*name).to_owned())),
        "{left:?}"
    );
}

#[test]
fn the_newest_backup_stays_however_old_until_there_is_another() {
    let dir = TempDir::new().unwrap();
    day(quiet(dir.path()), "2025-11-01", 1);
    day(quiet(dir.path()), "2025-11-02", 1);
    let store = open(dir.path(), "2025-12-24");
    assert_eq!(store.stats().newest_backup_seq, Some(2));
    put(&store, 1);
    assert_eq!(dates(dir.path()), ["2025-11-02", "2025-12-24"]);
    let copy = crashed(dir.path());
    assert_eq!(open(copy.path(), "2025-12-25").stats().newest_backup_seq, Some(2));
    store.close().unwrap();
    assert_eq!(dates(dir.path()), ["2025-12-24"]);
}

#[test]
fn an_old_folder_with_a_log_that_waits_to_be_flushed_stays_until_it_is() {
    let dir = TempDir::new().unwrap();
    let long = |dir: &Path| quiet(dir).retain_days(100);
    day(long(dir.path()), "2025-11-01", 1);
    day(long(dir.path()), "2025-12-23", 0);
    let store = CollectionStore::open("2025-11-01", long(dir.path())).unwrap();
    put(&store, 3);
    let dead = crashed(dir.path());
    assert_eq!(segments(dead.path(), ".jsonl"), 1);
    let store = open(dead.path(), "2025-12-24");
    assert_eq!(store.recovery().records, 3);
    assert_eq!(backed_up(dead.path(), "2025-11-01"), Ok(1));
    store.close().unwrap();
    let left = folders(dead.path());
    assert_eq!(left["2025-11-01"], ["wal_000001.jsonl.gz"], "the backup of the 23rd lacks it");
    day(quiet(dead.path()).retain_days(0), "2025-12-24", 0);
    assert_eq!(folders(dead.path()), BTreeMap::from([("2025-12-24".into(), BACKUP.map(String::from).to_vec())]));
}

/// The crashes at each file operation in the folder of `date` while the store is closed, and at its end.
fn crashes_at_close(dir: &Path, date: &'static str, config: CollectionConfig) -> Vec<(String, TempDir)> {
    let copies: Arc<Mutex<Vec<(String, TempDir)>>> = Arc::default();
    let (closing, hook, path) = (Arc::new(AtomicBool::new(false)), Arc::clone(&copies), dir.to_owned());
    let is_closing = Arc::clone(&closing);
    let disk = FlakyDisk::new(move |operation, changed| {
        let is_there = changed.strip_prefix(&path).is_ok_and(|changed| changed.starts_with(date));
        if is_closing.load(Ordering::SeqCst) && is_there {
            let what = format!("{operation} {}", changed.file_name().unwrap().display());
            hook.lock().unwrap().push((what, crashed(&path)));
        }
        Ok(())
    });
    let store = CollectionStore::open("2025-12-24", config.fs(Arc::new(disk))).unwrap();
    put(&store, 2);
    store.refresh_latest().unwrap();
    closing.store(true, Ordering::SeqCst);
    store.close().unwrap();
    std::mem::take(&mut copies.lock().unwrap())
}

#[test]
fn a_crash_at_any_operation_of_replacing_a_backup_leaves_the_old_one_or_the_new_one_whole() {
    let dir = TempDir::new().unwrap();
    day(quiet(dir.path()), "2025-12-24", 3);
    let crashes = crashes_at_close(dir.path(), "2025-12-24", quiet(dir.path()));
    let operations: Vec<&str> = crashes.iter().map(|(operation, _)| operation.as_str()).collect();
    let counts = operations.iter().position(|operation| *operation == "rename manifest.json.new").unwrap();
    let (before, after) = operations.split_at(counts);
    // What counts after a power cut as well: all is durable before, the files' names before the manifest's.
    for file in ["storage_history.duckdb.backup.new", "storage_latest.duckdb.backup.new", "manifest.json.tmp"] {
        assert!(before.contains(&format!("sync {file}").as_str()), "{before:?}");
    }
    let expected = [
        "rename manifest.json.new",
        "sync_dir 2025-12-24",
        "rename storage_history.duckdb.backup",
        "rename storage_latest.duckdb.backup",
        "sync_dir 2025-12-24",
        "rename manifest.json",
        "sync_dir 2025-12-24",
    ];
    assert_eq!((before.last(), &after[..7]), (Some(&"sync_dir 2025-12-24"), &expected[..]));
    let (mut seqs, mut unsettled) = (Vec::new(), 0);
    for (operation, copy) in &crashes {
        let half = copy.path().join("2025-12-24/manifest.json.new").exists();
        unsettled += usize::from(half);
        match backed_up(copy.path(), "2025-12-24") {
            Err(kind) => assert!(half && kind == ErrorKind::Config, "{operation}: {kind:?}"),
            Ok(seq) => assert!(!half && [3, 5].contains(&seq), "{operation}: {seq}"),
        }
        if half {
            let folder = copy.path().join("2025-12-24");
            let error = CollectionStore::verify_backup(&folder, &quiet(dir.path())).unwrap_err().to_string();
            assert!(error.contains("open its store"), "{error}");
            let to = TempDir::new().unwrap();
            let error = CollectionStore::restore(&folder, "2025-12-24", quiet(to.path())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
            // A store that makes none finishes it as well.
            let other = TempDir::new().unwrap();
            copy_as_crash_leaves_it(copy.path(), &other.path().join("store"));
            let config = quiet(&other.path().join("store")).backups(false);
            CollectionStore::open("2025-12-25", config.clone()).unwrap();
            CollectionStore::verify_backup(other.path().join("store/2025-12-24"), &config).unwrap();
        }
        let store = open(copy.path(), "2025-12-25");
        let seq = backed_up(copy.path(), "2025-12-24").unwrap_or_else(|kind| panic!("{operation}: {kind:?}"));
        assert_eq!(store.stats().newest_backup_seq, Some(seq));
        seqs.push(seq);
        let names: Vec<String> =
            files(&copy.path().join("2025-12-24")).into_iter().filter(|name| !name.starts_with("wal_")).collect();
        assert_eq!(names, BACKUP, "{operation}");
        assert_eq!(rows(&store, ALL).len(), 5);
        store.close().unwrap();
        assert_eq!(backed_up(copy.path(), "2025-12-25"), Ok(5));
    }
    assert!(seqs.is_sorted() && seqs.first() == Some(&3) && seqs.last() == Some(&5), "{seqs:?}");
    assert!(unsettled > 4, "the files have their names one after the other");
}

#[test]
fn a_crash_at_any_operation_of_removing_an_old_backup_is_made_up_for() {
    let dir = TempDir::new().unwrap();
    day(quiet(dir.path()), "2025-12-01", 1);
    let config = || quiet(dir.path()).retain_days(20);
    day(config(), "2025-12-02", 1);
    let crashes = crashes_at_close(dir.path(), "2025-12-02", config());
    assert!(crashes.len() > 5, "{crashes:?}");
    for (operation, copy) in &crashes {
        assert_eq!(backed_up(copy.path(), "2025-12-24"), Ok(4), "{operation}");
        let store = CollectionStore::open("2025-12-24", quiet(copy.path()).retain_days(20)).unwrap();
        assert_eq!(dates(copy.path()), ["2025-12-24"], "{operation}");
        assert_eq!(store.stats().newest_backup_seq, Some(4));
    }
}

#[test]
fn a_backup_that_fails_at_close_is_told_and_costs_no_record() {
    let before = TempDir::new().unwrap();
    day(quiet(before.path()), "2025-12-24", 3);
    for stops in [false, true] {
        for at in (0..).step_by(if stops { 3 } else { 1 }) {
            let dir = crashed(before.path());
            // From the mark of the backup that is being made on.
            let (count, counted) = (Arc::new(AtomicU64::new(0)), AtomicBool::new(false));
            let (counts, folder) = (Arc::clone(&count), dir.path().join("2025-12-24"));
            let disk = FlakyDisk::new(move |_, path| {
                counted.fetch_or(path.ends_with("manifest.json.tmp"), Ordering::SeqCst);
                if !counted.load(Ordering::SeqCst) || !path.starts_with(&folder) {
                    return Ok(());
                }
                let n = counts.fetch_add(1, Ordering::SeqCst);
                if n == at || (stops && n > at) { Err(std::io::Error::other("no")) } else { Ok(()) }
            });
            let store = CollectionStore::open("2025-12-24", quiet(dir.path()).fs(Arc::new(disk))).unwrap();
            put(&store, 2);
            let closed = store.close();
            if count.load(Ordering::SeqCst) <= at {
                closed.unwrap();
                assert!(at > 15, "only {at} operations");
                break;
            }
            if !stops && backed_up(dir.path(), "2025-12-24") != Ok(5) {
                assert_eq!((segments(dir.path(), ".jsonl"), segments(dir.path(), ".gz")), (0, 1), "{at}");
            }
            assert_eq!(closed.unwrap_err().kind(), ErrorKind::Io, "{at}");
            let store = open(dir.path(), "2025-12-25");
            assert_eq!(rows(&store, ALL).len(), 5);
            let seq = backed_up(dir.path(), "2025-12-24").unwrap();
            assert!([3, 5].contains(&seq), "{seq}");
            assert!(seq == 5 || segments(dir.path(), ".gz") + segments(dir.path(), ".jsonl") > 0, "{at}");
            store.close().unwrap();
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// A clock some moments before the midnight that ends 2025-12-24 in UTC.
fn late() -> Arc<ManualClock> {
    let midnight = date!(2025 - 12 - 25).midnight().assume_utc().unix_timestamp() * 1_000_000;
    Arc::new(ManualClock::new(midnight - 50_000))
}

fn with_clock(dir: &Path, clock: &Arc<ManualClock>) -> CollectionConfig {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    quiet(dir).clock(clock)
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}");
}

#[test]
fn at_midnight_the_log_goes_on_in_the_next_dates_folder_and_the_former_gets_a_backup() {
    let (dir, clock) = (TempDir::new().unwrap(), late());
    day(with_clock(dir.path(), &clock), "2025-12-19", 1);
    let store = CollectionStore::open("2025-12-24", with_clock(dir.path(), &clock)).unwrap();
    put(&store, 1);
    clock.advance(Duration::from_millis(49));
    store.refresh_latest().unwrap();
    assert_eq!(store.date(), date!(2025 - 12 - 24));
    clock.advance(Duration::from_millis(1));
    wait_for("it does not roll over", || store.date() == date!(2025 - 12 - 25));
    put(&store, 1);
    assert!(files(dir.path()).contains(&".lock_2025-12-25".to_owned()));
    wait_for("no backup", || backed_up(dir.path(), "2025-12-24").is_ok());
    wait_for("the old one stays", || !dir.path().join("2025-12-19").exists());
    assert!(files(&dir.path().join("2025-12-25")).iter().any(|name| name.starts_with("wal_")));
    assert!(store.stats().newest_backup_seq.is_some_and(|seq| seq >= 2));
    // And so on, whether or not midnight is seen.
    clock.advance(24 * 60 * MINUTE * 2);
    store.refresh_latest().unwrap();
    wait_for("it does not roll over again", || store.date() == date!(2025 - 12 - 27));
    wait_for("no second backup", || backed_up(dir.path(), "2025-12-25").is_ok());
    // A clock that is set back is not followed.
    clock.set(clock.unix_micros() - 26 * 3_600_000_000);
    store.refresh_latest().unwrap();
    store.refresh_latest().unwrap();
    assert_eq!(store.date(), date!(2025 - 12 - 27));
    store.close().unwrap();
    assert_eq!(dates(dir.path()), ["2025-12-24", "2025-12-25", "2025-12-27"]);
}

#[test]
fn a_store_of_another_date_and_one_that_is_told_to_stays_with_it_at_midnight() {
    let stays = |date: &str, rolls: bool, to: Option<&str>, expected: Date| {
        let (dir, clock) = (TempDir::new().unwrap(), late());
        let config = with_clock(dir.path(), &clock).roll_at_midnight(rolls);
        let store = CollectionStore::open(date, config).unwrap();
        put(&store, 1);
        if let Some(to) = to {
            store.roll_to(to).unwrap();
        }
        clock.advance(MINUTE);
        // The keeper looks at the clock after each.
        store.refresh_latest().unwrap();
        store.refresh_latest().unwrap();
        if expected == date!(2025 - 12 - 25) {
            wait_for("it does not roll over", || store.date() == expected);
        }
        assert_eq!(store.date(), expected);
        if to.is_some() {
            assert!(!dir.path().join(date).join(BACKUP[0]).exists(), "a roll by hand makes no backup");
        }
    };
    stays("2025-12-23", true, None, date!(2025 - 12 - 23));
    stays("2025-12-26", true, None, date!(2025 - 12 - 26));
    stays("2025-12-24", false, None, date!(2025 - 12 - 24));
    stays("2025-12-24", true, Some("2025-12-20"), date!(2025 - 12 - 20));
    stays("2025-12-23", true, Some("2025-12-24"), date!(2025 - 12 - 25));
}

#[test]
fn a_backup_after_midnight_that_fails_is_tried_again_a_minute_later() {
    let (dir, clock) = (TempDir::new().unwrap(), late());
    let (is_broken, tries) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let (broken, tried) = (Arc::clone(&is_broken), Arc::clone(&tries));
    let former: PathBuf = dir.path().join("2025-12-24");
    let mark = former.join("manifest.json.tmp");
    let disk = FlakyDisk::new(move |operation, path| {
        if operation != "create" || path != mark {
            return Ok(());
        }
        tried.fetch_add(1, Ordering::SeqCst);
        if broken.load(Ordering::SeqCst) { Err(std::io::Error::other("no")) } else { Ok(()) }
    });
    for old in ["2025-12-19", "2025-12-20"] {
        day(with_clock(dir.path(), &clock), old, 1);
    }
    let config = with_clock(dir.path(), &clock).fs(Arc::new(disk));
    let store = CollectionStore::open("2025-12-24", config).unwrap();
    put(&store, 1);
    clock.advance(MINUTE);
    wait_for("no backup is tried", || tries.load(Ordering::SeqCst) == 1);
    wait_for("no space is made", || dates(dir.path()) == ["2025-12-20", "2025-12-24", "2025-12-25"]);
    is_broken.store(false, Ordering::SeqCst);
    clock.advance(MINUTE - Duration::from_secs(1));
    store.refresh_latest().unwrap();
    store.refresh_latest().unwrap();
    assert_eq!(tries.load(Ordering::SeqCst), 1);
    put(&store, 1);
    clock.advance(Duration::from_secs(1));
    store.refresh_latest().unwrap();
    wait_for("no backup is tried again", || backed_up(dir.path(), "2025-12-24").is_ok());
    assert_eq!(store.date(), date!(2025 - 12 - 25));
    assert!(former.join(BACKUP[0]).exists());
}
