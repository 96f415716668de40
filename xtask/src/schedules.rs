//! `cargo xtask schedules`: the threads of group commit, and of flushes and checkpoints, in every order that chance finds,
//! on the store's own code.
//!
//! That is built with other locks for it (`crates/persist-core/src/sync.rs`), so in a target folder of its own, and
//! without DuckDB.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace::{self, Workspace};

/// What the names of the scenarios begin with, among the tests of their program.
const OF_SCENARIOS: &str = "schedules::";

/// Explore in which order the threads of a store may run
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
    let Some(program) = build(workspace, &[])? else { return Ok(false) };
    let names = scenarios(&program, scenario)?;
    workspace::succeeds(Command::new(program).arg("--exact").args(names).envs(environment))
}

/// Builds the program of the scenarios, with these further arguments for cargo; `None` where it does not build.
pub(crate) fn build(workspace: &Workspace, arguments: &[&str]) -> Result<Option<PathBuf>> {
    let mut test = workspace::cargo();
    test.args(["test", "--quiet", "--package", "persist-core", "--no-default-features", "--test", "it", "--no-run"]);
    test.arg("--message-format=json-render-diagnostics").args(arguments);
    test.arg("--target-dir").arg(workspace.target.join("schedules"));
    // It would count for more.
    test.env_remove("CARGO_ENCODED_RUSTFLAGS");
    test.env("RUSTFLAGS", "--cfg persist_schedules --deny warnings").stderr(Stdio::inherit());
    let output = test.output().context("cannot run cargo test")?;
    if !output.status.success() {
        return Ok(None);
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let messages = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = messages.filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?))).next_back();
    program.map(Some).context("cargo test names no program")
}

/// The scenarios whose name contains this.
fn scenarios(program: &Path, name: &str) -> Result<Vec<String>> {
    let output = Command::new(program).args(["--list", OF_SCENARIOS]).output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    let names = named(&String::from_utf8_lossy(&output.stdout), name);
    if names.is_empty() {
        bail!("no scenario's name contains {name:?}");
    }
    Ok(names)
}

/// The tests of a list, as a test program prints it, that are scenarios and whose name contains this.
fn named(list: &str, name: &str) -> Vec<String> {
    let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
    let scenarios = tests.filter(|test| test.strip_prefix(OF_SCENARIOS).is_some_and(|own| own.contains(name)));
    scenarios.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_found_by_a_part_of_their_name_and_nothing_else_is() {
        let list = "schedules::flush::a_crash: test\nschedules::a_close: test\nwal::crash::a_crash: test\n\n3 tests\n";
        assert_eq!(named(list, "crash"), ["schedules::flush::a_crash"]);
        assert_eq!(named(list, "").len(), 2);
        assert_eq!(named(list, "schedules"), [""; 0]);
    }
}
