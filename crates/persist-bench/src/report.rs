//! The table and the file of figures.

use serde::Serialize;

use crate::Result;
use crate::drive::Figures;
use crate::name::Name;
use crate::peer;

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Row>);

/// The medians of one store in one workload.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) workload: String,
    pub(crate) name: Name,
    /// By metric.
    pub(crate) values: Vec<(&'static str, f64)>,
}

#[derive(Serialize)]
struct Figure<'a> {
    workload: &'a str,
    store: &'a str,
    metric: &'a str,
    value: f64,
}

impl Report {
    pub(crate) fn print_head() {
        println!(
            "{:<24} {:<24} {:>11} {:>10} {:>10} {:>10} {:>9} {:>9} {:>9} {:>7}",
            "workload",
            "store",
            "ops/s",
            "p50 µs",
            "p99 µs",
            "p99.9 µs",
            "/s × fl.",
            "/s × peer",
            "p50 × fl.",
            "spread"
        );
    }

    /// Says how the peers that were measured are configured.
    pub(crate) fn print_foot(&self) {
        for kind in peer::ALL.iter().filter(|kind| self.rows().any(|row| row.name == kind.name)) {
            println!("{}: {}.", kind.name, kind.how);
        }
    }

    /// Prints and keeps the medians of a workload, set against its floor and the fastest of the peers.
    pub(crate) fn add(&mut self, workload: &str, runs: &[(Name, Vec<Figures>)]) {
        let first = self.0.len();
        for (name, runs) in runs {
            self.0.push(Row { workload: workload.to_owned(), name: *name, values: medians(runs) });
        }
        let added = self.0.get(first..).unwrap_or_default();
        let floor = added.iter().find(|row| row.name.is_floor());
        let of_floor = |metric| floor.and_then(|row| row.value(metric)).unwrap_or(f64::NAN);
        let peers = added.iter().filter(|row| row.name.is_peer());
        let fastest = peers.filter_map(|row| row.value("ops_per_s")).fold(f64::NAN, f64::max);
        for (row, (_, runs)) in added.iter().zip(runs) {
            let value = |metric| row.value(metric).unwrap_or(f64::NAN);
            let (per_s, p50) = (value("ops_per_s"), value("p50_us"));
            println!(
                "{workload:<24} {:<24} {} {} {} {} {} {} {} {:>6.0}%{}",
                row.name,
                cell(11, 0, per_s),
                cell(10, 2, p50),
                cell(10, 2, value("p99_us")),
                cell(10, 2, value("p999_us")),
                cell(9, 2, per_s / of_floor("ops_per_s")),
                cell(9, 2, per_s / fastest),
                cell(9, 2, p50 / of_floor("p50_us")),
                spread(runs) * 100.0,
                row.value("seconds").map_or_else(String::new, |seconds| format!("  {seconds:.3} s"))
            );
        }
    }

    /// Prints and keeps one figure that no run of operations gives.
    pub(crate) fn add_value(&mut self, workload: &str, name: Name, metric: &'static str, value: f64) {
        println!("{workload:<24} {name:<24} {} {metric}", cell(11, 2, value));
        self.0.push(Row { workload: workload.to_owned(), name, values: vec![(metric, value)] });
    }

    /// The median of a figure.
    pub(crate) fn value(&self, workload: &str, store: &str, variant: Option<&str>, metric: &str) -> Option<f64> {
        let of = |row: &&Row| row.workload == workload && row.name.store == store && row.name.variant == variant;
        self.0.iter().filter(of).find_map(|row| row.value(metric))
    }

    /// All that was measured, in the order of the table.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.0.iter()
    }

    pub(crate) fn json(&self) -> Result<String> {
        let kept = self.rows().filter(|row| row.name.variant.is_none());
        let figures: Vec<_> = kept.flat_map(Row::figures).collect();
        Ok(serde_json::to_string_pretty(&figures)? + "\n")
    }
}

impl Row {
    pub(crate) fn value(&self, metric: &str) -> Option<f64> {
        self.values.iter().find_map(|(name, value)| (*name == metric).then_some(*value))
    }

    fn figures(&self) -> impl Iterator<Item = Figure<'_>> {
        self.values.iter().map(|(metric, value)| Figure {
            workload: &self.workload,
            store: self.name.store,
            metric,
            value: *value,
        })
    }
}

/// A number of so many decimals in a column of so many characters; nothing where there is none.
fn cell(width: usize, decimals: usize, value: f64) -> String {
    if value.is_finite() { format!("{value:>width$.decimals$}") } else { " ".repeat(width) }
}

/// The median of each metric by itself.
fn medians(runs: &[Figures]) -> Vec<(&'static str, f64)> {
    let of = |each: fn(&Figures) -> Option<f64>| {
        let mut values: Vec<f64> = runs.iter().filter_map(each).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let metrics = [
        ("ops_per_s", of(|run| Some(run.ops_per_s))),
        ("p50_us", of(|run| run.micros.map(|micros| micros.p50))),
        ("p99_us", of(|run| run.micros.map(|micros| micros.p99))),
        ("p999_us", of(|run| run.micros.map(|micros| micros.p999))),
        ("seconds", of(|run| run.seconds)),
    ];
    metrics.into_iter().filter_map(|(metric, value)| Some((metric, value?))).collect()
}

/// How far the runs lay apart, as a share of what they had in the middle.
fn spread(runs: &[Figures]) -> f64 {
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for run in runs {
        least = least.min(run.ops_per_s);
        most = most.max(run.ops_per_s);
    }
    2.0 * (most - least) / (most + least)
}
