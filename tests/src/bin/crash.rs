//! `cargo xtask crash`: the fault tests of `docs/crash-safety.md`, longer than CI runs them.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use persist_test_utils::Subject;
use persist_tests::{CollectionSubject, DatedSubject, fork, kill, stop};

/// Runs one of the fault tests and says what it found.
#[derive(Debug, Parser)]
#[command(name = "crash")]
struct Arguments {
    /// The fault: 1 = kill -9 while four threads write, 2 = the disk stops at some file operation.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    row: u8,
    /// The store.
    #[arg(long, value_enum, default_value_t = Store::Dated)]
    store: Store,
    /// How many cases.
    #[arg(long, default_value_t = 100)]
    cycles: u64,
    /// Where the random numbers start; a failure names it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Internal: the process that is killed, its folder, its seed, and how far each writer has come.
    #[arg(long, hide = true, num_args = 3, value_names = ["DIR", "SEED", "DONE"])]
    child: Option<Vec<String>>,
    /// Internal: the process that forks while it has a store open, and its folder.
    #[arg(long, hide = true, value_name = "DIR")]
    fork: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Store {
    Dated,
    Collection,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (&arguments.fork, arguments.store) {
        (Some(dir), _) => fork::process(dir),
        (None, store) => run_for(store, &arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run_for(store: Store, arguments: &Arguments) -> Result<(), String> {
    match store {
        Store::Dated => run::<DatedSubject>(arguments),
        Store::Collection => run::<CollectionSubject>(arguments),
    }
}

fn child<S: Subject>(dir: &str, seed: &str, done: &str) -> Result<(), String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("--child: {error}"));
    let done = done.split(',').map(number).collect::<Result<Vec<_>, _>>()?;
    kill::child::<S>(Path::new(dir), number(seed)?, &done)
}

fn run<S: Subject>(arguments: &Arguments) -> Result<(), String> {
    if let Some([dir, seed, done]) = arguments.child.as_deref() {
        return child::<S>(dir, seed, done);
    }
    let start = Instant::now();
    let (what, replayed) = match arguments.row {
        2 => {
            let verdict = stop::run::<S>(arguments.cycles, arguments.seed)?;
            (format!("{} stops, {} acknowledged actions", verdict.stopped, verdict.acknowledged), verdict.replayed)
        }
        _ => {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            let kill::Verdict { cycles, acknowledged, unacknowledged, killed_while_opening, replayed, backups } =
                kill::run::<S>(&program, arguments.cycles, arguments.seed)?;
            let what = format!(
                "{cycles} kills, {killed_while_opening} of them while opening, {acknowledged} acknowledged actions, \
                 {unacknowledged} others found whole, {backups} backups read"
            );
            (what, replayed)
        }
    };
    println!(
        "row {} ({}): {what}, {replayed} records replayed: none lost, doubled or halved ({:.1} s)",
        arguments.row,
        S::NAME,
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
