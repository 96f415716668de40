//! That each target finds its figures, and that a missed one fails the check.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::name::Name;
use crate::workload::REPORTED;

/// A report in which each target's figures are there: all stores are alike in everything.
fn all_alike() -> Report {
    let mut report = Report::default();
    let stores = [Name::store(PERSIST), Name::floor("bare")].into_iter().chain(PEERS.map(Name::store));
    for target in &TARGETS {
        for store in stores.clone() {
            for Figure { workload, variant, metric } in both(target) {
                let name = variant.map_or(store, |variant| store.variant(variant));
                report.add_value(workload, name, metric, 1.0);
            }
        }
    }
    report
}

fn both(target: &Target) -> impl Iterator<Item = Figure> {
    let other = match target.to {
        To::Figure(other) => Some(other),
        _ => None,
    };
    std::iter::once(target.figure).chain(other)
}

#[test]
fn each_target_is_about_a_workload_that_runs_unasked() {
    for figure in TARGETS.iter().flat_map(both) {
        assert!(REPORTED.contains(&figure.workload), "{figure:?}");
    }
}

#[test]
fn a_target_is_set_against_what_it_says() {
    let mut report = Report::default();
    let persist = Name::store(PERSIST);
    report.add_value("w", persist, "p50_us", 8.0);
    report.add_value("w", Name::floor("bare"), "p50_us", 2.0);
    report.add_value("w", persist.variant("other"), "p50_us", 4.0);
    for (n, peer) in PEERS.into_iter().enumerate() {
        report.add_value("w", Name::store(peer), "p50_us", 16.0 + n as f64);
    }
    for (to, expected) in [
        (To::Nothing, 8.0),
        (To::Store(FLOOR), 4.0),
        (To::BeyondStore(FLOOR), 6.0),
        (To::BestPeer, 0.5),
        (To::Figure(variant("w", "other", "p50_us")), 2.0),
        (To::Known(32.0), 0.25),
    ] {
        assert_eq!(target("", AtMost(0.0), figure("w", "p50_us"), to).value(&report), Some(expected), "{to:?}");
    }
    assert_eq!(target("", AtMost(0.0), figure("w", "p99_us"), To::Nothing).value(&report), None);
}

#[test]
fn each_target_finds_its_figures_and_those_that_ask_for_more_than_parity_are_missed() {
    let report = all_alike();
    let figures: Vec<_> = TARGETS.iter().map(|target| (target.about, target.value(&report))).collect();
    assert!(figures.iter().all(|(_, figure)| figure.is_some()), "{figures:?}");
    assert!(!check(&report, true));
    let met = |about: &str| {
        let target = TARGETS.iter().find(|target| target.about == about).unwrap();
        target.bound.holds(target.value(&report).unwrap())
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
