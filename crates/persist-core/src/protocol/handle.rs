//! The one instance of a database, which can be lost and opened again while the store goes on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::base::Place;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Mutex, sleep};

/// How long opening it again waits for those who still use the lost instance.
const PATIENCE: Duration = Duration::from_secs(10);

/// An instance for everybody, or none for now.
#[derive(Debug)]
pub struct Handle<P: Place> {
    place: P,
    open: Mutex<Open<P::Base>>,
}

#[derive(Debug)]
struct Open<B> {
    instance: Option<Arc<B>>,
    /// How many there have been.
    number: u64,
}

impl<P: Place> Handle<P> {
    /// A handle of what was opened at this place.
    pub fn new(place: P, open: P::Base) -> Self {
        Self { place, open: Mutex::new(Open { instance: Some(Arc::new(open)), number: 1 }) }
    }

    /// Where it is.
    pub fn place(&self) -> &P {
        &self.place
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// The instance.
    ///
    /// # Errors
    /// [`Database`](ErrorKind::Database) where it was lost, until it is opened again.
    pub fn get(&self) -> Result<Arc<P::Base>> {
        self.get_numbered().map(|(_, instance)| instance)
    }

    /// The instance, and the how manieth it is: the next one lacks what this one committed after its last checkpoint.
    ///
    /// # Errors
    /// As [`get`](Handle::get).
    pub fn get_numbered(&self) -> Result<(u64, Arc<P::Base>)> {
        let open = self.open.lock();
        open.instance.clone().map(|instance| (open.number, instance)).ok_or_else(|| {
            let message = format!("{} is closed after a failure and will be opened again", self.path().display());
            Error::new(ErrorKind::Database, message)
        })
    }

    /// The how manieth instance there is, or was.
    pub fn number(&self) -> u64 {
        self.open.lock().number
    }

    /// Closes the instance for good, so that nobody gets it any more, and answers it as soon as nobody uses it.
    ///
    /// # Errors
    /// [`Busy`](ErrorKind::Busy) where somebody uses it for too long: it is as it was.
    pub fn take(&self, patience: Duration) -> Result<Option<P::Base>> {
        let Some(mut shared) = self.open.lock().instance.take() else { return Ok(None) };
        let step = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        loop {
            match Arc::try_unwrap(shared) {
                Ok(database) => return Ok(Some(database)),
                Err(still_used) if waited < patience => shared = still_used,
                Err(still_used) => {
                    self.open.lock().instance = Some(still_used);
                    let message = format!("{} is still being read", self.path().display());
                    return Err(Error::new(ErrorKind::Busy, message));
                }
            }
            sleep(step);
            waited += step;
        }
    }

    /// Opens it again after it was lost, as of its last checkpoint, and calls `before` before anybody gets it.
    pub(super) fn reopen(&self, before: impl FnOnce(&P::Base) -> Result<()>) -> Result<()> {
        // Two instances of one process on one file lose tables silently, so the old one has to be gone.
        drop(self.take(PATIENCE)?);
        let instance = self.place.open()?;
        before(&instance)?;
        let mut open = self.open.lock();
        open.number += 1;
        open.instance = Some(Arc::new(instance));
        Ok(())
    }
}
