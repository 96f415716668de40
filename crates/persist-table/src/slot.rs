//! A table of a database: its declaration, its rows if they are loaded, and what its file has.

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use persist_core::{Error, ErrorKind, Result};

use crate::held;
use crate::meta::Saved;
use crate::schema::Layout;
use crate::shared::Shared;
use crate::state::State;

/// A table behind its lock: each has one of its own.
pub(crate) type Table = Arc<RwLock<Slot>>;

/// A table.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) layout: Arc<Layout>,
    pub(crate) created_at: String,
    /// `None` while the rows are not loaded: then the log has nothing that the file lacks.
    pub(crate) state: Option<State>,
    /// What its file has; `None` while the rows are not loaded, and in a database without files.
    pub(crate) saved: Option<Saved>,
    /// It was dropped: who still has it gets an error.
    pub(crate) is_dropped: bool,
}

impl Slot {
    pub(crate) fn new(layout: Arc<Layout>, created_at: String) -> Self {
        Self { layout, created_at, state: None, saved: None, is_dropped: false }
    }

    pub(crate) fn name(&self) -> &str {
        self.layout.table()
    }

    /// Loads the rows, if they are not.
    pub(crate) fn load(&mut self, shared: &Shared) -> Result<()> {
        if self.is_dropped {
            return Err(Error::input(format!("table {} was dropped", self.name())));
        }
        if self.state.is_none() {
            let (state, saved) = match &shared.storage {
                Some(storage) => {
                    // Given back, it may be another's by now; while this holds it, nobody gives it back.
                    let lock = storage.lock.lock();
                    if lock.is_none() {
                        return Err(Error::new(ErrorKind::Closed, "the database was closed"));
                    }
                    storage.check_process()?;
                    let (state, saved) = crate::load::load(storage, &self.layout)?;
                    (state, Some(saved))
                }
                None => (State::new(&self.layout), None),
            };
            (self.state, self.saved) = (Some(state), saved);
        }
        Ok(())
    }
}

/// The table, to be read, with its rows.
pub(crate) fn read<'t>(table: &'t Table, shared: &Shared) -> Result<RwLockReadGuard<'t, Slot>> {
    held::check_free(shared, table)?;
    let slot = table.read();
    if slot.state.is_some() && !slot.is_dropped {
        return Ok(slot);
    }
    drop(slot);
    let mut slot = table.write();
    slot.load(shared)?;
    Ok(RwLockWriteGuard::downgrade(slot))
}
