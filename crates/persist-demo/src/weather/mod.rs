//! The hourly weather at the airports of New York in a collection store: key = airport, collection = `weather`, item =
//! measure, one write for each measure and hour.
//!
//! A child process stores the first days and aborts in the middle of one; what it left is recovered, and the rest stored.
//! The history, the newest values and the values as of an hour are then compared with the CSV file; so are a backup that
//! is restored, the store as it stood before the last date, and both databases rebuilt after they were damaged.

mod compare;
mod copies;
mod crash;
mod expected;
mod found;
mod observation;
mod repair;
mod report;
mod run;
mod writing;

pub(crate) use crash::{Args as CrashArgs, write_and_abort};
pub(crate) use report::table;
pub(crate) use run::run;
