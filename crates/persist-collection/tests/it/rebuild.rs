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
