//! `persist-bench`: what persist costs, beside bare programs that do no more than the same work must cost.
//!
//! Each workload runs persist and its floors in turns, several times, and reports medians: on a shared machine only
//! ratios within one run say anything. `spread` shows how far the runs of one store lay apart.
//!
//! ```text
//! cargo run --release -p persist-bench -- [--quick] [--full] [--only SUBSTRING] [--dir DIR] [--json FILE]
//! ```

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

mod drive;
mod flight;
mod floor;
mod report;
mod workload;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;

use report::Report;
use workload::{Bench, Scale};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Measures persist beside bare programs that do no more than the same work must cost.
#[derive(Debug, Parser)]
struct Args {
    /// Fewer and shorter runs: some minutes.
    #[arg(long)]
    quick: bool,
    /// Also what takes long: tables of five million.
    #[arg(long)]
    full: bool,
    /// Only the workloads whose name contains this.
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Where to put the files; a folder below it is made and removed. Default: target/bench.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where to write the figures. Default: target/bench/report.json.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// So many records in place of a million, and runs of 20 ms: for the test that all of this works.
    #[arg(long, value_name = "RECORDS")]
    tiny: Option<u64>,
    /// One step of a workload in a process of its own: what it is and the folder.
    #[arg(long, hide = true, num_args = 2, value_names = ["STEP", "DIR"])]
    step: Option<Vec<String>>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let full = args.full;
    let scale = match (args.tiny, args.quick) {
        (Some(records), _) => {
            Scale { records, small: records / 10, run: Duration::from_millis(20), rounds: 1, flushes: 3, full }
        }
        (None, true) => {
            Scale { records: 1_000_000, small: 100_000, run: Duration::from_millis(250), rounds: 3, flushes: 12, full }
        }
        (None, false) => {
            Scale { records: 1_000_000, small: 100_000, run: Duration::from_secs(1), rounds: 5, flushes: 40, full }
        }
    };
    if let Some([step, dir]) = args.step.as_deref() {
        return workload::step(step, Path::new(dir), scale.records);
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
    let base = args.dir.unwrap_or_else(|| target.clone());
    std::fs::create_dir_all(&base)?;
    let dir = tempfile::Builder::new().prefix("run-").tempdir_in(&base)?;
    let bench = Bench { dir: dir.path().to_owned(), scale, only: args.only.unwrap_or_default() };
    let mut report = Report::default();
    let start = Instant::now();
    Report::print_head();
    workload::run_all(&bench, &mut report)?;
    println!("{} s", start.elapsed().as_secs());
    let json = args.json.unwrap_or_else(|| target.join("report.json"));
    if let Some(folder) = json.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&json, report.json()?)?;
    Ok(())
}
