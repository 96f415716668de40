//! One engine under all stores: it opens, recovers, writes, reads, flushes, compacts and closes.
//!
//! ```text
//! caller ─ put ─▶ log (seq, group commit) ─▶ cache ◀─ get ─ caller
//!                        │
//!                     pending ─▶ worker: flush ─▶ DuckDB delta ─▶ keeper: merge, checkpoint, drop segments
//! ```
//!
//! `open.rs` brings a folder to life, `write.rs` is the path of a write, `worker.rs` flushes, `keeper.rs` does what may
//! take long, `close.rs` ends it, `database.rs` holds the DuckDB instance, `pending.rs` what waits to be flushed.

mod close;
mod database;
mod keeper;
mod open;
mod pending;
mod read;
mod stats;
mod worker;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::cache::Cache;
use crate::config::Options;
use crate::lock::Lock;
use crate::model::Model;
use crate::wal::{Log, RecoveryReport};

pub use open::Location;
pub use read::Verification;
pub use stats::Stats;

/// A store's engine. Shared among threads by reference; it is [`Send`] and [`Sync`].
///
/// Dropping it closes it and logs what went wrong; [`Engine::close`] returns that instead.
#[derive(Debug)]
pub struct Engine<M: Model> {
    shared: Arc<Shared<M>>,
    threads: Option<Threads>,
    report: RecoveryReport,
    locks: Vec<Lock>,
}

/// What the callers and the engine's own threads share.
#[derive(Debug)]
struct Shared<M: Model> {
    dir: PathBuf,
    options: Options,
    store_id: String,
    log: Log,
    cache: Cache<M>,
    pending: pending::Pending<M>,
    database: database::Handle,
    worker: flume::Sender<worker::Command>,
    keeper: flume::Sender<keeper::Chore>,
    figures: Mutex<Figures>,
    /// When the log is to be synced for writes that were acknowledged before, on the monotonic clock.
    sync_due: Mutex<Option<Duration>>,
}

#[derive(Debug)]
struct Threads {
    worker: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

/// What only the engine's threads change.
#[derive(Debug, Clone, Default)]
struct Figures {
    watermark: u64,
    checkpointed: u64,
    base_rows: u64,
    delta_rows: u64,
    last_flush: Option<Duration>,
    last_flush_error: Option<String>,
}
