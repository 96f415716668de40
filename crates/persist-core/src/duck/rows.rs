//! The answer to a query, in plain values.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::text::table;

/// The rows a query answered: column names, and JSON values.
///
/// | DuckDB | here |
/// |---|---|
/// | BOOLEAN, integers | boolean, number; an integer beyond 64 bits as text; UHUGEINT is refused |
/// | FLOAT, DOUBLE | number; NaN and infinities as text |
/// | DECIMAL | number where a double holds it exactly as written, else text |
/// | TIMESTAMP of any precision, with or without zone | text, as `2025-01-15T10:30:00+00:00`, in UTC |
/// | DATE, TIME | text, as `2025-01-15` and `10:30:00.500000` |
/// | JSON (the `data` column) | text |
/// | LIST and ARRAY, STRUCT and MAP | array, object |
/// | BLOB | text, hexadecimal |
/// | all others | text |
///
/// It displays as a plain text table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Rows {
    pub(super) fn new(columns: Vec<String>, rows: Vec<Vec<Value>>) -> Self {
        Self { columns, rows }
    }

    /// The names of the columns, in order. Two may be the same.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows, in order; each has a value for every column.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[Value]> {
        self.rows.iter().map(Vec::as_slice)
    }

    /// One value, by row and name of column; `None` where there is no such row or column.
    pub fn get(&self, row: usize, column: &str) -> Option<&Value> {
        let column = self.columns.iter().position(|name| name == column)?;
        self.rows.get(row)?.get(column)
    }

    /// Every row as the caller's own type, which takes each column as a field.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input), naming the row, where one does not have the shape of `T`.
    pub fn to<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let row = |(n, row): (usize, &Vec<Value>)| {
            let fields = self.columns.iter().map(String::as_str).zip(row);
            T::deserialize(MapDeserializer::new(fields)).map_err(|error: serde_json::Error| {
                let message = format!("row {n} of the answer is no {}: {error}", std::any::type_name::<T>());
                Error::input(message).with_source(error)
            })
        };
        self.rows.iter().enumerate().map(row).collect()
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        let is_number =
            |n: usize| self.rows.iter().all(|row| matches!(row.get(n), Some(Value::Number(_) | Value::Null)));
        writeln!(f, "{}", table(&self.columns, &cells, |n| !self.rows.is_empty() && is_number(n)))?;
        write!(f, "({} row{})", self.len(), if self.len() == 1 { "" } else { "s" })
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "NULL".to_owned(),
        other => other.to_string(),
    }
}
