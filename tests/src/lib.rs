//! The fault tests over whole stores, as a library: `cargo xtask test` runs each for a while, `cargo xtask crash` longer.

// A test that trips over its own tools should stop at that line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../../crates/persist-collection/tests/it/subject.rs"]
mod collection;
mod cycles;
mod damaged;
#[path = "../../crates/persist-dated/tests/it/subject.rs"]
mod dated;
mod eio;
mod faults;
mod folder;
pub mod fork;
mod full;
mod kill;
mod lasting;
mod names;
mod owners;
mod power;
mod process;
#[cfg(doctest)]
mod readme;
mod recovery;
pub mod rows;
mod script;
mod stop;
mod writer;

pub use collection::CollectionSubject;
pub use dated::DatedSubject;
pub use process::{Task, child};
