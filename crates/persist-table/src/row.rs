//! A row: one value for each column, and its form as a line of JSON.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use persist_core::{Error, Result};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::cell::{Cell, Seed, shortened};
use crate::schema::Layout;
use crate::value::RowReader;

/// The values of a row, in the order of the columns.
pub(crate) type Row = Arc<[Cell]>;

/// What of a row was given; `None` where a column was not named.
pub(crate) type Given = Vec<Option<Cell>>;

/// Reads a JSON object as far as it says what a row has.
///
/// # Errors
/// `Input`, naming the table, and the column and value where it is one.
pub(crate) fn parse(layout: &Layout, json: &str) -> Result<Given> {
    let fault = RefCell::new(None);
    let read = |quotes| {
        let mut reader = serde_json::Deserializer::from_str(json);
        let given = Object { layout, fault: &fault, quotes }.deserialize(&mut reader);
        given.and_then(|given| reader.end().map(|()| given))
    };
    // Once more, to say what is wrong with which value: to keep the text of each takes longer.
    read(false).or_else(|_| read(true)).map_err(|error| match fault.take() {
        Some(fault) => fault,
        None => Error::input(format!("table {}: {} is no record: {error}", layout.table(), shortened(json))),
    })
}

/// Makes a row of what was given, with the defaults of the columns that were not. A primary key that is still to be given
/// is null.
///
/// # Errors
/// `Input` for a null where none may be, naming table and column.
pub(crate) fn complete(layout: &Layout, given: Given) -> Result<Vec<Cell>> {
    let mut cells = Vec::with_capacity(given.len());
    for (at, ((cell, default), column)) in
        given.into_iter().zip(&layout.defaults).zip(&layout.schema.columns).enumerate()
    {
        let is_missing = cell.is_none();
        let cell = cell.or_else(|| default.clone()).unwrap_or(Cell::Null);
        let waits = at == layout.primary && layout.numbers_rows();
        let takes_null = column.nullable && !column.primary_key;
        if cell.is_null() && !takes_null && !waits {
            let why = if is_missing { "it is missing, and has no default" } else { "null is not taken" };
            return Err(layout.refusal(&column.name, why));
        }
        cells.push(cell);
    }
    Ok(cells)
}

/// Reads a record as the store wrote it, or as somebody wrote it in its place: a primary key must be there.
pub(crate) fn parse_whole(layout: &Layout, json: &str) -> Result<Row> {
    whole(layout, parse(layout, json)?)
}

/// Makes a row, with its primary key, of what was given.
pub(crate) fn whole(layout: &Layout, given: Given) -> Result<Row> {
    let cells = complete(layout, given)?;
    if cells.get(layout.primary).is_none_or(Cell::is_null) {
        let name = layout.column(layout.primary).map_or("", |column| column.name.as_str());
        return Err(layout.refusal(name, "the primary key is missing"));
    }
    Ok(cells.into())
}

/// Appends the row as a JSON object.
pub(crate) fn write(layout: &Layout, row: &[Cell], out: &mut String) {
    let mut before = '{';
    for (label, cell) in layout.labels.iter().zip(row) {
        out.push(before);
        if before == ',' {
            out.push(' ');
        }
        before = ',';
        out.push_str(label);
        cell.write(out);
    }
    out.push('}');
}

/// The row as the caller's type.
///
/// # Errors
/// `Input`, where it is none.
pub(crate) fn to<T: DeserializeOwned>(layout: &Layout, row: &[Cell]) -> Result<T> {
    T::deserialize(RowReader { layout, row }).map_err(|error| {
        let mut text = String::new();
        write(layout, row, &mut text);
        let wanted = std::any::type_name::<T>();
        Error::input(format!("table {}: {} is no {wanted}: {error}", layout.table(), shortened(&text)))
            .with_source(error)
    })
}

struct Object<'a> {
    layout: &'a Layout,
    /// What serde has no words for.
    fault: &'a RefCell<Option<Error>>,
    /// The refusal of a value quotes it.
    quotes: bool,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let refuse = |fault: Error| {
            self.fault.replace(Some(fault));
            A::Error::custom("")
        };
        let columns = &self.layout.schema.columns;
        let mut given: Given = vec![None; columns.len()];
        // As a rule the columns come in their order.
        let mut expected = 0;
        while let Some(at) = map.next_key_seed(Name { layout: self.layout, expected, fault: self.fault })? {
            expected = at + 1;
            let (Some(column), Some(slot)) = (columns.get(at), given.get_mut(at)) else { continue };
            if slot.is_some() {
                return Err(refuse(self.layout.refusal(&column.name, "it is given twice")));
            }
            *slot = Some(if self.quotes {
                let value: &RawValue = map.next_value()?;
                self.layout.cell_of(at, value.get()).map_err(refuse)?
            } else {
                map.next_value_seed(Seed(column.kind))?
            });
        }
        Ok(given)
    }
}

/// The name of a member, as the place of its column.
struct Name<'a> {
    layout: &'a Layout,
    expected: usize,
    fault: &'a RefCell<Option<Error>>,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a column")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<usize, E> {
        if self.layout.column(self.expected).is_some_and(|column| column.name == name) {
            return Ok(self.expected);
        }
        self.layout.place(name).map_err(|error| {
            self.fault.replace(Some(error));
            E::custom("")
        })
    }
}
