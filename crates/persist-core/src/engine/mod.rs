//! One engine under all stores: it opens, recovers, writes, reads, flushes, compacts and closes.
//!
//! ```text
//! caller ─ put ─▶ log (seq, group commit) ─▶ cache ◀─ get ─ caller
//!                        │
//!                     pending ─▶ worker: flush ─▶ DuckDB delta ─▶ keeper: merge, checkpoint, drop segments
//! ```
//!
//! `open.rs` brings a folder to life, `write.rs` is the path of a write, `worker.rs` flushes, `keeper.rs` does what may
//! take long, `close.rs` ends it, `database.rs` is the DuckDB instance as those two see it, `shared.rs` what all of them share. `request.rs` is what can be asked for, `plan.rs` works out what that does,
//! `syncer.rs` makes durable what nobody waits for, `ticket.rs` is a write under way, `subscribe.rs` tells others what
//! changed, `history.rs` what was there before. `folders.rs` has the log go on elsewhere. `backup.rs` copies a store,
//! `manifest.rs` says what a copy is, `retention.rs` which of them stay, `restore.rs` makes a store of one, `rebuild.rs` makes
//! a missing history anew and `opened.rs` is a store that may need that; both bring in the log by `catch_up.rs`.
//! `repair.rs` finds out what is damaged. `takeover/` turns a folder of the Python original into ours.

#[cfg(feature = "tokio")]
mod asynchronous;
mod backup;
mod catch_up;
mod close;
mod database;
mod folders;
mod history;
mod keeper;
mod known;
mod loading;
mod manifest;
mod open;
mod opened;
mod plan;
mod read;
mod rebuild;
mod repair;
pub mod request;
mod restore;
mod retention;
mod shared;
mod stats;
mod subscribe;
mod syncer;
mod takeover;
mod ticket;
mod worker;
mod write;

pub use manifest::{Backup, BackupFile};
pub use open::Location;
pub use opened::Opened;
pub use read::Verification;
pub use repair::RepairReport;
pub use restore::Restored;
pub use shared::Engine;
pub use stats::Stats;
pub use subscribe::{Event, Since, Subscription};
pub use ticket::{Pending, Ticket};
