//! A write under way: what it will answer, and whether it may yet.

use std::sync::Arc;

use crate::error::Result;
use crate::wal::{Log, Reach};

/// The promise of an answer to a write that was [submitted](super::Engine::submit): it is made, and other threads see it;
/// what is missing is its durability.
///
/// Dropping a ticket changes nothing about the write.
#[derive(Debug)]
#[must_use = "the write is acknowledged when `wait` returns, or `is_done` says so"]
pub struct Ticket<T> {
    log: Arc<Log>,
    seq: u64,
    reach: Reach,
    answer: Result<T>,
}

impl<T> Ticket<T> {
    pub(super) fn new(log: Arc<Log>, seq: u64, reach: Reach, answer: Result<T>) -> Self {
        Self { log, seq, reach, answer }
    }

    /// Whether [`Ticket::wait`] would return at once: the write is as durable as was asked for, or has failed.
    pub fn is_done(&self) -> bool {
        self.log.has_come(self.seq, self.reach)
    }

    /// Waits until the write is as durable as was asked for.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict): nothing was written. [`Poisoned`](crate::ErrorKind::Poisoned): the
    /// write is in doubt.
    pub fn wait(self) -> Result<T> {
        self.log.wait(self.seq, self.reach)?;
        self.answer
    }
}
