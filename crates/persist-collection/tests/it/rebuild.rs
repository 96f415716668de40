//! Rebuilding and restoring where less is there than there was, where a step fails, and beside others at work.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use persist_collection::{CollectionStore, ErrorKind, RecoveryPolicy, Timestamp};
use persist_core::clock::{Clock, ManualClock};
use persist_test_utils::copy_as_crash_leaves_it;
use serde_json::json;

use crate::repair::{DATES, HISTORY, LATEST, NOON, assert_sound, at, crashed, seq, told, write};
use crate::{files, quiet};

/// Turns a byte of the line of the log with this `seq`.
fn damage_line(folder: &Path, seq: u64) {
    let mark = format!(",\"seq\":{seq},\"crc\"");
    for name in files(folder).iter().filter(|name| name.ends_with(".jsonl")) {
        let path = folder.join(name);
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(mark.len()).position(|found| found == mark.as_bytes()) {
            bytes[at - 5] ^= 1;
            return fs::write(path, bytes).unwrap();
        }
    }
    panic!("no line of {seq}");
}

fn bring_in_all(store: &CollectionStore) {
    for date in DATES {
        store.rebuild_history_from_wal(date).unwrap();
    }
}

#[test]
fn a_store_that_can_not_be_brought_into_service_refuses_every_call_after_that() {
    let crashed = crashed();
    crashed.remove(HISTORY);
    let last = crashed.had[0].len() as u64;
    damage_line(&crashed.dir.join(DATES[2]), last - 2);
    let store = crashed.open().unwrap();
    bring_in_all(&store);
    assert_eq!(store.rebuild_latest_from_history().unwrap_err().kind(), ErrorKind::Corrupt);
    let (done, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let again = store.rebuild_latest_from_history().map_err(|error| error.kind());
        done.send((again, store.get_key("k1").map_err(|error| error.kind()).map(drop))).unwrap();
    });
    let closed = Err(ErrorKind::Closed);
    assert_eq!(answer.recv_timeout(Duration::from_secs(20)), Ok((closed.map(|()| 0), closed)));
}

#[test]
fn threads_that_rebuild_and_read_at_once_find_the_store_in_service_or_refused() {
    let crashed = crashed();
    crashed.remove(HISTORY);
    let store = Arc::new(crashed.open().unwrap());
    bring_in_all(&store);
    let (done, answers) = mpsc::channel();
    for _ in 0..3 {
        read_until_in_service(&store);
        let (store, done) = (Arc::clone(&store), done.clone());
        std::thread::spawn(move || {
            let kind = |error: persist_collection::Error| error.kind();
            done.send(store.rebuild_latest_from_history().map_err(kind)).unwrap();
        });
    }
    for _ in 0..3 {
        let answer = answers.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(answer, Ok(crashed.had[1].len() as u64));
    }
    assert_eq!(told(&store), crashed.had);
}

/// Reads until the store is in service.
fn read_until_in_service(store: &Arc<CollectionStore>) {
    let store = Arc::clone(store);
    std::thread::spawn(move || {
        while let Err(error) = store.get_key("k1") {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
    });
}

/// A crashed store of which everything is flushed and kept, without a backup; and how many records it had.
fn all_kept(base: &Path, clock: &Arc<ManualClock>) -> (std::path::PathBuf, u64) {
    let (dir, copy) = (base.join("store"), base.join("crashed"));
    let store = CollectionStore::open(DATES[0], at(&dir, clock)).unwrap();
    for seed in 1..3 {
        write(&store, clock, seed, 30);
        store.refresh_latest().unwrap();
    }
    copy_as_crash_leaves_it(&dir, &copy);
    let count = told(&store)[0].len() as u64;
    (copy, count)
}

fn halve_last_kept(folder: &Path) {
    let kept: Vec<_> = files(folder).into_iter().filter(|name| name.ends_with(".gz")).collect();
    assert!(kept.len() > 1);
    let path = folder.join(kept.last().unwrap());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn damage_at_the_end_of_the_kept_log_is_missed_even_without_a_status() {
    let (base, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(NOON)));
    let (dir, count) = all_kept(base.path(), &clock);
    halve_last_kept(&dir.join(DATES[0]));
    fs::remove_file(dir.join("status.json")).unwrap();
    let to = base.path().join("restored");
    let refused = CollectionStore::restore_to(&dir, "2030-01-01", DATES[0], at(&to, &clock)).unwrap_err();
    assert!(refused.to_string().contains(&format!(" to {count}")), "{refused}");
    fs::remove_file(dir.join(HISTORY)).unwrap();
    let store = CollectionStore::open(DATES[0], at(&dir, &clock)).unwrap();
    store.rebuild_history_from_wal(DATES[0]).unwrap();
    let refused = store.rebuild_latest_from_history().unwrap_err();
    assert!(refused.kind() == ErrorKind::Corrupt && refused.to_string().contains(&format!(" to {count}")), "{refused}");
}

#[test]
fn a_history_rebuilt_without_its_end_gives_no_seq_a_second_time() {
    let (base, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(NOON)));
    let (dir, count) = all_kept(base.path(), &clock);
    halve_last_kept(&dir.join(DATES[0]));
    fs::remove_file(dir.join(HISTORY)).unwrap();
    let config = || at(&dir, &clock).recovery(RecoveryPolicy::Salvage);
    let report = CollectionStore::repair(config()).unwrap();
    assert_eq!(report.lost.last().unwrap().1, count);
    let store = CollectionStore::open(DATES[0], config()).unwrap();
    assert_eq!(store.put("k").data(&json!({})).unwrap().seq(), Some(count + 1));
}

#[test]
fn what_the_log_has_after_lost_records_is_there() {
    let crashed = crashed();
    halve_last_kept(&crashed.dir.join(DATES[2]));
    crashed.remove(HISTORY);
    let config = at(&crashed.dir, &crashed.clock).recovery(RecoveryPolicy::Salvage);
    let lost = CollectionStore::repair(config).unwrap().lost;
    let is_lost = |seq| lost.iter().any(|(from, to)| (*from..=*to).contains(&seq));
    let wanted: Vec<_> = crashed.had[0].iter().filter(|row| !is_lost(seq(row))).cloned().collect();
    assert!(wanted.len() < crashed.had[0].len() && !is_lost(crashed.had[0].len() as u64));
    assert_eq!(told(&crashed.open().unwrap())[0], wanted);
}

#[test]
fn a_store_that_is_written_and_flushed_all_the_time_is_restored() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let store = CollectionStore::open(DATES[0], quiet(&dir)).unwrap();
    store.put("k").data(&json!({})).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                store.put("k").data(&json!({})).unwrap();
                store.flush().unwrap();
            }
        });
        let restored: Vec<_> = (0..4)
            .map(|n| {
                let to = base.path().join(format!("restored{n}"));
                CollectionStore::restore_to(&dir, "2030-01-01", DATES[0], quiet(&to)).map(|restored| restored.seq)
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        assert!(restored.iter().all(Result::is_ok), "{restored:?}");
    });
}

/// A clock that goes on by a second with each look.
#[derive(Debug)]
struct Hasty(AtomicI64);

impl Clock for Hasty {
    fn unix_micros(&self) -> i64 {
        self.0.fetch_add(1_000_000, Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn a_moment_within_a_batch_restores_what_was_before_it() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let clock = Arc::new(Hasty(AtomicI64::new(NOON)));
    let shared: Arc<Hasty> = Arc::clone(&clock);
    let store = CollectionStore::open(DATES[0], quiet(&dir).clock(shared).roll_at_midnight(false)).unwrap();
    let before = store.put("k").data(&json!({})).unwrap().seq().unwrap();
    let mut batch = store.batch();
    for part in 0..4 {
        batch.put("k").item(&format!("f{part}")).data(&json!({})).unwrap();
    }
    batch.commit().unwrap();
    store.sync().unwrap();
    let ats: Vec<Timestamp> = store.history("k", "", "f1").unwrap().iter().map(|record| record.written_at()).collect();
    let to = base.path().join("restored");
    let restored = CollectionStore::restore_to(&dir, ats[0], DATES[0], quiet(&to)).unwrap();
    assert!(restored.seq == before || restored.seq == before + 4, "{restored:?}");
}

#[test]
fn a_batch_with_a_damaged_line_is_left_out_whole() {
    let base = tempfile::tempdir().unwrap();
    let (dir, copy) = (base.path().join("store"), base.path().join("crashed"));
    let store = CollectionStore::open(DATES[0], quiet(&dir)).unwrap();
    let mut batch = store.batch();
    for part in 0..4 {
        batch.put("k").item(&format!("f{part}")).data(&json!({})).unwrap();
    }
    batch.commit().unwrap();
    store.put("k").item("after").data(&json!({})).unwrap();
    store.sync().unwrap();
    copy_as_crash_leaves_it(&dir, &copy);
    damage_line(&copy.join(DATES[0]), 2);
    let to = base.path().join("restored");
    let config = || quiet(&to).recovery(RecoveryPolicy::Salvage);
    CollectionStore::restore_to(&copy, "2030-01-01", DATES[0], config()).unwrap();
    let restored = CollectionStore::open(DATES[0], config()).unwrap();
    let items: Vec<String> = restored.get_key_in("k", "").unwrap().into_keys().collect();
    assert_eq!(items, ["after"]);
}

#[test]
fn a_history_older_than_the_kept_log_is_not_gone_on_with() {
    let (base, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(NOON)));
    let (dir, copy) = (base.path().join("store"), base.path().join("crashed"));
    let store = CollectionStore::open(DATES[0], at(&dir, &clock)).unwrap();
    write(&store, &clock, 1, 30);
    store.close().unwrap();
    let store = CollectionStore::open(DATES[1], at(&dir, &clock)).unwrap();
    write(&store, &clock, 2, 30);
    store.refresh_latest().unwrap();
    copy_as_crash_leaves_it(&dir, &copy);
    for name in [HISTORY, LATEST] {
        fs::copy(copy.join(DATES[0]).join(format!("{name}.backup")), copy.join(name)).unwrap();
    }
    let opened = CollectionStore::open(DATES[1], at(&copy, &clock)).map(|store| told(&store)[0].len());
    assert_eq!(opened.map_err(|error| error.kind()), Err(ErrorKind::Corrupt));
    let report = CollectionStore::repair(at(&copy, &clock)).unwrap();
    assert!(report.from_log > 0, "{report:?}");
    let repaired = CollectionStore::open(DATES[1], at(&copy, &clock)).unwrap();
    assert_eq!(told(&repaired), told(&store));
}

#[test]
fn newest_records_of_a_longer_history_are_gone_for_good_once_it_is_open() {
    let (base, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(NOON)));
    let dir = base.path().join("store");
    let open = || CollectionStore::open(DATES[0], at(&dir, &clock)).unwrap();
    let store = open();
    write(&store, &clock, 1, 20);
    store.close().unwrap();
    let (short, of_that_time) = (fs::read(dir.join(HISTORY)).unwrap(), fs::read(dir.join("store.json")).unwrap());
    let store = open();
    store.put("ghost").data(&json!({})).unwrap();
    write(&store, &clock, 2, 20);
    store.close().unwrap();
    fs::write(dir.join(HISTORY), short).unwrap();
    // No log is left to tell.
    let older = CollectionStore::open(DATES[0], at(&dir, &clock)).map(drop).unwrap_err();
    assert!(older.kind() == ErrorKind::Corrupt && older.to_string().contains("an older file"), "{older}");
    fs::write(dir.join("store.json"), of_that_time).unwrap();

    let store = open();
    let ahead = base.path().join("ahead");
    copy_as_crash_leaves_it(&dir, &ahead);
    write(&store, &clock, 3, 60);
    let had = told(&store);
    store.close().unwrap();
    // A crash after the history's checkpoint and before the other's.
    fs::copy(ahead.join(LATEST), dir.join(LATEST)).unwrap();
    let store = open();
    assert_eq!(told(&store), had);
    assert_sound(&store);
}

#[test]
fn repair_gives_up_no_record_that_can_be_read() {
    let crashed = crashed();
    crashed.remove(HISTORY);
    fs::remove_file(crashed.kept(DATES[1]).remove(0)).unwrap();
    let config = || at(&crashed.dir, &crashed.clock).backups(false).recovery(RecoveryPolicy::Salvage);
    CollectionStore::repair(config()).unwrap();
    let had = told(&CollectionStore::open(DATES[2], config()).unwrap());
    // Of what was lost the versions have gaps, and neither a backup nor the log has the rest.
    fs::remove_file(crashed.dir.join(DATES[0]).join("manifest.json")).unwrap();
    for config in [config(), config().recovery(RecoveryPolicy::Strict)] {
        assert_eq!(CollectionStore::repair(config).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    assert_eq!(told(&CollectionStore::open(DATES[2], config()).unwrap()), had);
}
