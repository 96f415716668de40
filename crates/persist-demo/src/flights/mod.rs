//! The departures from New York in dated stores: every one a durable record in the store of its date. In the middle of
//! one date a child process that does the storing aborts, as a crash would; its records are recovered and the rest
//! stored. All is exported to Parquet, and counted in several ways, which must agree.

mod answer;
mod crash;
mod exported;
mod flight;
mod report;
mod run;

pub(crate) use crash::{Args as CrashArgs, write_and_abort};
pub(crate) use report::table;
pub(crate) use run::run;
