//! The workloads: what persist is made to do, and what stands beside it.

mod bench;
mod closed;
mod collection;
mod compaction;
mod declared;
mod flush;
mod latest;
mod peers;
mod prepare;
mod query;
mod read;
mod record;
mod recovery;
mod table;
mod verbs;
mod write;

#[cfg(test)]
pub(crate) use bench::REPORTED;
pub(crate) use bench::{Bench, Scale, run_all};
pub(crate) use recovery::step;
