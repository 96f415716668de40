//! The main job of persist on real flights, end to end: `cargo xtask demo`.
//!
//! Every departure of a CSV file becomes a durable record in the store of its date. In the middle of one date a child
//! process that does the storing aborts, as a crash would; the demo recovers its records and goes on. Everything that
//! was stored is then counted in several ways, which must agree.
//!
//! Exit code 0: all counts agree. 1: they don't, or something failed. 2: bad input.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this program is for")]

mod answer;
mod crash;
mod error;
mod exported;
mod flights;
mod report;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;

/// Store flights durably, crash, recover, and ask DuckDB.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Cli {
    #[command(flatten)]
    demo: Option<run::Args>,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(Debug, Subcommand)]
enum Child {
    /// Be the child process that aborts while it writes
    #[command(hide = true)]
    Crash(crash::Args),
}

fn main() -> ExitCode {
    let ended = match Cli::parse() {
        Cli { child: Some(Child::Crash(args)), .. } => crash::write_and_abort(&args),
        Cli { demo: Some(args), .. } => demo(&args),
        // Without a subcommand clap demands `--csv`.
        Cli { .. } => return ExitCode::from(2),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

fn demo(args: &run::Args) -> Result<ExitCode, Error> {
    let outcome = run::run(args)?;
    println!("{}", if args.json { report::json(&outcome)? } else { report::table(&outcome) });
    Ok(outcome.exit_code())
}

/// A file name or folder that this program was given, made absolute: the child works in a folder of its own.
fn absolute(path: &std::path::Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| Error::io("cannot resolve", path, error))
}
