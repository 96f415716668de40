//! Taking over a folder that the Python original wrote, once, at the first opening.
//!
//! Our database is built aside from the original's rows and lines, and takes its place when it is whole. So the log's
//! own reader never meets a line without `crc`. `steps` owns the order of it all and what a crash leaves, `lines` the
//! original's segments, `mend` what Python's JSON has that JSON has not.

mod lines;
mod mend;
mod steps;

pub(super) use steps::{Places, Takeover, start_over};
