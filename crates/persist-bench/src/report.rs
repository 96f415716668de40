//! The table and the file of figures.

use serde::Serialize;

use crate::Result;
use crate::drive::Figures;

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Figure>);

#[derive(Debug, Serialize)]
struct Figure {
    workload: String,
    store: &'static str,
    metric: &'static str,
    value: f64,
}

impl Report {
    pub(crate) fn print_head() {
        println!(
            "{:<24} {:<22} {:>12} {:>10} {:>10} {:>9} {:>9} {:>7}",
            "workload", "store", "ops/s", "p50 µs", "p99 µs", "/s × fl.", "p50 × fl.", "spread"
        );
    }

    /// Prints and keeps the medians of a workload. `floor` is the store that the others are set against.
    pub(crate) fn add(&mut self, workload: &str, floor: &str, runs: &[(&'static str, Vec<Figures>)]) {
        let medians: Vec<_> = runs.iter().map(|(store, runs)| (*store, median(runs), spread(runs))).collect();
        let base = medians.iter().find(|(store, ..)| *store == floor).map(|(_, figures, _)| *figures);
        for (store, figures, spread) in medians {
            let ratio = |of: fn(&Figures) -> f64| base.map_or(f64::NAN, |base| of(&figures) / of(&base));
            let (per_s, p50) = (ratio(|figures| figures.ops_per_s), ratio(|figures| figures.p50_us));
            println!(
                "{workload:<24} {store:<22} {:>12.0} {:>10.2} {:>10.2} {per_s:>9.2} {p50:>9.2} {:>6.0}%",
                figures.ops_per_s,
                figures.p50_us,
                figures.p99_us,
                spread * 100.0
            );
            let values = [
                ("ops_per_s", figures.ops_per_s),
                ("p50_us", figures.p50_us),
                ("p99_us", figures.p99_us),
                ("ops_per_s_to_floor", per_s),
                ("p50_to_floor", p50),
                ("spread", spread),
            ];
            let kept = values.into_iter().filter(|(_, value)| value.is_finite());
            self.0.extend(kept.map(|(metric, value)| Figure { workload: workload.to_owned(), store, metric, value }));
        }
    }

    /// Prints and keeps how many bytes a record takes; the last one is what the others are set against.
    pub(crate) fn add_bytes_per_record(&mut self, workload: &str, stores: &[(&'static str, f64)]) {
        let base = stores.last().map_or(f64::NAN, |(_, bytes)| *bytes);
        for (store, bytes) in stores {
            println!("{workload:<24} {store:<22} {bytes:>12.0} bytes a record, {:+.0}", bytes - base);
            let metric = "bytes_per_record";
            self.0.push(Figure { workload: workload.to_owned(), store, metric, value: *bytes });
        }
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.0)? + "\n")
    }
}

fn median(runs: &[Figures]) -> Figures {
    let of = |each: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(each).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Figures { ops_per_s: of(|run| run.ops_per_s), p50_us: of(|run| run.p50_us), p99_us: of(|run| run.p99_us) }
}

/// How far the runs lay apart, as a share of their median.
fn spread(runs: &[Figures]) -> f64 {
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for run in runs {
        least = least.min(run.ops_per_s);
        most = most.max(run.ops_per_s);
    }
    (most - least) / median(runs).ops_per_s
}
