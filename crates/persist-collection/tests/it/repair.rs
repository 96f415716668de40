//! A history that is damaged or missing: the steps that the error prints, the same in one call, and a store as it stood
//! at an earlier moment.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use persist_collection::{
    CollectionConfig, CollectionStore, DatabaseFile, Error, ErrorKind, RecoveryPolicy, Timestamp,
};
use persist_core::clock::ManualClock;
use persist_test_utils::{FlakyDisk, Rng, copy_as_crash_leaves_it};
use serde_json::{Value, json};

use crate::{files, quiet, rows};

pub(crate) const DATES: [&str; 3] = ["2025-12-22", "2025-12-23", "2025-12-24"];
pub(crate) const HISTORY: &str = "storage_history.duckdb";
pub(crate) const LATEST: &str = "storage_latest.duckdb";
pub(crate) const NOON: i64 = 1_766_577_600_000_000;

/// So many writes of every kind, a second apart, to items that were there before and new ones.
pub(crate) fn write(store: &CollectionStore, clock: &ManualClock, seed: u64, writes: u64) {
    let mut rng = Rng::new(seed);
    for n in 0..writes {
        clock.advance(Duration::from_secs(1));
        let (key, item) = (format!("k{}", rng.below(5)), format!("i{}", rng.below(4)));
        match rng.below(10) {
            0 => drop(store.remove_item(&key, "c", &item).unwrap()),
            1 => {
                let mut batch = store.batch();
                for part in 0..4 {
                    batch.put(&key).collection("form").item(&format!("f{part}")).value(n).data(&json!({})).unwrap();
                }
                batch.commit().unwrap();
            }
            _ => drop(store.put(&key).collection("c").item(&item).value(n).data(&json!({"n": n})).unwrap()),
        }
    }
}

pub(crate) fn at(dir: &Path, clock: &Arc<ManualClock>) -> CollectionConfig {
    let clock: Arc<ManualClock> = Arc::clone(clock);
    quiet(dir).clock(clock)
}

/// Everything that the store has: all writes, and the newest of each item.
pub(crate) fn told(store: &CollectionStore) -> [Vec<Vec<Value>>; 2] {
    let history = rows(store, "SELECT * EXCLUDE (persist_op) FROM storage_history ORDER BY persist_seq");
    [history, rows(store, "SELECT * FROM storage_latest ORDER BY ALL")]
}

pub(crate) fn assert_sound(store: &CollectionStore) {
    for file in [DatabaseFile::Main, DatabaseFile::Latest] {
        assert_eq!(store.check_database_health(file).unwrap(), [""; 0]);
    }
}

/// A crashed store: a backup of the first date, kept logs of the second and third, and a log that was not flushed. With
/// what it had.
pub(crate) struct Crashed {
    base: tempfile::TempDir,
    pub(crate) dir: PathBuf,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) had: [Vec<Vec<Value>>; 2],
}

pub(crate) fn crashed() -> Crashed {
    let base = tempfile::tempdir().unwrap();
    let (dir, copy) = (base.path().join("store"), base.path().join("crashed"));
    let clock = Arc::new(ManualClock::new(NOON));
    let store = CollectionStore::open(DATES[0], at(&dir, &clock)).unwrap();
    write(&store, &clock, 1, 40);
    store.close().unwrap();
    let store = CollectionStore::open(DATES[1], at(&dir, &clock)).unwrap();
    for (date, seed) in [(DATES[1], 2), (DATES[2], 3)] {
        store.roll_to(date).unwrap();
        write(&store, &clock, seed, 30);
        store.refresh_latest().unwrap();
        write(&store, &clock, seed + 10, 20);
        store.refresh_latest().unwrap();
    }
    write(&store, &clock, 4, 10);
    store.sync().unwrap();
    copy_as_crash_leaves_it(&dir, &copy);
    let had = told(&store);
    drop(store);
    Crashed { base, dir: copy, clock, had }
}

impl Crashed {
    pub(crate) fn open(&self) -> Result<CollectionStore, Error> {
        CollectionStore::open(DATES[2], at(&self.dir, &self.clock))
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.dir.join(name)).unwrap();
    }

    pub(crate) fn kept(&self, date: &str) -> Vec<PathBuf> {
        let dir = self.dir.join(date);
        files(&dir).iter().filter(|name| name.ends_with(".gz")).map(|name| dir.join(name)).collect()
    }

    /// The store is in service, whole, and goes on.
    fn assert_whole(&self, store: CollectionStore) {
        assert_eq!(told(&store), self.had);
        assert_sound(&store);
        let version = store.history("k1", "c", "i1").unwrap().len() as u32;
        assert_eq!(store.put("k1").collection("c").item("i1").data(&json!({})).unwrap().version(), version + 1);
        store.close().unwrap();
        let store = self.open().unwrap();
        assert_eq!(told(&store)[0].len(), self.had[0].len() + 1);
    }
}

#[test]
fn the_steps_that_the_error_prints_work_in_any_order_of_the_dates() {
    for order in [[0, 1, 2], [2, 0, 1]] {
        let crashed = crashed();
        assert!(!crashed.kept(DATES[1]).is_empty() && !crashed.kept(DATES[2]).is_empty());
        let path = crashed.dir.join(HISTORY);
        fs::write(&path, b"no database any more").unwrap();
        let refused = crashed.open().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt);
        let steps = ["1. Delete", "2. Call rebuild_history_from_wal", "3. Call rebuild_latest_from_history"];
        for said in steps.iter().chain(&DATES).chain(&[HISTORY]) {
            assert!(refused.to_string().contains(said), "{said}: {refused}");
        }
        crashed.remove(HISTORY);

        let store = crashed.open().unwrap();
        let errors = [
            store.get_item("k1", "c", "i1").map(drop),
            store.put("k1").data(&json!({})).map(drop),
            store.batch().commit().map(drop),
            store.query("SELECT 1").map(drop),
            store.flush(),
            store.backup(crashed.base.path().join("backup")).map(drop),
            store.check_database_health(DatabaseFile::Latest).map(drop),
        ];
        for error in errors {
            let error = error.unwrap_err();
            assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("3. Call"), "{error}");
        }
        assert_eq!(store.date().to_string(), DATES[2]);
        assert_eq!(store.rebuild_history_from_wal("2025-12-01").unwrap_err().kind(), ErrorKind::Config);
        let counts = order.map(|date| store.rebuild_history_from_wal(DATES[date]).unwrap());
        assert_eq!(counts[order.iter().position(|date| *date == 0).unwrap()], 0, "the backup has them");
        let of_backup = rows_of_backup(&crashed.dir.join(DATES[0]));
        assert_eq!(counts.iter().sum::<u64>() + of_backup, crashed.had[0].len() as u64);
        assert_eq!(store.rebuild_history_from_wal(DATES[1]).unwrap(), 0, "twice");
        assert_eq!(store.rebuild_latest_from_history().unwrap(), crashed.had[1].len() as u64);
        assert_eq!(store.rebuild_history_from_wal(DATES[1]).unwrap(), 0, "in service");
        crashed.assert_whole(store);
    }
}

fn bring_in(store: &CollectionStore, date: &str) {
    store.rebuild_history_from_wal(date).unwrap();
}

fn rows_of_backup(dir: &Path) -> u64 {
    CollectionStore::verify_backup(dir, &quiet(dir)).unwrap().seq
}

#[test]
fn a_date_that_is_left_out_and_records_that_are_nowhere_are_named_and_nothing_is_put_in_place() {
    let crashed = crashed();
    crashed.remove(HISTORY);
    let store = crashed.open().unwrap();
    store.rebuild_history_from_wal(DATES[2]).unwrap();
    let refused = store.rebuild_latest_from_history().unwrap_err();
    assert!(refused.kind() == ErrorKind::Corrupt && refused.to_string().contains(DATES[1]), "{refused}");
    assert!(!refused.to_string().contains(DATES[0]), "{refused}");
    store.rebuild_history_from_wal(DATES[1]).unwrap();
    store.close().unwrap();
    assert!(!crashed.dir.join(HISTORY).exists(), "closed halfway");

    let gone = crashed.kept(DATES[1]).remove(0);
    fs::remove_file(&gone).unwrap();
    let store = crashed.open().unwrap();
    DATES.iter().for_each(|date| bring_in(&store, date));
    let first = rows_of_backup(&crashed.dir.join(DATES[0])) + 1;
    let refused = store.rebuild_latest_from_history().unwrap_err();
    assert!(refused.kind() == ErrorKind::Corrupt && refused.to_string().contains(&format!("{first} to ")), "{refused}");
    drop(store);

    let config = at(&crashed.dir, &crashed.clock).recovery(RecoveryPolicy::Salvage);
    let report = CollectionStore::repair(config).unwrap();
    let [(from, to)] = report.lost[..] else { panic!("{report:?}") };
    assert_eq!(from, first);
    let store = crashed.open().unwrap();
    let wanted: Vec<_> = crashed.had[0].iter().filter(|row| !(from..=to).contains(&seq(row))).cloned().collect();
    assert_eq!(told(&store)[0], wanted);
}

/// The `seq` of a row of the history, which is its last column.
pub(crate) fn seq(row: &[Value]) -> u64 {
    row.last().unwrap().as_u64().unwrap()
}

#[test]
fn without_any_backup_the_log_is_enough_and_without_the_log_of_what_was_flushed_nothing_is_served() {
    let base = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOON));
    let (dir, copy) = (base.path().join("store"), base.path().join("crashed"));
    let store = CollectionStore::open(DATES[0], at(&dir, &clock)).unwrap();
    write(&store, &clock, 1, 30);
    store.refresh_latest().unwrap();
    write(&store, &clock, 2, 30);
    store.flush().unwrap();
    copy_as_crash_leaves_it(&dir, &copy);
    let had = told(&store);
    drop(store);
    fs::remove_file(copy.join(HISTORY)).unwrap();
    fs::remove_file(copy.join(LATEST)).unwrap();
    let store = CollectionStore::open(DATES[0], at(&copy, &clock)).unwrap();
    assert_eq!(store.rebuild_history_from_wal(DATES[0]).unwrap(), had[0].len() as u64);
    store.rebuild_latest_from_history().unwrap();
    assert_eq!(told(&store), had);
    drop(store);

    fs::remove_dir_all(copy.join(DATES[0])).unwrap();
    fs::remove_file(copy.join(HISTORY)).unwrap();
    let store = CollectionStore::open(DATES[0], at(&copy, &clock)).unwrap();
    let refused = store.rebuild_latest_from_history().unwrap_err();
    assert!(refused.to_string().contains(&format!("1 to {}", had[0].len())), "{refused}");
}

#[test]
fn a_damaged_backup_is_passed_over_for_an_older_one_and_the_log_after_that() {
    let crashed = crashed();
    let store = crashed.open().unwrap();
    store.close().unwrap();
    let newest = crashed.dir.join(DATES[2]).join("storage_history.duckdb.backup");
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();
    crashed.remove(HISTORY);
    crashed.remove(LATEST);
    let report = CollectionStore::repair(at(&crashed.dir, &crashed.clock)).unwrap();
    assert_eq!(report.backup.unwrap().dir, crashed.dir.join(DATES[0]));
    assert!(report.from_log > 0 && report.lost.is_empty() && report.kept_as.is_empty());
    crashed.assert_whole(crashed.open().unwrap());
}

#[test]
fn a_backup_that_was_being_put_in_place_is_taken() {
    let crashed = crashed();
    crashed.open().unwrap().close().unwrap();
    let newest = crashed.dir.join(DATES[2]);
    for name in ["storage_latest.duckdb.backup", "manifest.json"] {
        fs::rename(newest.join(name), newest.join(format!("{name}.new"))).unwrap();
    }
    // What the older one is a backup of, and its log, are not enough.
    crashed.kept(DATES[1]).iter().for_each(|segment| fs::remove_file(segment).unwrap());
    crashed.remove(HISTORY);
    let report = CollectionStore::repair(at(&crashed.dir, &crashed.clock)).unwrap();
    assert_eq!(report.backup.unwrap().dir, newest);
    crashed.assert_whole(crashed.open().unwrap());
}

#[test]
fn repair_finds_the_damaged_file_wherever_it_is_hit_and_leaves_a_sound_store_alone() {
    let crashed = crashed();
    let unclosed = crashed.base.path().join("unclosed");
    copy_as_crash_leaves_it(&crashed.dir, &unclosed);
    crashed.open().unwrap().close().unwrap();
    let config = || at(&crashed.dir, &crashed.clock);
    let before = files(&crashed.dir);
    let report = CollectionStore::repair(config()).unwrap();
    assert!(report.history.is_empty() && report.latest.is_empty() && report.kept_as.is_empty());
    assert_eq!(report.rows, crashed.had[1].len() as u64);
    assert_eq!(files(&crashed.dir), before);

    let mut rng = Rng::new(7);
    let (mut histories, mut latest) = (0, 0);
    for round in 0..8 {
        let copy = crashed.base.path().join(format!("round{round}"));
        // After a crash both files are read whole in any case.
        let always = round < 4; // by default
        copy_as_crash_leaves_it(if always { &crashed.dir } else { &unclosed }, &copy);
        let hit = [HISTORY, LATEST][round % 2];
        let mut bytes = fs::read(copy.join(hit)).unwrap();
        let at_byte = rng.below(bytes.len() as u64) as usize;
        bytes[at_byte] ^= 1 << rng.below(8);
        fs::write(copy.join(hit), bytes).unwrap();
        let config = at(&copy, &crashed.clock);
        let config = if always { config } else { config.check_at_open(false) };
        let checked = CollectionStore::open(DATES[2], config).map(drop);
        let report = CollectionStore::repair(at(&copy, &crashed.clock)).unwrap();
        match checked {
            Ok(()) => assert!(report.kept_as.is_empty(), "{at_byte}: {report:?}"),
            Err(error) => {
                let text = error.to_string();
                assert!(error.kind() == ErrorKind::Corrupt && text.contains(hit) && text.contains("3. Call"), "{text}");
                assert_eq!(report.kept_as.len(), 1);
            }
        }
        histories += usize::from(!report.history.is_empty());
        latest += usize::from(!report.latest.is_empty());
        assert!(report.history.is_empty() || hit == HISTORY, "{at_byte}: {report:?}");
        assert!(report.latest.is_empty() || hit == LATEST, "{at_byte}: {report:?}");
        for kept in &report.kept_as {
            assert_eq!(kept, &copy.join(format!("{hit}.broken")));
        }
        let store = CollectionStore::open(DATES[2], at(&copy, &crashed.clock)).unwrap();
        assert_eq!(told(&store), crashed.had, "{hit} at {at_byte}");
        assert_sound(&store);
    }
    // A hit on what no row and no pointer uses changes nothing.
    assert!(histories > 0 && latest > 0, "{histories} {latest}");
}

#[test]
fn a_rebuild_that_stops_at_any_file_operation_begins_anew_and_ends_the_same() {
    let crashed = crashed();
    crashed.remove(HISTORY);
    let run = |dir: &Path, stop_at: usize| {
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let seen = Arc::clone(&count);
        let disk = FlakyDisk::new(move |_, _| {
            let n = seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
            if n < stop_at { Ok(()) } else { Err(io::Error::other("stopped")) }
        });
        let config = at(dir, &crashed.clock).fs(Arc::new(disk));
        let done = CollectionStore::open(DATES[2], config).and_then(|store| {
            DATES.iter().try_for_each(|date| store.rebuild_history_from_wal(*date).map(drop))?;
            let done = store.rebuild_latest_from_history();
            // What comes after is a store's own business.
            std::mem::forget(store);
            done
        });
        (done.is_ok(), count.load(std::sync::atomic::Ordering::SeqCst))
    };
    let copy = |name: String| {
        let copy = crashed.base.path().join(name);
        copy_as_crash_leaves_it(&crashed.dir, &copy);
        copy
    };
    let (is_done, operations) = run(&copy("whole".to_owned()), usize::MAX);
    assert!(is_done && operations > 10);
    for stop_at in (1..=operations).step_by(operations.div_ceil(10)) {
        let (dir, after) = (copy(format!("at{stop_at}")), crashed.base.path().join(format!("after{stop_at}")));
        run(&dir, stop_at);
        copy_as_crash_leaves_it(&dir, &after);
        let store = CollectionStore::open(DATES[2], at(&after, &crashed.clock)).unwrap();
        DATES.iter().for_each(|date| bring_in(&store, date));
        store.rebuild_latest_from_history().unwrap();
        assert_eq!(told(&store), crashed.had, "{stop_at}");
        assert_sound(&store);
    }
}

#[test]
fn a_store_is_restored_as_it_stood_at_any_moment_since_the_oldest_backup_while_it_is_in_use() {
    let base = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOON));
    let dir = base.path().join("store");
    let store = CollectionStore::open(DATES[0], at(&dir, &clock)).unwrap();
    write(&store, &clock, 1, 20);
    let before_backup = clock_time(&clock);
    clock.advance(Duration::from_secs(5));
    write(&store, &clock, 2, 20);
    store.close().unwrap();
    let store = CollectionStore::open(DATES[1], at(&dir, &clock)).unwrap();
    let mut moments = vec![clock_time(&clock)];
    for (date, seed) in [(DATES[1], 2), (DATES[2], 3)] {
        store.roll_to(date).unwrap();
        for part in 0..2 {
            write(&store, &clock, seed * 10 + part, 15);
            moments.push(clock_time(&clock));
            if part == 0 {
                store.refresh_latest().unwrap();
            }
        }
    }
    moments.push(Timestamp::parse("2030-01-01").unwrap());
    for (n, moment) in moments.into_iter().enumerate() {
        let to = base.path().join(format!("restored{n}"));
        let restored = CollectionStore::restore_to(&dir, moment, DATES[2], at(&to, &clock)).unwrap();
        assert_eq!(restored.backup.as_ref().unwrap().dir, dir.join(DATES[0]));
        let copy = CollectionStore::open(DATES[2], at(&to, &clock)).unwrap();
        let [history, _] = told(&store);
        let wanted: Vec<_> = history.into_iter().filter(|row| seq(row) <= restored.seq).collect();
        assert_eq!(told(&copy)[0], wanted);
        assert_eq!(restored.from_log, restored.seq - restored.backup.unwrap().seq);
        let items = |records: Vec<Arc<persist_collection::Record>>| {
            records
                .iter()
                .map(|r| (r.key().to_owned(), r.part().clone(), r.json().to_owned(), r.version()))
                .collect::<Vec<_>>()
        };
        let then = items(store.as_of_written(moment).unwrap());
        assert_eq!(items(copy.as_of_written("2031-01-01").unwrap()), then, "{moment}");
        assert_eq!(rows(&copy, "FROM storage_latest").len(), then.len());
        assert_sound(&copy);
        copy.put("k1").data(&json!({})).unwrap();
        copy.close().unwrap();
    }
    // Nothing is said of the records before the first backup when no log is left.
    let unlogged = base.path().join("unlogged");
    CollectionStore::open(DATES[0], at(&unlogged, &clock)).unwrap().put("k").data(&json!({})).unwrap();
    let no_record = clock_time(&clock);
    clock.advance(Duration::from_secs(1));
    CollectionStore::open(DATES[0], at(&unlogged, &clock)).unwrap().put("k").data(&json!({})).unwrap();
    fs::remove_file(unlogged.join("status.json")).unwrap();
    let to = base.path().join("too_old");
    let refused = CollectionStore::restore_to(&unlogged, no_record, DATES[2], at(&to, &clock)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Gone, "{refused}");
    let refused = CollectionStore::restore_to(&dir, before_backup, DATES[2], at(&to, &clock)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Gone, "{refused}");
    let gone = files(&dir.join(DATES[1])).into_iter().find(|name| name.ends_with(".gz")).unwrap();
    fs::remove_file(dir.join(DATES[1]).join(gone)).unwrap();
    let refused = CollectionStore::restore_to(&dir, "2030-01-01", DATES[2], at(&to, &clock)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert!(CollectionStore::restore_to(base.path().join("none"), "2030-01-01", DATES[2], at(&to, &clock)).is_err());
}

#[test]
fn of_a_batch_that_a_crash_cut_off_nothing_is_restored() {
    let crashed = crashed();
    let dir = crashed.dir.join(DATES[2]);
    let segment = files(&dir).into_iter().rfind(|name| name.ends_with(".jsonl")).unwrap();
    let text = fs::read_to_string(dir.join(&segment)).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let cut = lines.iter().rposition(|line| line.contains(r#""batch":"3/4""#)).unwrap();
    fs::write(dir.join(&segment), lines[..=cut].join("\n") + "\n").unwrap();
    let left = crashed.had[0].len() - (lines.len() - cut - 1) - 3;
    fs::remove_file(crashed.dir.join("status.json")).unwrap();
    let to = crashed.base.path().join("restored");
    let restored = CollectionStore::restore_to(&crashed.dir, "2030-01-01", DATES[2], at(&to, &crashed.clock)).unwrap();
    assert_eq!(restored.seq, left as u64);
    let copy = CollectionStore::open(DATES[2], at(&to, &crashed.clock)).unwrap();
    assert_eq!(told(&copy)[0], crashed.had[0][..left]);
}

fn clock_time(clock: &ManualClock) -> Timestamp {
    use persist_core::clock::Clock;
    Timestamp::from_unix_micros(clock.unix_micros())
}

/// Opening reads no rows. So a history with a damaged block opened, and `close` backed it up as it was; that backup, being
/// the newest, was what a repair began with, and all was called sound.
#[test]
fn a_damaged_history_is_not_backed_up_and_is_repaired_of_the_backup_before() {
    let base = tempfile::tempdir().unwrap();
    let (dir, config) = (base.path(), || quiet(base.path()));
    let store = CollectionStore::open(DATES[0], config()).unwrap();
    let mut rng = Rng::new(1);
    for part in 0..20 {
        let mut batch = store.batch();
        for n in 0..1000 {
            // Several blocks of what can't be made smaller.
            let text = (0..8).map(|_| format!("{:08x}", rng.below(1 << 32))).collect::<String>();
            let item = format!("i{}", part * 1000 + n);
            batch.put("k").collection("c").item(&item).data(&json!({"text": text})).unwrap();
        }
        batch.commit().unwrap();
    }
    store.close().unwrap();
    // A block that has rows, and nothing that is read at every opening.
    let length = fs::metadata(dir.join(HISTORY)).unwrap().len();
    let damage = |dir: &Path, block: u64| {
        let file = fs::OpenOptions::new().write(true).open(dir.join(HISTORY)).unwrap();
        file.write_all_at(&[0x55; 4096], 3 * 4096 + block * (256 << 10) + 8192).unwrap();
    };
    let is_unnoticed = |block: &u64| {
        let copy = tempfile::tempdir().unwrap();
        copy_as_crash_leaves_it(dir, copy.path());
        damage(copy.path(), *block);
        let opened = CollectionStore::open(DATES[1], quiet(copy.path()).backups(false).check_at_open(false));
        opened.is_ok_and(|store| !store.check_database_health(DatabaseFile::Main).unwrap().is_empty())
    };
    damage(dir, (0..length / (256 << 10)).find(is_unnoticed).unwrap());

    assert_eq!(CollectionStore::open(DATES[1], config()).unwrap_err().kind(), ErrorKind::Corrupt);
    let store = CollectionStore::open(DATES[1], config().check_at_open(false)).unwrap();
    assert_eq!(store.close().unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!dir.join(DATES[1]).join("manifest.json").exists());
    let report = CollectionStore::repair(config()).unwrap();
    assert!(!report.history.is_empty() && report.lost.is_empty(), "{report:?}");
    assert_eq!(report.backup.unwrap().dir, dir.join(DATES[0]));
    let store = CollectionStore::open(DATES[1], config()).unwrap();
    assert_sound(&store);
    assert_eq!(store.query("FROM storage_history").unwrap().len(), 20_000);
}
