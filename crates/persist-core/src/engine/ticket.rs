//! A write under way: what it will answer, and whether it may yet.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::Result;
use crate::wal::{Call, Log, Reach};

/// The promise of an answer to a write that was [submitted](super::Engine::submit): it is made, and other threads see it;
/// what is missing is its durability. It can be waited for, asked, or awaited in any asynchronous runtime.
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

impl<T> IntoFuture for Ticket<T> {
    type Output = Result<T>;
    type IntoFuture = Pending<T>;

    fn into_future(self) -> Pending<T> {
        Pending { ticket: Some(self), call: None }
    }
}

/// A [`Ticket`] that is awaited.
#[derive(Debug)]
pub struct Pending<T> {
    ticket: Option<Ticket<T>>,
    call: Option<Call>,
}

/// What it answers is never pinned.
impl<T> Unpin for Pending<T> {}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let Self { ticket, call } = &mut *self;
        match ticket.take() {
            Some(open) if open.log.call_when(open.seq, open.reach, context.waker(), call) => Poll::Ready(open.wait()),
            open => {
                *ticket = open;
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let (Some(ticket), Some(call)) = (&self.ticket, self.call.take()) {
            ticket.log.forget(call);
        }
    }
}
