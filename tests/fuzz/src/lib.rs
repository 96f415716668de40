//! Fuzz targets: everything of persist that reads bytes which it did not just write, and what must be true of any bytes.
//!
//! - [`target`]: the list. A target takes bytes, and panics where something is not as it should be.
//! - [`mutate`]: inputs made of others. [`corpus`]: the inputs to begin with, which are committed, and the seeded run of
//!   a test. `guided/`, a package of its own, runs the same targets under libFuzzer: `cargo xtask fuzz`.
//!
//! Of each target: no panic, no endless loop, what is read comes back when it is written, and so much memory as
//! [`memory`] says. Where a checksum guards what lies behind it, a target can put it right ([`Target::mend`]): a
//! random change would never get past it.

// A target that trips over its own tools should stop at that line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod corpus;
mod data;
mod folder;
mod log;
pub mod memory;
pub mod mutate;
mod segment;
pub mod target;
mod text;

pub use target::{TARGETS, Target};
