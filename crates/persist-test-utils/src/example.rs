//! What the examples of the stores and their tests share: where they leave their data, and where they are built.

use std::io::{Error, Result};
use std::path::PathBuf;
use std::process::Command;

/// The folder that was given, else `target/example-NAME`, which `cargo xtask clean-data` removes. For examples.
///
/// # Errors
/// Where the program stands in no target folder.
pub fn example_folder(given: Option<String>, name: &str) -> Result<PathBuf> {
    if let Some(folder) = given {
        return Ok(folder.into());
    }
    // target/<profile>/examples/<program>
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).ok_or_else(|| Error::other("the program is in no target folder"))?;
    Ok(target.join(format!("example-{name}")))
}

/// The program of an example, built beside the tests. For tests.
///
/// # Panics
/// Where it has not been built.
pub fn example_program(name: &str) -> Command {
    // target/<profile>/deps/it-…
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(program.exists(), "{} is built by `cargo test` and `cargo build --examples`", program.display());
    Command::new(program)
}
