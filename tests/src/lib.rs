//! The fault tests over whole stores, as a library: `cargo xtask test` runs each for a while, `cargo xtask crash` longer.

// A test that trips over its own tools should stop at that line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod kill;
#[path = "../../crates/persist-dated/tests/it/perform.rs"]
mod perform;
mod script;
pub mod stop;
mod writer;
