//! `cargo xtask crash`: the fault tests of `docs/crash-safety.md`, longer than CI runs them.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use persist_tests::kill;

/// Runs one of the fault tests and says what it found.
#[derive(Debug, Parser)]
#[command(name = "crash")]
struct Arguments {
    /// The fault: 1 = kill -9 while four threads write.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=1))]
    row: u8,
    /// How many cases.
    #[arg(long, default_value_t = 100)]
    cycles: u64,
    /// Where the random numbers start; a failure names it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Internal: the process that is killed, its folder and its seed.
    #[arg(long, hide = true, num_args = 2, value_names = ["DIR", "SEED"])]
    child: Option<Vec<String>>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.child.as_deref() {
        Some([dir, seed]) => seed
            .parse()
            .map_err(|error| format!("--child: {error}"))
            .and_then(|seed| kill::child(&PathBuf::from(dir), seed)),
        _ => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let start = Instant::now();
    let verdict = kill::run(&program, arguments.cycles, arguments.seed)?;
    println!(
        "row {}: {} kills, {} acknowledged writes, {} replayed, {} killed while opening: none lost, none doubled ({:.1} s)",
        arguments.row,
        verdict.cycles,
        verdict.acknowledged,
        verdict.replayed,
        verdict.killed_while_opening,
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
