//! The child process of the weather: it stores date after date and aborts in the middle of one.

use std::process::ExitCode;

use persist_collection::CollectionStore;

use crate::child::{Doomed, Told};
use crate::error::Error;
use crate::weather::observation::{self, Observation};
use crate::weather::writing;

/// What the child is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    told: Told,
    /// Store another value than that of this observation
    #[arg(long)]
    alter: Option<usize>,
}

/// What the child does. It returns only if it could not do it.
pub(crate) fn write_and_abort(Args { told, alter }: &Args) -> Result<ExitCode, Error> {
    let all = observation::read(&told.csv)?;
    let writers = writing::airports(&all);
    let doomed = Doomed::new(told);
    let mut store = None;
    for (date, observations) in observation::dates(&all) {
        let store = match &mut store {
            None => store.insert(CollectionStore::open(date, writing::config(&told.stores))?),
            Some(store) => {
                store.roll_to(date)?;
                store
            }
        };
        let observations: Vec<&Observation> = observations.iter().collect();
        writing::store_all(store, &observations, writers, *alter, |number| doomed.acknowledged(number))?;
        if date.to_string() == told.date {
            break;
        }
    }
    Err(Error::Child("stored all it was given".to_owned()))
}
