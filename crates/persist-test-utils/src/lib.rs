//! What the tests of persist share.
//!
//! - [`sim`]: [`SimFs`], a file system in memory that fails, shortens, stops, forgets and tears on demand.
//! - [`flaky`]: [`FlakyDisk`], the real disk but for what a test forbids.
//! - [`rng`]: [`Rng`], the one source of chance of the seeded tests.
//! - [`oracle`]: [`Oracle`], the naive store that real ones are compared with.
//! - [`linear`]: whether concurrent answers about one id could have come one after another.
//! - [`mod@subject`]: [`Subject`], what the tests that run on every store see of one.
//! - [`mod@conformance`]: what every store promises.
//! - [`interleave`]: anything in any order, on a [`Subject`] and on the naive store.
//! - [`example`]: where examples leave their data, and where they are built.
//! - [`folder`]: copies of a store's real folder, as a crash would leave it.
//! - [`mod@mount`]: file systems of the kernel's, to be filled and cut off.
//! - [`faulty`]: one whose device fails.
//!
//! But for `example`, `folder`, `faulty`, `flaky`, `mount`, `subject`, `conformance` and `interleave`, nothing here reads a clock, starts a thread or touches a disk: a seed replays a
//! test exactly.

// A test that trips over its own tools should stop at that line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod conformance;
pub mod example;
pub mod faulty;
pub mod flaky;
pub mod folder;
pub mod hostile;
pub mod interleave;
pub mod linear;
pub mod mount;
pub mod oracle;
pub mod rng;
pub mod sim;
pub mod subject;

pub use example::{example_folder, example_program};
pub use faulty::{FaultyMount, Killed};
pub use flaky::FlakyDisk;
pub use folder::copy_as_crash_leaves_it;
pub use hostile::hostile_texts;
pub use mount::{Kind, Mount};
pub use oracle::Oracle;
pub use rng::Rng;
pub use sim::{Fault, Op, SimFs, What, When, errno, is_stopped};
pub use subject::{Settings, Subject};
