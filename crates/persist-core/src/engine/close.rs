//! Closing: everything flushed, merged and checkpointed, a backup made, the log removed, the locks let go.

use std::sync::Arc;
use std::time::Duration;

use super::keeper;
use super::shared::Engine;
use super::worker::Command;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;

/// How long closing waits for queries that still run.
const PATIENCE: Duration = Duration::from_secs(30);

impl<M: Model> Engine<M> {
    /// Closes the store: flushes, merges, checkpoints, backs it up if the options say so, and removes the log. Other threads
    /// get [`Closed`](ErrorKind::Closed) from now on.
    ///
    /// # Errors
    /// What could not be done. No acknowledged write is lost then: where DuckDB does not have all of them the log stays, and
    /// the next opening replays it.
    pub fn close(mut self) -> Result<()> {
        self.shut()
    }

    fn shut(&mut self) -> Result<()> {
        let Some(threads) = self.threads.take() else { return Ok(()) };
        if let Some(error) = self.shared.log.forked() {
            // Neither its threads nor its locks nor DuckDB are this process's to end.
            std::mem::forget((Arc::clone(&self.shared), threads));
            return Err(error);
        }
        // Subscribers are to have the rest.
        self.shared.pending.hold();
        let last = self.shared.log.last_seq();
        let logged = self.shared.log.close();
        let flushed = self.flush_to(last);
        self.shared.send(Command::Stop);
        self.shared.charge(keeper::Chore::Stop);
        self.shared.syncer.stop();
        let ended = [threads.worker.join(), threads.keeper.join(), threads.syncer.join()];
        let finished = logged.and(flushed).and_then(|()| self.finish());
        // Whatever went wrong: no other may open the files while DuckDB still has them.
        let gone = self.shared.database.take(PATIENCE).map(drop);
        self.shared.locks.lock().clear();
        if ended.iter().any(Result::is_err) {
            return Err(Error::new(ErrorKind::Poisoned, "a thread of the store panicked"));
        }
        finished.and(gone)
    }

    fn finish(&self) -> Result<()> {
        let watermark = self.shared.compact_database()?;
        if let Some(database) = self.shared.database.take(PATIENCE)? {
            database.close(self.shared.options.fs.as_ref())?;
        }
        self.shared.database.place().remove_logs_set_aside()?;
        // First: of the log only what no backup has is kept then.
        let backed_up = self.shared.back_up_at_close();
        let tidied = self.shared.tidy_log(watermark);
        self.shared.publish_status();
        backed_up.and(tidied)
    }
}

impl<M: Model> Drop for Engine<M> {
    fn drop(&mut self) {
        if let Err(error) = self.shut() {
            tracing::error!(%error, "the store was dropped and could not be closed; its log will be recovered");
        }
    }
}
