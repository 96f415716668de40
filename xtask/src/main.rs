//! The chores of the workspace: `cargo xtask --help` is the list, one file holds each.
//!
//! A chore that builds what links DuckDB provides the library first ([`duckdb`]). What a chore has to say goes to
//! standard output, what happens meanwhile to standard error. Nothing here depends on a crate of persist.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bench;
mod ci;
mod clean_data;
mod crash;
mod demo;
mod duckdb;
mod fuzz;
mod library;
mod libtest;
mod nextest;
mod planted;
mod powercut;
mod report;
mod schedules;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The chores of the persist workspace")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    Demo(demo::Args),
    Test(test::Args),
    Tidy(tidy::Args),
    Ci(ci::Args),
    Crash(crash::Args),
    Powercut(powercut::Args),
    Fuzz(fuzz::Args),
    Schedules(schedules::Args),
    Bench(bench::Args),
    CleanData(clean_data::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Demo(args) => demo::run(args),
        Chore::Test(args) => test::run(args),
        Chore::Tidy(args) => tidy::run(args),
        Chore::Ci(args) => ci::run(args),
        Chore::Crash(args) => crash::run(args),
        Chore::Powercut(args) => powercut::run(args),
        Chore::Fuzz(args) => fuzz::run(args),
        Chore::Schedules(args) => schedules::run(args),
        Chore::Bench(args) => bench::run(args),
        Chore::CleanData(args) => clean_data::run(args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
