//! Whatever is done in whatever order, a store agrees with the naive one, and that with the list of all writes: a property
//! that every store has.
//!
//! [`steps`] makes up what is done; [`run`] does it and compares.

mod run;
mod steps;

pub use run::run;
pub use steps::{How, Step, steps};
