//! The rows of one table in memory, and what finds them.
//!
//! Kept true: the maps of the primary key, of unique columns and of indexes say of the rows what the rows say, at every
//! moment. A row keeps its number, which is its place in the file, as long as it lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use persist_core::planted::planted;
use persist_core::{Error, ErrorKind, Result};

use crate::cell::Cell;
use crate::row::Row;
use crate::schema::Layout;

/// The number of a row: its place among the others.
pub(crate) type RowId = u64;

/// The rows of a table.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rows: BTreeMap<RowId, Row>,
    primary: BTreeMap<Cell, RowId>,
    unique: Vec<(usize, BTreeMap<Cell, RowId>)>,
    indexes: Vec<(usize, BTreeSet<(Cell, RowId)>)>,
    next_row: RowId,
    /// The primary key of the next row that comes without one.
    pub(crate) next_key: i64,
    /// Rows with a lower number are in the file.
    pub(crate) saved_rows: RowId,
    /// A row that is in the file was changed: the file has to be written anew.
    pub(crate) rewrite: bool,
    /// Something was changed since the last save.
    pub(crate) dirty: bool,
    /// The last write of the log that changed it, or that its file has.
    pub(crate) last_seq: u64,
}

impl State {
    pub(crate) fn new(layout: &Layout) -> Self {
        let places = |which: fn(&crate::schema::Column) -> bool| {
            let columns = layout.schema.columns.iter().enumerate();
            columns.filter(move |(at, column)| *at != layout.primary && which(column)).map(|(at, _)| at)
        };
        Self {
            rows: BTreeMap::new(),
            primary: BTreeMap::new(),
            unique: places(|column| column.unique).map(|at| (at, BTreeMap::new())).collect(),
            indexes: places(|column| column.index && !column.unique).map(|at| (at, BTreeSet::new())).collect(),
            next_row: 0,
            next_key: 1,
            saved_rows: 0,
            rewrite: false,
            dirty: false,
            last_seq: 0,
        }
    }

    /// The number of the next row.
    pub(crate) fn next_row(&self) -> RowId {
        self.next_row
    }

    /// The row of a primary key.
    pub(crate) fn find(&self, key: &Cell) -> Option<(RowId, &Row)> {
        let id = *self.primary.get(key)?;
        Some((id, self.rows.get(&id)?))
    }

    /// Fails where a row would have what another has alone. `id` is the row that it takes the place of.
    ///
    /// # Errors
    /// `Conflict`, naming table, column and value.
    pub(crate) fn check(&self, layout: &Layout, id: Option<RowId>, row: &[Cell]) -> Result<()> {
        let Some((at, _)) = self.others(layout, id, row).next() else { return Ok(()) };
        let name = layout.column(at).map_or("", |column| column.name.as_str());
        let what = if at == layout.primary { "the primary key" } else { "unique" };
        let message = format!(
            "table {}, column {name}: there is a row with {} already, and the column is {what}",
            layout.table(),
            row.get(at).map(Cell::shown).unwrap_or_default()
        );
        Err(Error::new(ErrorKind::Conflict, message))
    }

    /// The other rows that have what a row would have alone, each with the column. `id` is the row that it takes the place
    /// of.
    pub(crate) fn others<'s>(
        &'s self,
        layout: &Layout,
        id: Option<RowId>,
        row: &'s [Cell],
    ) -> impl Iterator<Item = (usize, RowId)> + use<'s> {
        let of_primary = std::iter::once((layout.primary, &self.primary));
        let known = of_primary.chain(self.unique.iter().map(|(at, known)| (*at, known)));
        known.filter_map(move |(at, known)| {
            let cell = row.get(at).filter(|cell| !cell.is_null())?;
            known.get(cell).filter(|other| Some(**other) != id).map(|other| (at, *other))
        })
    }

    /// Adds a row at the end, which was checked, and answers its number.
    pub(crate) fn push(&mut self, layout: &Layout, row: Row) -> RowId {
        let id = self.next_row;
        self.set(layout, id, Some(row));
        id
    }

    /// Puts a row, which was checked, or none, in the place of a number, and answers what was there.
    pub(crate) fn set(&mut self, layout: &Layout, id: RowId, row: Option<Row>) -> Option<Row> {
        let before = match &row {
            Some(row) => self.rows.insert(id, Arc::clone(row)),
            None => self.rows.remove(&id),
        };
        for (row, is_there) in before.iter().map(|row| (row, false)).chain(row.iter().map(|row| (row, true))) {
            let of_primary = std::iter::once((layout.primary, &mut self.primary));
            for (at, known) in of_primary.chain(self.unique.iter_mut().map(|(at, known)| (*at, known))) {
                match row.get(at).filter(|cell| !cell.is_null()) {
                    Some(cell) if is_there => drop(known.insert(cell.clone(), id)),
                    Some(cell) => drop(known.remove(cell)),
                    None => {}
                }
            }
            for (at, known) in &mut self.indexes {
                match row.get(*at) {
                    Some(cell) if is_there => drop(known.insert((cell.clone(), id))),
                    Some(_) if planted("index-keeps-old") => {}
                    Some(cell) => drop(known.remove(&(cell.clone(), id))),
                    None => {}
                }
            }
        }
        if let Some(Cell::Int(key)) = row.as_ref().and_then(|row| row.get(layout.primary)) {
            self.next_key = self.next_key.max(key.saturating_add(1));
        }
        self.next_row = self.next_row.max(id + 1);
        self.rewrite |= id < self.saved_rows;
        self.dirty = true;
        before
    }

    /// The numbers of the rows that have a value in a column, or one between two, if something knows them without looking
    /// at all rows.
    pub(crate) fn lookup(&self, layout: &Layout, at: usize, from: &Cell, to: &Cell) -> Option<Vec<RowId>> {
        if from > to {
            return Some(Vec::new());
        }
        let known = match self.unique.iter().find(|(column, _)| *column == at) {
            _ if at == layout.primary => Some(&self.primary),
            known => known.map(|(_, known)| known),
        };
        // A null is no value that a column has alone.
        if let Some(known) = known.filter(|_| !from.is_null()) {
            return Some(known.range(from.clone()..=to.clone()).map(|(_, id)| *id).collect());
        }
        let (_, known) = self.indexes.iter().find(|(column, _)| *column == at)?;
        let range = (from.clone(), RowId::MIN)..=(to.clone(), RowId::MAX);
        Some(known.range(range).map(|(_, id)| *id).collect())
    }
}
