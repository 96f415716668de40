//! What is made ready before it is needed. That a crash at any moment of it loses nothing is shown by the schedules of
//! [`crash`](super::crash) and [`power`](super::power), in which the log works ahead too.

use std::path::Path;

use persist_core::fs::Fs;
use persist_core::wal::{Body, Log, LogStart, Marks, Reach};
use persist_test_utils::{Fault, Op, SimFs, What, errno};

use super::driver::{DIR, clock, open, path, recover, segments, segments_of};

/// A log with segments of 64 KiB, of which so many bytes are used.
fn filled(fs: &SimFs, bytes: usize) -> (Log, bool) {
    fs.make_dir(DIR);
    let log = open(fs, &clock(), segments_of(64 * 1024), LogStart::default());
    let wants = (0..bytes / 1024).fold(false, |wants, _| write(&log) || wants);
    (log, wants)
}

/// Writes a line of about a kibibyte, durably.
fn write(log: &Log) -> bool {
    let body = Body::new(format!(r#"{{"key":"{}""#, "k".repeat(900)).into_bytes());
    let mut append = log.begin(body.line_bytes_at_most()).unwrap();
    let stamp = append.push(body, Marks::default());
    let wants = append.wants_work_ahead();
    drop(append);
    log.wait(stamp.seq, Reach::Durable).unwrap();
    wants
}

fn count(fs: &SimFs, op: Op) -> usize {
    fs.trace().iter().filter(|(_, other, _)| *other == op).count()
}

#[test]
fn the_next_segment_is_laid_out_before_this_one_is_full_and_used_as_it_is() {
    let fs = SimFs::new();
    let (log, wants) = filled(&fs, 16 * 1024);
    assert!(!wants && segments(&fs).len() == 1);
    let asked: usize = (0..30).map(|_| usize::from(write(&log))).sum();
    assert_eq!(asked, 1, "it asks once until somebody has worked ahead");
    log.work_ahead();
    let ready = fs.read_file(path(2)).unwrap();
    assert_eq!(ready, vec![b'\n'; 64 * 1024]);
    assert_eq!((log.stats().segment, log.stats().segments), (1, 1));
    // It is durable before it takes a line.
    assert_eq!(fs.drop_caches().read_file(path(2)).unwrap(), ready);
    let (created, all_synced) = (count(&fs, Op::Create), count(&fs, Op::SyncAll));
    while log.stats().segment == 1 {
        write(&log);
    }
    // Closing the first segment takes one sync; there is nothing else to wait for.
    assert_eq!((count(&fs, Op::Create), count(&fs, Op::SyncAll)), (created, all_synced + 1));
    log.work_ahead();
    assert_eq!(count(&fs, Op::Create), created, "the next one has time");
    log.close().unwrap();
    assert!(recover(&fs.kill(), &clock(), 0).is_ok());
}

#[test]
fn the_figures_name_the_last_segment_that_took_a_line_not_one_that_is_ready() {
    let fs = SimFs::new();
    let (log, wants) = filled(&fs, 48 * 1024);
    assert!(wants);
    log.work_ahead();
    log.rotate().unwrap();
    assert_eq!((log.stats().segment, log.stats().segment_bytes, segments(&fs).len()), (1, 0, 2));
    write(&log);
    assert_eq!(log.stats().segment, 2);
    log.close().unwrap();
    assert_eq!(log.stats().segment, 2);
}

#[test]
fn a_segment_that_was_made_ready_goes_when_the_log_closes_or_moves() {
    for moves in [false, true] {
        let fs = SimFs::new();
        let (log, wants) = filled(&fs, 48 * 1024);
        assert!(wants);
        log.work_ahead();
        assert_eq!(segments(&fs).len(), 2);
        if moves {
            log.move_to(Path::new("/store/one")).unwrap();
            write(&log);
            assert!(!fs.exists(&path(2)).unwrap() && fs.exists(Path::new("/store/one/wal_000003.jsonl")).unwrap());
        } else {
            log.close().unwrap();
            log.work_ahead();
            assert_eq!(segments(&fs).len(), 1);
        }
    }
}

#[test]
fn where_there_is_no_space_ahead_the_writer_who_needs_it_is_told() {
    let fs = SimFs::new();
    let (log, wants) = filled(&fs, 48 * 1024);
    assert!(wants);
    fs.set_capacity(Some(72 * 1024));
    log.work_ahead();
    assert_eq!(segments(&fs).len(), 1);
    assert!(!write(&log), "it was asked for once more");
    fs.set_capacity(None);
    while log.stats().segment == 1 {
        write(&log);
    }
    log.close().unwrap();
    assert!(recover(&fs.kill(), &clock(), 0).is_ok());
}

#[test]
fn a_sync_that_fails_while_more_is_laid_out_poisons_the_log() {
    let fs = SimFs::new();
    fs.make_dir(DIR);
    let log = open(&fs, &clock(), segments_of(1024 * 1024), LogStart::default());
    while !write(&log) {}
    fs.fault(Fault::nth_on(Op::SyncData, 1, What::Errno(errno::EIO)));
    log.work_ahead();
    assert!(log.refusal().is_some());
    assert!(log.rotate().is_err() && log.close().is_err());
}
