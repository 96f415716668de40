//! Tests by cargo-nextest: its report for people is shown as it comes, its JUnit file and its list of tests are
//! what is counted.
//!
//! The JUnit file leaves out what did not run, so the list tells which tests were skipped, and which should have run
//! and did not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::duckdb::Duckdb;
use crate::report::{Report, Suite};
use crate::test::Selection;
use crate::workspace::{self, Workspace};

/// The tests of one program: the name of each, and whether it is to be run.
type Listed = BTreeMap<String, BTreeMap<String, bool>>;

/// An end for a test that hangs, and the file to count from.
const CONFIG: &str = r#"[profile.default]
slow-timeout = { period = "60s", terminate-after = 10 }
[profile.default.junit]
"#;

/// Whether cargo-nextest is installed.
pub(crate) fn is_installed() -> bool {
    let mut version = workspace::cargo();
    version.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Runs the selected tests and adds their suites to the report.
pub(crate) fn run(workspace: &Workspace, duckdb: &Duckdb, selection: &Selection, report: &mut Report) -> Result<()> {
    let dir = workspace.target.join("nextest");
    let (config, junit) = (dir.join("xtask.toml"), dir.join("xtask-junit.xml"));
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    // By nextest's own rules the file would be in the workspace's target folder, wherever cargo builds.
    let content = format!("{CONFIG}path = {}\n", json!(junit));
    fs::write(&config, content).with_context(|| format!("cannot write {}", config.display()))?;
    // Of an earlier run: it must not be counted if this one ends before writing its own.
    let _ = fs::remove_file(&junit);
    let mut run = nextest(duckdb, "run", &config);
    run.args(&selection.cargo).args(["--no-fail-fast", "--no-tests=pass", "--"]).args(&selection.programs);
    let succeeded = workspace::succeeds(&mut run)?;
    let Ok(xml) = fs::read_to_string(&junit) else {
        report.fail("tests: did not build or did not start");
        return Ok(());
    };

    let mut list = nextest(duckdb, "list", &config);
    list.args(&selection.cargo).args(["--cargo-quiet", "--message-format=json", "--"]).args(&selection.programs);
    let output = list.stderr(Stdio::inherit()).output().context("cannot run cargo nextest list")?;
    if !output.status.success() {
        bail!("cargo nextest list failed");
    }
    let listed = listed(&serde_json::from_slice(&output.stdout).context("cargo nextest list printed no JSON")?);

    let suites = suites(&xml, &listed)?;
    let explained = suites.iter().any(|suite| suite.failed > 0);
    report.suites.extend(suites);
    if !succeeded && !explained {
        report.fail("tests: nextest failed");
    }
    Ok(())
}

fn nextest(duckdb: &Duckdb, command: &str, config: &Path) -> Command {
    let mut nextest = duckdb.cargo();
    nextest.args(["nextest", command, "--tool-config-file"]).arg(format!("xtask:{}", config.display()));
    nextest
}

/// Reads the output of `cargo nextest list`, leaving out the tests that the arguments leave out.
fn listed(list: &Value) -> Listed {
    let mut listed = Listed::new();
    for (suite, content) in list.get("rust-suites").and_then(Value::as_object).into_iter().flatten() {
        let tests = listed.entry(suite.clone()).or_default();
        for (test, state) in content.get("testcases").and_then(Value::as_object).into_iter().flatten() {
            let matched = state.pointer("/filter-match/status").and_then(Value::as_str) == Some("matches");
            let ignored = state.pointer("/filter-match/reason").and_then(Value::as_str) == Some("ignored");
            if matched || ignored {
                tests.insert(test.clone(), matched);
            }
        }
    }
    listed
}

/// Counts a JUnit file against the list. A test that was to be run and isn't in the file has failed.
fn suites(junit: &str, listed: &Listed) -> Result<Vec<Suite>> {
    let document = roxmltree::Document::parse(junit).context("nextest's JUnit file is no XML")?;
    let mut suites = Vec::new();
    let mut seen = BTreeSet::new();
    for node in document.descendants().filter(|node| node.has_tag_name("testsuite")) {
        let mut suite = Suite::new(node.attribute("name").context("a test suite has no name")?);
        for case in node.children().filter(|node| node.has_tag_name("testcase")) {
            let name = case.attribute("name").context("a test has no name")?;
            seen.insert((suite.name.clone(), name.to_owned()));
            suite.seconds += case.attribute("time").and_then(|time| time.parse::<f64>().ok()).unwrap_or_default();
            let has = |tag: &str| case.children().any(|node| node.has_tag_name(tag));
            match () {
                () if has("failure") || has("error") => suite.failed += 1,
                () if has("skipped") => suite.skipped += 1,
                () => suite.passed += 1,
            }
        }
        suites.push(suite);
    }
    for (name, tests) in listed.iter().filter(|(_, tests)| !tests.is_empty()) {
        let missing = tests.iter().filter(|(test, _)| !seen.contains(&(name.clone(), (*test).clone())));
        let (lost, skipped): (Vec<_>, Vec<_>) = missing.partition(|(_, to_run)| **to_run);
        let mut suite = suites.extract_if(.., |suite| suite.name == *name).next().unwrap_or_else(|| Suite::new(name));
        suite.failed += lost.len();
        suite.skipped += skipped.len();
        suites.push(suite);
    }
    suites.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(suites)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUNIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="2" errors="0">
    <testsuite name="persist-tests::it" tests="3" skipped="0" errors="0" failures="2">
        <testcase name="a" classname="persist-tests::it" time="0.500"/>
        <testcase name="x::d" classname="persist-tests::it" time="0.011">
            <failure message="process aborted with signal 6 (SIGABRT)" type="test abort">aborted</failure>
        </testcase>
        <testcase name="b" classname="persist-tests::it" time="0.25">
            <failure type="test failure with exit code 101">&lt;testcase name="no"/&gt;</failure>
            <system-out>&lt;testsuite name="no"&gt;</system-out>
        </testcase>
    </testsuite>
</testsuites>"#;

    fn list() -> Listed {
        let matches = json!({ "filter-match": { "status": "matches" } });
        let ignored = json!({ "filter-match": { "status": "mismatch", "reason": "ignored" } });
        let unwanted = json!({ "filter-match": { "status": "mismatch", "reason": "string" } });
        listed(&json!({ "rust-suites": {
            "persist-tests::it": { "testcases": { "a": matches, "b": matches, "x::d": matches, "c": ignored, "e": unwanted } },
            "xtask": { "testcases": { "f": unwanted } },
        } }))
    }

    #[test]
    fn counts_are_of_the_tests_that_ran_and_of_those_that_are_ignored() {
        let suite = Suite { passed: 1, failed: 2, skipped: 1, seconds: 0.761, ..Suite::new("persist-tests::it") };
        assert_eq!(suites(JUNIT, &list()).unwrap(), [suite]);
    }

    #[test]
    fn a_test_that_was_to_run_and_did_not_has_failed() {
        let suites = suites("<testsuites/>", &list()).unwrap();
        assert_eq!(suites, [Suite { failed: 3, skipped: 1, ..Suite::new("persist-tests::it") }]);
    }
}
