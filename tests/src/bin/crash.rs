//! `cargo xtask crash`: the table of promises, for longer than CI runs it, and the processes that its cases kill.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use persist_test_utils::{Kind, Subject};
use persist_tests::rows::list::ROWS;
use persist_tests::rows::run::{Bounds, End, run};
use persist_tests::rows::verdict::Kept;
use persist_tests::rows::{Part, Row, Setting, Store};
use persist_tests::{CollectionSubject, DatedSubject, Task, fork};

/// Runs the rows of the table of promises, and says of each what it found.
#[derive(Debug, Parser)]
#[command(name = "crash")]
struct Arguments {
    /// Only this row.
    #[arg(long, value_parser = is_row)]
    row: Option<u8>,
    /// Only this store.
    #[arg(long, value_enum)]
    store: Option<Store>,
    /// How many cases of each row; without this and --minutes as many as CI runs.
    #[arg(long)]
    cycles: Option<u64>,
    /// For how long each row and store.
    #[arg(long)]
    minutes: Option<f64>,
    /// The number of the first case; a failure names it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run nothing, and write down the sums of what was run.
    #[arg(long)]
    report: bool,
    /// The file system whose power is cut; else both.
    #[arg(long, value_enum)]
    fs: Option<FileSystem>,
    /// Internal: DuckDB is compiled into this.
    #[arg(long, hide = true)]
    bundled: bool,
    /// Internal: what the process does that is killed.
    #[arg(long, hide = true, value_enum, default_value_t = Task::Write)]
    task: Task,
    /// Internal: the process that is killed, its folder, its seed, and how far each writer has come.
    #[arg(long, hide = true, num_args = 3, value_names = ["DIR", "SEED", "DONE"], requires = "store")]
    child: Option<Vec<String>>,
    /// Internal: the process that forks while it has a store open, and its folder.
    #[arg(long, hide = true, value_name = "DIR")]
    fork: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum FileSystem {
    Ext4,
    Xfs,
}

fn is_row(text: &str) -> Result<u8, String> {
    let row = text.parse().ok().filter(|row| ROWS.iter().any(|known| known.number == *row));
    let known: Vec<String> = ROWS.iter().map(|row| row.number.to_string()).collect();
    row.ok_or_else(|| format!("there are rows {}", known.join(", ")))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (&arguments.fork, arguments.child.as_deref()) {
        (Some(dir), _) => fork::process(dir).map_err(|error| eprintln!("{error}")),
        // A child says on its pipe what went wrong.
        (None, Some([dir, seed, done])) => {
            let child = if arguments.store == Some(Store::Collection) {
                child::<CollectionSubject>
            } else {
                child::<DatedSubject>
            };
            child(dir, seed, done, arguments.task).map_err(drop)
        }
        (None, _) if arguments.report => report(),
        (None, _) => run_rows(&arguments),
    };
    done.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn child<S: Subject>(dir: &str, seed: &str, done: &str, task: Task) -> Result<(), String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("--child: {error}"));
    let done = done.split(',').map(number).collect::<Result<Vec<_>, _>>()?;
    persist_tests::child::<S>(Path::new(dir), number(seed)?, &done, task)
}

fn report() -> Result<(), ()> {
    let path = Kept::here().report(ROWS).map_err(|error| eprintln!("{error}"))?;
    println!("{}", path.display());
    Ok(())
}

/// Runs the rows that are wanted, one after another, and fails at the end if one of them was broken.
fn run_rows(arguments: &Arguments) -> Result<(), ()> {
    let program = std::env::current_exe().map_err(|error| eprintln!("{error}"))?;
    let fs = arguments.fs.map(|fs| match fs {
        FileSystem::Ext4 => Kind::Ext4,
        FileSystem::Xfs => Kind::Xfs,
    });
    let setting = Setting { program, fs, is_bundled: arguments.bundled };
    let time = arguments.minutes.map(|minutes| Duration::from_secs_f64(minutes.max(0.0) * 60.0));
    let bounds = Bounds { first: arguments.seed, cases: arguments.cycles, time };
    let (mut any, mut held) = (false, true);
    for row in ROWS.iter().filter(|row| arguments.row.is_none_or(|number| row.number == number)) {
        for part in row.parts.iter().filter(|part| arguments.store.is_none_or(|store| part.store == store)) {
            any = true;
            held &= run_part(row, part, &setting, bounds);
        }
    }
    if !any {
        eprintln!("the row is not about this store");
    }
    if any && held { Ok(()) } else { Err(()) }
}

/// Runs one part and says what came of it, which is kept. Whether its promise held.
fn run_part(row: &Row, part: &Part, setting: &Setting, bounds: Bounds) -> bool {
    let outcome = run(row, part, setting, bounds);
    let what = format!(
        "row {} ({}): {} cases in {:.1} s",
        row.number,
        part.store.name(),
        outcome.cases,
        outcome.took.as_secs_f64()
    );
    match &outcome.end {
        End::Held => println!("{what}: held; {}", outcome.counters),
        End::Skipped(why) => println!("{what}: skipped: {why}"),
        End::Broken(how) => eprintln!("{what}: BROKEN\n{how}"),
    }
    if let Err(error) = Kept::here().add(row, part, bounds.first, &outcome) {
        eprintln!("the verdict is not kept: {error}");
    }
    !matches!(outcome.end, End::Broken(_))
}
