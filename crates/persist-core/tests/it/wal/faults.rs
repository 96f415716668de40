//! File operations that fail: syncs, writes, a full disk, and everything else.

use persist_core::error::ErrorKind;
use persist_core::wal::{Body, Marks, Reach};
use persist_test_utils::{Fault, Op, Rng, What, errno};

use super::check;
use super::driver::{Crash, DIR, Driver, Sizes, recover, segments, segments_of, small_segments};
use crate::replay::seeds;

const STEPS: u64 = 40;

fn with_fault(seed: u64, fault: Option<Fault>) -> Driver {
    let mut driver = Driver::with(seed, small_segments(), Sizes::Mixed);
    if let Some(fault) = fault {
        driver.fs.fault(fault);
    }
    driver.run(STEPS);
    driver.fs.clear_faults();
    driver
}

fn recovers_from_here(driver: &Driver, seed: u64) {
    for crash in [Crash::Kill, Crash::DropCaches, Crash::Cut(seed)] {
        let mut driver = driver.branch(crash, seed);
        assert!(driver.recover());
        driver.run(4);
        driver.crash(Crash::DropCaches);
        assert!(driver.recover());
    }
}

#[test]
fn a_failed_sync_poisons_at_once_and_nothing_recovery_serves_rests_on_its_pages() {
    seeds("a_failed_sync_poisons_at_once", 0..2, |seed| {
        let trace = with_fault(seed, None).fs.trace();
        let mut poisoned = 0;
        for (n, op, path) in &trace {
            let holds_lines = match op {
                Op::SyncData => true,
                // The one that starts a segment comes after its lay-out, the one that closes it after its cut.
                Op::SyncAll => trace[..*n as usize - 1].iter().any(|(_, op, other)| *op == Op::SetLen && other == path),
                Op::SyncDir => false,
                _ => continue,
            };
            for fault in [Fault::at(*n, What::Errno(errno::EIO)), Fault::at_on(*n, What::Errno(errno::EIO))] {
                let driver = with_fault(seed, Some(fault));
                let refusal = driver.log.refusal().map(|error| error.kind());
                if holds_lines {
                    assert_eq!(refusal, Some(ErrorKind::Poisoned), "{op:?} {n}");
                    assert_eq!(driver.fs.operations(), *n, "something was done after the sync that failed");
                    poisoned += 1;
                } else if fault == Fault::at(*n, What::Errno(errno::EIO)) {
                    assert_eq!(refusal, None, "{op:?} {n}: no record was in doubt");
                }
                recovers_from_here(&driver, seed ^ n);
            }
        }
        assert!(poisoned > 20, "{poisoned}");
    });
}

#[test]
fn a_write_that_fails_is_an_error_and_loses_nothing_acknowledged() {
    seeds("a_write_that_fails_is_an_error", 0..1, |seed| {
        for (n, op, _) in with_fault(seed, None).fs.trace() {
            if op == Op::Write {
                for code in [errno::EIO, errno::ENOSPC, errno::EDQUOT, errno::EFBIG] {
                    let driver = with_fault(seed, Some(Fault::at(n, What::Errno(code))));
                    recovers_from_here(&driver, seed ^ n);
                }
            }
        }
    });
}

#[test]
fn short_and_interrupted_writes_are_finished() {
    seeds("short_and_interrupted_writes", 0..1, |seed| {
        let whole = with_fault(seed, None);
        for (n, op, _) in whole.fs.trace() {
            if op != Op::Write {
                continue;
            }
            for what in [What::Short(1), What::Short(300), What::Short(511), What::Errno(errno::EINTR)] {
                let driver = with_fault(seed, Some(Fault::at(n, what)));
                assert_eq!(driver.oracle.lines, whole.oracle.lines);
                assert_eq!(driver.oracle.durable, whole.oracle.durable);
                assert_eq!(segments(&driver.fs), segments(&whole.fs));
            }
        }
    });
}

/// The second write of a short one shares a sector with the first: a power cut may keep the first alone.
#[test]
fn a_power_cut_between_the_halves_of_a_short_write_is_a_tear() {
    seeds("a_power_cut_between_the_halves", 0..3_000, |seed| {
        let mut driver = Driver::with(seed, segments_of(64 * 1024), Sizes::Mixed);
        driver.fs.fault(Fault::nth(Op::Write, 1 + seed % 12, What::Short(1 + (seed * 37 % 1_500) as usize)));
        driver.run(8);
        driver.crash(Crash::Cut(seed));
        assert!(driver.recover());
    });
}

#[test]
fn any_other_operation_may_fail_too() {
    seeds("any_other_operation_may_fail", 0..1, |seed| {
        for (n, op, _) in with_fault(seed, None).fs.trace() {
            if !matches!(op, Op::Write | Op::SyncData | Op::SyncAll | Op::SyncDir) {
                for code in [errno::EIO, errno::EMFILE, errno::EACCES, errno::EROFS] {
                    let driver = with_fault(seed, Some(Fault::at(n, What::Errno(code))));
                    recovers_from_here(&driver, seed ^ n);
                }
            }
        }
    });
}

#[test]
fn a_recovery_whose_operation_fails_is_an_error_and_can_be_started_over() {
    seeds("a_recovery_whose_operation_fails", 0..6, |seed| {
        let mut driver = with_fault(seed, None);
        driver.crash(if seed % 3 == 0 { Crash::Kill } else { Crash::Cut(seed) });
        let mut whole = driver.branch(Crash::Kill, seed);
        whole.try_recover().unwrap();
        for (m, ..) in whole.fs.trace() {
            for code in [errno::EIO, errno::ENOSPC] {
                let mut failing = driver.branch(Crash::Kill, seed);
                failing.fs.fault(Fault::at(m, What::Errno(code)));
                assert_eq!(failing.try_recover().unwrap_err().kind(), ErrorKind::Io, "operation {m}");
                failing.fs.clear_faults();
                for crash in [Crash::Kill, Crash::DropCaches, Crash::Cut(m)] {
                    let mut again = failing.branch(crash, m);
                    assert!(again.recover());
                    again.run(3);
                    again.crash(Crash::DropCaches);
                    assert!(again.recover());
                }
            }
        }
    });
}

/// After an EIO a new process reads the failed pages, its own fsync says OK, and they are gone when the cache is dropped.
#[test]
fn what_recovery_took_from_pages_of_a_failed_sync_is_still_there_without_them() {
    let mut driver = Driver::with(1, segments_of(64 * 1024), Sizes::Mixed);
    for durable in [true, true, false] {
        let texts = (0..3).map(|_| driver.body()).collect();
        driver.push(texts).unwrap();
        if durable {
            driver.sync().unwrap();
        }
    }
    driver.fs.fault(Fault::nth(Op::SyncData, 3, What::Errno(errno::EIO)));
    assert_eq!(driver.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    driver.crash(Crash::Kill);
    assert!(driver.recover());
    assert_eq!(driver.oracle.durable, 9, "the process died, the pages did not");
    let texts = vec![driver.body()];
    driver.push(texts).unwrap();
    driver.sync().unwrap();
    driver.crash(Crash::DropCaches);
    assert!(driver.recover());
    assert_eq!(driver.oracle.durable, 10);
}

#[test]
fn a_full_disk_refuses_a_line_before_it_has_a_seq_and_the_log_goes_on() {
    for (options, bytes) in [(small_segments(), 700), (segments_of(1 << 20), 60_000)] {
        let mut driver = Driver::with(1, options, Sizes::Mixed);
        let mut refused = 0;
        let mut laid_out = 0;
        driver.fs.set_capacity(Some(40_000 + bytes as u64 * 3));
        for name in 0..200 {
            let text = super::driver::body(name, bytes, &mut driver.rng);
            let before = driver.log.stats();
            match driver.push(vec![text]) {
                Ok(()) => {
                    let last = driver.log.last_seq();
                    driver.log.wait(last, Reach::Durable).unwrap();
                    (driver.oracle.durable, driver.oracle.written) = (last, last);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
                    let after = driver.log.stats();
                    assert_eq!((after.lines, after.last_seq), (before.lines, before.last_seq));
                    assert_eq!(driver.log.refusal().map(|error| error.kind()), None);
                    refused += 1;
                    laid_out = segments(&driver.fs).iter().map(|(_, bytes)| bytes.len()).sum();
                    driver.fs.set_capacity(Some(laid_out as u64 + bytes as u64 * 7));
                }
            }
        }
        assert!(refused > 5 && laid_out > 0, "{refused}");
        driver.fs.set_capacity(None);
        assert_eq!(segments(&driver.fs).len(), driver.log.stats().segments, "a segment without lines stays behind");
        assert_eq!(driver.oracle.lines.len(), 200 - refused);
        driver.crash(Crash::DropCaches);
        assert!(driver.recover());
    }
}

#[test]
fn a_segment_that_cannot_even_be_removed_is_in_nobodys_way() {
    let mut driver = Driver::with(1, small_segments(), Sizes::Mixed);
    driver.fs.fault(Fault::nth(Op::SyncAll, 1, What::Errno(errno::EIO)));
    driver.fs.fault(Fault::nth(Op::Remove, 1, What::Errno(errno::EIO)));
    assert_eq!(driver.push(vec!["{\"key\":\"k\"".to_owned()]).unwrap_err().kind(), ErrorKind::Io);
    driver.push(vec!["{\"key\":\"k\"".to_owned()]).unwrap();
    driver.sync().unwrap();
    assert_eq!(segments(&driver.fs).len(), 2);
    driver.crash(Crash::Cut(1));
    assert!(driver.recover());
    assert_eq!(segments(&driver.fs).len(), 1);
}

#[test]
fn segments_that_could_not_be_removed_go_at_the_next_call_and_one_that_is_gone_is_no_error() {
    let mut driver = Driver::with(1, small_segments(), Sizes::Mixed);
    for name in 0..6 {
        driver.push(vec![format!("{{\"key\":\"{name}\"")]).unwrap();
        driver.log.rotate().unwrap();
    }
    let closed = driver.log.closed_segments();
    assert_eq!(closed.len(), 6);
    assert!(closed.is_sorted_by_key(|segment| segment.last_seq));
    driver.fs.fault(Fault::nth(Op::Remove, 2, What::Errno(errno::EIO)));
    assert_eq!(driver.log.remove_up_to(4).unwrap_err().kind(), ErrorKind::Io);
    let left = driver.log.closed_segments();
    assert!(left.is_sorted_by_key(|segment| segment.last_seq));
    assert_eq!(left.len(), 5);
    persist_core::fs::Fs::remove_file(&driver.fs, &left[0].path).unwrap();
    driver.log.remove_up_to(4).unwrap();
    assert_eq!(driver.log.closed_segments().len(), 2);
    assert_eq!(segments(&driver.fs).len(), 2);
}

#[test]
fn a_closed_log_refuses_lines_and_all_it_took_is_durable() {
    let mut driver = Driver::with(1, small_segments(), Sizes::Mixed);
    driver.push(vec!["{\"key\":\"k\"".to_owned()]).unwrap();
    driver.log.close().unwrap();
    driver.log.wait(1, Reach::Durable).unwrap();
    driver.log.wait(u64::MAX, Reach::Durable).unwrap();
    assert_eq!(driver.log.begin(10).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(driver.log.rotate().unwrap_err().kind(), ErrorKind::Closed);
    let disk = driver.fs.drop_caches();
    assert_eq!(recover(&disk, &driver.clock, 0).unwrap().len(), 1);
    assert_eq!(check::pieces(&segments(&disk)[0].1).count(), 1);
}

#[test]
fn what_a_close_could_not_sync_is_in_doubt_and_not_tried_again() {
    let close = |fault: Option<Fault>| {
        let mut driver = Driver::with(1, small_segments(), Sizes::Mixed);
        let bodies = vec![driver.body(), driver.body()];
        driver.push(bodies).unwrap();
        let before = driver.fs.operations();
        fault.into_iter().for_each(|fault| driver.fs.fault(fault));
        let closed = driver.log.close();
        driver.fs.clear_faults();
        (driver, before, closed)
    };
    let (driver, before, closed) = close(None);
    closed.unwrap();
    for n in before + 1..=driver.fs.operations() {
        let (driver, _, closed) = close(Some(Fault::at(n, What::Errno(errno::EIO))));
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(driver.log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(driver.log.begin(10).unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!((driver.log.stats().durable_seq, driver.fs.operations()), (0, n));
    }
}

/// A moment at which a clock may stand: around midnights, leap days, turns of years, and the ends of time.
fn moment(rng: &mut Rng) -> i64 {
    const DAY: i64 = 86_400_000_000;
    // 1970, 29 February of 2000 and of 2024, New Year of 2025, the first day of year 1 and the last of year 9999.
    let days: i64 = *rng.pick(&[0, 11_016, 19_782, 20_089, -719_162, 2_932_896]);
    let within = match rng.below(4) {
        0 => 0,
        1 => DAY - 1,
        2 => DAY - 2,
        _ => rng.below(DAY as u64 - 1) as i64,
    };
    days * DAY + within
}

#[test]
fn write_times_never_decrease_not_even_across_a_restart() {
    seeds("write_times_never_decrease", 0..10_000, |seed| {
        let mut rng = Rng::new(seed);
        let mut driver = Driver::with(seed, small_segments(), Sizes::Mixed);
        let (mut newest, mut written) = (i64::MIN, Vec::new());
        for step in 0..4 {
            let moment = moment(&mut rng);
            driver.clock.set(moment);
            let body = Body::new(format!("{{\"key\":\"{step}\"").into_bytes());
            let stamp = driver.log.begin(body.line_bytes_at_most()).unwrap().push(body, Marks::default());
            assert_eq!(stamp.at, newest.max(moment), "the clock stands at {moment}");
            newest = stamp.at;
            written.push((stamp.seq, stamp.at));
            if rng.coin() {
                driver.log.close().unwrap();
                let recovered = recover(&driver.fs, &driver.clock, 0).unwrap();
                assert_eq!(recovered.start().last_at, newest);
                driver.log = super::driver::open(&driver.fs, &driver.clock, driver.options, recovered.start());
            }
        }
        driver.log.close().unwrap();
        let recovered = recover(&driver.fs, &driver.clock, 0).unwrap();
        let found: Vec<(u64, i64)> = recovered.lines(0..recovered.len()).map(|line| (line.seq, line.at)).collect();
        assert_eq!(found, written);
        assert!(driver.fs.files().iter().all(|path| path.starts_with(DIR)));
    });
}
