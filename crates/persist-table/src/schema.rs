//! What a table is declared to be: its name, its columns, and what each column takes.
//!
//! Owns the declaration, whether it makes sense, and what differs between two of them. Leaves out how it is written in a
//! file (`schema_file.rs`).

use std::collections::BTreeSet;

use persist_core::data::{quote, to_json};
use persist_core::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::cell::{Cell, Type};

/// A column of a table.
///
/// ```
/// use persist_table::{Column, Type};
/// let gpa = Column::new("gpa", Type::Float).default_value(&0.0);
/// let email = Column::new("email", Type::Text).unique();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) primary_key: bool,
    pub(crate) nullable: bool,
    pub(crate) unique: bool,
    pub(crate) index: bool,
    /// JSON text, or why there is none.
    pub(crate) default: Option<Result<String, String>>,
}

impl Column {
    /// A column that takes values of a type, and no null.
    pub fn new(name: impl Into<String>, kind: Type) -> Self {
        let (primary_key, nullable, unique, index) = (false, false, false, false);
        Self { name: name.into(), kind, primary_key, nullable, unique, index, default: None }
    }

    /// The column by which rows are told apart. Each table has one. Where it is a whole number, a row that comes without it
    /// gets the next.
    #[must_use]
    pub fn primary_key(mut self) -> Self {
        self.primary_key = true;
        self
    }

    /// The column takes null.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// No two rows have the same value; any number of them may have null.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// Rows are found by the column's value without reading all.
    #[must_use]
    pub fn index(mut self) -> Self {
        self.index = true;
        self
    }

    /// What a row has that comes without the column.
    #[must_use]
    pub fn default_value(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        self.default = Some(to_json(value).map_err(|error| error.to_string()));
        self
    }

    /// What the column says, but for its name.
    fn said(&self) -> String {
        let mut said = self.kind.name().to_owned();
        if self.primary_key {
            said.push_str(" primary key");
        } else {
            said.push_str(if self.nullable { "" } else { " not null" });
            said.push_str(if self.unique { " unique" } else { "" });
        }
        said.push_str(if self.index { " index" } else { "" });
        if let Some(Ok(default)) = &self.default {
            said.push_str(" default ");
            said.push_str(default);
        }
        said
    }
}

/// A table's declaration: what `#[derive(Table)]` makes of a struct, or made at run time.
///
/// ```
/// use persist_table::{Column, Schema, Type};
/// let courses = Schema::new("course")
///     .column(Column::new("id", Type::Int).primary_key())
///     .column(Column::new("code", Type::Text).unique())
///     .column(Column::new("credits", Type::Int).default_value(&6));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    pub(crate) table: String,
    pub(crate) columns: Vec<Column>,
}

impl Schema {
    /// A table without columns.
    pub fn new(table: impl Into<String>) -> Self {
        Self { table: table.into(), columns: Vec::new() }
    }

    /// Adds a column.
    #[must_use]
    pub fn column(mut self, column: Column) -> Self {
        self.columns.push(column);
        self
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The names of the columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// How this, which is declared, differs from what there is: a line for each difference.
    pub(crate) fn differences(&self, present: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for column in &self.columns {
            match present.columns.iter().find(|other| other.name == column.name) {
                None => found.push(format!("column {} ({}) is declared and not there", column.name, column.said())),
                Some(other) if other.said() != column.said() => found.push(format!(
                    "column {} is declared as {} and there as {}",
                    column.name,
                    column.said(),
                    other.said()
                )),
                Some(_) => {}
            }
        }
        let is_declared = |other: &&Column| self.columns.iter().any(|column| column.name == other.name);
        let surplus = present.columns.iter().filter(|other| !is_declared(other));
        found
            .extend(surplus.map(|other| format!("column {} ({}) is there and not declared", other.name, other.said())));
        found
    }
}

/// A declaration that was checked, with what working with it needs.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) schema: Schema,
    /// Of each column.
    pub(crate) defaults: Vec<Option<Cell>>,
    /// `"name": `, of each column.
    pub(crate) labels: Vec<String>,
    pub(crate) primary: usize,
}

impl Layout {
    /// # Errors
    /// `Schema`, naming the table and the column.
    pub(crate) fn new(schema: Schema) -> Result<Self> {
        check_name("table", &schema.table)?;
        let table = &schema.table;
        let refuse = |why: String| Err(Error::new(ErrorKind::Schema, format!("table {table}: {why}")));
        let mut names = BTreeSet::new();
        let (mut defaults, mut labels) = (Vec::new(), Vec::new());
        for Column { name, kind, nullable, default, .. } in &schema.columns {
            if name.is_empty() || name.chars().any(char::is_control) {
                return refuse(format!("{name:?} is no name of a column"));
            }
            if !names.insert(name) {
                return refuse(format!("column {name} is declared twice"));
            }
            defaults.push(match default {
                None => None,
                Some(Err(error)) => return refuse(format!("column {name}: its default can't be written: {error}")),
                Some(Ok(text)) => match Cell::parse(*kind, text) {
                    Ok(Cell::Null) if !nullable => {
                        return refuse(format!("column {name} takes no null, and its default is null"));
                    }
                    Ok(cell) => Some(cell),
                    Err(why) => return refuse(format!("column {name}: its default {why}")),
                },
            });
            let mut label = String::new();
            quote(name, &mut label);
            labels.push(label + ": ");
        }
        let mut keys = schema.columns.iter().enumerate().filter(|(_, column)| column.primary_key);
        let Some((primary, key)) = keys.next() else { return refuse("no column is the primary key".to_owned()) };
        if let Some((_, other)) = keys.next() {
            return refuse(format!("both {} and {} are the primary key", key.name, other.name));
        }
        if matches!(key.kind, Type::Json | Type::Float) {
            return refuse(format!("column {} can't be the primary key: it is a {}", key.name, key.kind));
        }
        if let Some(column) = schema.columns.iter().find(|c| c.kind == Type::Json && (c.unique || c.index)) {
            return refuse(format!("column {} can't be unique or have an index: it is json", column.name));
        }
        Ok(Self { defaults, labels, primary, schema })
    }

    pub(crate) fn table(&self) -> &str {
        &self.schema.table
    }

    pub(crate) fn column(&self, at: usize) -> Option<&Column> {
        self.schema.columns.get(at)
    }

    /// # Errors
    /// `Input`, naming the table and the column.
    pub(crate) fn place(&self, name: &str) -> Result<usize> {
        self.schema.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.schema.columns().collect();
            Error::input(format!("table {} has no column {name:?}; it has {}", self.table(), known.join(", ")))
        })
    }

    /// The value of anything that serializes, for a column.
    ///
    /// # Errors
    /// `Input`, naming table, column and value.
    pub(crate) fn cell(&self, at: usize, value: &(impl Serialize + ?Sized)) -> Result<Cell> {
        self.cell_of(at, &to_json(value)?)
    }

    pub(crate) fn cell_of(&self, at: usize, json: &str) -> Result<Cell> {
        let Some(column) = self.column(at) else { return Err(Error::input("there is no such column")) };
        Cell::parse(column.kind, json).map_err(|why| self.refusal(&column.name, &why))
    }

    pub(crate) fn refusal(&self, column: &str, why: &str) -> Error {
        Error::input(format!("table {}, column {column}: {why}", self.table()))
    }

    /// Whether a row may come without its primary key.
    pub(crate) fn numbers_rows(&self) -> bool {
        self.column(self.primary).is_some_and(|column| column.kind == Type::Int && column.default.is_none())
    }
}

/// Whether a name can be that of a table's, or database's, files.
///
/// # Errors
/// `Input`, with the name.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    const MOST: usize = 100;
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    if name.is_empty() || name.len() > MOST || !name.chars().all(is_plain) || name.starts_with('-') {
        let rule = "one of at most 100 letters, digits, underscores and hyphens, as it names files";
        return Err(Error::input(format!("{name:?} is no name of a {what}: {rule}")));
    }
    Ok(())
}
