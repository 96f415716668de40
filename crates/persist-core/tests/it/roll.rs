//! A log in folders by date: opening for any of them, and going on in another while all write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use persist_core::timestamp::{IntoDate, date_text};
use persist_core::{
    Change, Durability, Engine, Entry, ErrorKind, Event, Location, LogFolders, Options, Result, Since, Timestamp,
};
use persist_test_utils::{FlakyDisk, copy_as_crash_leaves_it};
use tempfile::TempDir;

use crate::plain::plain_model;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: i64 = 24 * 3600 * 1_000_000;
const DATES: [&str; 3] = ["2025-01-15", "2025-01-16", "2025-01-14"];

plain_model! {
    Daily {
        const LOG_FOLDERS: Option<LogFolders> = Some(LogFolders { named_by: "date", is_name, day_of, name_at, ends_at });
    }
}

fn is_name(name: &str) -> bool {
    let like = |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    name.len() == 10 && name.bytes().enumerate().all(like)
}

fn day_of(name: &str) -> Option<i64> {
    Some(i64::from(name.into_date().ok()?.to_julian_day()))
}

fn name_at(unix_micros: i64) -> String {
    date_text(Timestamp::from_unix_micros(unix_micros).into_date().unwrap())
}

fn ends_at(unix_micros: i64) -> i64 {
    (unix_micros / DAY + 1) * DAY
}

type Store = Engine<Daily>;

/// Options under which nothing happens in the background by itself, with small segments.
fn quiet() -> Options {
    let mut options = Options::default();
    options.batch_size = 1_000_000;
    options.flush_interval = HOUR;
    options.max_wal_records = Some(12);
    options
}

fn open_with(dir: &Path, date: Option<&str>, options: Options) -> Result<Store> {
    Engine::open(&location(dir, date), options)
}

fn location(dir: &Path, date: Option<&str>) -> Location {
    let (log_folder, database) = (date.map(str::to_owned), dir.join("data.duckdb"));
    Location { dir: dir.to_owned(), log_folder, database, purpose: "daily store".to_owned() }
}

fn open(dir: &Path, date: &str) -> Store {
    open_with(dir, Some(date), quiet()).unwrap()
}

/// A record whose data is its key, once more. Answers its `seq`.
fn put(store: &Store, key: &str) -> Result<u64> {
    let entry = Entry::new(key, (), format!(r#"{{"key":"{key}"}}"#));
    Ok(store.put(entry, Some(Durability::Sync))?.seq().unwrap())
}

/// The records after the last, each with its `seq` as its key, up to this one.
fn put_up_to(store: &Store, last: u64) {
    for seq in store.stats().last_seq + 1..=last {
        assert_eq!(put(store, &seq.to_string()).unwrap(), seq);
    }
}

/// That there are exactly the records that [`put_up_to`] made.
fn holds_up_to(store: &Store, last: u64) {
    let records: BTreeSet<u64> = store.records("").map(|record| record.key().parse().unwrap()).collect();
    assert_eq!(records, (1..=last).collect());
    assert_eq!(store.stats().last_seq, last);
    let rows = store.query("SELECT count(*), count(DISTINCT key) FROM storage").unwrap();
    let row: Vec<u64> = rows.iter().next().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!(row, [last, last]);
}

/// Every file below `dir` but the locks, with its path from there and its bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_str().unwrap().ends_with(".lock") {
                found.insert(path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The folders that hold segments, and the numbers of these.
fn segments(dir: &Path) -> BTreeMap<String, Vec<u64>> {
    let mut segments: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for path in files(dir).into_keys() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(number) = name.strip_prefix("wal_").and_then(|name| name.strip_suffix(".jsonl")) {
            let folder = path.parent().unwrap().to_str().unwrap().to_owned();
            segments.entry(folder).or_default().push(number.parse().unwrap());
        }
    }
    segments
}

fn markers(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".lock_")).collect()
}

/// A copy of the store as a crash would leave it now, empty folders and all.
fn crashed(dir: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    copy_as_crash_leaves_it(dir, copy.path());
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

#[test]
fn a_store_opens_for_any_date_with_what_the_logs_of_all_dates_hold() {
    let dir = TempDir::new().unwrap();
    let mut stores = vec![open(dir.path(), DATES[0])];
    let mut dirs = vec![dir];
    for (n, date) in (1..).zip(DATES) {
        let (store, dir) = (stores.last().unwrap(), dirs.last().unwrap());
        put_up_to(store, n * 40 - 20);
        store.roll_to("2025-02-28").unwrap();
        put_up_to(store, n * 40 - 10);
        store.roll_to(date).unwrap();
        put_up_to(store, n * 40);
        assert!(segments(dir.path())[date].len() > 1, "{:?}", segments(dir.path()));
        let copy = crashed(dir.path());
        let next = open(copy.path(), DATES[n as usize % 3]);
        let found = next.recovery();
        assert_eq!(found.watermark + found.records, n * 40, "{found}");
        holds_up_to(&next, n * 40);
        stores.push(next);
        dirs.push(copy);
    }
    let (store, dir) = (stores.pop().unwrap(), dirs.last().unwrap().path());
    store.compact().unwrap();
    assert_eq!(segments(dir), BTreeMap::new(), "what a checkpoint covers goes, whatever folder it is in");
    put_up_to(&store, 125);
    assert_eq!(segments(dir).keys().collect::<Vec<_>>(), [DATES[0]]);
    store.close().unwrap();
    assert_eq!((segments(dir), markers(dir)), (BTreeMap::new(), vec![]));
    assert!(DATES.iter().all(|date| dir.join(date).is_dir()), "folders stay");
    holds_up_to(&open(dir, "1999-12-31"), 125);
}

#[test]
fn segments_have_numbers_of_their_own_over_all_folders() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), DATES[0]);
    put_up_to(&store, 20);
    for (n, date) in (2..).zip([DATES[1], DATES[2], DATES[0], DATES[1]]) {
        store.roll_to(date).unwrap();
        put_up_to(&store, n * 20);
    }
    let copy = crashed(dir.path());
    let again = open(copy.path(), DATES[2]);
    put_up_to(&again, 120);
    let mut numbers: Vec<u64> = segments(copy.path()).into_values().flatten().collect();
    numbers.sort_unstable();
    let all = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), all, "{:?}", segments(copy.path()));
    holds_up_to(&again, 120);
}

/// Stops the writers also where the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn rolling_over_beside_four_writers_loses_nothing_and_subscribers_see_each_change_once() {
    let dir = TempDir::new().unwrap();
    let mut options = quiet();
    options.keep_log = HOUR;
    let store = open_with(dir.path(), Some(DATES[0]), options.clone()).unwrap();
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut acknowledged: BTreeMap<u64, String> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|thread| {
                let (store, stop, written) = (&store, &stop, &written);
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    for n in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let key = format!("{thread}-{n}");
                        mine.push((put(store, &key).unwrap(), key));
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                    mine
                })
            })
            .collect();
        let stopping = Stop(&stop);
        for (n, date) in (1..=24).zip(DATES.iter().cycle()) {
            store.roll_to(date).unwrap();
            assert_eq!(markers(dir.path()), [format!(".lock_{date}")]);
            while written.load(Ordering::Relaxed) < n * 20 && !writers.iter().any(|writer| writer.is_finished()) {
                std::thread::yield_now();
            }
            if n % 8 == 0 {
                store.compact().unwrap();
            }
        }
        drop(stopping);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let last = store.stats().last_seq;
    assert_eq!(acknowledged.keys().copied().collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    let copy = crashed(dir.path());
    let again = open_with(copy.path(), Some("2031-08-09"), options).unwrap();
    let keys: BTreeSet<String> = again.records("").map(|record| record.key().to_owned()).collect();
    assert_eq!(keys, acknowledged.values().cloned().collect());
    let mut changes = again.subscribe(Since::Oldest).unwrap();
    while let Some(event) = changes.try_recv().unwrap() {
        let Event::Change(Change::Put(record)) = event else { panic!("{event:?}") };
        assert_eq!(acknowledged.remove(&record.seq().unwrap()).as_deref(), Some(record.key()));
    }
    assert_eq!(acknowledged.len(), 0, "kept segments are in three folders");
}

#[test]
fn a_crash_at_any_operation_of_rolling_over_leaves_a_store_that_opens_for_either_date() {
    let dir = TempDir::new().unwrap();
    let copies: Arc<Mutex<Option<Vec<TempDir>>>> = Arc::default();
    let (hook, path) = (Arc::clone(&copies), dir.path().to_owned());
    let mut options = quiet();
    options.fs = Arc::new(FlakyDisk::new(move |_, changed| {
        if let Some(copies) = hook.lock().unwrap().as_mut().filter(|_| !changed.ends_with("status.json.tmp")) {
            copies.push(crashed(&path));
        }
        Ok(())
    }));
    let store = open_with(dir.path(), Some(DATES[0]), options).unwrap();
    put_up_to(&store, 30);
    *copies.lock().unwrap() = Some(Vec::new());
    store.roll_to(DATES[1]).unwrap();
    put_up_to(&store, 31);
    let copies = copies.lock().unwrap().take().unwrap();
    assert!(copies.len() > 6, "{}", copies.len());
    let is_empty =
        |copy: &TempDir| !segments(copy.path()).contains_key(DATES[1]) && copy.path().join(DATES[1]).is_dir();
    assert!(copies.iter().any(is_empty), "none was taken between the making of the folder and the first line");
    for (n, copy) in copies.iter().enumerate() {
        let again = open(copy.path(), DATES[n % 3]);
        let last = again.stats().last_seq;
        assert!(last == 30 || last == 31, "{last}");
        holds_up_to(&again, last);
        assert_eq!(markers(copy.path()), [format!(".lock_{}", DATES[n % 3])], "a stale one is gone");
        put_up_to(&again, 40);
        let crashed = crashed(copy.path());
        holds_up_to(&open(crashed.path(), DATES[1]), 40);
    }
}

#[test]
fn a_folder_that_cannot_be_made_leaves_the_log_where_it_was() {
    let dir = TempDir::new().unwrap();
    let is_broken = Arc::new(AtomicBool::new(false));
    let (broken, path) = (Arc::clone(&is_broken), dir.path().to_owned());
    let mut options = quiet();
    options.fs = Arc::new(FlakyDisk::new(move |operation, changed| {
        let fails = broken.load(Ordering::Relaxed) && operation == "sync_dir" && changed == path;
        if fails { Err(std::io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }));
    let store = open_with(dir.path(), Some(DATES[0]), options).unwrap();
    put_up_to(&store, 3);
    is_broken.store(true, Ordering::Relaxed);
    assert_eq!(store.roll_to(DATES[1]).unwrap_err().kind(), ErrorKind::Io);
    put_up_to(&store, 6);
    assert_eq!(segments(dir.path()).keys().collect::<Vec<_>>(), [DATES[0]]);
    assert_eq!(markers(dir.path()), [format!(".lock_{}", DATES[0])]);
    is_broken.store(false, Ordering::Relaxed);
    store.roll_to(DATES[1]).unwrap();
    put_up_to(&store, 9);
    assert_eq!(segments(dir.path()).keys().collect::<Vec<_>>(), DATES[..2].iter().collect::<Vec<_>>());
    store.close().unwrap();
    holds_up_to(&open(dir.path(), DATES[0]), 9);
}

#[test]
fn another_stores_segment_in_any_dates_folder_is_named_and_nothing_is_changed() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let others = open(other.path(), DATES[0]);
    put_up_to(&others, 3);
    let store = open(dir.path(), DATES[0]);
    put_up_to(&store, 30);
    let copy = crashed(dir.path());
    let name = "2024-02-29/wal_000001.jsonl";
    fs::create_dir(copy.path().join("2024-02-29")).unwrap();
    fs::copy(other.path().join(DATES[0]).join("wal_000001.jsonl"), copy.path().join(name)).unwrap();
    let logs = || files(copy.path()).into_iter().filter(|(path, _)| path.components().count() > 1).collect::<Vec<_>>();
    let before = logs();
    let error = open_with(copy.path(), Some("2025-03-01"), quiet()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(name) && error.to_string().contains("belongs to another store"), "{error}");
    assert!(before.len() > 3 && logs() == before, "a log was changed");
    assert!(!copy.path().join("2025-03-01").exists(), "a folder was made");
    fs::remove_file(copy.path().join(name)).unwrap();
    holds_up_to(&open(copy.path(), "2025-03-01"), 30);
}

#[test]
fn only_folders_of_such_a_name_are_the_logs_and_without_a_store_none_is_taken() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), DATES[0]);
    put_up_to(&store, 3);
    for name in ["yesterday", "", "2025-01-1x", "../2025-01-15"] {
        assert_eq!(store.roll_to(name).unwrap_err().kind(), ErrorKind::Config, "{name}");
    }
    put_up_to(&store, 4);
    assert_eq!(open_with(dir.path(), None, quiet()).unwrap_err().kind(), ErrorKind::Config);
    let copy = crashed(dir.path());
    fs::create_dir(copy.path().join("notes")).unwrap();
    fs::write(copy.path().join("notes/wal_000001.jsonl"), "{\"my\":\"notes\"}\n").unwrap();
    holds_up_to(&open(copy.path(), DATES[1]), 4);
    assert_eq!(fs::read(copy.path().join("notes/wal_000001.jsonl")).unwrap(), b"{\"my\":\"notes\"}\n");

    let lost = crashed(dir.path());
    fs::remove_file(lost.path().join("store.json")).unwrap();
    fs::remove_file(lost.path().join("data.duckdb")).unwrap();
    let error = open_with(lost.path(), Some(DATES[1]), quiet()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("2025-01-15/wal_000001.jsonl"), "{error}");
}

#[test]
fn the_second_opener_is_told_the_date_of_the_first_and_the_marker_follows_it() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), DATES[0]);
    for date in [DATES[0], DATES[1], DATES[1]] {
        store.roll_to(date).unwrap();
        assert_eq!(markers(dir.path()), [format!(".lock_{date}")]);
        let told = fs::read_to_string(dir.path().join(format!(".lock_{date}"))).unwrap();
        let pid = format!("pid {} on ", std::process::id());
        assert!(told.starts_with(&pid) && told.ends_with(&format!("daily store\nfor date {date}\n")), "{told}");
        let error = open_with(dir.path(), Some(DATES[2]), quiet()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        let told = error.to_string();
        assert!(told.starts_with(&format!("another instance is already running for date {date}: ")), "{told}");
        assert!(told.contains(&pid) && told.contains("daily store"), "{told}");
        assert_eq!(markers(dir.path()), [format!(".lock_{date}")], "the second opener left it alone");
    }
    let copy = crashed(dir.path());
    store.close().unwrap();
    assert_eq!(markers(dir.path()), Vec::<String>::new());
    assert_eq!(markers(copy.path()), [format!(".lock_{}", DATES[1])], "stale");
    let again = open(copy.path(), DATES[2]);
    assert_eq!(markers(copy.path()), [format!(".lock_{}", DATES[2])]);
    drop(again);
    assert_eq!(markers(copy.path()), Vec::<String>::new());
}

#[test]
fn a_backup_is_restored_for_another_date_and_not_beside_anothers_log() {
    let (dir, base) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(dir.path(), DATES[0]);
    put_up_to(&store, 20);
    let backup = base.path().join("backup");
    store.backup(&backup).unwrap();
    put_up_to(&store, 30);
    let to = base.path().join("restored");
    fs::create_dir_all(to.join(DATES[0])).unwrap();
    let segment = to.join(DATES[0]).join("wal_000001.jsonl");
    fs::write(&segment, "").unwrap();
    let location = location(&to, Some(DATES[1]));
    let error = Store::restore(&backup, &location, &quiet()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(segment.to_str().unwrap()), "{error}");
    fs::remove_file(&segment).unwrap();
    fs::write(to.join(".lock_2025-01-15"), "pid 1 on elsewhere").unwrap();
    Store::restore(&backup, &location, &quiet()).unwrap();
    let restored = Engine::open(&location, quiet()).unwrap();
    holds_up_to(&restored, 20);
    put_up_to(&restored, 25);
    assert_eq!(markers(&to), [format!(".lock_{}", DATES[1])]);
}
