//! The past of a model that keeps every write.

use std::sync::Arc;

use super::open::loaded;
use super::shared::Engine;
use crate::change::Change;
use crate::duck::By;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::record::Record;
use crate::timestamp::Timestamp;

impl<M: Model> Engine<M> {
    /// Every write of an id, the oldest first. It flushes what was written before this call.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) for a model that keeps only the newest.
    /// [`Database`](crate::ErrorKind::Database).
    pub fn history(&self, key: &str, fields: &[Option<&str>]) -> Result<Vec<Change<M>>> {
        Self::expect_history()?;
        self.on_database(|database| {
            let mut changes = Vec::new();
            database.history(key, fields, &mut |row| {
                changes.push(Change::of(Arc::new(loaded::<M>(&row))));
                Ok(())
            })?;
            Ok(changes)
        })
    }

    /// The records as they stood at a moment, by the timestamps of the records: of each id the last write among those
    /// whose timestamp is not after it, unless that is a removal, whose timestamp is when it was made. In the order of
    /// the ids.
    ///
    /// # Errors
    /// As [`Engine::history`].
    pub fn as_of(&self, moment: Timestamp) -> Result<Vec<Arc<Record<M>>>> {
        self.past(moment, By::Timestamp)
    }

    /// The records as they stood at a moment, by when they were written. In the order of the ids.
    ///
    /// # Errors
    /// As [`Engine::history`].
    pub fn as_of_written(&self, moment: Timestamp) -> Result<Vec<Arc<Record<M>>>> {
        self.past(moment, By::Written)
    }

    fn past(&self, moment: Timestamp, by: By) -> Result<Vec<Arc<Record<M>>>> {
        Self::expect_history()?;
        self.on_database(|database| {
            let mut records = Vec::new();
            database.as_of(moment.unix_micros(), by, &mut |row| {
                records.push(Arc::new(loaded::<M>(&row)));
                Ok(())
            })?;
            Ok(records)
        })
    }

    fn expect_history() -> Result<()> {
        let refused = || Error::input(format!("the table {} keeps the newest of each id, and no past", M::TABLE));
        M::HISTORY.map(|_| ()).ok_or_else(refused)
    }
}
