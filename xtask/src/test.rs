//! `cargo xtask test`: every test and doctest, a table of the suites, and a closing line to count by.

use std::ffi::OsString;

use anyhow::Result;

use crate::duckdb::Duckdb;
use crate::report::Report;
use crate::workspace::Workspace;
use crate::{libtest, nextest};

/// Run all tests, then a table of the suites (by cargo-nextest if it is installed)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compile DuckDB from its sources in place of linking a prebuilt library
    #[arg(long)]
    bundled: bool,
    /// Only this package, in place of the whole workspace; may be given several times
    #[arg(short, long)]
    package: Vec<String>,
    /// For the test programs, as with cargo test: part of a test's name, --exact, --skip NAME
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// Which tests to run: the arguments for cargo, and those for the test programs.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) cargo: Vec<String>,
    pub(crate) programs: Vec<OsString>,
}

/// Runs the tests and prints what came of them.
pub(crate) fn run(args: Args) -> Result<bool> {
    let workspace = Workspace::find()?;
    let duckdb = Duckdb::provide(&workspace, args.bundled)?;
    let report = report(&workspace, &duckdb, &args.package, args.args)?;
    println!("\n{report}\n{}", report.closing_line());
    Ok(report.succeeded())
}

/// Runs the tests of these packages, or of all.
pub(crate) fn report(
    workspace: &Workspace,
    duckdb: &Duckdb,
    packages: &[String],
    programs: Vec<OsString>,
) -> Result<Report> {
    let mut selection = Selection { cargo: Vec::new(), programs };
    match packages {
        [] => selection.cargo.push("--workspace".to_owned()),
        some => selection.cargo.extend(some.iter().map(|package| format!("--package={package}"))),
    }
    if duckdb.bundled() {
        selection.cargo.push(workspace.bundled_feature(packages.first().map(String::as_str))?);
    }
    let mut report = Report::default();
    if nextest::is_installed() {
        nextest::run(workspace, duckdb, &selection, &mut report)?;
    } else {
        libtest::run(workspace, duckdb, &selection, &mut report)?;
    }
    if workspace.has_doctests(packages) {
        libtest::run_doctests(duckdb, &selection, &mut report)?;
    }
    Ok(report)
}
