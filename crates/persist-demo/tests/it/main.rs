//! The whole program, as `cargo xtask demo` runs it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod collection;
mod flights;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_persist-demo")).args(args).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A sample that is part of the project.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name)
}
