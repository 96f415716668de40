//! `cargo xtask bench`: persist side by side with its peers.

use std::ffi::OsString;

use anyhow::Result;

use crate::duckdb::Duckdb;
use crate::workspace::Workspace;

/// Measure persist side by side with its peers and with what the same work must cost
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compile DuckDB from its sources in place of linking a prebuilt library
    #[arg(long)]
    bundled: bool,
    /// Compile RocksDB from its sources and measure it too: a quarter of an hour the first time
    #[arg(long)]
    rocksdb: bool,
    /// Fewer and shorter runs: about four minutes
    #[arg(long)]
    quick: bool,
    /// More and longer runs: less than half an hour
    #[arg(long)]
    full: bool,
    /// Say for each target whether it was met, and fail if one was not
    #[arg(long)]
    check: bool,
    /// Also what is no part of the report: other workloads, and variants that show where the time goes
    #[arg(long)]
    more: bool,
    /// Only some workloads: parts of their names, with commas between them
    #[arg(long, value_name = "NAMES")]
    only: Option<OsString>,
    /// More arguments for the benchmark
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Provides DuckDB, builds the benchmark and runs it.
pub(crate) fn run(args: Args) -> Result<bool> {
    let workspace = Workspace::find()?;
    let duckdb = Duckdb::provide(&workspace, args.bundled)?;
    let flags = [("--quick", args.quick), ("--full", args.full), ("--check", args.check), ("--more", args.more)];
    let mut all: Vec<OsString> = flags.iter().filter(|(_, set)| *set).map(|(flag, _)| flag.into()).collect();
    if let Some(only) = args.only {
        all.extend(["--only".into(), only]);
    }
    all.extend(args.args);
    let features: &[&str] = if args.rocksdb { &["--features=rocksdb"] } else { &[] };
    workspace.run_release(&duckdb, "persist-bench", features, &all)
}
