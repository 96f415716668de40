//! The engine itself: what its callers and its own threads share.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::database::{Files, Handle};
use super::loading::InMemory;
use super::syncer::Syncer;
use super::{keeper, worker};
use crate::cache::Cache;
use crate::config::Options;
use crate::extra::ExtraSchema;
use crate::identity::Identity;
use crate::lock::Lock;
use crate::model::Model;
use crate::protocol::{Pending, Progress, Protocol};
use crate::record::Record;
use crate::wal::{Log, RecoveryReport};

/// The most records in one transaction of a flush.
const MAX_BATCH_RECORDS: usize = 20_000;

/// A store's engine. Shared among threads by reference; it is [`Send`] and [`Sync`].
///
/// Dropping it closes it and logs what went wrong; [`Engine::close`] returns that instead.
#[derive(Debug)]
pub struct Engine<M: Model> {
    pub(super) shared: Arc<Shared<M>>,
    pub(super) threads: Option<Threads>,
    pub(super) report: RecoveryReport,
}

/// What the callers and the engine's own threads share.
pub(super) struct Shared<M: Model> {
    pub(super) dir: PathBuf,
    /// Of the folder first.
    pub(super) locks: Mutex<Vec<Lock>>,
    pub(super) options: Options,
    /// What the store is, as [`Location`](super::Location) says it.
    pub(super) purpose: String,
    pub(super) identity: Identity,
    pub(super) log: Arc<Log>,
    /// Whether the log's folder is that of the present day, and follows the clock into that of the next.
    pub(super) follows_clock: AtomicBool,
    pub(super) syncer: Syncer,
    /// The highest `seq` whose writer asked for it to be durable.
    pub(super) sync_asked: AtomicU64,
    pub(super) cache: Cache<M>,
    pub(super) in_memory: InMemory,
    pub(super) pending: Pending<Record<M>>,
    /// Flushed segments are kept until a backup has all their records: up to this `seq` one has.
    pub(super) backed_up: AtomicU64,
    /// The extra columns that data is checked against.
    pub(super) checked_extra: ExtraSchema,
    pub(super) database: Handle,
    pub(super) worker: flume::Sender<worker::Command>,
    pub(super) keeper: flume::Sender<keeper::Chore<M>>,
    pub(super) figures: Progress,
}

impl<M: Model> Shared<M> {
    /// What is flushed, what a checkpoint counts for, and which segments may go.
    pub(super) fn protocol(&self) -> Protocol<'_, Record<M>, Files> {
        Protocol {
            log: &self.log,
            pending: &self.pending,
            database: &self.database,
            figures: &self.figures,
            backed_up: &self.backed_up,
            fs: self.options.fs.as_ref(),
            keeps_log: !self.options.keep_log.is_zero(),
            batch_records: MAX_BATCH_RECORDS,
        }
    }
}

/// Which store it is. Its records are nobody's to see in a log of another's, nor a million of them to be printed.
impl<M: Model> fmt::Debug for Shared<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dir, purpose, .. } = self;
        f.debug_struct("Shared").field("purpose", purpose).field("dir", dir).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct Threads {
    pub(super) worker: JoinHandle<()>,
    pub(super) keeper: JoinHandle<()>,
    pub(super) syncer: JoinHandle<()>,
}
