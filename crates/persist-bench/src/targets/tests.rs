//! That each target finds its figures, and that a missed one fails the check.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::name::Name;

/// A report in which each target's figure is there: all stores are alike in everything.
fn all_alike() -> Report {
    let mut report = Report::default();
    let persist = Name::store("persist");
    for workload in [
        "durable-1-thread",
        "durable-8-threads",
        "durable-64-threads",
        "os-1-thread",
        "os-8-threads",
        "tickets-1000",
        "batch-100",
        "get-1m-1-thread",
        "get-1m-2-threads-writer",
        "flush-1000-at-100k",
        "flush-1000-at-5m",
        "recovery-1m",
        "open-1m",
        "memory-1m",
        "export-1m",
        "lazy-load-5m",
    ] {
        let floor = Name::floor("bare");
        for name in [persist, floor].into_iter().chain(PEERS.map(Name::store)) {
            for metric in ["ops_per_s", "p50_us", "p99_us", "bytes_per_record", "seconds"] {
                report.add_value(workload, name, metric, 1.0);
            }
        }
    }
    for (workload, variant, metric) in [
        ("get-1m-2-threads-writer", "1 thread alone", "ops_per_s"),
        ("flush-1000-at-5m", "writes meanwhile", "p99_us"),
        ("flush-1000-at-5m", "writes alone", "p99_us"),
        ("compaction", "writes meanwhile", "p99_us"),
        ("compaction", "writes alone", "p99_us"),
        ("compaction", "rewrites of a row", "count"),
        ("query", "delta 20,000", "seconds"),
        ("query", "delta 750,000", "seconds"),
        ("query", "compacted", "seconds"),
    ] {
        report.add_value(workload, persist.variant(variant), metric, 1.0);
    }
    report
}

#[test]
fn each_target_finds_its_figures_and_those_that_ask_for_more_than_parity_are_missed() {
    let report = all_alike();
    let figures: Vec<_> = TARGETS.iter().map(|target| (target.about, (target.figure)(&Run(&report)))).collect();
    assert!(figures.iter().all(|(_, figure)| figure.is_some()), "{figures:?}");
    assert!(!check(&report, true));
    let met = |about: &str| {
        let target = TARGETS.iter().find(|target| target.about == about).unwrap();
        target.bound.holds((target.figure)(&Run(&report)).unwrap())
    };
    assert!(met("durable write, 1 thread: p50 / laid-out floor"));
    assert!(!met("durable writes, 8 threads / fastest peer"));
    assert!(!met("random get, 1 thread / LMDB"));
}

#[test]
fn what_was_not_measured_is_a_miss_only_where_all_was_asked_for() {
    let nothing = Report::default();
    assert!(!check(&nothing, true));
    assert!(check(&nothing, false));
}

#[test]
fn a_bound_holds_up_to_its_figure() {
    assert!(AtMost(1.05).holds(1.05) && !AtMost(1.05).holds(1.06));
    assert!(AtLeast(2.5).holds(2.5) && !AtLeast(2.5).holds(2.49));
    assert!(!AtMost(1.0).holds(f64::NAN) && !AtLeast(1.0).holds(f64::NAN));
}
