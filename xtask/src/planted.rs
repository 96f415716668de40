//! `cargo xtask crash --planted`: bugs on purpose, each of which has to make its test fail.
//!
//! The bugs are in `persist-core` behind its feature `planted`, and `PERSIST_PLANTED` turns one of them on. The list says
//! for each which test finds it. Each of these tests first has to pass without a bug.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::duckdb::Duckdb;
use crate::schedules;
use crate::workspace::Workspace;

/// The bugs, what each does, and the test that finds it, from the root of the workspace.
const LIST: &str = "tests/planted.json";
const FEATURE: &str = "--features=persist-core/planted";
/// A test that hangs has found its bug as well.
const LONGEST: Duration = Duration::from_secs(120);

/// A bug and the test that finds it.
#[derive(Debug)]
struct Bug {
    name: String,
    test: Test,
}

/// A test, by the package and the program that hold it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    package: String,
    program: String,
    name: String,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Passed,
    Failed,
    Hung,
}

/// The program of the tests under chosen schedules, which is built apart.
const SCHEDULES: &str = "schedules";

/// The test programs by package and name.
type Programs = BTreeMap<(String, String), PathBuf>;

/// Plants the bugs whose name contains `only`, one after another, and prints for each what found it.
pub(crate) fn run(workspace: &Workspace, duckdb: &Duckdb, only: Option<&str>) -> Result<bool> {
    let bugs: Vec<Bug> =
        list(workspace)?.into_iter().filter(|bug| only.is_none_or(|only| bug.name.contains(only))).collect();
    let programs = build(workspace, duckdb, &bugs)?;
    let mut tests: Vec<&Test> = bugs.iter().map(|bug| &bug.test).collect();
    tests.sort_unstable();
    tests.dedup();
    for test in tests {
        let (ending, _) = judge(workspace, duckdb, &programs, test, None)?;
        if ending != Ending::Passed {
            bail!("{} of {} finds a bug where none is planted: {ending:?}", test.name, test.package);
        }
    }
    let mut caught = 0;
    println!("{:<26} {:>7}  caught by", "bug", "seconds");
    for bug in &bugs {
        let (ending, took) = judge(workspace, duckdb, &programs, &bug.test, Some(&bug.name))?;
        let by = match ending {
            Ending::Passed => "nothing: this passed: ",
            Ending::Failed => "",
            Ending::Hung => "(no end) ",
        };
        caught += usize::from(ending != Ending::Passed);
        println!("{:<26} {:>7.1}  {by}{}::{}", bug.name, took.as_secs_f64(), bug.test.package, bug.test.name);
    }
    println!("{} planted, {caught} caught", bugs.len());
    Ok(caught == bugs.len())
}

fn list(workspace: &Workspace) -> Result<Vec<Bug>> {
    let text = fs::read(workspace.root.join(LIST)).with_context(|| format!("cannot read {LIST}"))?;
    let rows: Vec<BTreeMap<String, String>> = serde_json::from_slice(&text).with_context(|| LIST.to_owned())?;
    let bug = |row: &BTreeMap<String, String>| {
        let of = |field: &str| row.get(field).cloned().with_context(|| format!("{LIST}: a row without {field}"));
        let test = Test { package: of("package")?, program: of("program")?, name: of("test")? };
        Ok(Bug { name: of("bug")?, test })
    };
    rows.iter().map(bug).collect()
}

/// Builds the test programs with the bugs in them, into a folder of their own.
fn build(workspace: &Workspace, duckdb: &Duckdb, bugs: &[Bug]) -> Result<Programs> {
    let mut cargo = cargo(workspace, duckdb);
    cargo.args(["test", "--no-run", "--lib", "--tests", FEATURE, "--message-format=json-render-diagnostics"]);
    let mut packages: Vec<&str> = bugs.iter().map(|bug| bug.test.package.as_str()).collect();
    packages.sort_unstable();
    packages.dedup();
    // The feature is persist-core's, and cargo takes it from a package that is selected.
    cargo.arg("--package=persist-core").args(packages.iter().map(|package| format!("--package={package}")));
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot run cargo test")?;
    if !output.status.success() {
        bail!("the tests did not build");
    }
    let mut programs = Programs::new();
    if let Some(bug) = bugs.iter().find(|bug| bug.test.program == SCHEDULES) {
        let program = schedules::build(workspace, &["--features=planted"])?.context("the schedules did not build")?;
        programs.insert((bug.test.package.clone(), SCHEDULES.to_owned()), program);
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
        let package = text("/package_id").and_then(|id| workspace.package_name(id));
        let is_test = message.pointer("/profile/test").and_then(Value::as_bool) == Some(true);
        if let (Some(program), Some(package), true) = (text("/executable"), package, is_test) {
            let is_lib = text("/target/kind/0") != Some("test");
            let name = if is_lib { "lib" } else { text("/target/name").unwrap_or_default() };
            programs.insert((package.to_owned(), name.to_owned()), program.into());
        }
    }
    Ok(programs)
}

fn cargo(workspace: &Workspace, duckdb: &Duckdb) -> Command {
    let mut cargo = duckdb.cargo();
    cargo.env("CARGO_TARGET_DIR", workspace.target.join("planted"));
    cargo
}

/// Runs one test with a bug, or with none. Answers how it ended and how long it took.
fn judge(
    workspace: &Workspace,
    duckdb: &Duckdb,
    programs: &Programs,
    test: &Test,
    bug: Option<&str>,
) -> Result<(Ending, Duration)> {
    let program = programs
        .get(&(test.package.clone(), test.program.clone()))
        .with_context(|| format!("{LIST}: {} has no test program {}", test.package, test.program))?;
    let mut command = command(workspace, duckdb, test, program);
    command.args(["--exact", &test.name, "--test-threads=1"]).stderr(Stdio::null());
    match bug {
        // What a failure prints would fill a pipe.
        Some(bug) => command.env("PERSIST_PLANTED", bug).stdout(Stdio::null()),
        None => command.env_remove("PERSIST_PLANTED").stdout(Stdio::piped()),
    };
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    let Some(success) = wait(&mut child, start)? else { return Ok((Ending::Hung, start.elapsed())) };
    let took = start.elapsed();
    if !success {
        return Ok((Ending::Failed, took));
    }
    let is_there = |printed: String| printed.contains("1 passed");
    if child.stdout.take().map(std::io::read_to_string).transpose()?.is_some_and(|printed| !is_there(printed)) {
        bail!("{LIST}: {} has no test {}", test.package, test.name);
    }
    Ok((Ending::Passed, took))
}

/// Waits for a test, but not for ever: whether it succeeded, if it ended.
fn wait(child: &mut Child, start: Instant) -> Result<Option<bool>> {
    while start.elapsed() < LONGEST {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// A call of a test program in the folder and with the library that cargo would give it.
fn command(workspace: &Workspace, duckdb: &Duckdb, test: &Test, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace.package_dir(&test.package).unwrap_or(&workspace.root));
    let cargo = duckdb.cargo();
    let given = cargo.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.envs(given);
    command
}
