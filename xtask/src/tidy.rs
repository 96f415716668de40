//! `cargo xtask tidy`: the quick half of `ci`, for while one writes.

use anyhow::Result;

use crate::duckdb::Duckdb;
use crate::workspace::{self, Workspace};

/// Check the format, and the rules on sources, layering and documents
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs rustfmt's check and the tests that read the workspace.
pub(crate) fn run(Args {}: Args) -> Result<bool> {
    let workspace = Workspace::find()?;
    let duckdb = Duckdb::provide(&workspace, false)?;
    let formatted = workspace::succeeds(workspace::cargo().args(["fmt", "--all", "--check"]))?;
    let mut tests = duckdb.cargo();
    tests.args(["test", "--package", "persist-tests", "--test", "it"]);
    if duckdb.bundled() {
        tests.arg(workspace.bundled_feature(Some("persist-tests"))?);
    }
    tests.args(["--", "tidy::", "layering::", "documents::"]);
    Ok(workspace::succeeds(&mut tests)? && formatted)
}
