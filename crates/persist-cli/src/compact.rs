//! `compact`: merges all that was flushed into the table itself, and lets go of the log that is not needed any more.

use std::path::PathBuf;
use std::process::ExitCode;

use persist_core::Stats;
use serde::Serialize;

use crate::failure::Result;
use crate::folder::Folder;
use crate::inspect::bytes_of;
use crate::output::{Output, list, size};
use crate::progress::Progress;
use crate::store::{Store, StoreArgs};

/// What `compact` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Answer {
    path: PathBuf,
    what: String,
    /// Rows that were merged into the table.
    merged_rows: u64,
    /// Rows of the table now.
    rows: u64,
    /// Bytes of everything in the folder before, and now.
    bytes_before: u64,
    bytes: u64,
}

/// Compacts a store.
pub(crate) fn run(args: &Args, output: &Output) -> Result<ExitCode> {
    let folder = args.store.one_without_owner()?;
    let bytes_before = bytes_of(&folder)?;
    let progress = Progress::of_unknown("compacting");
    let compacted = compact(&folder, args);
    progress.end();
    let stats = compacted?;
    let answer = Answer {
        path: folder.dir(),
        what: folder.name(),
        merged_rows: stats.merged_rows,
        rows: stats.base_rows,
        bytes_before,
        bytes: bytes_of(&folder)?,
    };
    output.answer(&answer, Answer::text)?;
    Ok(ExitCode::SUCCESS)
}

fn compact(folder: &Folder, args: &Args) -> Result<Stats> {
    let store = Store::open(folder, &args.store.shape)?;
    let stats = match &store {
        Store::Dated(store) => store.compact().map(|()| store.stats())?,
        Store::Collection(store) => store.compact().map(|()| store.stats())?,
        Store::Kv(store) => store.compact().map(|()| store.stats())?,
    };
    store.close()?;
    Ok(stats)
}

impl Answer {
    fn text(&self) -> String {
        list(&[
            ("path", self.path.display().to_string()),
            ("what", self.what.clone()),
            ("merged", format!("{} rows of {}", self.merged_rows, self.rows)),
            ("before", size(self.bytes_before)),
            ("now", size(self.bytes)),
        ])
    }
}
