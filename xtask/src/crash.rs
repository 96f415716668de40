//! `cargo xtask crash`: stores killed, torn and replayed, for as long as one likes.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::duckdb::Duckdb;
use crate::workspace::Workspace;
use crate::{fuzz, planted, schedules};

/// The rows that have chores of their own, as they need another build.
const SCHEDULES: u32 = 17;
const FUZZING: u32 = 25;

/// Kill, tear and reopen stores, and check what they promise
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this row of the table of promises
    #[arg(long, value_name = "N")]
    pub(crate) row: Option<u32>,
    /// Which store: dated, collection, or log for what is below the stores
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<OsString>,
    /// How many cases of each row; without this and --minutes as many as CI runs
    #[arg(long, value_name = "N")]
    pub(crate) cycles: Option<u64>,
    /// For how long each row and store
    #[arg(long, value_name = "M")]
    pub(crate) minutes: Option<f64>,
    /// The number of the first case, to see a failure again
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Run nothing, and sum up in docs/soak.md what was run
    #[arg(long, conflicts_with_all = ["row", "store", "cycles", "minutes", "seed"])]
    pub(crate) report: bool,
    /// Plant bugs in the sources, and see that the tests find each
    #[arg(long, conflicts_with_all = ["row", "store", "cycles", "minutes", "seed", "report"])]
    pub(crate) planted: bool,
    /// Of the planted bugs only those whose name contains this
    #[arg(long, value_name = "NAME", requires = "planted")]
    pub(crate) bug: Option<String>,
    /// Compile DuckDB from its sources in place of linking a prebuilt library
    #[arg(long)]
    pub(crate) bundled: bool,
    /// More arguments for the program
    #[arg(last = true)]
    pub(crate) args: Vec<OsString>,
}

/// Provides DuckDB, builds the crash program and runs it.
pub(crate) fn run(args: Args) -> Result<bool> {
    let workspace = Workspace::find()?;
    let duckdb = Duckdb::provide(&workspace, args.bundled)?;
    if args.planted {
        return planted::run(&workspace, &duckdb, args.bug.as_deref());
    }
    // They are about the log and what is below the stores.
    let is_below = args.store.as_ref().is_none_or(|store| store == "log");
    let wants = |row| !args.report && args.row.map_or(is_below, |wanted| wanted == row);
    let mut succeeded = true;
    if args.row.is_none_or(|row| ![SCHEDULES, FUZZING].contains(&row)) {
        succeeded &= run_table(&workspace, &duckdb, &args)?;
    }
    if wants(SCHEDULES) {
        succeeded &= explore(&workspace, &args)?;
    }
    if wants(FUZZING) {
        succeeded &= fuzz::run(fuzz::Args::bounded(args.minutes, args.seed, args.bundled)?)?;
    }
    Ok(succeeded)
}

/// As many schedules of each scenario as wanted, or one lot after another for so long.
fn explore(workspace: &Workspace, args: &Args) -> Result<bool> {
    const LOT: u64 = 3000;
    let until = args.minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(minutes * 60.0));
    let (mut seed, lot) = (args.seed.unwrap_or(1), args.cycles.unwrap_or(LOT));
    loop {
        let given = [("PERSIST_SCHEDULES", lot), ("PERSIST_SEED", seed)];
        let given = given.map(|(name, number)| (name.into(), number.to_string().into()));
        if !schedules::explore(workspace, "", given.into())? {
            return Ok(false);
        }
        if until.is_none_or(|until| Instant::now() >= until) {
            return Ok(true);
        }
        seed += lot;
    }
}

fn run_table(workspace: &Workspace, duckdb: &Duckdb, args: &Args) -> Result<bool> {
    let mut all = Vec::new();
    let given = [("--row", args.row.map(u64::from)), ("--cycles", args.cycles), ("--seed", args.seed)];
    for (name, number) in given {
        if let Some(number) = number {
            all.extend([name.into(), number.to_string().into()]);
        }
    }
    if let Some(store) = &args.store {
        all.extend(["--store".into(), store.clone()]);
    }
    if let Some(minutes) = args.minutes {
        all.extend(["--minutes".into(), minutes.to_string().into()]);
    }
    let flags = [("--report", args.report), ("--bundled", duckdb.bundled())];
    all.extend(flags.iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| (*flag).into()));
    all.extend(args.args.iter().cloned());
    workspace.run_release(duckdb, "persist-tests", &["--bin=crash"], &all)
}
