//! `persist-bench`: what persist costs, beside its peers and bare programs that do no more than the same work must cost.
//!
//! Each workload runs persist, its peers and its floor in turns, several times, and reports medians: on a shared machine
//! only ratios within one run say anything. `spread` shows how far the runs of one store lay apart.
//!
//! ```text
//! cargo run --release -p persist-bench -- [--quick | --full] [--check] [--more] [--only NAMES] [--dir DIR] [--out DIR]
//! ```

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

mod drive;
mod flight;
mod floor;
mod markdown;
mod name;
mod peer;
mod plot;
mod report;
mod targets;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use report::Report;
use workload::{Bench, Scale};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Measures persist beside its peers and bare programs that do no more than the same work must cost.
#[derive(Debug, Parser)]
struct Args {
    /// Fewer and shorter runs: about four minutes.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// More and longer runs: less than half an hour.
    #[arg(long)]
    full: bool,
    /// Also the workloads and the variants that are no part of the report, only of the table.
    #[arg(long)]
    more: bool,
    /// Only the workloads whose name contains one of these; those that only --more runs if their name begins with it.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Where to put the files; a folder below it is made and removed. Default: target/bench.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where to write the figures (report.json, report.md) and the plots. Default: target/bench.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print each target with its figure, and fail where one is missed.
    #[arg(long)]
    check: bool,
    /// So many records in place of a million, and runs of 20 ms: for the test that all of this works.
    #[arg(long, value_name = "RECORDS")]
    tiny: Option<u64>,
    /// One step of a workload in a process of its own: what it is and the folder.
    #[arg(long, hide = true, num_args = 2, value_names = ["STEP", "DIR"])]
    step: Option<Vec<String>>,
}

impl Args {
    /// Some 150 runs of contenders make a round, with what it takes to open and remove their stores.
    fn scale(&self) -> Scale {
        let of = |records: u64| Scale {
            records,
            small: records / 10,
            large: records * 5,
            run: Duration::from_millis(500),
            rounds: 5,
            flushes: 40,
        };
        let million = of(1_000_000);
        if let Some(records) = self.tiny {
            Scale { run: Duration::from_millis(20), rounds: 1, flushes: 3, ..of(records) }
        } else if self.quick {
            Scale { run: Duration::from_millis(100), rounds: 3, flushes: 12, ..million }
        } else if self.full {
            Scale { run: Duration::from_secs(1), rounds: 7, ..million }
        } else {
            million
        }
    }
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let scale = args.scale();
    if let Some([step, dir]) = args.step.as_deref() {
        workload::step(step, Path::new(dir), scale.records)?;
        return Ok(ExitCode::SUCCESS);
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
    let base = args.dir.unwrap_or_else(|| target.clone());
    std::fs::create_dir_all(&base)?;
    let dir = tempfile::Builder::new().prefix("run-").tempdir_in(&base)?;
    let is_whole = args.only.is_empty();
    let bench = Bench { dir: dir.path().to_owned(), scale, only: args.only, more: args.more };
    let mut report = Report::default();
    let start = Instant::now();
    Report::print_head();
    workload::run_all(&bench, &mut report)?;
    report.print_foot();
    println!("{} s", start.elapsed().as_secs());
    let out = args.out.unwrap_or(target);
    std::fs::create_dir_all(&out)?;
    std::fs::write(out.join("report.json"), report.json()?)?;
    std::fs::write(out.join("report.md"), markdown::tables(&report))?;
    plot::write(&report, &out)?;
    let met = !args.check || targets::check(&report, is_whole);
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
