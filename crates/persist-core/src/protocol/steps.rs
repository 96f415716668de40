//! The steps themselves: a flush, a merge, a checkpoint, the removal of segments, and an instance that is opened again.

use std::sync::Arc;

use super::base::{Append, Base, Entry, Merged, Place};
use super::figures::Progress;
use super::handle::Handle;
use super::pending::Pending;
use crate::error::{Error, Result};
use crate::fs::{Fs, sync_dir_of};
use crate::planted::planted;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::wal::{Log, Reach, Segment};

/// The most bytes of records in one transaction.
const MAX_BATCH_BYTES: u64 = 64 * 1024 * 1024;
/// The delta is merged when it has this share of the main table, so that a row is rewritten a bounded number of times …
const MERGE_SHARE: u64 = 4;
/// … and at least so many rows: below that, a merge costs more than it saves.
const MERGE_ROWS: u64 = 65_536;

/// What the steps work on. One thread flushes and opens a lost instance again; one merges, checkpoints and removes.
#[derive(Debug)]
pub struct Protocol<'a, R: Entry, P: Place> {
    /// The log.
    pub log: &'a Log,
    /// What waits to be flushed, or to be covered by a checkpoint.
    pub pending: &'a Pending<R>,
    /// The base.
    pub database: &'a Handle<P>,
    /// How far all this has come.
    pub figures: &'a Progress,
    /// Up to this `seq` a backup has everything; beyond it segments stay.
    pub backed_up: &'a AtomicU64,
    /// The files of all of them.
    pub fs: &'a dyn Fs,
    /// Whether every segment is kept, compressed, for a time.
    pub keeps_log: bool,
    /// The most records in one transaction.
    pub batch_records: usize,
}

impl<R: Entry, P: Place> Protocol<'_, R, P> {
    /// Says that a step begins that is no file operation of ours: see [`Fs::step`].
    ///
    /// # Errors
    /// What the file system answers.
    pub fn step(&self, name: &str) -> Result<()> {
        self.fs.step(name).map_err(|error| Error::io(name, self.database.path(), error))
    }

    /// Flushes everything up to `seq`, and what the failure of an earlier flush left; `seq` is never inside a batch. Answers
    /// how many records that were. The appender is made when there is none.
    ///
    /// # Errors
    /// The log's or the base's. What was not flushed stays in the queue.
    pub fn flush<A>(&self, appender: &mut Option<A>, seq: u64) -> Result<usize>
    where
        A: Append<R>,
        P::Base: Base<Appender = A>,
    {
        if self.database.get().is_err() {
            // It could not be opened again when it was lost; whoever reads waits for it, also if nobody writes any more.
            self.reopen(appender)?;
        }
        let mut flushed = 0;
        loop {
            // In doubt, and never flushed, is what a failed sync left behind.
            let reach = if planted("flush-in-doubt") { Reach::Written } else { Reach::Durable };
            let durable = match self.log.wait(seq, reach) {
                Ok(()) => seq,
                Err(error) => {
                    let durable = self.log.stats().durable_seq;
                    if self.pending.batch(durable, 1, u64::MAX).is_empty() {
                        return Err(error);
                    }
                    durable
                }
            };
            let batch = self.pending.batch(durable, self.batch_records, MAX_BATCH_BYTES);
            let Some(last) = batch.last() else { return Ok(flushed) };
            let (watermark, at) = (last.seq(), last.at());
            let watermark = if planted("watermark-too-high") { self.log.last_seq() } else { watermark };
            self.step("flush: begins")?;
            let rows = match self.append(appender, &batch, watermark, at) {
                Ok(rows) => rows,
                Err(error) => {
                    if P::Base::is_lost(&error) || self.database.get().is_err() {
                        self.reopen(appender)?;
                    }
                    *appender = None;
                    return Err(error);
                }
            };
            flushed += batch.len();
            // What is committed counts, whatever becomes of this thread.
            let stepped = self.step("flush: is committed");
            self.pending.flushed(watermark);
            let mut figures = self.figures.lock();
            figures.watermark = watermark;
            figures.delta_rows += rows as u64;
            figures.flushed_rows += rows as u64;
            drop(figures);
            stepped?;
        }
    }

    fn append<A>(&self, appender: &mut Option<A>, batch: &[Arc<R>], watermark: u64, at: i64) -> Result<usize>
    where
        A: Append<R>,
        P::Base: Base<Appender = A>,
    {
        let appender = match appender {
            Some(appender) => appender,
            none => none.insert(self.database.get()?.appender()?),
        };
        appender.append(batch, watermark, at)
    }

    /// Opens the base again, as of its last checkpoint, and has what it lost flushed again.
    ///
    /// # Errors
    /// The base's: there is none for now.
    pub fn reopen<A>(&self, appender: &mut Option<A>) -> Result<()> {
        // Its connection would keep the lost instance alive.
        *appender = None;
        self.database.reopen(|base| {
            let reached = base.reached()?;
            if !planted("no-rewind") {
                self.pending.rewind(reached.watermark);
            }
            let mut figures = self.figures.lock();
            figures.watermark = reached.watermark;
            figures.base_rows = reached.base_rows;
            figures.delta_rows = reached.delta_rows;
            drop(figures);
            tracing::warn!(reached.watermark, "DuckDB was opened again");
            Ok(())
        })
    }

    /// Runs `flush`, which has flushed something when it returns, and answers the instance that it was flushed into.
    ///
    /// # Errors
    /// Those of `flush`, and [`Database`](crate::ErrorKind::Database) while there is no instance.
    pub fn flushed_into(&self, flush: impl Fn() -> Result<()>) -> Result<Arc<P::Base>> {
        loop {
            let before = self.database.number();
            flush()?;
            let (number, base) = self.database.get_numbered()?;
            // Another one lacks what was committed since the last checkpoint, until it is flushed again.
            if number == before || planted("flushed-into-another") {
                return Ok(base);
            }
        }
    }

    /// Whether the delta has grown so far that it is to be merged.
    pub fn is_merge_due(&self) -> bool {
        let figures = self.figures.lock();
        figures.delta_rows >= MERGE_ROWS.max(figures.base_rows / MERGE_SHARE)
    }

    /// Merges what was flushed into the main table.
    ///
    /// # Errors
    /// The base's: nothing was moved.
    pub fn merge(&self) -> Result<Merged> {
        let base = self.database.get()?;
        self.step("merge: begins")?;
        let merged = base.merge()?;
        self.step("merge: is committed")?;
        let reached = base.reached()?;
        let mut figures = self.figures.lock();
        figures.base_rows = reached.base_rows;
        figures.delta_rows = reached.delta_rows;
        figures.merged_rows += merged.rows_moved;
        figures.rewritten_rows += merged.rows_rewritten;
        Ok(merged)
    }

    /// Checkpoints. Answers the watermark that is in the main file for certain then, if the base granted it.
    ///
    /// # Errors
    /// The base's, or that of the sync of its folder: it counts for nothing.
    pub fn checkpoint_base(&self) -> Result<Option<u64>> {
        // Of this very instance, and read before the checkpoint begins: what is committed from here on it may or may
        // not hold, and an instance that was opened again in between holds less than its predecessor.
        let before = if planted("checkpoint-of-another") { self.figures.lock().watermark } else { 0 };
        let base = self.database.get()?;
        let watermark = base.reached()?.watermark.max(before);
        self.step("checkpoint: begins")?;
        if !base.checkpoint(self.fs)? {
            return Ok(None);
        }
        let watermark = if planted("checkpoint-from-its-end") { base.reached()?.watermark } else { watermark };
        self.step("checkpoint: has ended")?;
        sync_dir_of(self.fs, self.database.path())?;
        self.figures.lock().checkpointed = watermark;
        self.pending.checkpointed(watermark);
        Ok(Some(watermark))
    }

    /// Checkpoints, and removes or compresses the segments that it covers. Answers whether the base granted it.
    ///
    /// # Errors
    /// As [`checkpoint_base`](Protocol::checkpoint_base) and [`tidy_log`](Protocol::tidy_log).
    pub fn checkpoint(&self) -> Result<bool> {
        let Some(watermark) = self.checkpoint_base()? else { return Ok(false) };
        self.tidy_log(watermark)?;
        Ok(true)
    }

    /// Whether there are segments that a checkpoint would cover.
    pub fn has_superfluous_segments(&self) -> bool {
        let watermark = self.figures.lock().watermark;
        self.log.closed_segments().iter().any(|segment| segment.last_seq <= watermark)
    }

    /// Removes the segments up to a checkpointed watermark, or keeps them where they may be needed.
    ///
    /// # Errors
    /// The file system's; what could not be done is tried again by the next call.
    pub fn tidy_log(&self, watermark: u64) -> Result<()> {
        let watermark = if planted("remove-early") { self.figures.lock().watermark } else { watermark };
        let is_covered = |segment: &Segment| segment.last_seq <= watermark;
        if self.log.closed_segments().iter().any(is_covered) && !planted("removed-unnoted") {
            // Without them nothing else would tell an older file of the base. Where there is no space for it, what goes next
            // makes some.
            if let Err(error) = self.database.place().note(watermark) {
                tracing::warn!(%error, watermark, "cannot note how far the database goes");
            }
        }
        if !self.keeps_log {
            let backed_up = self.backed_up.load(Ordering::Acquire);
            let backed_up = if planted("backup-floor-ignored") { u64::MAX } else { backed_up };
            self.log.remove_up_to(watermark.min(backed_up))?;
        }
        self.log.keep_up_to(watermark)
    }
}
