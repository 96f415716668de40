//! A store as the tests see it that run on every store: it is opened in a folder, and does what the naive store is told.
//!
//! A store's own tests make one with [`subject!`](macro@crate::subject), which has in it what the stores call by the same
//! names; they say what an id of theirs is, and how a put, a removal and a read name it.

mod adapter;
mod surface;

pub use surface::{Follower, Outcome, Row, Settings, Subject, Told, Waiting, outcome};
