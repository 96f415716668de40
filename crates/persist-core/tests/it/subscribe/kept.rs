//! `keep_log`: over closing, opening and crashes, until its time has come; and what a damaged log has left.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use persist_core::clock::ManualClock;
use persist_core::wal::RecoveryPolicy;
use persist_core::{ErrorKind, Since};
use persist_test_utils::copy_as_crash_leaves_it;

use super::{HOUR, all, keeping, log_files, open, put_many, quiet, seqs};

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn kept_files(dir: &Path) -> usize {
    log_files(dir).iter().filter(|name| name.ends_with(".gz")).count()
}

#[test]
fn a_kept_log_is_there_after_closing_and_opening_and_crashes() {
    let base = tempfile::tempdir().unwrap();
    let mut dir = base.path().join("0");
    let mut last = 0;
    for round in 1..=4 {
        let store = open(&dir, keeping()).unwrap();
        let mut changes = store.subscribe(Since::After(0)).unwrap();
        assert_eq!(all(&mut changes), seqs(1..=last));
        put_many(&store, 30);
        store.flush().unwrap();
        put_many(&store, 10);
        last += 40;
        assert_eq!(all(&mut changes), seqs(last - 39..=last));
        if round % 2 == 0 {
            store.close().unwrap();
            assert_eq!(log_files(&dir).len(), kept_files(&dir), "recovery would have to read more than it needs");
        } else {
            let crashed = base.path().join(round.to_string());
            copy_as_crash_leaves_it(&dir, &crashed);
            dir = crashed;
        }
    }
    let store = open(&dir, keeping()).unwrap();
    assert_eq!(store.recovery().segments, 0);
    assert_eq!(all(&mut store.subscribe(Since::Oldest).unwrap()), seqs(1..=last));
}

#[test]
fn without_keep_log_nothing_stays_and_what_was_kept_before_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), keeping()).unwrap();
    put_many(&store, 40);
    let mut changes = store.subscribe(Since::After(0)).unwrap();
    store.close().unwrap();
    assert!(kept_files(dir.path()) > 1);
    assert_eq!(all_after_close(&mut changes), seqs(1..=40));
    let store = open(dir.path(), quiet()).unwrap();
    wait_until("kept segments stay", || log_files(dir.path()).is_empty());
    put_many(&store, 40);
    store.close().unwrap();
    assert_eq!(log_files(dir.path()), [""; 0]);
}

fn all_after_close(changes: &mut persist_core::Subscription<super::Plain>) -> Vec<String> {
    changes.map(|event| super::text(&event.unwrap())).collect()
}

#[test]
fn segments_go_when_their_time_has_come_without_any_write_and_a_reader_misses_just_these() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_736_937_000_000_000));
    let mut options = keeping();
    options.clock = clock.clone();
    let store = open(dir.path(), options).unwrap();
    let mut idle = store.subscribe(Since::Now).unwrap();
    put_many(&store, 40);
    store.compact().unwrap();
    clock.advance(HOUR / 2);
    put_many(&store, 30);
    store.compact().unwrap();
    clock.advance(HOUR / 2 - Duration::from_micros(1));
    store.flush().unwrap();
    assert_eq!(all(&mut store.subscribe(Since::After(0)).unwrap()), seqs(1..=70));
    clock.advance(Duration::from_micros(1));
    store.compact().unwrap();
    let error = store.subscribe(Since::After(39)).unwrap_err();
    assert!(error.kind() == ErrorKind::Gone && error.to_string().ends_with("seq 41"), "{error}");
    assert_eq!(all(&mut store.subscribe(Since::After(40)).unwrap()), seqs(41..=70));
    put_many(&store, 1);
    assert_eq!(all(&mut idle), [&["1-40".to_owned()][..], &seqs(41..=71)].concat());
}

#[test]
fn the_keeper_removes_kept_segments_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = keeping();
    options.keep_log = Duration::from_millis(500);
    let store = open(dir.path(), options.clone()).unwrap();
    put_many(&store, 40);
    store.compact().unwrap();
    assert!(kept_files(dir.path()) > 1);
    wait_until("kept segments stay", || kept_files(dir.path()) == 0);
    assert_eq!(store.subscribe(Since::After(39)).unwrap_err().kind(), ErrorKind::Gone);
    put_many(&store, 40);
    store.close().unwrap();
    assert!(kept_files(dir.path()) > 1);
    let store = open(dir.path(), options).unwrap();
    wait_until("kept segments stay after opening", || kept_files(dir.path()) == 0);
    store.close().unwrap();
}

#[test]
fn what_salvage_could_not_save_is_missed_and_a_damaged_kept_segment_lets_the_store_open() {
    let base = tempfile::tempdir().unwrap();
    let (dir, crashed) = (base.path().join("store"), base.path().join("crashed"));
    let store = open(&dir, keeping()).unwrap();
    put_many(&store, 40);
    store.compact().unwrap();
    put_many(&store, 40);
    copy_as_crash_leaves_it(&dir, &crashed);
    let files: Vec<_> = log_files(&crashed).into_iter().map(|name| crashed.join(name)).collect();
    let holds = |path: &Path, seq: u64| lines_of(path).contains(&format!(r#""n":{seq}}}"#));
    let kept = files.iter().find(|path| holds(path, 7)).unwrap();
    let written = files.iter().find(|path| holds(path, 51)).unwrap();
    let in_kept = |seq: &u64| holds(kept, *seq);
    let hit: Vec<u64> = (1..=80).filter(in_kept).collect();
    let mut bytes = std::fs::read(kept).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 0x10;
    std::fs::write(kept, bytes).unwrap();
    let text = std::fs::read_to_string(written).unwrap();
    std::fs::write(written, text.replace(r#""n":51}"#, r#""m":51}"#)).unwrap();
    assert_eq!(open(&crashed, keeping()).unwrap_err().kind(), ErrorKind::Corrupt);
    let mut options = keeping();
    options.recovery = RecoveryPolicy::Salvage;
    let store = open(&crashed, options.clone()).unwrap();
    assert_eq!(store.recovery().lost, [(51, 51)]);
    let found = all(&mut store.subscribe(Since::After(0)).unwrap());
    // Each is there or said to be missed, in order, and nothing is missed but in the damaged segment, and 51.
    let ranges = found.iter().map(|text| match text.split_once('-') {
        Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap(), true),
        None => (seq_of(text), seq_of(text), false),
    });
    let mut missed = Vec::new();
    let last = ranges.fold(0, |before, (from, to, is_missed): (u64, u64, bool)| {
        assert_eq!(from, before + 1, "{found:?}");
        missed.extend((from..=to).filter(|_| is_missed));
        to
    });
    assert_eq!((last, missed.pop()), (80, Some(51)), "{found:?}");
    assert!(!missed.is_empty() && missed.iter().all(|seq| hit.contains(seq)), "{found:?}");
    store.close().unwrap();
    let store = open(&crashed, keeping()).unwrap();
    assert_eq!(all(&mut store.subscribe(Since::After(0)).unwrap()), found);
    assert_eq!(all(&mut store.subscribe(Since::After(50)).unwrap())[0], "51-51");
}

/// The text of a segment, kept or not.
fn lines_of(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        return text;
    }
    String::from_utf8(bytes).unwrap()
}

/// The `seq` in the text of an event.
fn seq_of(text: &str) -> u64 {
    (1..=80).find(|seq| seqs(*seq..=*seq)[0] == text).unwrap()
}
