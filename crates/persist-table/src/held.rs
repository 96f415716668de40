//! What tables the present thread holds: within a transaction, or while it changes rows by a function of the caller. Whoever
//! asked for one of them once more would wait for itself, and for ever.

use std::cell::RefCell;
use std::sync::Arc;

use persist_core::{Error, Result};

use crate::schema::Layout;
use crate::shared::Shared;
use crate::slot::Table;

thread_local! {
    static HELD: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
}

/// By the places of database and table; a transaction also has one without table.
struct Note(usize, Option<(usize, Arc<Layout>)>);

impl Note {
    fn table(&self) -> Option<usize> {
        self.1.as_ref().map(|(table, _)| *table)
    }
}

/// Notes that this thread holds a table, or the turn of a transaction, as long as this lives.
#[derive(Debug)]
pub(crate) struct Held(usize, Option<usize>);

impl Held {
    pub(crate) fn table(shared: &Shared, table: &Table, layout: &Arc<Layout>) -> Self {
        Self::note(Note(address(shared), Some((address(&**table), Arc::clone(layout)))))
    }

    pub(crate) fn transaction(shared: &Shared) -> Self {
        Self::note(Note(address(shared), None))
    }

    fn note(note: Note) -> Self {
        let held = Self(note.0, note.table());
        HELD.with_borrow_mut(|held| held.push(note));
        held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = HELD.try_with(|held| {
            let mut held = held.borrow_mut();
            let at = held.iter().rposition(|note| (note.0, note.table()) == (self.0, self.1));
            at.map(|at| held.swap_remove(at))
        });
    }
}

fn address<T>(of: &T) -> usize {
    std::ptr::from_ref(of).addr()
}

/// Refuses what would wait for tables that this thread holds.
///
/// # Errors
/// `Input`, naming the call.
pub(crate) fn check_none(shared: &Shared, call: &str) -> Result<()> {
    if HELD.with_borrow(|held| held.iter().any(|note| note.0 == address(shared))) {
        let message = format!(
            "database {}: {call} was called inside a transaction, or by a function that changes rows. Inside a transaction \
             its own `table` and `rows` give each table that there is; call {call} before or after it",
            shared.name
        );
        return Err(Error::input(message));
    }
    Ok(())
}

/// Refuses to use a table by another way than that by which this thread holds it; and, outside a transaction, any table while
/// this thread holds one: two such threads could wait for each other's. Of transactions there is one at a time, and who it
/// waits for waits for nobody.
///
/// # Errors
/// `Input`, naming the table that is held.
pub(crate) fn check_free(shared: &Shared, table: &Table) -> Result<()> {
    let (database, place) = (address(shared), address(&**table));
    HELD.with_borrow(|held| {
        let of_database = || held.iter().filter(|note| note.0 == database);
        let is_in_transaction = of_database().any(|note| note.table().is_none());
        let is_refused = |note: &&Note| note.table() == Some(place) || !is_in_transaction;
        match of_database().find(is_refused) {
            Some(Note(_, Some((_, layout)))) => Err(Error::input(format!(
                "table {} is held by the transaction, or the call, inside which a table was asked for. A transaction uses its \
                 tables by what its own `table` and `rows` answer; a function that changes rows uses none",
                layout.table()
            ))),
            _ => Ok(()),
        }
    })
}
