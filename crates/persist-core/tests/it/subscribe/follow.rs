//! Following a store: order, completeness, waking, the end; and what a slow reader is told.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use persist_core::request::{Batch, Put, Remove};
use persist_core::{Change, Durability, Entry, ErrorKind, Event, Since};

use super::{HOUR, all, keeping, log_files, open, put, put_as, put_many, quiet, seqs};

const WRITERS: u64 = 8;
const WRITES: u64 = 400;

#[test]
fn every_subscriber_beside_eight_writers_gets_each_durable_change_once_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = keeping();
    (options.batch_size, options.max_wal_size_bytes) = (50, 16 * 1024);
    let store = open(dir.path(), options).unwrap();
    let last = WRITERS * WRITES;
    let is_written = AtomicBool::new(false);
    thread::scope(|scope| {
        for slowness in [0, 0, 1, 40] {
            let (store, is_written) = (&store, &is_written);
            let mut changes = store.subscribe(Since::After(0)).unwrap();
            scope.spawn(move || {
                let mut seen = HashSet::new();
                for seq in 1..=last {
                    if slowness > 0 && seq % 400 == 0 {
                        thread::sleep(Duration::from_millis(slowness));
                    }
                    let Event::Change(change) = changes.recv().unwrap() else { panic!("missed, before {seq}") };
                    assert_eq!((change.seq(), changes.last_seq()), (seq, seq));
                    if slowness < 40 || !is_written.load(Ordering::SeqCst) {
                        assert!(store.stats().durable_seq >= seq);
                    }
                    let n: u64 = change.record().unwrap().field("n").unwrap().unwrap();
                    assert!(seen.insert((change.key().to_owned(), n)), "twice: {change:?}");
                }
                assert!(changes.try_recv().unwrap().is_none());
                let wanted: HashSet<_> =
                    (0..WRITERS).flat_map(|w| (0..WRITES).map(move |n| (format!("{w}/{}", n % 20), n))).collect();
                assert_eq!(seen, wanted);
            });
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..WRITES {
                        let durability = if n % 3 == 0 { Durability::Os } else { Durability::Sync };
                        put_as(store, &format!("{writer}/{}", n % 20), n, durability).unwrap();
                        if n % 100 == writer {
                            store.flush().unwrap();
                        }
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        store.sync().unwrap();
        is_written.store(true, Ordering::SeqCst);
    });
    assert!(log_files(dir.path()).iter().any(|name| name.ends_with(".gz")), "nothing was read from kept segments");
}

#[test]
fn a_subscription_begins_now_or_after_a_seq_or_with_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), keeping()).unwrap();
    let mut from_the_start = store.subscribe(Since::Now).unwrap();
    assert_eq!(from_the_start.last_seq(), 0);
    put_many(&store, 40);
    store.compact().unwrap();
    put_many(&store, 30);
    store.flush().unwrap();
    put_many(&store, 10);
    for after in [0, 1, 39, 40, 41, 69, 70, 79, 80] {
        let mut changes = store.subscribe(Since::After(after)).unwrap();
        assert_eq!(changes.last_seq(), after);
        assert_eq!(all(&mut changes), seqs(after + 1..=80));
    }
    assert_eq!(all(&mut store.subscribe(Since::Oldest).unwrap()), seqs(1..=80));
    let mut now = store.subscribe(Since::Now).unwrap();
    assert_eq!((all(&mut now), all(&mut from_the_start)), (vec![], seqs(1..=80)));
    put_many(&store, 2);
    assert_eq!(all(&mut now), seqs(81..=82));
}

#[test]
fn what_was_never_given_out_is_an_input_error_and_what_is_gone_says_where_to_begin() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), quiet()).unwrap();
    assert_eq!(all(&mut store.subscribe(Since::Oldest).unwrap()), [""; 0]);
    put_many(&store, 40);
    let error = store.subscribe(Since::After(41)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("41") && error.to_string().contains("40"), "{error}");
    store.compact().unwrap();
    put_many(&store, 3);
    for after in [0, 39] {
        let error = store.subscribe(Since::After(after)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Gone);
        assert!(error.to_string().ends_with("the oldest there is has seq 41"), "{error}");
    }
    assert_eq!(all(&mut store.subscribe(Since::After(40)).unwrap()), seqs(41..=43));
    assert_eq!(all(&mut store.subscribe(Since::Oldest).unwrap()), seqs(41..=43));
    store.compact().unwrap();
    let error = store.subscribe(Since::After(42)).unwrap_err();
    assert!(error.kind() == ErrorKind::Gone && error.to_string().ends_with("seq 44"), "{error}");
    assert_eq!(all(&mut store.subscribe(Since::After(43)).unwrap()), [""; 0]);
}

#[test]
fn a_slow_reader_is_told_exactly_what_it_missed_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), quiet()).unwrap();
    let (mut idle, mut begun) = (store.subscribe(Since::Now).unwrap(), store.subscribe(Since::Now).unwrap());
    put_many(&store, 40);
    assert_eq!(super::text(&begun.recv().unwrap()), "1");
    store.compact().unwrap();
    put_many(&store, 5);
    assert_eq!(all(&mut idle), [&["1-40".to_owned()][..], &seqs(41..=45)].concat());
    let got = all(&mut begun);
    assert_eq!(got, seqs(2..=45), "what it had looked at before stays with it");
    store.compact().unwrap();
    put_many(&store, 2);
    store.compact().unwrap();
    assert_eq!(all(&mut idle), ["46-47"]);
}

#[test]
fn changes_and_what_was_missed_cover_every_seq_once_while_segments_go_under_a_slow_reader() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = quiet();
    (options.batch_size, options.max_wal_size_bytes, options.keep_log) = (20, 4096, Duration::from_millis(30));
    let store = open(dir.path(), options).unwrap();
    let last = WRITERS * WRITES;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                for n in 0..WRITES {
                    put(store, &writer.to_string(), n);
                }
            });
        }
        let readers: Vec<_> = (0..4)
            .map(|reader| {
                let mut changes = store.subscribe(Since::After(0)).unwrap();
                scope.spawn(move || {
                    let mut missed = 0;
                    while changes.last_seq() < last {
                        let before = changes.last_seq();
                        match changes.recv().unwrap() {
                            Event::Change(change) => assert_eq!(change.seq(), before + 1),
                            Event::Missed { from, to } => {
                                assert!(from == before + 1 && to >= from && to <= last, "{from}-{to} after {before}");
                                missed += to + 1 - from;
                            }
                        }
                        if before.is_multiple_of(20 + reader) {
                            thread::sleep(Duration::from_millis(3 * reader));
                        }
                    }
                    missed
                })
            })
            .collect();
        let missed: Vec<u64> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        assert!(missed.iter().all(|missed| *missed < last), "{missed:?}");
    });
}

#[test]
fn a_reader_that_never_reads_holds_up_no_writer_and_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = quiet();
    options.batch_size = 1000;
    // Beyond this, writers wait for flushes, and fail where these do not help.
    options.max_unflushed_bytes = 512 * 1024;
    options.busy_timeout = Duration::from_secs(20);
    let store = open(dir.path(), options).unwrap();
    let mut idle = store.subscribe(Since::Now).unwrap();
    for n in 1..=20_000 {
        put_as(&store, &format!("k{}", n % 7), n, Durability::Os).unwrap();
    }
    store.compact().unwrap();
    assert_eq!((store.stats().pending_writes, store.stats().wal_files_count), (0, 0));
    put_many(&store, 1);
    assert_eq!(all(&mut idle), ["1-20000", "20001"]);
}

#[test]
fn one_who_waits_is_woken_by_the_sync_and_not_before_the_time_it_gave() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), quiet()).unwrap();
    let mut changes = store.subscribe(Since::Now).unwrap();
    let start = Instant::now();
    assert!(changes.recv_timeout(Duration::from_millis(50)).unwrap().is_none());
    assert!(start.elapsed() >= Duration::from_millis(50));
    put_as(&store, "k1", 1, Durability::Os).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let first = changes.recv().unwrap();
            let second = changes.recv_timeout(HOUR).unwrap().unwrap();
            (super::text(&first), super::text(&second))
        });
        thread::sleep(Duration::from_millis(100));
        assert!(!waiting.is_finished(), "an `Os` write was given before it was synced");
        store.sync().unwrap();
        put_many(&store, 1);
        assert_eq!(waiting.join().unwrap(), ("1".to_owned(), "2".to_owned()));
    });
}

#[test]
fn after_close_the_rest_is_given_and_then_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), quiet()).unwrap();
    put_many(&store, 20);
    let mut behind = store.subscribe(Since::After(0)).unwrap();
    let (mut waiting, iterated) = (store.subscribe(Since::Now).unwrap(), store.subscribe(Since::After(5)).unwrap());
    thread::scope(|scope| {
        let woken = scope.spawn(move || waiting.recv().unwrap_err().kind());
        thread::sleep(Duration::from_millis(50));
        store.close().unwrap();
        assert_eq!(woken.join().unwrap(), ErrorKind::Closed);
    });
    assert_eq!(log_files(dir.path()), [""; 0]);
    let rest: Vec<_> = iterated.map(|event| super::text(&event.unwrap())).collect();
    assert_eq!(rest, seqs(6..=20));
    for seq in 1..=20 {
        assert_eq!(super::text(&behind.recv().unwrap()), seq.to_string());
    }
    assert_eq!(behind.try_recv().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(behind.recv().unwrap_err().kind(), ErrorKind::Closed);
    // The folder is free for another, whoever still reads.
    let store = open(dir.path(), quiet()).unwrap();
    put_many(&store, 1);
    assert_eq!(behind.recv_timeout(HOUR).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn removals_and_batches_come_as_the_changes_they_are_from_memory_and_from_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), keeping()).unwrap();
    let mut from_memory = store.subscribe(Since::Now).unwrap();
    put_many(&store, 1);
    let mut batch = Batch::new();
    batch.remove(Remove::new("k1", ()));
    batch.put(Put::new(Entry::new("k3", (), r#"{"n":3}"#.to_owned())));
    batch.remove(Remove::new("nobody", ()));
    store.write(batch, None).unwrap();
    store.write(Remove::new("k3", ()), None).unwrap();
    let wanted = ["1", "removed k1 as 2", "3", "removed k3 as 4"];
    assert_eq!(all(&mut from_memory), wanted);
    store.compact().unwrap();
    let mut from_disk = store.subscribe(Since::After(0)).unwrap();
    let versions: Vec<u32> = std::iter::from_fn(|| from_disk.try_recv().unwrap())
        .map(|event| match event {
            Event::Change(change @ (Change::Put(_) | Change::Removed(_))) => change.version(),
            Event::Missed { .. } => panic!("{event:?}"),
        })
        .collect();
    assert_eq!(versions, [1, 2, 1, 2]);
    assert_eq!(all(&mut store.subscribe(Since::After(0)).unwrap()), wanted);
}
