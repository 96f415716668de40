//! `completions`: what a shell needs to complete the words of the command.

use std::process::ExitCode;

use clap_complete::{Shell, generate};

use crate::failure::Result;
use crate::output::Output;

/// What `completions` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script of a shell.
pub(crate) fn run(args: &Args, mut command: clap::Command, output: &Output) -> Result<ExitCode> {
    let mut script = Vec::new();
    generate(args.shell, &mut command, "persist", &mut script);
    output.line(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
