//! Tests by `cargo test`, which are the doctests, and all others where nextest is not installed: what it prints is
//! shown as it comes and counted from.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::duckdb::Duckdb;
use crate::report::{Report, Suite};
use crate::test::Selection;
use crate::workspace::{self, Workspace};

/// Test programs by file name, as cargo names them when it starts one: `it-f940fa93609bd1ec`.
type Programs = BTreeMap<String, String>;

/// Runs the selected tests but for the doctests and adds their suites to the report.
pub(crate) fn run(workspace: &Workspace, duckdb: &Duckdb, selection: &Selection, report: &mut Report) -> Result<()> {
    const TARGETS: [&str; 3] = ["--lib", "--bins", "--tests"];
    // As programs, which tests run; among the targets of `cargo test` they would be built as tests only.
    if !workspace::succeeds(duckdb.cargo().arg("build").args(&selection.cargo).arg("--examples"))? {
        report.fail("examples: did not build");
        return Ok(());
    }
    // Apart, so that cargo can show its progress, and since only here it says which program is whose.
    let mut build = duckdb.cargo();
    build
        .arg("test")
        .args(&selection.cargo)
        .args(TARGETS)
        .args(["--no-run", "--message-format=json-render-diagnostics"]);
    let output = build.stderr(Stdio::inherit()).output().context("cannot run cargo test")?;
    if !output.status.success() {
        report.fail("tests: did not build");
        return Ok(());
    }
    let programs = programs(workspace, &String::from_utf8_lossy(&output.stdout));
    let mut run = duckdb.cargo();
    run.arg("test").args(&selection.cargo).args(TARGETS).args(["--no-fail-fast", "--"]).args(&selection.programs);
    follow(&mut run, programs, "tests", report)
}

/// Runs the doctests of the selected packages and adds a suite for each crate to the report.
pub(crate) fn run_doctests(duckdb: &Duckdb, selection: &Selection, report: &mut Report) -> Result<()> {
    let mut run = duckdb.cargo();
    run.arg("test").args(&selection.cargo).args(["--doc", "--no-fail-fast", "--"]).args(&selection.programs);
    follow(&mut run, Programs::new(), "doctests", report)
}

/// Runs `cargo test`, shows what it prints and counts from it.
fn follow(command: &mut Command, programs: Programs, what: &str, report: &mut Report) -> Result<()> {
    // Cargo names a suite on standard error, the suite its result on standard output: one pipe keeps the order.
    let (reader, writer) = io::pipe().context("cannot make a pipe")?;
    let mut child = command.stdout(writer.try_clone()?).stderr(writer).spawn().context("cannot run cargo test")?;
    // The command holds the writing end, and while it does, the reading end never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut counter = Counter { programs, suites: Vec::new() };
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line.context("cannot read what cargo test prints")?).into_owned();
        eprintln!("{line}");
        counter.read(&line);
    }
    let succeeded = child.wait().context("cannot wait for cargo test")?.success();
    let suites = counter.finish();
    let explained = suites.iter().any(|suite| suite.failed > 0);
    report.suites.extend(suites);
    if !succeeded && !explained {
        report.fail(&format!("{what}: cargo test failed"));
    }
    Ok(())
}

/// Counts from the lines of `cargo test`.
#[derive(Debug)]
struct Counter {
    programs: Programs,
    /// Each with whether its result was read.
    suites: Vec<(Suite, bool)>,
}

impl Counter {
    fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("Doc-tests ") {
            self.suites.push((Suite::new(format!("{}::doc", name.replace('_', "-"))), false));
        } else if line.starts_with("Running ") && line.ends_with(')') {
            let path = line.rsplit_once('(').map(|(_, path)| path.trim_end_matches(')')).unwrap_or(line);
            let file = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
            let file = file.unwrap_or_else(|| path.to_owned());
            self.suites.push((Suite::new(self.programs.get(&file).cloned().unwrap_or(file)), false));
        } else if let Some(result) = line.strip_prefix("test result: ")
            && let Some((suite, read)) = self.suites.last_mut()
        {
            // The doctests of a crate print several: those merged into one program, and those that can't be.
            *read = true;
            let number = |of: &str| {
                let part = result.split(['.', ';']).find_map(|part| part.trim().strip_suffix(of));
                part.and_then(|number| number.trim().parse::<usize>().ok()).unwrap_or_default()
            };
            suite.passed += number("passed");
            suite.failed += number("failed");
            suite.skipped += number("ignored");
            let seconds =
                result.rsplit_once("finished in ").and_then(|(_, time)| time.trim_end_matches('s').parse().ok());
            suite.seconds += seconds.unwrap_or(0.0);
        }
    }

    /// A suite that was started and printed no result has died.
    fn finish(self) -> Vec<Suite> {
        let suites = self.suites.into_iter().map(|(mut suite, read)| {
            suite.failed += usize::from(!read);
            suite
        });
        suites.filter(|suite| suite.passed + suite.failed + suite.skipped > 0).collect()
    }
}

/// Reads which program is whose from what cargo prints as it builds.
fn programs(workspace: &Workspace, messages: &str) -> Programs {
    let mut programs = Programs::new();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let text = |at: &str| message.pointer(at).and_then(Value::as_str);
        let (Some(file), Some(target)) = (text("/executable"), text("/target/name")) else { continue };
        let package = text("/package_id").and_then(|id| workspace.package_name(id)).unwrap_or_default();
        let kind = text("/target/kind/0").unwrap_or_default();
        let name = match kind {
            "test" => format!("{package}::{target}"),
            "bin" | "example" => format!("{package}::{kind}/{target}"),
            _ => package.to_owned(),
        };
        if let Some(file) = Path::new(file).file_name() {
            programs.insert(file.to_string_lossy().into_owned(), name);
        }
    }
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> Vec<Suite> {
        let programs = Programs::from([("it-f9".to_owned(), "persist-tests::it".to_owned())]);
        let mut counter = Counter { programs, suites: Vec::new() };
        text.lines().for_each(|line| counter.read(line));
        counter.finish()
    }

    #[test]
    fn a_suite_is_counted_under_the_name_of_its_package() {
        let suites = count(
            "     Running it/main.rs (target/debug/deps/it-f9)\n\nrunning 4 tests\ntest a ... ok\n\n\
             test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.25s\n",
        );
        assert_eq!(
            suites,
            [Suite { passed: 2, failed: 1, skipped: 1, seconds: 0.25, ..Suite::new("persist-tests::it") }]
        );
    }

    #[test]
    fn a_suite_that_dies_has_failed() {
        let suites = count("     Running it/main.rs (target/debug/deps/it-f9)\ntest a ... ok\nerror: test failed\n");
        assert_eq!(suites, [Suite { failed: 1, ..Suite::new("persist-tests::it") }]);
    }

    #[test]
    fn the_doctests_of_a_crate_are_one_suite() {
        let result = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s\n";
        let suites = count(&format!("   Doc-tests persist_core\n{result}{result}   Doc-tests persist_kv\n{result}"));
        let core = Suite { passed: 4, seconds: 1.0, ..Suite::new("persist-core::doc") };
        assert_eq!(suites, [core, Suite { passed: 2, seconds: 0.5, ..Suite::new("persist-kv::doc") }]);
    }
}
