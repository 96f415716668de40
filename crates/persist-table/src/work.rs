//! Changes of one or several tables as one step: in memory, and in the log as one batch.
//!
//! Kept true: who holds a table sees its changes, nobody else does before they are in the log. What fails, or is given up,
//! leaves the rows as they were. Tables are held until the log has the changes, so the order of a table's lines is the
//! order in which they were made.

use std::fmt;
use std::sync::Arc;

use parking_lot::{ArcRwLockWriteGuard, MutexGuard, RawRwLock};
use persist_core::data::to_json;
use persist_core::planted::planted;
use persist_core::wal::{BatchPlace, Body, Marks};
use persist_core::{Durability, Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cell::Cell;
use crate::filter::Filter;
use crate::held::{self, Held};
use crate::operation::{Action, body};
use crate::row::{self, Given, Row};
use crate::schema::Layout;
use crate::shared::Shared;
use crate::slot::{Slot, Table};
use crate::state::{RowId, State};

/// Changes that are being made.
pub(crate) struct Work<'a> {
    shared: &'a Shared,
    durability: Durability,
    held: Vec<ArcRwLockWriteGuard<RawRwLock, Slot>>,
    /// That it holds them, for who would wait for that in the same thread.
    notes: Vec<Held>,
    /// The turn of who may hold several tables; given back with them.
    turn: Option<MutexGuard<'a, ()>>,
    /// What was there before each change.
    undo: Vec<Undo>,
    bodies: Vec<(usize, Body)>,
}

/// How it was before a change.
struct Undo {
    at: usize,
    id: RowId,
    row: Option<Row>,
    next_key: i64,
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("changes", &self.undo.len()).finish_non_exhaustive()
    }
}

impl<'a> Work<'a> {
    pub(crate) fn new(shared: &'a Shared, durability: Durability) -> Self {
        Self {
            shared,
            durability,
            held: Vec::new(),
            notes: Vec::new(),
            turn: None,
            undo: Vec::new(),
            bodies: Vec::new(),
        }
    }

    /// Work that may hold several tables: one at a time, so that none waits for another in a circle.
    pub(crate) fn on_several(shared: &'a Shared) -> Self {
        let mut work = Self::new(shared, shared.config.durability);
        work.turn = Some(shared.transactions.lock());
        work.notes.push(Held::transaction(shared));
        work
    }

    /// Makes a part of the work: all of it, or nothing.
    pub(crate) fn part<R>(&mut self, make: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let (changes, lines) = (self.undo.len(), self.bodies.len());
        make(self).inspect_err(|_| {
            self.roll_back_to(changes);
            self.bodies.truncate(lines);
        })
    }

    fn let_go(&mut self) {
        self.held.clear();
        self.notes.clear();
        self.turn = None;
    }

    pub(crate) fn shared(&self) -> &'a Shared {
        self.shared
    }

    /// Holds a table, if this does not yet, and answers its place here.
    pub(crate) fn hold(&mut self, table: &Table) -> Result<usize> {
        let is_it = |held: &ArcRwLockWriteGuard<RawRwLock, Slot>| Arc::ptr_eq(ArcRwLockWriteGuard::rwlock(held), table);
        if let Some(at) = self.held.iter().position(is_it) {
            return Ok(at);
        }
        held::check_free(self.shared, table)?;
        let mut slot = table.write_arc();
        slot.load(self.shared)?;
        self.notes.push(Held::table(self.shared, table, &slot.layout));
        self.held.push(slot);
        Ok(self.held.len() - 1)
    }

    /// The declaration and rows of a table that is held.
    pub(crate) fn table(&self, at: usize) -> Result<(&Arc<Layout>, &State)> {
        let slot = self.held.get(at).ok_or_else(not_held)?;
        Ok((&slot.layout, slot.state.as_ref().ok_or_else(not_held)?))
    }

    fn table_mut(&mut self, at: usize) -> Result<(Arc<Layout>, &mut State)> {
        let slot = self.held.get_mut(at).ok_or_else(not_held)?;
        let layout = Arc::clone(&slot.layout);
        Ok((layout, slot.state.as_mut().ok_or_else(not_held)?))
    }

    /// Makes a change that was checked.
    fn change(&mut self, at: usize, id: RowId, row: Option<Row>) -> Result<()> {
        let now = self.shared.now();
        let has_log = self.shared.storage.is_some();
        let (layout, state) = self.table_mut(at)?;
        let next_key = state.next_key;
        let before = state.set(&layout, id, row.clone());
        let action = match (&before, &row) {
            (None, _) => Action::Insert,
            (Some(_), Some(_)) => Action::Update,
            (Some(_), None) => Action::Delete,
        };
        let line = has_log.then(|| body(now, action, &layout, row.as_deref(), before.as_deref()));
        self.undo.push(Undo { at, id, row: before, next_key });
        if let Some(line) = line {
            if line.line_bytes_at_most() > self.shared.config.max_record_bytes {
                let most = self.shared.config.max_record_bytes;
                let message = format!("table {}: the change of a row takes more than {most} bytes", layout.table());
                return Err(Error::input(message));
            }
            self.bodies.push((at, line));
        }
        Ok(())
    }

    /// Adds a row.
    pub(crate) fn insert(&mut self, at: usize, given: Given) -> Result<Row> {
        let (layout, state) = self.table_mut(at)?;
        let mut cells = row::complete(&layout, given)?;
        if let Some(key) = cells.get_mut(layout.primary).filter(|key| key.is_null()) {
            if state.next_key == i64::MAX {
                return Err(Error::input(format!("table {}: there is no next number for a row", layout.table())));
            }
            *key = Cell::Int(state.next_key);
        }
        state.check(&layout, None, &cells)?;
        let (id, row): (_, Row) = (state.next_row(), cells.into());
        self.change(at, id, Some(Arc::clone(&row)))?;
        Ok(row)
    }

    /// Puts a row in the place of another.
    pub(crate) fn replace(&mut self, at: usize, id: RowId, cells: Vec<Cell>) -> Result<Row> {
        let (layout, state) = self.table_mut(at)?;
        state.check(&layout, Some(id), &cells)?;
        let row: Row = cells.into();
        let written = |row: &Row| {
            let mut text = String::new();
            row::write(&layout, row, &mut text);
            text
        };
        // Two ways to write one moment are equal, and still not the same.
        if !state.rows.get(&id).is_some_and(|old| *old == row && written(old) == written(&row)) {
            self.change(at, id, Some(Arc::clone(&row)))?;
        }
        Ok(row)
    }

    pub(crate) fn insert_value<T>(&mut self, at: usize, value: &(impl Serialize + ?Sized)) -> Result<T>
    where
        T: DeserializeOwned,
    {
        let (layout, _) = self.table(at)?;
        let layout = Arc::clone(layout);
        let row = self.insert(at, row::parse(&layout, &to_json(value)?)?)?;
        row::to(&layout, &row)
    }

    /// Adds a row, or puts it in the place of the one with its primary key.
    pub(crate) fn upsert_value<T>(&mut self, at: usize, value: &(impl Serialize + ?Sized)) -> Result<T>
    where
        T: DeserializeOwned,
    {
        let (layout, state) = self.table(at)?;
        let layout = Arc::clone(layout);
        let given = row::parse(&layout, &to_json(value)?)?;
        let key = given.get(layout.primary).and_then(Option::as_ref);
        let id = key.and_then(|key| state.find(key)).map(|(id, _)| id);
        let row = match id {
            Some(id) => self.replace(at, id, row::complete(&layout, given)?)?,
            None => self.insert(at, given)?,
        };
        row::to(&layout, &row)
    }

    /// Gives the columns that `change` names their new values, in the rows of a filter.
    pub(crate) fn update(&mut self, at: usize, filter: &Filter, change: &(impl Serialize + ?Sized)) -> Result<usize> {
        let (layout, state) = self.table(at)?;
        let layout = Arc::clone(layout);
        let given = row::parse(&layout, &to_json(change)?)?;
        let found = rows_of(filter, &layout, state)?;
        for (id, row) in &found {
            let old = row.iter().zip(&given);
            let new = old.map(|(cell, given)| given.as_ref().unwrap_or(cell).clone()).map(Some).collect();
            let cells = self.checked(&layout, new)?;
            self.replace(at, *id, cells)?;
        }
        Ok(found.len())
    }

    /// Gives each row of a filter to `change`, and takes what becomes of it.
    pub(crate) fn update_with<T>(&mut self, at: usize, filter: &Filter, mut change: impl FnMut(&mut T)) -> Result<usize>
    where
        T: Serialize + DeserializeOwned,
    {
        let (layout, state) = self.table(at)?;
        let layout = Arc::clone(layout);
        let found = rows_of(filter, &layout, state)?;
        for (id, row) in &found {
            let mut value: T = row::to(&layout, row)?;
            change(&mut value);
            let cells = self.checked(&layout, row::parse(&layout, &to_json(&value)?)?)?;
            self.replace(at, *id, cells)?;
        }
        Ok(found.len())
    }

    /// A row that was there stays one with a primary key.
    fn checked(&self, layout: &Layout, given: Given) -> Result<Vec<Cell>> {
        let cells = row::complete(layout, given)?;
        match (cells.get(layout.primary), layout.column(layout.primary)) {
            (Some(key), Some(column)) if key.is_null() => Err(layout.refusal(&column.name, "null is not taken")),
            _ => Ok(cells),
        }
    }

    /// Removes the rows of a filter.
    pub(crate) fn delete(&mut self, at: usize, filter: &Filter) -> Result<usize> {
        let (layout, state) = self.table(at)?;
        let found = rows_of(filter, layout, state)?;
        for (id, _) in &found {
            self.change(at, *id, None)?;
        }
        Ok(found.len())
    }

    /// Makes the changes durable as far as was asked for; from then on others see them.
    pub(crate) fn commit(mut self) -> Result<()> {
        let Some(storage) = &self.shared.storage else {
            self.undo.clear();
            return Ok(());
        };
        let bodies = std::mem::take(&mut self.bodies);
        if bodies.is_empty() {
            // That there was nothing to change rests on what others wrote.
            self.undo.clear();
            return self.acknowledge_what_was_seen();
        }
        let bytes = bodies.iter().map(|(_, body)| body.line_bytes_at_most()).sum();
        // An error here leaves no line, and on the way out the rows as they were.
        let mut append = storage.log.begin(bytes)?;
        let of = u32::try_from(bodies.len()).map_err(|_| Error::input("more changes than one step can have"))?;
        let mut last = 0;
        for (number, (at, body)) in (1..).zip(bodies) {
            let place = (of > 1 && !planted("batch-unmarked")).then_some(BatchPlace { number, of });
            last = append.push(body, Marks::default().batch(place)).seq;
            if let Some(state) = self.held.get_mut(at).and_then(|slot| slot.state.as_mut()) {
                state.last_seq = last;
            }
        }
        let wants_work_ahead = append.wants_work_ahead();
        drop(append);
        self.undo.clear();
        self.let_go();
        storage.signal.note_written(bytes as u64, wants_work_ahead);
        storage.acknowledge(last, self.durability)
    }

    /// Gives the changes up, for this reason. That a value is there already is told only when the row that has it is as
    /// durable as was asked for: nobody acts on what a failed sync takes back.
    pub(crate) fn refuse(mut self, error: Error) -> Error {
        self.roll_back_to(0);
        if error.kind() == ErrorKind::Conflict
            && let Err(error) = self.acknowledge_what_was_seen()
        {
            return error;
        }
        error
    }

    fn acknowledge_what_was_seen(&mut self) -> Result<()> {
        let seen = self.held.iter().filter_map(|slot| slot.state.as_ref()).map(|state| state.last_seq).max();
        self.let_go();
        match (&self.shared.storage, seen) {
            (Some(storage), Some(seq)) => storage.acknowledge(seq, self.durability),
            _ => Ok(()),
        }
    }

    fn roll_back_to(&mut self, changes: usize) {
        let mut undo = self.undo.split_off(changes);
        if !planted("rolled-back-forwards") {
            undo.reverse();
        }
        for Undo { at, id, row, next_key } in undo {
            if let Ok((layout, state)) = self.table_mut(at) {
                state.set(&layout, id, row);
                state.next_key = next_key;
            }
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.roll_back_to(0);
    }
}

fn rows_of(filter: &Filter, layout: &Layout, state: &State) -> Result<Vec<(RowId, Row)>> {
    let test = filter.made_out(layout)?;
    Ok(test.find(layout, state).into_iter().map(|(id, row)| (id, Arc::clone(row))).collect())
}

#[cold]
fn not_held() -> Error {
    Error::new(ErrorKind::Closed, "the table is not there any more")
}
