//! The path of a write: space in the log, then its `seq`, memory and the queue as one step, then its durability.

use std::sync::Arc;
use std::time::Duration;

use super::keeper;
use super::shared::{Engine, Shared};
use super::worker::Command;
use crate::codec::Entry;
use crate::config::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::model::Model;
use crate::record::Record;
use crate::wal::{Marks, Reach};

/// The column `version` is a 32-bit integer.
const MAX_VERSION: u32 = i32::MAX as u32;

impl<M: Model> Engine<M> {
    /// Writes a record, and returns when it is as durable as asked for; `None` is what the options say.
    ///
    /// Other threads read the record from the moment it has its `seq`, before it is durable.
    ///
    /// # Errors
    /// [`Input`](ErrorKind::Input), [`Io`](ErrorKind::Io) or [`Busy`](ErrorKind::Busy): nothing was written.
    /// [`Poisoned`](ErrorKind::Poisoned): this write is in doubt or was not made, and no more are taken.
    pub fn put(&self, entry: Entry<'_, M>, durability: Option<Durability>) -> Result<Arc<Record<M>>> {
        let shared = &*self.shared;
        let durability = durability.unwrap_or(shared.options.durability);
        let body = entry.body();
        let most = shared.options.rules.max_bytes;
        if body.line_bytes_at_most() > most.saturating_mul(2).saturating_add(4096) {
            let message =
                format!("key: the id of a record of {} bytes is longer than the record may be", entry.data.len());
            return Err(Error::input(message));
        }
        shared.checked_extra.check(&entry.data)?;
        let limit = shared.options.max_unflushed_bytes;
        if shared.pending.is_over(limit) {
            if let Some(refusal) = shared.log.refusal() {
                return Err(refusal);
            }
            shared.send(Command::Wake);
            shared.pending.wait_for_room(limit, shared.options.busy_timeout)?;
        }

        let key = Key::from(entry.key);
        let data = entry.data.into_boxed_str();
        let part = entry.part.clone();
        let fields: Vec<Option<&str>> = (0..M::PART_FIELDS.len()).map(|at| M::part_text(&entry.part, at)).collect();
        let mut append = shared.log.begin(body.line_bytes_at_most())?;
        let record = shared.cache.update(entry.key, &fields, |version| {
            let version = version.saturating_add(1).min(MAX_VERSION);
            let stamp = append.push(body, Marks::version(version));
            Arc::new(Record { key, part, data, seq: stamp.seq, at: stamp.at, version })
        });
        let wake = shared.pending.push(Arc::clone(&record), shared.options.batch_size, limit / 4);
        drop(append);
        if wake {
            shared.send(Command::Wake);
        }
        shared.acknowledge(record.seq, durability)?;
        Ok(record)
    }

    /// Makes all writes so far durable, whatever their durability.
    ///
    /// # Errors
    /// [`Poisoned`](ErrorKind::Poisoned).
    pub fn sync(&self) -> Result<()> {
        self.shared.log.sync()
    }

    /// Flushes all writes so far into DuckDB, and closes the present segment of the log.
    ///
    /// # Errors
    /// [`Database`](ErrorKind::Database): nothing is lost, and the flush is tried again.
    /// [`Poisoned`](ErrorKind::Poisoned).
    pub fn flush(&self) -> Result<()> {
        self.shared.log.rotate()?;
        let flushed = self.flush_to(self.shared.log.last_seq());
        // There may have been nothing to flush, and yet a segment to remove.
        self.shared.charge(keeper::Chore::Tidy);
        flushed
    }

    /// Flushes, merges all that was flushed into the main table, and checkpoints.
    ///
    /// # Errors
    /// As [`Engine::flush`].
    pub fn compact(&self) -> Result<()> {
        self.flush()?;
        let (done, answer) = flume::bounded(1);
        self.shared.charge(keeper::Chore::Compact(done));
        self.shared.answer(&answer, || self.shared.keeper.is_disconnected())
    }

    pub(super) fn flush_to(&self, seq: u64) -> Result<()> {
        let (done, answer) = flume::bounded(1);
        self.shared.send(Command::Flush(seq, done));
        self.shared.answer(&answer, || self.shared.worker.is_disconnected())
    }
}

impl<M: Model> Shared<M> {
    fn acknowledge(&self, seq: u64, durability: Durability) -> Result<()> {
        match durability {
            Durability::Sync => self.log.wait(seq, Reach::Durable),
            Durability::Os => self.log.wait(seq, Reach::Written),
            Durability::Interval(interval) => {
                self.log.wait(seq, Reach::Written)?;
                self.sync_within(interval);
                Ok(())
            }
        }
    }

    fn sync_within(&self, interval: Duration) {
        let due = self.options.clock.monotonic().saturating_add(interval);
        let mut sync_due = self.sync_due.lock();
        if sync_due.is_none_or(|earlier| due < earlier) {
            *sync_due = Some(due);
            drop(sync_due);
            self.send(Command::Wake);
        }
    }

    /// Waits for what one of the engine's threads answers, or until it is gone: a thread that panicked leaves commands
    /// unanswered in its channel, and says why only at its very end.
    fn answer(&self, answer: &flume::Receiver<Result<()>>, is_gone: impl Fn() -> bool) -> Result<()> {
        loop {
            match answer.recv_timeout(Duration::from_millis(100)) {
                Ok(done) => return done,
                Err(_) if is_gone() => return Err(self.stopped()),
                Err(flume::RecvTimeoutError::Timeout) => {}
                Err(flume::RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// The engine's threads are gone only when the engine is closed, or when one of them panicked.
    fn stopped(&self) -> Error {
        self.log.refusal().unwrap_or_else(|| Error::new(ErrorKind::Closed, "the store was closed"))
    }

    pub(super) fn send(&self, command: Command) {
        // Without a worker there is nobody to wake: the log refuses writes then.
        let _ = self.worker.send(command);
    }

    pub(super) fn charge(&self, chore: keeper::Chore) {
        let _ = self.keeper.send(chore);
    }
}
