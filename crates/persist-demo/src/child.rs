//! The crash: a child process that stores and aborts in the middle of it, and the parent that listens.
//!
//! The child says over its standard output what was acknowledged, by its number, and nothing else does: what the parent
//! has read is what the store promised.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use persist_collection::RecoveryReport;
use serde::{Serialize, Serializer};
use time::Date;

use crate::error::Error;

/// What every child is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Told {
    /// The CSV file
    #[arg(long)]
    pub(crate) csv: PathBuf,
    /// The folder of the stores
    #[arg(long)]
    pub(crate) stores: PathBuf,
    /// The date to store, or to store up to
    #[arg(long)]
    pub(crate) date: String,
    /// Abort when so many were acknowledged
    #[arg(long)]
    pub(crate) abort_after: NonZeroUsize,
}

/// A child that is about to be started.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The subcommand of this program that it runs.
    pub(crate) job: &'a str,
    pub(crate) csv: &'a Path,
    pub(crate) stores: &'a Path,
    pub(crate) date: Date,
    pub(crate) abort_after: usize,
}

impl Plan<'_> {
    /// Runs the child until it aborts. Answers the numbers that it said were acknowledged, and calls `heard` for each.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        more: impl IntoIterator<Item = S>,
        heard: impl Fn(),
    ) -> Result<Vec<usize>, Error> {
        let program = std::env::current_exe().map_err(|error| Error::Child(format!("has no program: {error}")))?;
        // A core dump would land in the working folder.
        let scratch = tempfile::tempdir().map_err(|error| Error::Io(format!("no temporary folder: {error}")))?;
        let child = Command::new(program)
            .current_dir(scratch.path())
            .arg(self.job)
            .arg("--csv")
            .arg(self.csv)
            .arg("--stores")
            .arg(self.stores)
            .args(["--date", &self.date.to_string()])
            .args(["--abort-after", &self.abort_after.to_string()])
            .args(more)
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

/// What the child says of its work, until it aborts.
#[derive(Debug)]
pub(crate) struct Doomed {
    acknowledged: AtomicUsize,
    abort_after: NonZeroUsize,
}

impl Doomed {
    pub(crate) fn new(told: &Told) -> Self {
        Self { acknowledged: AtomicUsize::new(0), abort_after: told.abort_after }
    }

    /// Says that something was acknowledged; aborts if that was the last that it was to do.
    pub(crate) fn acknowledged(&self, number: usize) {
        // One write, so that the parent sees a whole line or nothing of it.
        if std::io::stdout().lock().write_all(format!("{number}\n").as_bytes()).is_err() {
            // The parent is gone.
            std::process::exit(1);
        }
        if self.acknowledged.fetch_add(1, Ordering::SeqCst) + 1 == self.abort_after.get() {
            std::process::abort();
        }
    }
}

/// What the child left, and what became of it.
#[derive(Debug, Serialize)]
pub(crate) struct Crash {
    #[serde(serialize_with = "as_text")]
    pub(crate) date: Date,
    pub(crate) acknowledged: usize,
    /// What was in DuckDB when it aborted: records up to this one.
    pub(crate) flushed: u64,
    /// Those that were replayed from the log.
    pub(crate) recovered: u64,
    /// What was read of the log, its fill included.
    pub(crate) log_bytes: u64,
    /// The torn tail, if there is one.
    pub(crate) left_out_bytes: u64,
    pub(crate) recovery_seconds: f64,
    pub(crate) recovered_per_second: f64,
    /// Opening the store, recovery included.
    pub(crate) opened_in_seconds: f64,
}

impl Crash {
    pub(crate) fn new(date: Date, acknowledged: usize, report: &RecoveryReport, opened: Duration) -> Self {
        let seconds = report.elapsed.as_secs_f64();
        Self {
            date,
            acknowledged,
            flushed: report.watermark,
            recovered: report.records,
            log_bytes: report.bytes,
            left_out_bytes: report.bytes_left_out(),
            recovery_seconds: seconds,
            recovered_per_second: report.records as f64 / seconds,
            opened_in_seconds: opened.as_secs_f64(),
        }
    }
}

/// A date as text in JSON.
pub(crate) fn as_text<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}
