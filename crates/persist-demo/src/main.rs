//! The main jobs of persist on real data, end to end: `cargo xtask demo`, and with `--collection` the collection store.
//!
//! Each stores a CSV file durably. In the middle of it a child process that does the storing aborts, as a crash would; the
//! demo recovers its records and goes on. Everything that was stored is then counted in several ways, which must agree.
//!
//! Exit code 0: all counts agree. 1: they don't, or something failed. 2: bad input.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this program is for")]

mod checks;
mod child;
mod error;
mod flights;
mod folder;
mod progress;
mod rows;
mod table;
mod weather;
mod writers;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;

/// Store real data durably, crash, recover, and ask DuckDB.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Cli {
    #[command(flatten)]
    demo: Option<Args>,
    #[command(subcommand)]
    child: Option<Child>,
}

/// What a demo is told.
#[derive(Debug, clap::Args)]
struct Args {
    /// Keep the weather in a collection store, not the departures in dated ones
    #[arg(long)]
    collection: bool,
    /// The departures, or the weather, as CSV, gzipped or not
    #[arg(long, value_name = "FILE")]
    csv: PathBuf,
    /// Leave the stores in this folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print all figures as one JSON object
    #[arg(long)]
    json: bool,
    /// Store another value than that of this observation, the first being 0, and so fail
    #[arg(long, hide = true, requires = "collection")]
    alter: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum Child {
    /// Be the child process that aborts while it stores departures
    #[command(hide = true)]
    Crash(flights::CrashArgs),
    /// Be the child process that aborts while it stores the weather
    #[command(hide = true)]
    CrashCollection(weather::CrashArgs),
}

fn main() -> ExitCode {
    let ended = match Cli::parse() {
        Cli { child: Some(Child::Crash(args)), .. } => flights::write_and_abort(&args),
        Cli { child: Some(Child::CrashCollection(args)), .. } => weather::write_and_abort(&args),
        Cli { demo: Some(args), .. } if args.collection => weather(&args),
        Cli { demo: Some(args), .. } => flights(&args),
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

fn flights(args: &Args) -> Result<ExitCode, Error> {
    let outcome = flights::run(args)?;
    println!("{}", if args.json { table::json(&outcome)? } else { flights::table(&outcome) });
    Ok(outcome.checks.exit_code())
}

fn weather(args: &Args) -> Result<ExitCode, Error> {
    let outcome = weather::run(args)?;
    println!("{}", if args.json { table::json(&outcome)? } else { weather::table(&outcome) });
    Ok(outcome.checks.exit_code())
}
