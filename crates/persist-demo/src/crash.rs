//! The crash: a child process that stores flights and aborts in the middle of it, and the parent that listens.
//!
//! The child says over its standard output which flights were acknowledged, by their number within the date, and nothing
//! else does: what the parent has read is what the store promised.

use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use persist_dated::DatedStore;
use time::Date;

use crate::error::Error;
use crate::flights::{self, Flight};
use crate::run;

/// How many threads of the child are busy when it aborts.
const WRITERS: usize = 8;

/// What the child is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The departures
    #[arg(long)]
    csv: PathBuf,
    /// The folder of the stores
    #[arg(long)]
    stores: PathBuf,
    /// The date to store
    #[arg(long)]
    date: String,
    /// Store so many of its flights
    #[arg(long)]
    flights: usize,
    /// Abort when so many were acknowledged
    #[arg(long)]
    abort_after: NonZeroUsize,
}

/// A child that is about to be started.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) csv: &'a Path,
    pub(crate) stores: &'a Path,
    pub(crate) date: Date,
    /// How many flights the date has. The child stores the first two thirds, and aborts when half of all were
    /// acknowledged: it never gets to the end by itself, and much of the date is left for the parent.
    pub(crate) flights: usize,
}

impl Plan<'_> {
    /// Runs the child until it aborts. Answers the numbers of the flights that it said were acknowledged, and calls
    /// `heard` for each.
    pub(crate) fn run(&self, heard: impl Fn()) -> Result<Vec<usize>, Error> {
        let program = std::env::current_exe().map_err(|error| Error::Child(format!("has no program: {error}")))?;
        // A core dump would land in the working folder.
        let scratch = tempfile::tempdir().map_err(|error| Error::Io(format!("no temporary folder: {error}")))?;
        let child = Command::new(program)
            .current_dir(scratch.path())
            .arg("crash")
            .arg("--csv")
            .arg(self.csv)
            .arg("--stores")
            .arg(self.stores)
            .args(["--date", &self.date.to_string()])
            .args(["--flights", &(self.flights * 2).div_ceil(3).to_string()])
            .args(["--abort-after", &self.flights.div_ceil(2).to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| Error::Child(format!("does not start: {error}")))?;
        let acknowledged = listen(&mut child, heard);
        if acknowledged.is_err() {
            // It may have ended by itself.
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| Error::Child(format!("can't be waited for: {error}")))?;
        let acknowledged = acknowledged?;
        // What it ends with by itself; an abort is a signal, or on Windows a large code.
        if matches!(status.code(), Some(0..=2)) {
            return Err(Error::Child(format!("did not abort: {status}")));
        }
        Ok(acknowledged)
    }
}

fn listen(child: &mut Child, heard: impl Fn()) -> Result<Vec<usize>, Error> {
    let pipe = child.stdout.take().ok_or_else(|| Error::Child("has no pipe".to_owned()))?;
    let mut acknowledged = Vec::new();
    for line in BufReader::new(pipe).lines() {
        let line = line.map_err(|error| Error::Child(format!("can't be heard: {error}")))?;
        acknowledged.push(line.parse().map_err(|_| Error::Child(format!("said {line:?}")))?);
        heard();
    }
    Ok(acknowledged)
}

/// What the child does. It returns only if it could not do it.
pub(crate) fn write_and_abort(args: &Args) -> Result<ExitCode, Error> {
    let store = DatedStore::open(&args.date, run::config(&args.stores))?;
    let mut by_date = flights::read(&args.csv)?;
    let flights: Vec<Flight> = by_date.remove(&store.date()).into_iter().flatten().take(args.flights).collect();
    let acknowledged = AtomicUsize::new(0);
    let flights: Vec<&Flight> = flights.iter().collect();
    run::store_all(&store, &flights, WRITERS, |n| {
        // One write, so that the parent sees a whole line or nothing of it.
        if std::io::stdout().lock().write_all(format!("{n}\n").as_bytes()).is_err() {
            // The parent is gone.
            std::process::exit(1);
        }
        if acknowledged.fetch_add(1, Ordering::SeqCst) + 1 == args.abort_after.get() {
            std::process::abort();
        }
    })?;
    Err(Error::Child("stored all it was given".to_owned()))
}
