//! What may be flushed, which watermark that has, what a checkpoint counts for, and which segments of the log may go.
//!
//! It knows the log and what waits to be flushed, and of the database what [`Base`] says: neither SQL nor DuckDB. The
//! engine's threads call it and decide *when*; what is decided here is *what*, so that a test can run just this, over a
//! base of its own, in every order that threads may come in.
//!
//! What it keeps true:
//! - The base is never ahead of the log: a record in doubt is never flushed.
//! - A flush is one transaction with its watermark, and never ends inside a batch. What fails stays and is tried again.
//! - A segment is removed only when all its records are at or below a watermark that was committed before a successful
//!   checkpoint *began*. (Commits land during a checkpoint, and need not be in the main file then.)
//! - A record stays in the queue until a checkpoint covers it, and what an instance that was lost had besides is flushed
//!   again.

mod base;
mod figures;
mod handle;
mod pending;
mod steps;

pub use base::{Append, Base, Entry, Merged, Place, Reached};
pub use figures::{Figures, Progress};
pub use handle::Handle;
pub use pending::{Pending, Room, Waiting, Window};
pub use steps::Protocol;
