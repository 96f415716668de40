//! The flush worker: one thread that brings what was written into DuckDB, and closes segments that are old.
//!
//! When it does so is decided here; what a flush takes, and what is flushed again, in [`protocol`](crate::protocol). A flush
//! only appends, so that its cost does not grow with the table. What may take longer is the keeper's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::keeper;
use super::open::Task;
use super::shared::Shared;
use crate::duck::Appender;
use crate::error::{Error, Result};
use crate::fs::replace_unsynced;
use crate::model::Model;

/// How soon a flush that failed is tried again, at first and at most.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// After a flush that nobody asked for the next one waits so many times as long as it took: of what comes in meanwhile
/// it makes one transaction, which costs a row half as much at 20,000 rows as at 1,000.
const PAUSE: u32 = 3;
/// … but no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What the worker is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Look whether something is due.
    Wake,
    /// There are recovered records to flush.
    Recovered,
    /// Flush everything up to this `seq` and say how it went.
    Flush(u64, flume::Sender<Result<()>>),
    /// DuckDB's instance may have become invalid: look, open it again, and flush what it lost.
    Reopen,
    /// End.
    Stop,
}

pub(super) struct Worker<M: Model> {
    shared: Arc<Shared<M>>,
    commands: flume::Receiver<Command>,
    appender: Option<Appender>,
    next_flush: Duration,
    /// Until then no flush begins that can wait.
    pause_until: Duration,
    next_rotation: Duration,
    retry: Option<(Duration, Duration)>,
}

impl<M: Model> Task for Worker<M> {
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        if catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            shared.log.poison("the flush worker panicked");
        }
    }
}

impl<M: Model> Worker<M> {
    pub(super) fn new(shared: Arc<Shared<M>>, commands: flume::Receiver<Command>) -> Self {
        let now = shared.options.clock.monotonic();
        let next_flush = now.saturating_add(shared.options.flush_interval);
        let next_rotation = now.saturating_add(shared.options.max_wal_age);
        Self { shared, commands, appender: None, next_flush, pause_until: now, next_rotation, retry: None }
    }

    fn work(&mut self) {
        loop {
            match self.commands.recv_timeout(self.until_due()) {
                Ok(Command::Stop) | Err(flume::RecvTimeoutError::Disconnected) => return,
                Ok(Command::Flush(seq, done)) => {
                    // Nobody may be waiting any more.
                    let _ = done.send(self.flush(seq));
                }
                Ok(Command::Recovered) => self.flush_in_background(),
                Ok(Command::Reopen) => {
                    if self.shared.database.get().and_then(|database| database.state()).is_err() {
                        let reopened = self.shared.protocol().reopen(&mut self.appender);
                        self.log_failure("open DuckDB again", reopened);
                    }
                    self.flush_in_background();
                }
                Ok(Command::Wake) | Err(flume::RecvTimeoutError::Timeout) => self.mind(),
            }
        }
    }

    fn until_due(&self) -> Duration {
        let retry = self.retry.map(|(at, _)| at);
        let next_flush = retry.unwrap_or(self.next_flush);
        let due = next_flush.min(self.next_rotation);
        due.saturating_sub(self.shared.options.clock.monotonic())
    }

    /// Does whatever is due by now.
    fn mind(&mut self) {
        let now = self.shared.options.clock.monotonic();
        if self.next_rotation <= now {
            self.next_rotation = now.saturating_add(self.shared.options.max_wal_age);
            if self.shared.log.refusal().is_none() {
                self.log_failure("close a segment of the log", self.shared.log.rotate());
                self.shared.charge(keeper::Chore::Tidy);
            }
        }
        let waiting = self.shared.pending.waiting();
        let due = match self.retry {
            Some((at, _)) => at <= now,
            None if waiting.bytes > self.shared.options.max_unflushed_bytes / 4 => true,
            None if self.next_flush <= now || waiting.records >= self.shared.options.batch_size => {
                self.next_flush = self.pause_until;
                self.pause_until <= now
            }
            None => false,
        };
        if due {
            self.flush_in_background();
        }
    }

    fn flush_in_background(&mut self) {
        let start = self.shared.options.clock.monotonic();
        self.next_flush = start.saturating_add(self.shared.options.flush_interval);
        if let Err(error) = self.flush(self.shared.log.last_seq()) {
            let wait = self.retry.map_or(FIRST_RETRY, |(_, wait)| (wait * 2).min(LAST_RETRY));
            self.retry = Some((self.shared.options.clock.monotonic().saturating_add(wait), wait));
            tracing::error!(%error, retry_in = ?wait, "a flush failed; its records stay in the log and in memory");
        }
        let end = self.shared.options.clock.monotonic();
        self.pause_until = end.saturating_add(end.saturating_sub(start).saturating_mul(PAUSE).min(LONGEST_PAUSE));
    }

    /// Flushes everything up to `seq`, and what the failure of an earlier flush left.
    fn flush(&mut self, seq: u64) -> Result<()> {
        let start = self.shared.options.clock.monotonic();
        let done = self.shared.protocol().flush(&mut self.appender, seq);
        let took = self.shared.options.clock.monotonic().saturating_sub(start);
        let mut figures = self.shared.figures.lock();
        match &done {
            Ok(0) => figures.last_flush_error = None,
            Ok(_) => {
                figures.last_flush = Some(took);
                figures.last_flush_error = None;
            }
            Err(error) => figures.last_flush_error = Some(error.to_string()),
        }
        drop(figures);
        let flushed = done?;
        self.retry = None;
        if flushed > 0 {
            self.shared.publish_status();
            self.shared.charge(keeper::Chore::Tidy);
        }
        Ok(())
    }

    fn log_failure(&self, doing: &str, done: Result<()>) {
        if let Err(error) = done {
            tracing::error!(%error, "cannot {doing}");
        }
    }
}

impl<M: Model> Shared<M> {
    /// Tells others how the store stands, in `status.json`. They see the old file or the new one.
    pub(super) fn publish_status(&self) {
        let path = self.dir.join("status.json");
        let status = serde_json::json!({
            "store": self.identity.id,
            "pid": std::process::id(),
            "at": crate::timestamp::Timestamp::from_unix_micros(self.options.clock.unix_micros()),
            "stats": self.stats(),
        });
        let done = serde_json::to_vec_pretty(&status)
            .map_err(|error| Error::config(format!("cannot write {}: {error}", path.display())))
            .and_then(|text| replace_unsynced(self.options.fs.as_ref(), &path, &text));
        if let Err(error) = done {
            tracing::warn!(%error, "the status is not up to date");
        }
    }
}
