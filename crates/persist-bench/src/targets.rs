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

/// One promise: what it is about, its bound, and the figure that the bound is for, if its parts were measured.
struct Target {
    about: &'static str,
    bound: Bound,
    figure: fn(&Run<'_>) -> Option<f64>,
}

/// What was measured, as the targets ask for it.
struct Run<'a>(&'a Report);

const PERSIST: &str = "persist";
const FLOOR: &str = "floor";

/// What the original in Python gives on a machine like this one: rows flushed, records recovered, and durable writes of
/// 64 threads, each per second.
const PYTHON: (f64, f64, f64) = (220.0, 319.0, 4_600.0);

const TARGETS: [Target; 33] = [
    Target {
        about: "durable write, 1 thread: p50 / laid-out floor",
        bound: AtMost(1.05),
        figure: |run| run.to("durable-1-thread", FLOOR, "p50_us"),
    },
    Target {
        about: "durable write, 1 thread: p50 / fastest peer",
        bound: AtMost(1.0),
        figure: |run| {
            Some(run.of("durable-1-thread", PERSIST, "p50_us")? / run.least_of_peers("durable-1-thread", "p50_us")?)
        },
    },
    Target {
        about: "durable writes, 8 threads / fastest peer",
        bound: AtLeast(1.5),
        figure: |run| run.to_fastest_peer("durable-8-threads"),
    },
    Target {
        about: "durable writes, 8 threads / bare group commit",
        bound: AtLeast(0.8),
        figure: |run| run.to("durable-8-threads", FLOOR, "ops_per_s"),
    },
    Target {
        about: "durable writes, 64 threads / RocksDB",
        bound: AtLeast(2.5),
        figure: |run| run.to("durable-64-threads", "rocksdb", "ops_per_s"),
    },
    Target {
        about: "durable writes, 64 threads / SQLite",
        bound: AtLeast(6.0),
        figure: |run| run.to("durable-64-threads", "sqlite", "ops_per_s"),
    },
    Target {
        about: "durable writes, 64 threads / bare group commit",
        bound: AtLeast(0.75),
        figure: |run| run.to("durable-64-threads", FLOOR, "ops_per_s"),
    },
    Target {
        about: "durable writes, 64 threads: p99 / p50",
        bound: AtMost(3.0),
        figure: |run| {
            Some(run.of("durable-64-threads", PERSIST, "p99_us")? / run.of("durable-64-threads", PERSIST, "p50_us")?)
        },
    },
    Target {
        about: "1,000 tickets in flight, 1 thread: per second",
        bound: AtLeast(300_000.0),
        figure: |run| run.of("tickets-1000", PERSIST, "ops_per_s"),
    },
    Target {
        about: "batch of 100: p50 / one durable write",
        bound: AtMost(1.3),
        figure: |run| Some(run.of("batch-100", PERSIST, "p50_us")? / run.of("durable-1-thread", PERSIST, "p50_us")?),
    },
    Target {
        about: "Os, 1 thread / fjall",
        bound: AtLeast(1.0),
        figure: |run| run.to("os-1-thread", "fjall", "ops_per_s"),
    },
    Target {
        about: "Os, 1 thread / RocksDB",
        bound: AtLeast(1.0),
        figure: |run| run.to("os-1-thread", "rocksdb", "ops_per_s"),
    },
    Target {
        about: "Os, 8 threads / 1 thread",
        bound: AtLeast(1.5),
        figure: |run| {
            Some(run.of("os-8-threads", PERSIST, "ops_per_s")? / run.of("os-1-thread", PERSIST, "ops_per_s")?)
        },
    },
    Target {
        about: "random get, 1 thread / LMDB",
        bound: AtLeast(2.5),
        figure: |run| run.to("get-1m-1-thread", "lmdb", "ops_per_s"),
    },
    Target {
        about: "random get, 1 thread / bare hash map",
        bound: AtLeast(0.8),
        figure: |run| run.to("get-1m-1-thread", FLOOR, "ops_per_s"),
    },
    Target {
        about: "random get, 2 threads beside a writer / 1 thread alone",
        bound: AtLeast(1.5),
        figure: |run| run.to_variant("get-1m-2-threads-writer", None, "1 thread alone", "ops_per_s"),
    },
    Target {
        about: "flush of 1,000 rows: p50 at 5 M rows / at 100 k",
        bound: AtMost(1.5),
        figure: |run| {
            Some(run.of("flush-1000-at-5m", PERSIST, "p50_us")? / run.of("flush-1000-at-100k", PERSIST, "p50_us")?)
        },
    },
    Target {
        about: "flush of 1,000 rows at 100 k / bare Appender",
        bound: AtLeast(0.8),
        figure: |run| run.to("flush-1000-at-100k", FLOOR, "ops_per_s"),
    },
    Target {
        about: "flush of 1,000 rows at 5 M / bare Appender",
        bound: AtLeast(0.8),
        figure: |run| run.to("flush-1000-at-5m", FLOOR, "ops_per_s"),
    },
    Target {
        about: "durable writes while flushing: p99 / without",
        bound: AtMost(1.5),
        figure: |run| run.to_variant("flush-1000-at-5m", Some("writes meanwhile"), "writes alone", "p99_us"),
    },
    Target {
        about: "durable writes while compacting: p99 / without",
        bound: AtMost(2.0),
        figure: |run| run.to_variant("compaction", Some("writes meanwhile"), "writes alone", "p99_us"),
    },
    Target {
        about: "how often a row is rewritten, from 0 to 5 M rows",
        bound: AtMost(6.0),
        figure: |run| run.0.value("compaction", PERSIST, Some("rewrites of a row"), "count"),
    },
    Target {
        about: "recovery of 1 M records, seconds",
        bound: AtMost(1.0),
        figure: |run| run.of("recovery-1m", PERSIST, "seconds"),
    },
    Target {
        about: "recovery / bare read, check, parse, insert",
        bound: AtLeast(0.7),
        figure: |run| run.to("recovery-1m", FLOOR, "ops_per_s"),
    },
    Target {
        about: "open with 1 M records: seconds / DuckDB's scan",
        bound: AtMost(2.0),
        figure: |run| run.to("open-1m", FLOOR, "seconds"),
    },
    Target {
        about: "memory per record beside its text, bytes",
        bound: AtMost(150.0),
        figure: |run| {
            Some(run.of("memory-1m", PERSIST, "bytes_per_record")? - run.of("memory-1m", FLOOR, "bytes_per_record")?)
        },
    },
    Target {
        about: "query, a delta of 20,000 of 3 M rows / compacted",
        bound: AtMost(3.0),
        figure: |run| run.to_variant("query", Some("delta 20,000"), "compacted", "seconds"),
    },
    Target {
        about: "query, a delta of a quarter of 3 M rows / compacted",
        bound: AtMost(10.0),
        figure: |run| run.to_variant("query", Some("delta 750,000"), "compacted", "seconds"),
    },
    Target {
        about: "Parquet export / bare COPY",
        bound: AtLeast(0.9),
        figure: |run| run.to("export-1m", FLOOR, "ops_per_s"),
    },
    Target {
        about: "lazy load of a 100-item collection from 5 M rows: p50, µs",
        bound: AtMost(5_000.0),
        figure: |run| run.of("lazy-load-5m", PERSIST, "p50_us"),
    },
    Target {
        about: "flush of 1,000 rows / the Python original",
        bound: AtLeast(1_000.0),
        figure: |run| Some(run.of("flush-1000-at-100k", PERSIST, "ops_per_s")? / PYTHON.0),
    },
    Target {
        about: "recovery / the Python original",
        bound: AtLeast(2_000.0),
        figure: |run| Some(run.of("recovery-1m", PERSIST, "ops_per_s")? / PYTHON.1),
    },
    Target {
        about: "durable writes, 64 threads / the Python original",
        bound: AtLeast(20.0),
        figure: |run| Some(run.of("durable-64-threads", PERSIST, "ops_per_s")? / PYTHON.2),
    },
];

impl Run<'_> {
    fn of(&self, workload: &str, store: &str, metric: &str) -> Option<f64> {
        self.0.value(workload, store, None, metric)
    }

    /// The ratio of persist to another store.
    fn to(&self, workload: &str, other: &str, metric: &str) -> Option<f64> {
        Some(self.of(workload, PERSIST, metric)? / self.of(workload, other, metric)?)
    }

    /// The ratio of two variants of persist.
    fn to_variant(&self, workload: &str, variant: Option<&str>, other: &str, metric: &str) -> Option<f64> {
        let value = |variant| self.0.value(workload, PERSIST, variant, metric);
        Some(value(variant)? / value(Some(other))?)
    }

    fn to_fastest_peer(&self, workload: &str) -> Option<f64> {
        let fastest = self.of_peers(workload, "ops_per_s")?.into_iter().reduce(f64::max)?;
        Some(self.of(workload, PERSIST, "ops_per_s")? / fastest)
    }

    fn least_of_peers(&self, workload: &str, metric: &str) -> Option<f64> {
        self.of_peers(workload, metric)?.into_iter().reduce(f64::min)
    }

    /// The figures of all peers, if there is none without.
    fn of_peers(&self, workload: &str, metric: &str) -> Option<Vec<f64>> {
        PEERS.iter().map(|peer| self.of(workload, peer, metric)).collect()
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

fn needs_rocksdb(about: &str) -> bool {
    about.contains("RocksDB") || about.contains("fastest peer")
}

/// Prints each target with its figure, and answers whether all are met. Where all workloads ran, one that was not
/// measured is a miss, save what needs RocksDB in a program without it.
pub(crate) fn check(report: &Report, is_whole: bool) -> bool {
    let run = Run(report);
    let (mut met, mut missed, mut open) = (0, 0, 0);
    println!("\n{:<62} {:>10} {:>12}", "target", "bound", "figure");
    for target in &TARGETS {
        let (figure, verdict) = match (target.figure)(&run) {
            Some(figure) if target.bound.holds(figure) => (format!("{figure:.2}"), "met"),
            Some(figure) => (format!("{figure:.2}"), "MISSED"),
            None if needs_rocksdb(target.about) && !cfg!(feature = "rocksdb") => (String::new(), "not built in"),
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
