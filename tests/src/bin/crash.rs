//! `cargo xtask crash`: the fault tests of `docs/crash-safety.md`, longer than CI runs them.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use persist_test_utils::{Kind, Subject};
use persist_tests::{CollectionSubject, DatedSubject, Task, eio, fork, full, kill, power, stop};

/// Runs one of the fault tests and says what it found.
#[derive(Debug, Parser)]
#[command(name = "crash")]
struct Arguments {
    /// The fault: 1 = kill -9 while four threads write, 2 = the disk stops at some file operation, 6 = power cuts of the
    /// kernel's, 7 = a device that fails to write, 9 = a full disk; the last three as root.
    #[arg(long, default_value_t = 1, value_parser = is_row)]
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
    /// The file system whose power is cut.
    #[arg(long, value_enum, default_value_t = FileSystem::Xfs)]
    fs: FileSystem,
    /// Internal: what the process does that is killed.
    #[arg(long, hide = true, value_enum, default_value_t = Task::Write)]
    task: Task,
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

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum FileSystem {
    Ext4,
    Xfs,
}

fn is_row(text: &str) -> Result<u8, String> {
    let row = text.parse().ok().filter(|row| [1, 2, 6, 7, 9].contains(row));
    row.ok_or_else(|| "there are rows 1, 2, 6, 7 and 9 here".to_owned())
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
            // A child has said so on its pipe.
            if arguments.child.is_none() {
                eprintln!("{error}");
            }
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

fn child<S: Subject>(dir: &str, seed: &str, done: &str, task: Task) -> Result<(), String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("--child: {error}"));
    let done = done.split(',').map(number).collect::<Result<Vec<_>, _>>()?;
    persist_tests::child::<S>(Path::new(dir), number(seed)?, &done, task)
}

fn run<S: Subject>(arguments: &Arguments) -> Result<(), String> {
    if let Some([dir, seed, done]) = arguments.child.as_deref() {
        return child::<S>(dir, seed, done, arguments.task);
    }
    let start = Instant::now();
    let (what, replayed) = match arguments.row {
        6 => {
            let kind = match arguments.fs {
                FileSystem::Ext4 => Kind::Ext4,
                FileSystem::Xfs => Kind::Xfs,
            };
            if let Some(why) = power::unavailable(kind) {
                println!("row 6 ({}, {}): 0 cuts, skipped: {why}", S::NAME, kind.name());
                return Ok(());
            }
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            let verdict = power::run::<S>(&program, kind, arguments.cycles, arguments.seed)?;
            (told(kind, &verdict), verdict.replayed)
        }
        7 => {
            if let Some(why) = eio::unavailable() {
                println!("row 7 ({}): 0 cases, skipped: {why}", S::NAME);
                return Ok(());
            }
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            let verdict = eio::run::<S>(&program, arguments.cycles, arguments.seed)?;
            let eio::Verdict { cases, durable, went_on } = verdict;
            (format!("{cases} devices that failed, {durable} durable actions, {went_on} stores that went on"), 0)
        }
        9 => {
            if let Some(why) = full::unavailable() {
                println!("row 9 ({}): 0 cases, skipped: {why}", S::NAME);
                return Ok(());
            }
            let verdict = full::run::<S>(arguments.cycles, arguments.seed)?;
            (format!("{} full disks, something refused on {}", verdict.cases, verdict.refused), 0)
        }
        2 => {
            let verdict = stop::run::<S>(arguments.cycles, arguments.seed)?;
            (format!("{} stops, {} acknowledged actions", verdict.stopped, verdict.acknowledged), verdict.replayed)
        }
        _ => {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            let kill::Verdict {
                cycles,
                acknowledged,
                unacknowledged,
                killed_while_opening,
                replayed,
                backups,
                exports,
            } = kill::run::<S>(&program, arguments.cycles, arguments.seed)?;
            let what = format!(
                "{cycles} kills, {killed_while_opening} of them while opening, {acknowledged} acknowledged actions, \
                 {unacknowledged} others found whole, {backups} backups and {exports} exports read"
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

fn told(kind: Kind, verdict: &power::Verdict) -> String {
    format!(
        "{} power cuts of {}, {} of them while opening, {} while closing, {} after a kill, and {} while opening again; {} \
         of what was not synced were lost, {} durable actions, {} others found whole, {} backups and {} exports read; {} processes ended by DuckDB",
        verdict.cuts,
        kind.name(),
        verdict.while_opening,
        verdict.while_closing,
        verdict.after_a_kill,
        verdict.while_opening_again,
        verdict.probes_lost,
        verdict.durable,
        verdict.others,
        verdict.backups,
        verdict.exports,
        verdict.aborted
    )
}
