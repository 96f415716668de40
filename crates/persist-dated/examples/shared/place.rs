//! Where the examples leave their stores.

use std::io::{Error, Result};
use std::path::PathBuf;

/// The folder that was given, else `target/example-NAME`, which `cargo xtask clean-data` removes.
pub(crate) fn folder(given: Option<String>, name: &str) -> Result<PathBuf> {
    if let Some(folder) = given {
        return Ok(folder.into());
    }
    // target/<profile>/examples/<program>
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).ok_or_else(|| Error::other("the program is in no target folder"))?;
    Ok(target.join(format!("example-{name}")))
}
