//! The write-ahead log: JSON lines in numbered segments, written by group commit, checked and replayed after a crash.
//!
//! It knows lines, not records: what a line's body says is its owner's business. `docs/format.md` describes the bytes.

mod ahead;
mod archive;
mod gate;
mod judge;
mod kept;
mod leader;
mod line;
mod name;
mod news;
mod reader;
mod recover;
mod report;
mod settle;
mod whole;
mod writer;

pub use archive::{Archive, Archived};
pub use kept::ReadBack;
pub use line::{BatchPlace, Line, Marks};
#[cfg(feature = "duckdb")]
pub(crate) use name::is_left_out;
pub use name::{SegmentId, SegmentNames};
pub use news::Call;
pub use recover::{Ancestor, Recovered, Recovery, new_store_id};
pub use report::{Cause, LeftOut, RecoveryPolicy, RecoveryReport};
pub use writer::{Append, Body, Log, LogOptions, LogStart, LogStats, Reach, Segment, Stamp};
