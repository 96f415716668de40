//! `cargo xtask powercut`: power cuts of a real kernel under a store, for as long as one likes.

use std::ffi::OsString;

use anyhow::Result;

use crate::crash;

/// Cut the power under stores on a file system in a file, as root, and check what they promise
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which file system: xfs or ext4
    #[arg(long, value_name = "FS")]
    fs: OsString,
    /// Which store: dated or collection
    #[arg(long, value_name = "STORE")]
    store: Option<OsString>,
    /// How many cases, of five cuts each
    #[arg(long, value_name = "N")]
    cycles: Option<u64>,
    /// The number of the first case, to see a failure again
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Compile DuckDB from its sources in place of linking a prebuilt library
    #[arg(long)]
    bundled: bool,
}

/// It is a row of the crash program, on some file system.
pub(crate) fn run(args: Args) -> Result<bool> {
    let Args { fs, store, cycles, seed, bundled } = args;
    let args = vec!["--fs".into(), fs];
    let (row, minutes, report, planted, bug) = (Some(6), None, false, false, None);
    crash::run(crash::Args { row, store, cycles, minutes, seed, report, planted, bug, bundled, args })
}
