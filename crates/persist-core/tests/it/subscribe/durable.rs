//! Nothing that is not durable is given, whatever becomes of it; what was durable is given also after a failure.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use persist_core::{Durability, ErrorKind, Since};
use persist_test_utils::FlakyDisk;

use super::{all, open, put_as, put_many, quiet, seqs, text};

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonl")
}

/// Holds every sync of a segment while it stands; also where a test fails and has yet to join its threads.
struct Gate {
    is_shut: Arc<AtomicBool>,
    held: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> (Self, Arc<FlakyDisk>) {
        let (is_shut, held) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (shut, count) = (Arc::clone(&is_shut), Arc::clone(&held));
        let disk = FlakyDisk::new(move |operation, path| {
            if operation == "sync" && is_segment(path) && shut.load(Ordering::SeqCst) {
                count.fetch_add(1, Ordering::SeqCst);
                while shut.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            Ok(())
        });
        (Self { is_shut, held }, Arc::new(disk))
    }

    fn shut(&self) {
        self.is_shut.store(true, Ordering::SeqCst);
    }

    fn wait_until_it_holds_a_sync(&self) {
        while self.held.load(Ordering::SeqCst) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.is_shut.store(false, Ordering::SeqCst);
    }
}

#[test]
fn a_change_is_given_only_when_its_sync_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, disk) = Gate::new();
    let mut options = quiet();
    options.max_wal_size_bytes = 1024 * 1024;
    options.fs = disk;
    let store = open(dir.path(), options).unwrap();
    put_many(&store, 3);
    let mut changes = store.subscribe(Since::After(0)).unwrap();
    assert_eq!(all(&mut changes), seqs(1..=3));
    thread::scope(|scope| {
        gate.shut();
        let gate = gate;
        let writer = scope.spawn(|| put_many(&store, 1));
        gate.wait_until_it_holds_a_sync();
        assert!(store.get("k4", &[]).is_some(), "readers see it");
        assert!(changes.recv_timeout(Duration::from_millis(100)).unwrap().is_none());
        assert_eq!(all(&mut store.subscribe(Since::After(0)).unwrap()), seqs(1..=3));
        assert!(!writer.is_finished());
        drop(gate);
        assert_eq!(text(&changes.recv().unwrap()), "4");
    });
}

#[test]
fn a_close_that_still_syncs_is_no_end_yet() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, disk) = Gate::new();
    let mut options = quiet();
    options.fs = disk;
    let store = open(dir.path(), options).unwrap();
    put_many(&store, 1);
    put_as(&store, "k2", 2, Durability::Os).unwrap();
    let mut changes = store.subscribe(Since::Now).unwrap();
    thread::scope(|scope| {
        gate.shut();
        let gate = gate;
        scope.spawn(move || store.close().unwrap());
        gate.wait_until_it_holds_a_sync();
        assert!(changes.try_recv().unwrap().is_none());
        assert!(changes.recv_timeout(Duration::from_millis(50)).unwrap().is_none());
        drop(gate);
        assert_eq!(text(&changes.recv().unwrap()), "2");
        assert_eq!(changes.recv().unwrap_err().kind(), ErrorKind::Closed);
    });
}

/// The queue has let go of what a checkpoint covers, so only the segment has it, which is in nobody's list for a moment.
#[test]
fn a_segment_is_read_also_while_it_is_being_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, disk) = Gate::new();
    let mut options = quiet();
    options.batch_size = 40;
    options.fs = disk;
    let store = open(dir.path(), options).unwrap();
    put_many(&store, 40);
    while store.stats().checkpointed_seq < 40 {
        thread::sleep(Duration::from_millis(1));
    }
    let lines = store.stats().current_wal_count;
    assert!(lines > 0, "this test wants a segment that takes lines and is covered all the same");
    thread::scope(|scope| {
        gate.shut();
        let gate = gate;
        scope.spawn(|| store.flush().unwrap());
        gate.wait_until_it_holds_a_sync();
        assert_eq!(all(&mut store.subscribe(Since::Oldest).unwrap()), seqs(41 - lines..=40));
    });
}

/// A disk whose syncs of segments fail once that is switched on.
fn broken() -> (Arc<AtomicBool>, Arc<FlakyDisk>) {
    let fails = Arc::new(AtomicBool::new(false));
    let is_broken = Arc::clone(&fails);
    let disk = FlakyDisk::new(move |operation, path| {
        let fails = operation == "sync" && is_segment(path) && is_broken.load(Ordering::SeqCst);
        if fails { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    });
    (fails, Arc::new(disk))
}

#[test]
fn after_a_failed_sync_what_was_durable_is_given_and_then_the_error() {
    let dir = tempfile::tempdir().unwrap();
    let (fails, disk) = broken();
    let mut options = quiet();
    options.fs = disk;
    let store = open(dir.path(), options).unwrap();
    put_many(&store, 3);
    let mut behind = store.subscribe(Since::After(0)).unwrap();
    let mut waiting = store.subscribe(Since::Now).unwrap();
    let (sender, woken) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || sender.send(waiting.recv().unwrap_err().kind()).unwrap());
        thread::sleep(Duration::from_millis(50));
        fails.store(true, Ordering::SeqCst);
        for durability in [Durability::Os, Durability::Sync] {
            let _ = put_as(&store, "k", 9, durability);
        }
        assert_eq!(woken.recv_timeout(Duration::from_secs(20)).unwrap(), ErrorKind::Poisoned);
    });
    for seq in 1..=3 {
        assert_eq!(text(&behind.recv().unwrap()), seq.to_string());
    }
    assert_eq!(behind.recv().unwrap_err().kind(), ErrorKind::Poisoned);
    let mut late = store.subscribe(Since::After(2)).unwrap();
    assert_eq!(text(&late.recv().unwrap()), "3");
    assert_eq!(late.try_recv().unwrap_err().kind(), ErrorKind::Poisoned);
    let errors: Vec<_> = late.map(|event| event.unwrap_err().kind()).collect();
    assert_eq!(errors, [ErrorKind::Poisoned], "as an iterator it ends after the error");
    assert_eq!(store.close().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(behind.recv().unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn a_close_whose_sync_fails_ends_a_subscription_with_that() {
    let dir = tempfile::tempdir().unwrap();
    let (fails, disk) = broken();
    let mut options = quiet();
    options.fs = disk;
    let store = open(dir.path(), options).unwrap();
    put_many(&store, 2);
    put_as(&store, "k3", 3, Durability::Os).unwrap();
    let mut changes = store.subscribe(Since::After(0)).unwrap();
    fails.store(true, Ordering::SeqCst);
    assert_eq!(store.close().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(text(&changes.recv().unwrap()), "1");
    assert_eq!(text(&changes.recv().unwrap()), "2");
    assert_eq!(changes.recv().unwrap_err().kind(), ErrorKind::Poisoned);
    drop(changes);
    let store = open(dir.path(), quiet()).unwrap();
    assert_eq!(store.query("SELECT count(*) AS n FROM storage").unwrap().get(0, "n"), Some(&3.into()));
}
