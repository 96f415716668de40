//! `cargo xtask schedules`: the threads of group commit in every order that chance finds, on the log's own code.
//!
//! The log is built with other locks for it (`crates/persist-core/src/sync.rs`), so in a target folder of its own, and
//! without DuckDB.

use std::ffi::OsString;

use anyhow::Result;

use crate::workspace::{self, Workspace};

/// Explore in which order the threads of the log may run
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many schedules each scenario has; 3,000 if not given
    #[arg(long, value_name = "N")]
    schedules: Option<u64>,
    /// Where to start the random choices
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Only the scenarios whose name contains this
    #[arg(long, value_name = "NAME", default_value = "")]
    scenario: String,
    /// Run this schedule again, which a failure has printed
    #[arg(long, value_name = "SCHEDULE", requires = "scenario")]
    schedule: Option<String>,
}

/// Builds the scenarios and runs them.
pub(crate) fn run(args: Args) -> Result<bool> {
    let given = [
        ("PERSIST_SCHEDULES", args.schedules.map(|number| number.to_string())),
        ("PERSIST_SEED", args.seed.map(|seed| seed.to_string())),
        ("PERSIST_SCHEDULE", args.schedule),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into())));
    explore(&Workspace::find()?, &args.scenario, given.collect())
}

/// Runs the scenarios of this name, or all, with what is set for them.
pub(crate) fn explore(workspace: &Workspace, scenario: &str, environment: Vec<(OsString, OsString)>) -> Result<bool> {
    let mut test = workspace::cargo();
    test.args(["test", "--quiet", "--package", "persist-core", "--no-default-features", "--test", "it"]);
    test.arg("--target-dir").arg(workspace.target.join("schedules"));
    test.arg("--").arg(format!("schedules::{scenario}"));
    // It would count for more.
    test.env_remove("CARGO_ENCODED_RUSTFLAGS");
    test.env("RUSTFLAGS", "--cfg persist_schedules --deny warnings").envs(environment);
    workspace::succeeds(&mut test)
}
