//! The keeper: one thread for what may take long and holds nobody up. It merges the delta into the main table,
//! checkpoints, and removes the segments of the log that a checkpoint has made superfluous.
//!
//! When it does so is decided here; what a checkpoint counts for and which segments may go, in [`protocol`](crate::protocol).
//! A segment that is needed for longer, for subscribers or to rebuild what no backup has, is kept compressed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::open::Task;
use super::shared::Shared;
use super::worker::Command;
use crate::duck::is_invalidated;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::planted::planted;

/// After a checkpoint the next one that can wait does so for so many times as long as it took: it then covers more
/// segments, and the writers have the disk most of the time.
const PAUSE: u32 = 4;
/// How soon a chore that was refused or failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often, at most, the keeper tries again to have a checkpoint when somebody waits for it.
const CHECKPOINT_TRIES: u32 = 50;
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(20);
/// How long at most the keeper waits for the time of a kept segment, or for the next day: the wall clock may be set.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long at least it waits for the next day.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// How soon a backup that failed is tried again.
const BACKUP_RETRY: Duration = Duration::from_secs(60);

/// What the keeper is told.
pub(super) enum Chore<M: Model> {
    /// Look whether something is due.
    Tidy,
    /// Do this now, when no merge runs, and say how it went.
    Do(Box<Work<M>>, flume::Sender<Result<()>>),
    /// End.
    Stop,
}

type Work<M> = dyn FnOnce(&Shared<M>) -> Result<()> + Send;

impl<M: Model> std::fmt::Debug for Chore<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tidy => "Tidy",
            Self::Do(..) => "Do",
            Self::Stop => "Stop",
        })
    }
}

pub(super) struct Keeper<M: Model> {
    shared: Arc<Shared<M>>,
    chores: flume::Receiver<Chore<M>>,
    /// Until then no checkpoint begins that can wait.
    pause_until: Duration,
    /// The log's former folder, where a backup is to be made, and from when on.
    former: Option<(PathBuf, Duration)>,
}

impl<M: Model> Task for Keeper<M> {
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        if catch_unwind(AssertUnwindSafe(|| self.work())).is_err() && !planted("death-unnoticed") {
            shared.log.poison("the keeper of the database panicked");
        }
    }
}

impl<M: Model> Keeper<M> {
    pub(super) fn new(shared: Arc<Shared<M>>, chores: flume::Receiver<Chore<M>>) -> Self {
        let pause_until = shared.options.clock.monotonic();
        Self { shared, chores, pause_until, former: None }
    }

    fn work(&mut self) {
        let mut retry: Option<Duration> = None;
        loop {
            let chore = match retry {
                Some(after) => self.chores.recv_timeout(after),
                None => self.chores.recv().map_err(|_| flume::RecvTimeoutError::Disconnected),
            };
            match chore {
                Ok(Chore::Stop) | Err(flume::RecvTimeoutError::Disconnected) => return,
                Ok(Chore::Do(work, answer)) => {
                    let done = work(&self.shared);
                    if let Err(error) = &done {
                        self.shared.report_invalid(error);
                    }
                    // Nobody may be waiting any more.
                    let _ = answer.send(done);
                    // What was to be tried again still is, and kept segments may be waiting for their time.
                    retry = Some(Duration::ZERO);
                }
                Ok(Chore::Tidy) | Err(flume::RecvTimeoutError::Timeout) => {
                    let done = self.tidy();
                    if let Err(error) = &done {
                        self.shared.report_invalid(error);
                        tracing::warn!(%error, "a chore of the keeper failed and will be tried again");
                    }
                    let again = done.unwrap_or(Some(RETRY));
                    retry = [again, self.mind_the_clock()].into_iter().flatten().min();
                }
            }
        }
    }

    /// Does what is due. Answers when to look again, if anything was left.
    fn tidy(&mut self) -> Result<Option<Duration>> {
        // First: where the disk is full, this makes space.
        let expiry = self.shared.remove_kept();
        let again = self.tidy_database();
        match &again {
            // A checkpoint that has to wait, or is refused for now, makes nothing better or worse.
            Ok(Some(_)) => {}
            done => {
                self.shared.figures.lock().last_maintenance_error = done.as_ref().err().map(Error::to_string);
                self.shared.pending.note_failing(done.is_err());
            }
        }
        Ok([again?, expiry?].into_iter().flatten().min())
    }

    /// Goes on in another folder of the log when the day has ended, and backs the store up into the former. Answers when to
    /// look again.
    fn mind_the_clock(&mut self) -> Option<Duration> {
        let now = self.shared.options.clock.monotonic();
        let mut again = self.shared.until_roll().map(|time| time.clamp(SHORTEST_WAIT, LONGEST_WAIT));
        match self.shared.roll_by_clock() {
            Ok(None) => {}
            Ok(Some(former)) => self.former = Some((former, now)),
            Err(error) => {
                tracing::warn!(%error, "the log stays in the folder of another day for now");
                again = Some(RETRY);
            }
        }
        if let Some((folder, due)) = &mut self.former
            && *due <= now
        {
            match self.shared.back_up_former(folder) {
                Ok(()) => self.former = None,
                Err(error) => {
                    tracing::error!(%error, retry_in = ?BACKUP_RETRY, "no backup could be made");
                    *due = now.saturating_add(BACKUP_RETRY);
                }
            }
        }
        let backup = self.former.as_ref().map(|(_, due)| due.saturating_sub(now));
        [again, backup].into_iter().flatten().min()
    }

    fn tidy_database(&mut self) -> Result<Option<Duration>> {
        let mut checkpoint = self.shared.protocol().has_superfluous_segments();
        let mut merged = Ok(());
        if self.shared.protocol().is_merge_due() {
            // A base that can't be merged keeps nothing from being checkpointed: the log would grow without end.
            merged = self.shared.merge();
            checkpoint |= merged.is_ok();
            if planted("merge-before-checkpoint") {
                merged = Ok(merged?);
            }
        }
        if !checkpoint {
            return merged.map(|()| None);
        }
        let start = self.shared.options.clock.monotonic();
        let pause = self.pause_until.saturating_sub(start);
        if !pause.is_zero() {
            return merged.map(|()| Some(pause));
        }
        let granted = self.shared.checkpoint();
        let end = self.shared.options.clock.monotonic();
        self.pause_until = end.saturating_add(end.saturating_sub(start).saturating_mul(PAUSE));
        let again = (!granted?).then_some(RETRY);
        merged.map(|()| again)
    }
}

impl<M: Model> Shared<M> {
    /// Merges, checkpoints and removes segments.
    pub(super) fn compact(&self) -> Result<()> {
        let watermark = self.compact_database()?;
        self.tidy_log(watermark)
    }

    /// Merges and checkpoints. Answers the watermark that is in DuckDB's main file for certain then.
    pub(super) fn compact_database(&self) -> Result<u64> {
        let watermark = self.merge_and_checkpoint()?;
        if self.database.get()?.is_in_order()? { Ok(watermark) } else { self.merge_and_checkpoint() }
    }

    fn merge_and_checkpoint(&self) -> Result<u64> {
        self.merge()?;
        for _ in 0..CHECKPOINT_TRIES {
            if let Some(watermark) = self.protocol().checkpoint_base()? {
                return Ok(watermark);
            }
            std::thread::sleep(CHECKPOINT_PAUSE);
        }
        Err(Error::new(ErrorKind::Busy, "DuckDB refuses a checkpoint while others use the database"))
    }

    fn merge(&self) -> Result<()> {
        let merged = self.protocol().merge()?;
        tracing::debug!(?merged, "merged the delta");
        Ok(())
    }

    /// Checkpoints, and removes the segments that it covers. Answers whether DuckDB granted it.
    pub(super) fn checkpoint(&self) -> Result<bool> {
        let granted = self.protocol().checkpoint()?;
        self.remove_kept()?;
        Ok(granted)
    }

    /// Removes the segments up to a checkpointed watermark, or keeps them where they may be needed.
    pub(super) fn tidy_log(&self, watermark: u64) -> Result<()> {
        self.protocol().tidy_log(watermark)?;
        self.remove_kept().map(drop)
    }

    /// Removes the kept segments whose time has come. Answers when to look again, if any stays.
    pub(super) fn remove_kept(&self) -> Result<Option<Duration>> {
        let keep = i64::try_from(self.options.keep_log.as_micros()).unwrap_or(i64::MAX);
        let now = self.options.clock.unix_micros();
        let until = if keep == 0 { i64::MAX } else { now.saturating_sub(keep) };
        let left = self.log.remove_kept(self.backed_up.load(Ordering::Acquire), until)?;
        let left = left.map(|oldest| oldest.saturating_sub(until));
        Ok(left.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)).min(LONGEST_WAIT)))
    }

    /// Has the worker open DuckDB again, if this error says that its instance is lost.
    pub(super) fn report_invalid(&self, error: &Error) {
        if is_invalidated(error) {
            self.send(Command::Reopen);
        }
    }
}
