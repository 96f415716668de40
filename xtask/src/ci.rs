//! `cargo xtask ci`: all that a change must pass. Every step runs, whatever became of the one before.

use std::time::Instant;

use anyhow::Result;

use crate::duckdb::Duckdb;
use crate::report::Report;
use crate::workspace::{self, Workspace};
use crate::{schedules, test};

/// Check all that a change must pass: format, lints, core without DuckDB, documentation, schedules, tests
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compile DuckDB from its sources in place of linking a prebuilt library
    #[arg(long)]
    bundled: bool,
}

/// Runs the steps; the tests come last, so that their closing line can.
pub(crate) fn run(args: Args) -> Result<bool> {
    let workspace = Workspace::find()?;
    let duckdb = Duckdb::provide(&workspace, args.bundled)?;
    let feature = if duckdb.bundled() { vec![workspace.bundled_feature(None)?] } else { Vec::new() };

    let mut steps = Steps::default();
    steps.run("format", || workspace::succeeds(duckdb.cargo().args(["fmt", "--all", "--check"])))?;
    steps.run("lints", || {
        let mut clippy = duckdb.cargo();
        clippy.args(["clippy", "--workspace", "--all-targets"]).args(&feature).args(["--", "--deny=warnings"]);
        workspace::succeeds(&mut clippy)
    })?;
    steps.run("core without DuckDB", || {
        workspace::succeeds(duckdb.cargo().args(["check", "--package", "persist-core", "--no-default-features"]))
    })?;
    steps.run("documentation", || {
        let mut doc = duckdb.cargo();
        doc.args(["doc", "--workspace", "--no-deps"]).args(&feature).env("RUSTDOCFLAGS", "--deny=warnings");
        workspace::succeeds(&mut doc)
    })?;
    steps.run("lock file of the fuzzer", || {
        let mut update = duckdb.cargo();
        update.args(["update", "--workspace", "--locked", "--manifest-path"]);
        workspace::succeeds(update.arg(workspace.root.join("tests/fuzz/guided/Cargo.toml")))
    })?;
    steps.run("schedules", || schedules::explore(&workspace, "", Vec::new()))?;
    let mut report = Report::default();
    steps.run("tests", || {
        report = test::report(&workspace, &duckdb, &[], Vec::new())?;
        Ok(report.succeeded())
    })?;

    println!("\n{report}\n{:20}  {:>8}", "step", "seconds");
    for (step, succeeded, seconds) in &steps.0 {
        println!("{step:20}  {seconds:>8.1}{}", if *succeeded { "" } else { "  FAILED" });
        // In the closing line, a step that failed is to be seen too. The tests are in it already.
        if !succeeded && *step != "tests" {
            report.fail(step);
        }
    }
    println!("\n{}", report.closing_line());
    Ok(report.succeeded())
}

/// What was run: its name, whether it succeeded, and its seconds.
#[derive(Debug, Default)]
struct Steps(Vec<(&'static str, bool, f64)>);

impl Steps {
    fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<bool>) -> Result<()> {
        eprintln!("xtask: {name}");
        let start = Instant::now();
        let succeeded = step()?;
        self.0.push((name, succeeded, start.elapsed().as_secs_f64()));
        Ok(())
    }
}
