//! `cargo xtask demo`: what a newcomer runs first.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::duckdb::Duckdb;
use crate::workspace::Workspace;

/// Build and run the demonstration on a week of departures from New York, or of the weather there
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show the collection store, on the weather, in place of the dated one
    #[arg(long)]
    collection: bool,
    /// Keep the stores in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The departures, or the weather, as CSV, gzipped or not [default: those of the first week of 2013, in tests/data]
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Compile DuckDB from its sources in place of linking a prebuilt library
    #[arg(long)]
    bundled: bool,
    /// More arguments for the demonstration
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// Provides DuckDB, builds the demonstration and runs it.
pub(crate) fn run(args: Args) -> Result<bool> {
    let workspace = Workspace::find()?;
    let duckdb = Duckdb::provide(&workspace, args.bundled)?;
    let sample = if args.collection { "weather-2013-01-week1.csv.gz" } else { "flights-2013-01-week1.csv.gz" };
    let csv = args.csv.unwrap_or_else(|| workspace.root.join("tests/data").join(sample));
    let mut all = vec!["--csv".into(), csv.into_os_string()];
    if args.collection {
        all.push("--collection".into());
    }
    if let Some(dir) = args.keep {
        all.extend(["--keep".into(), dir.into_os_string()]);
    }
    if args.json {
        all.push("--json".into());
    }
    all.extend(args.args);
    workspace.run_release(&duckdb, "persist-demo", &[], &all)
}
