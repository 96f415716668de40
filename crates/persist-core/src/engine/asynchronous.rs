//! Writes and subscriptions that wait without blocking a thread.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::request::Request;
use super::shared::Engine;
use super::subscribe::{Event, Subscription};
use super::ticket::Ticket;
use crate::config::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::wal::Reach;

impl<M: Model> Engine<M> {
    /// As [`Engine::write`], within a tokio runtime, none of whose threads it blocks.
    ///
    /// Where it is dropped before it is done the write is made or not; it is never half made.
    ///
    /// # Errors
    /// As [`Engine::write`].
    ///
    /// # Panics
    /// Outside a tokio runtime, where it has to wait for space.
    pub async fn write_async<R: Request<M>>(&self, request: R, durability: Option<Durability>) -> Result<R::Outcome> {
        let submitted = match self.shared.submit_at_once(request.writes(), durability)? {
            Ok(submitted) => submitted,
            Err(writes) => {
                let shared = Arc::clone(&self.shared);
                blocking(move || shared.submit(writes, durability)).await?
            }
        };
        self.ticket::<R>(submitted).await
    }

    /// As [`Engine::sync`], without blocking a thread.
    ///
    /// # Errors
    /// As [`Engine::sync`].
    pub async fn sync_async(&self) -> Result<()> {
        let seq = self.shared.log.last_seq();
        self.shared.syncer.want(seq, Reach::Durable);
        Ticket::new(Arc::clone(&self.shared.log), seq, Reach::Durable, Ok(())).await
    }
}

impl<M: Model> Subscription<M> {
    /// As [`Subscription::recv`], within a tokio runtime, none of whose threads it blocks. Where it is dropped before it
    /// is done, no event is lost.
    ///
    /// # Errors
    /// As [`Subscription::recv`].
    ///
    /// # Panics
    /// Outside a tokio runtime, where it has to read a segment of the log.
    pub async fn recv_async(&mut self) -> Result<Event<M>> {
        loop {
            if let Some(event) = self.ahead.take(&mut self.next)? {
                return Ok(event);
            }
            let (next, durable) = (self.next, self.shared.log.durable_seq());
            if next > durable {
                poll_fn(|context| match self.is_due(context.waker()) {
                    Ok(false) => Poll::Pending,
                    due => Poll::Ready(due),
                })
                .await?;
                continue;
            }
            self.ahead = match self.shared.ahead_in_memory(next, durable) {
                Ok(ahead) => ahead,
                Err(until) => {
                    let shared = Arc::clone(&self.shared);
                    blocking(move || shared.ahead_on_disk(next, until)).await?
                }
            };
        }
    }
}

/// Runs what may take long on a thread of the runtime that is meant for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(ErrorKind::Closed, format!("the runtime ended: {error}")))?
}
