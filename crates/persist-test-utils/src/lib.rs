//! What the tests of persist share.
//!
//! - [`sim`]: [`SimFs`], a file system in memory that fails, shortens, stops, forgets and tears on demand.
//! - [`rng`]: [`Rng`], the one source of chance of the seeded tests.
//! - [`oracle`]: [`Oracle`], the naive store that real ones are compared with.
//! - [`folder`]: copies of a store's real folder, as a crash would leave it.
//!
//! But for `folder`, nothing here reads a clock, starts a thread or touches a disk: a seed replays a test exactly.

// A test that trips over its own tools should stop at that line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod folder;
pub mod oracle;
pub mod rng;
pub mod sim;

pub use folder::copy_as_crash_leaves_it;
pub use oracle::Oracle;
pub use rng::Rng;
pub use sim::{Fault, Op, SimFs, What, When, errno, is_stopped};
