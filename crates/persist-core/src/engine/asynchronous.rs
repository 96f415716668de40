//! Writes that wait without blocking a thread.

use std::sync::Arc;

use super::request::Request;
use super::shared::Engine;
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
                let submitted = tokio::task::spawn_blocking(move || shared.submit(writes, durability)).await;
                submitted.map_err(|error| Error::new(ErrorKind::Closed, format!("the runtime ended: {error}")))??
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
