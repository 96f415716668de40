//! A crash at each file operation of a workload, and at each of the recovery after it.

use persist_test_utils::{Fault, Op, What};

use super::driver::{Crash, Driver, Sizes, recover, segments_of, small_segments};
use crate::replay::seeds;

/// Runs `steps` of a workload in a world with this fault.
fn crashed(seed: u64, large: bool, steps: u64, fault: Option<Fault>) -> Driver {
    let (options, sizes) = if large { (segments_of(1 << 20), Sizes::Large) } else { (small_segments(), Sizes::Mixed) };
    let mut driver = Driver::with(seed, options, sizes);
    if let Some(fault) = fault {
        driver.fs.fault(fault);
    }
    driver.run(steps);
    driver
}

/// Each way in which the world may stop at an operation.
fn stops(op: Op) -> Vec<What> {
    let mut stops = vec![What::Stop, What::StopAfter];
    if op == Op::Write {
        stops.extend([1, 400, 600].map(What::ShortThenStop));
    }
    stops
}

fn at_each_operation(seed: u64, large: bool, steps: u64, cuts: u64) {
    let whole = crashed(seed, large, steps, None);
    for (n, op, _) in whole.fs.trace() {
        for what in stops(op) {
            let stopped = crashed(seed, large, steps, Some(Fault::at(n, what)));
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
}

#[test]
fn a_crash_at_any_operation_loses_nothing_acknowledged() {
    seeds("a_crash_at_any_operation_loses_nothing", 0..4, |seed| at_each_operation(seed, false, 60, 3));
}

#[test]
fn a_crash_at_any_operation_with_large_records_loses_nothing_acknowledged() {
    seeds("a_crash_at_any_operation_with_large_records", 0..1, |seed| at_each_operation(seed, true, 14, 1));
}

#[test]
fn a_recovery_that_crashes_at_any_operation_ends_the_same_when_started_over() {
    seeds("a_recovery_that_crashes_at_any_operation", 0..3, |seed| {
        let whole = crashed(seed, false, 24, None);
        for n in 1..=whole.fs.operations() {
            let stopped = crashed(seed, false, 24, Some(Fault::at(n, What::Stop)));
            for first in [Crash::Kill, Crash::Cut(n), Crash::Cut(n + 1000)] {
                interrupt_recovery(&stopped.branch(first, n), n);
            }
        }
    });
}

/// Stops the recovery of this image at each of its operations, and recovers what that leaves.
fn interrupt_recovery(image: &Driver, seed: u64) {
    let whole = image.fs.kill();
    let recovered = recover(&whole, &image.clock, image.oracle.watermark).unwrap();
    let last = recovered.start().next_seq - 1;
    for (m, op, _) in whole.trace() {
        for what in stops(op) {
            let mut interrupted = image.branch(Crash::Kill, seed);
            interrupted.fs.fault(Fault::at(m, what));
            assert!(!interrupted.recover());
            for second in [Crash::Kill, Crash::DropCaches, Crash::Cut(m), Crash::Cut(seed ^ (m << 16))] {
                let mut driver = interrupted.branch(second, m);
                assert!(driver.recover());
                if second == Crash::Kill {
                    assert_eq!(driver.oracle.durable, last, "an interrupted recovery changed the outcome");
                }
                driver.run(3);
                driver.crash(Crash::Cut(m));
                assert!(driver.recover());
            }
        }
    }
}
