//! The targets: what is promised of the figures of one run, and whether it holds.

use std::fmt;

use crate::name::PEERS;
use crate::report::Report;

#[cfg(test)]
mod tests;

/// What a figure must be.
#[derive(Debug, Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

use Bound::{AtLeast, AtMost};

/// One promise: what it is about, its bound, and what the bound is for.
struct Target {
    about: &'static str,
    bound: Bound,
    figure: Figure,
    to: To,
}

/// A figure of persist.
#[derive(Debug, Clone, Copy)]
struct Figure {
    workload: &'static str,
    variant: Option<&'static str>,
    metric: &'static str,
}

/// What a figure is set against.
#[derive(Debug, Clone, Copy)]
enum To {
    /// Nothing: it is held to the bound as it is.
    Nothing,
    /// The same of another store: the ratio.
    Store(&'static str),
    /// The same of another store: the difference.
    BeyondStore(&'static str),
    /// The best of all peers: the ratio.
    BestPeer,
    /// Another figure of persist: the ratio.
    Figure(Figure),
    /// What is known from elsewhere: the ratio.
    Known(f64),
}

const PERSIST: &str = "persist";
const FLOOR: &str = "floor";

/// What the original in Python gives on a machine like this one: rows flushed, records recovered, and durable writes of
/// 64 threads, each per second.
const PYTHON: (f64, f64, f64) = (220.0, 319.0, 4_600.0);

const fn figure(workload: &'static str, metric: &'static str) -> Figure {
    Figure { workload, variant: None, metric }
}

const fn variant(workload: &'static str, variant: &'static str, metric: &'static str) -> Figure {
    Figure { workload, variant: Some(variant), metric }
}

const fn target(about: &'static str, bound: Bound, figure: Figure, to: To) -> Target {
    Target { about, bound, figure, to }
}

#[rustfmt::skip]
const TARGETS: [Target; 33] = [
    target("durable write, 1 thread: p50 / laid-out floor", AtMost(1.05), figure("durable-1-thread", "p50_us"), To::Store(FLOOR)),
    target("durable write, 1 thread: p50 / fastest peer", AtMost(1.0), figure("durable-1-thread", "p50_us"), To::BestPeer),
    target("durable writes, 8 threads / fastest peer", AtLeast(1.5), figure("durable-8-threads", "ops_per_s"), To::BestPeer),
    target("durable writes, 8 threads / bare group commit", AtLeast(0.8), figure("durable-8-threads", "ops_per_s"), To::Store(FLOOR)),
    target("durable writes, 64 threads / RocksDB", AtLeast(2.5), figure("durable-64-threads", "ops_per_s"), To::Store("rocksdb")),
    target("durable writes, 64 threads / SQLite", AtLeast(6.0), figure("durable-64-threads", "ops_per_s"), To::Store("sqlite")),
    target("durable writes, 64 threads / bare group commit", AtLeast(0.75), figure("durable-64-threads", "ops_per_s"), To::Store(FLOOR)),
    target("durable writes, 64 threads: p99 / p50", AtMost(3.0), figure("durable-64-threads", "p99_us"), To::Figure(figure("durable-64-threads", "p50_us"))),
    target("1,000 tickets in flight, 1 thread: per second", AtLeast(300_000.0), figure("tickets-1000", "ops_per_s"), To::Nothing),
    target("batch of 100: p50 / one durable write", AtMost(1.3), figure("batch-100", "p50_us"), To::Figure(figure("durable-1-thread", "p50_us"))),
    target("Os, 1 thread / fjall", AtLeast(1.0), figure("os-1-thread", "ops_per_s"), To::Store("fjall")),
    target("Os, 1 thread / RocksDB", AtLeast(1.0), figure("os-1-thread", "ops_per_s"), To::Store("rocksdb")),
    target("Os, 8 threads / 1 thread", AtLeast(1.5), figure("os-8-threads", "ops_per_s"), To::Figure(figure("os-1-thread", "ops_per_s"))),
    target("random get, 1 thread / LMDB", AtLeast(2.5), figure("get-1m-1-thread", "ops_per_s"), To::Store("lmdb")),
    target("random get, 1 thread / bare hash map", AtLeast(0.8), figure("get-1m-1-thread", "ops_per_s"), To::Store(FLOOR)),
    target("random get, 2 threads beside a writer / 1 thread alone", AtLeast(1.5), figure("get-1m-2-threads-writer", "ops_per_s"), To::Figure(variant("get-1m-2-threads-writer", "1 thread alone", "ops_per_s"))),
    target("flush of 1,000 rows: p50 at 5 M rows / at 100 k", AtMost(1.5), figure("flush-1000-at-5m", "p50_us"), To::Figure(figure("flush-1000-at-100k", "p50_us"))),
    target("flush of 1,000 rows at 100 k / bare Appender", AtLeast(0.8), figure("flush-1000-at-100k", "ops_per_s"), To::Store(FLOOR)),
    target("flush of 1,000 rows at 5 M / bare Appender", AtLeast(0.8), figure("flush-1000-at-5m", "ops_per_s"), To::Store(FLOOR)),
    target("durable writes while flushing: p99 / without", AtMost(1.5), variant("flush-1000-at-5m", "writes meanwhile", "p99_us"), To::Figure(variant("flush-1000-at-5m", "writes alone", "p99_us"))),
    target("durable writes while compacting: p99 / without", AtMost(2.0), variant("compaction", "writes meanwhile", "p99_us"), To::Figure(variant("compaction", "writes alone", "p99_us"))),
    target("how often a row is rewritten, from 0 to 5 M rows", AtMost(6.0), variant("lazy-load-5m", "rewrites of an item", "count"), To::Nothing),
    target("recovery of 1 M records, seconds", AtMost(1.0), figure("recovery-1m", "seconds"), To::Nothing),
    target("recovery / bare read, check, parse, insert", AtLeast(0.7), figure("recovery-1m", "ops_per_s"), To::Store(FLOOR)),
    target("open with 1 M records: seconds / DuckDB's scan", AtMost(2.0), figure("open-1m", "seconds"), To::Store(FLOOR)),
    target("memory per record beside its text, bytes", AtMost(150.0), figure("memory-1m", "bytes_per_record"), To::BeyondStore(FLOOR)),
    target("query, a delta of 20,000 of 3 M rows / compacted", AtMost(3.0), variant("query", "delta 20,000", "seconds"), To::Figure(variant("query", "compacted", "seconds"))),
    target("query, a delta of a quarter of 3 M rows / compacted", AtMost(10.0), variant("query", "delta 750,000", "seconds"), To::Figure(variant("query", "compacted", "seconds"))),
    target("Parquet export / bare COPY", AtLeast(0.9), figure("export-1m", "ops_per_s"), To::Store(FLOOR)),
    target("lazy load of a 100-item collection from 5 M rows: p50, µs", AtMost(5_000.0), figure("lazy-load-5m", "p50_us"), To::Nothing),
    target("flush of 1,000 rows / the Python original", AtLeast(1_000.0), figure("flush-1000-at-100k", "ops_per_s"), To::Known(PYTHON.0)),
    target("recovery / the Python original", AtLeast(2_000.0), figure("recovery-1m", "ops_per_s"), To::Known(PYTHON.1)),
    target("durable writes, 64 threads / the Python original", AtLeast(20.0), figure("durable-64-threads", "ops_per_s"), To::Known(PYTHON.2)),
];

impl Target {
    /// What is held to the bound, if its parts were measured.
    fn value(&self, report: &Report) -> Option<f64> {
        let Figure { workload, variant, metric } = self.figure;
        let of = |store| report.value(workload, store, variant, metric);
        let ours = of(PERSIST)?;
        Some(match self.to {
            To::Nothing => ours,
            To::Store(other) => ours / of(other)?,
            To::BeyondStore(other) => ours - of(other)?,
            To::BestPeer => {
                let peers: Option<Vec<f64>> = PEERS.iter().map(|peer| of(peer)).collect();
                let best = if metric == "ops_per_s" { f64::max } else { f64::min };
                ours / peers?.into_iter().reduce(best)?
            }
            To::Figure(other) => ours / report.value(other.workload, PERSIST, other.variant, other.metric)?,
            To::Known(other) => ours / other,
        })
    }

    fn needs_rocksdb(&self) -> bool {
        matches!(self.to, To::BestPeer | To::Store("rocksdb"))
    }
}

impl Bound {
    fn holds(self, figure: f64) -> bool {
        match self {
            AtMost(bound) => figure <= bound,
            AtLeast(bound) => figure >= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AtMost(bound) => write!(f, "<= {bound}"),
            AtLeast(bound) => write!(f, ">= {bound}"),
        }
    }
}

/// Prints each target with its figure, and answers whether all are met. Where all workloads ran, one that was not
/// measured is a miss, save what needs RocksDB in a program without it.
pub(crate) fn check(report: &Report, is_whole: bool) -> bool {
    let (mut met, mut missed, mut open) = (0, 0, 0);
    println!("\n{:<62} {:>10} {:>12}", "target", "bound", "figure");
    for target in &TARGETS {
        let (figure, verdict) = match target.value(report) {
            Some(figure) if target.bound.holds(figure) => (format!("{figure:.2}"), "met"),
            Some(figure) => (format!("{figure:.2}"), "MISSED"),
            None if target.needs_rocksdb() && !cfg!(feature = "rocksdb") => (String::new(), "not built in"),
            None => (String::new(), "not measured"),
        };
        match verdict {
            "met" => met += 1,
            "MISSED" => missed += 1,
            "not measured" if is_whole => missed += 1,
            _ => open += 1,
        }
        println!("{:<62} {:>10} {figure:>12}  {verdict}", target.about, target.bound.to_string());
    }
    println!("{met} met, {missed} missed, {open} not asked for");
    missed == 0
}
