//! The child process of the flights: it stores the first part of a date, and aborts in the middle of it.

use std::process::ExitCode;

use persist_dated::DatedStore;

use crate::child::{Doomed, Told};
use crate::error::Error;
use crate::flights::flight::{self, Flight};
use crate::flights::run;

/// How many threads of the child are busy when it aborts.
const WRITERS: usize = 8;

/// What the child is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    told: Told,
    /// Store so many flights of the date
    #[arg(long)]
    flights: usize,
}

/// What the child does. It returns only if it could not do it.
pub(crate) fn write_and_abort(args: &Args) -> Result<ExitCode, Error> {
    let store = DatedStore::open(&args.told.date, run::config(&args.told.stores))?;
    let mut by_date = flight::read(&args.told.csv)?;
    let flights: Vec<Flight> = by_date.remove(&store.date()).into_iter().flatten().take(args.flights).collect();
    let flights: Vec<&Flight> = flights.iter().collect();
    let doomed = Doomed::new(&args.told);
    run::store_all(&store, &flights, WRITERS, |n| doomed.acknowledged(n))?;
    Err(Error::Child("stored all it was given".to_owned()))
}
