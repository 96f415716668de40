//! `cargo xtask bench`: persist side by side with its alternatives.

use std::ffi::OsString;

use anyhow::Result;

use crate::duckdb::Duckdb;
use crate::workspace::Workspace;

/// Measure persist side by side with its alternatives
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compile DuckDB from its sources in place of linking a prebuilt library
    #[arg(long)]
    bundled: bool,
    /// Measure less, in about a minute
    #[arg(long)]
    quick: bool,
    /// More arguments for the benchmark
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Provides DuckDB, builds the benchmark and runs it.
pub(crate) fn run(args: Args) -> Result<bool> {
    let workspace = Workspace::find()?;
    let duckdb = Duckdb::provide(&workspace, args.bundled)?;
    let mut all: Vec<OsString> = Vec::new();
    if args.quick {
        all.push("--quick".into());
    }
    all.extend(args.args);
    workspace.run_release(&duckdb, "persist-bench", None, &all)
}
