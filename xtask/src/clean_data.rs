//! `cargo xtask clean-data`: removes the stores that demonstrations, examples, benchmarks and crash tests leave.

use std::fs;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// What such a folder's name starts with. All of them stand in the target folder; nothing outside is touched.
const LEFT: [&str; 4] = ["demo", "example-", "bench-", "crash"];

/// Remove the stores that demonstrations, examples, benchmarks and crash tests left in the target folder
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Removes the folders and names each.
pub(crate) fn run(Args {}: Args) -> Result<bool> {
    let target = Workspace::find()?.target;
    let mut removed = 0;
    for entry in fs::read_dir(&target).into_iter().flatten().flatten() {
        let left = LEFT.iter().any(|start| entry.file_name().to_string_lossy().starts_with(start));
        // Not what a link leads to: only folders are entered.
        if left && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            println!("removed {}", path.display());
            removed += 1;
        }
    }
    println!("{removed} folders removed");
    Ok(true)
}
