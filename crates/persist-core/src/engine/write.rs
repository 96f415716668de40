//! The path of a write: space in the log, then its `seq`, memory and the queue as one step, then its durability.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::keeper;
use super::plan::{self, Plan};
use super::request::{Effect, Few, Put, Request, What, Write};
use super::shared::{Engine, Shared};
use super::ticket::Ticket;
use super::worker::Command;
use crate::codec::Entry;
use crate::config::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::planted::planted;
use crate::record::Record;
use crate::timestamp::Timestamp;
use crate::wal::{Append, Reach};

/// A request whose lines stand in the log's buffer, or which was refused.
#[derive(Debug)]
pub(super) struct Submitted<M: Model> {
    /// The answer may be given when the log has come so far.
    seq: u64,
    reach: Reach,
    done: Result<Few<Effect<M>>>,
}

impl<M: Model> Engine<M> {
    /// Writes a record, and returns when it is as durable as asked for; `None` is what the options say.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub fn put(&self, entry: Entry<'_, M>, durability: Option<Durability>) -> Result<Arc<Record<M>>> {
        self.write(Put::new(entry), durability)
    }

    /// Does what is asked for as one step, and returns when that is as durable as wanted; `None` is what the options
    /// say.
    ///
    /// Other threads see it from the moment it has its `seq`, before it is durable. An answer that rests on another's
    /// write ([`Conflict`](ErrorKind::Conflict), or that there was nothing to remove) is given when that one is
    /// acknowledged.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict), [`Input`](ErrorKind::Input), [`Io`](ErrorKind::Io) or
    /// [`Busy`](ErrorKind::Busy): nothing was written. [`Poisoned`](ErrorKind::Poisoned): this write is in doubt or was
    /// not made, and no more are taken. [`Closed`](ErrorKind::Closed).
    pub fn write<R: Request<M>>(&self, request: R, durability: Option<Durability>) -> Result<R::Outcome> {
        let submitted = self.shared.submit(request.writes(), durability)?;
        self.shared.log.wait(submitted.seq, submitted.reach)?;
        R::outcome(submitted.done?)
    }

    /// Does what is asked for as one step, and answers at once with a ticket for its durability: one thread can have
    /// thousands of writes under way. A thread of the store makes them durable, many at a time.
    ///
    /// It waits all the same where the log needs space on the disk (some milliseconds for each segment), and while too
    /// much is unflushed.
    ///
    /// # Errors
    /// As [`Engine::write`], but that [`Conflict`](ErrorKind::Conflict) comes with the ticket.
    pub fn submit<R: Request<M>>(&self, request: R, durability: Option<Durability>) -> Result<Ticket<R::Outcome>> {
        let submitted = self.shared.submit(request.writes(), durability)?;
        Ok(self.ticket::<R>(submitted))
    }

    pub(super) fn ticket<R: Request<M>>(&self, submitted: Submitted<M>) -> Ticket<R::Outcome> {
        let Submitted { seq, reach, done } = submitted;
        self.shared.syncer.want(seq, reach);
        Ticket::new(Arc::clone(&self.shared.log), seq, reach, done.and_then(R::outcome))
    }

    /// Makes all writes so far durable, whatever their durability.
    ///
    /// It answers for what was written, not for what may come: where all of it is durable, a store that takes no more writes
    /// answers so as well.
    ///
    /// # Errors
    /// [`Poisoned`](ErrorKind::Poisoned) where a write so far is in doubt.
    pub fn sync(&self) -> Result<()> {
        self.shared.log.sync()
    }

    /// Flushes all writes so far into DuckDB, and closes the present segment of the log.
    ///
    /// # Errors
    /// [`Database`](ErrorKind::Database): nothing is lost, and the flush is tried again.
    /// [`Poisoned`](ErrorKind::Poisoned).
    pub fn flush(&self) -> Result<()> {
        let seq = self.shared.log.last_seq();
        // Closing the segment takes the disk and the flush a core: neither need wait for the other.
        let flushing = self.shared.begin_flush(seq);
        let closed = self.shared.log.rotate();
        let mut flushed = self.shared.await_flush(&flushing);
        if closed.is_ok() && flushed.is_ok() {
            // What others wrote in between may stand in the closed segment, and would keep it from being removed.
            let last = self.shared.log.closed_segments().last().map(|segment| segment.last_seq);
            flushed = last.filter(|last| *last > seq).map_or(Ok(()), |last| self.flush_to(last));
        }
        // There may have been nothing to flush, and yet a segment to remove.
        self.shared.charge(keeper::Chore::Tidy);
        closed.and(flushed)
    }

    /// Flushes, merges all that was flushed into the main table, and checkpoints.
    ///
    /// # Errors
    /// As [`Engine::flush`].
    pub fn compact(&self) -> Result<()> {
        self.flush()?;
        self.on_keeper(Shared::compact)
    }

    /// Has the keeper do this, which no merge may run beside.
    pub(super) fn on_keeper(&self, work: impl FnOnce(&Shared<M>) -> Result<()> + Send + 'static) -> Result<()> {
        let (done, answer) = flume::bounded(1);
        self.shared.charge(keeper::Chore::Do(Box::new(work), done));
        self.shared.answer(&answer, || self.shared.keeper.is_disconnected())
    }

    /// Makes the newest records anew of the history, in a model that keeps one, and answers how many there are.
    ///
    /// # Errors
    /// As [`Engine::flush`]: the newest records are as they were, or are made anew by the next opening.
    pub fn rebuild_latest(&self) -> Result<u64> {
        self.flush()?;
        self.on_keeper(|shared| {
            shared.database.get()?.rebuild_base()?;
            shared.compact()
        })?;
        Ok(self.shared.figures.lock().base_rows)
    }

    /// Forgets the versions of the ids that were removed before a moment, in memory and in DuckDB, and answers of how
    /// many. Written again, such an id starts at version 1. It compacts first.
    ///
    /// # Errors
    /// As [`Engine::flush`]: nothing was forgotten.
    pub fn forget_removed(&self, before: Timestamp) -> Result<usize> {
        self.flush()?;
        let (flushed, before) = (self.shared.figures.lock().watermark, before.unix_micros());
        self.on_keeper(move |shared| {
            shared.compact()?;
            shared.database.get()?.forget_removed(before)?;
            shared.checkpoint().map(drop)
        })?;
        let forget = || self.shared.cache.forget(|removal| removal.seq <= flushed && removal.at < before);
        Ok(self.shared.in_memory.while_none_is_read(forget))
    }

    pub(super) fn flush_to(&self, seq: u64) -> Result<()> {
        self.shared.flush_to(seq)
    }
}

impl<M: Model> Shared<M> {
    pub(super) fn flush_to(&self, seq: u64) -> Result<()> {
        self.await_flush(&self.begin_flush(seq))
    }

    fn begin_flush(&self, seq: u64) -> flume::Receiver<Result<()>> {
        let (done, answer) = flume::bounded(1);
        self.send(Command::Flush(seq, done));
        answer
    }

    fn await_flush(&self, answer: &flume::Receiver<Result<()>>) -> Result<()> {
        self.answer(answer, || self.worker.is_disconnected())
    }

    pub(super) fn submit(&self, mut writes: Few<Write<M>>, durability: Option<Durability>) -> Result<Submitted<M>> {
        self.check(&writes)?;
        self.load_for(&writes)?;
        self.wait_for_room()?;
        loop {
            let bytes = plan::find_keys(&mut writes, &self.cache);
            let append = self.log.begin(bytes)?;
            // Others may have written the key meanwhile; from here on nobody can.
            if plan::has_found_keys(&writes, &self.cache) {
                return Ok(self.append(append, writes, durability));
            }
        }
    }

    /// As [`submit`](Shared::submit), but gives the writes back where it would have to wait.
    #[cfg(feature = "tokio")]
    pub(super) fn submit_at_once(
        &self,
        mut writes: Few<Write<M>>,
        durability: Option<Durability>,
    ) -> Result<Result<Submitted<M>, Few<Write<M>>>> {
        self.check(&writes)?;
        if !self.has_for(&writes) || self.pending.is_over() {
            return Ok(Err(writes));
        }
        let bytes = plan::find_keys(&mut writes, &self.cache);
        match self.log.begin_at_once(bytes)? {
            Some(append) if plan::has_found_keys(&writes, &self.cache) => {
                Ok(Ok(self.append(append, writes, durability)))
            }
            _ => Ok(Err(writes)),
        }
    }

    fn append(&self, mut append: Append<'_>, writes: Few<Write<M>>, durability: Option<Durability>) -> Submitted<M> {
        let durability = durability.unwrap_or(self.options.durability);
        let plan = match Plan::of(writes, &self.cache) {
            Ok(plan) => plan,
            Err((rests_on, conflict)) => {
                return Submitted { seq: rests_on, reach: self.reach_of(rests_on), done: Err(conflict) };
            }
        };
        let (mut seq, mut reach) = (plan.rests_on, self.reach_of(plan.rests_on));
        let effects = plan.push(&mut append);
        let mut wake = false;
        if let Some(last) = effects.last() {
            seq = last.now.seq;
            let records: Few<_> = effects.iter().map(|effect| Arc::clone(&effect.now)).collect();
            if durability == Durability::Sync {
                reach = Reach::Durable;
                self.sync_asked.store(seq, Ordering::Release);
            }
            self.cache.apply(&records);
            wake = self.pending.push(&records, self.options.batch_size, self.options.max_unflushed_bytes / 4);
        }
        let works_ahead = append.wants_work_ahead();
        drop(append);
        if works_ahead {
            self.syncer.work_ahead();
        }
        if wake {
            self.send(Command::Wake);
        }
        if let Durability::Interval(interval) = durability {
            self.syncer.want_within(interval);
        }
        Submitted { seq, reach, done: Ok(effects) }
    }

    /// Refuses what could not be flushed.
    fn check(&self, writes: &[Write<M>]) -> Result<()> {
        let most = self.options.rules.max_bytes.saturating_mul(2).saturating_add(4096);
        writes.iter().try_for_each(|write| {
            if write.bytes_at_most() > most {
                return Err(Error::input("key: the id of a record is longer than a record may be"));
            }
            match &write.what {
                What::Put(_, data, ..) => self.checked_extra.check(data),
                What::Remove(..) | What::RemoveKey(..) => Ok(()),
            }
        })
    }

    fn wait_for_room(&self) -> Result<()> {
        if !self.pending.is_over() || planted("never-busy") {
            return Ok(());
        }
        if let Some(refusal) = self.log.refusal() {
            return Err(refusal);
        }
        self.send(Command::Wake);
        self.pending.wait_for_room(self.options.busy_timeout)
    }

    /// How far the log must come before a write is acknowledged that others made.
    fn reach_of(&self, seq: u64) -> Reach {
        let is_in_doubt = !self.log.is_durable(seq) && seq <= self.sync_asked.load(Ordering::Acquire);
        if is_in_doubt && !planted("answer-in-doubt") { Reach::Durable } else { Reach::Written }
    }

    /// Waits for what one of the engine's threads answers, or until it is gone: a thread that panicked leaves commands
    /// unanswered in its channel, and says why only at its very end.
    fn answer(&self, answer: &flume::Receiver<Result<()>>, is_gone: impl Fn() -> bool) -> Result<()> {
        loop {
            match answer.recv_timeout(Duration::from_millis(100)) {
                Ok(done) => return done,
                Err(_) if is_gone() => return Err(self.stopped()),
                Err(flume::RecvTimeoutError::Timeout) => self.log.forked().map_or(Ok(()), Err)?,
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

    pub(super) fn charge(&self, chore: keeper::Chore<M>) {
        let _ = self.keeper.send(chore);
    }
}
