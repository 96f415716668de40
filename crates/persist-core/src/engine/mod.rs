//! One engine under all stores: it opens, recovers, writes, reads, flushes, compacts and closes.
//!
//! ```text
//! caller ─ put ─▶ log (seq, group commit) ─▶ cache ◀─ get ─ caller
//!                        │
//!                     pending ─▶ worker: flush ─▶ DuckDB delta ─▶ keeper: merge, checkpoint, drop segments
//! ```
//!
//! `open.rs` brings a folder to life, `write.rs` is the path of a write, `worker.rs` flushes, `keeper.rs` does what may
//! take long, `subscribe.rs` tells others what changed, `close.rs` ends it, `database.rs` holds the DuckDB instance, `pending.rs` what waits to be flushed,
//! `shared.rs` what all of them share. `backup.rs` copies a store that is open, `restore.rs` makes a store of a copy,
//! `takeover/` turns a folder of the Python original into ours.

mod backup;
mod close;
mod database;
mod keeper;
mod manifest;
mod open;
mod pending;
mod read;
mod restore;
mod shared;
mod stats;
mod subscribe;
mod takeover;
mod worker;
mod write;

pub use manifest::Backup;
pub use open::Location;
pub use read::Verification;
pub use shared::Engine;
pub use stats::Stats;
pub use subscribe::{Event, Since, Subscription};
