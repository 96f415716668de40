//! A crash at each file operation of a workload, and at each of the recovery after it.

use std::path::PathBuf;

use persist_test_utils::{Fault, Op, SimFs, What};

use super::driver::{Crash, Driver, Sizes, clock, path, recover, segment, segments_of, small_segments};
use crate::replay::seeds;

/// What a workload writes, and where.
#[derive(Debug, Clone, Copy)]
enum Load {
    Mixed,
    Large,
    InFolders,
}

/// Runs `steps` of a workload in a world with this fault.
fn crashed(seed: u64, load: Load, steps: u64, fault: Option<Fault>) -> Driver {
    let mut driver = match load {
        Load::Mixed => Driver::with(seed, small_segments(), Sizes::Mixed),
        Load::Large => Driver::with(seed, segments_of(1 << 20), Sizes::Large),
        Load::InFolders => Driver::in_folders(seed, small_segments(), Sizes::Mixed),
    };
    if let Some(fault) = fault {
        driver.fs.fault(fault);
    }
    driver.run(steps);
    driver
}

/// The operations that change something, each with the ways in which the world may stop there.
///
/// To stop after an operation is to stop before the next one, save that nothing was acknowledged in between: the latter
/// is the harder. Likewise, reads change nothing for those who come after.
fn stops(trace: &[(u64, Op, PathBuf)]) -> impl Iterator<Item = Fault> {
    let last = trace.last().map(|(n, ..)| Fault::at(*n, What::StopAfter));
    let changing =
        trace.iter().filter(|(_, op, _)| !matches!(op, Op::Open | Op::Read | Op::Len | Op::List | Op::Exists));
    let stops = changing.flat_map(|(n, op, _)| {
        let short: &[usize] = if *op == Op::Write { &[1, 400, 600] } else { &[] };
        let short = short.iter().map(|bytes| Fault::at(*n, What::ShortThenStop(*bytes)));
        std::iter::once(Fault::at(*n, What::Stop)).chain(short)
    });
    stops.chain(last)
}

fn at_each_operation(seed: u64, load: Load, steps: u64, cuts: u64) {
    let whole = crashed(seed, load, steps, None);
    for (n, fault) in (0..).zip(stops(&whole.fs.trace())) {
        let stopped = crashed(seed, load, steps, Some(fault));
        assert!(stopped.fs.has_stopped());
        let cuts = (0..cuts).map(|cut| Crash::Cut(seed ^ (n << 8) ^ cut));
        for crash in cuts.chain([Crash::Kill, Crash::DropCaches]) {
            let mut driver = stopped.branch(crash, seed ^ n);
            for _ in 0..2 {
                assert!(driver.recover());
                driver.run(6);
                let next = driver.any_crash();
                driver.crash(next);
            }
            assert!(driver.recover());
        }
    }
}

#[test]
fn a_crash_at_any_operation_loses_nothing_acknowledged() {
    seeds("a_crash_at_any_operation_loses_nothing", 0..2, |seed| at_each_operation(seed, Load::Mixed, 60, 2));
}

#[test]
fn a_crash_at_any_operation_with_large_records_loses_nothing_acknowledged() {
    seeds("a_crash_at_any_operation_with_large_records", 0..1, |seed| at_each_operation(seed, Load::Large, 9, 1));
}

#[test]
fn a_crash_at_any_operation_of_a_log_in_several_folders_loses_nothing_acknowledged() {
    seeds("a_crash_at_any_operation_of_a_log_in_several_folders", 0..2, |seed| {
        at_each_operation(seed, Load::InFolders, 60, 2);
    });
}

#[test]
fn a_recovery_that_crashes_at_any_operation_ends_the_same_when_started_over() {
    seeds("a_recovery_that_crashes_at_any_operation", 0..1, |seed| interrupt_recoveries(seed, Load::Mixed));
}

#[test]
fn a_recovery_of_several_folders_that_crashes_at_any_operation_ends_the_same_when_started_over() {
    seeds("a_recovery_of_several_folders", 0..1, |seed| interrupt_recoveries(seed, Load::InFolders));
}

fn interrupt_recoveries(seed: u64, load: Load) {
    let whole = crashed(seed, load, 24, None);
    for (n, fault) in (0..).zip(stops(&whole.fs.trace())) {
        let stopped = crashed(seed, load, 24, Some(fault));
        for first in [Crash::Kill, Crash::Cut(n)] {
            interrupt_recovery(&stopped.branch(first, n), n);
        }
    }
}

/// Stops the recovery of this image at each of its operations, and recovers what that leaves.
fn interrupt_recovery(image: &Driver, seed: u64) {
    let mut whole = image.branch(Crash::Kill, seed);
    let last = whole.try_recover().unwrap().start().next_seq - 1;
    for (m, fault) in (0..).zip(stops(&whole.fs.trace())) {
        let mut interrupted = image.branch(Crash::Kill, seed);
        interrupted.fs.fault(fault);
        assert!(!interrupted.recover());
        for second in [Crash::Kill, Crash::DropCaches, Crash::Cut(seed ^ (m << 16))] {
            let mut driver = interrupted.branch(second, m);
            assert!(driver.recover());
            if second == Crash::Kill {
                assert_eq!(driver.oracle.durable, last, "an interrupted recovery changed the outcome");
            }
            driver.run(2);
            driver.crash(Crash::Cut(m));
            assert!(driver.recover());
        }
    }
}

/// An interrupted recovery cut the old segment and did not sync it. Who reads it next sees it cut, while the disk still
/// has the tail: with new lines under the same `seq`s elsewhere, that tail would be damage when it came back.
#[test]
fn a_cut_that_an_interrupted_recovery_did_not_sync_is_made_durable_by_the_next() {
    let bytes = [segment(1, &[&[1, 2], &[3, 4, 5]]), vec![b'\n'; 300], b"{\"key\":\"torn".to_vec()].concat();
    let fs = SimFs::new();
    fs.write_file(path(1), &bytes);
    let whole = fs.kill();
    recover(&whole, &clock(), 0).unwrap();
    let trace = whole.trace();
    let cut = trace.iter().find(|(_, op, _)| *op == Op::SetLen).unwrap().0;
    fs.fault(Fault::at(cut, What::StopAfter));
    recover(&fs, &clock(), 0).unwrap_err();
    let fs = fs.kill();
    assert!(fs.read_file(path(1)).unwrap().len() < bytes.len(), "who reads it next sees it cut");
    assert_eq!(recover(&fs, &clock(), 0).unwrap().len(), 5);
    let disk = fs.drop_caches();
    let again = recover(&disk, &clock(), 0).unwrap();
    assert_eq!((again.len(), again.report().left_out.len()), (5, 0), "{}", again.report());
}
