//! The names and types of extra columns, checked once when a store is opened.

use std::sync::Arc;

use crate::data::{is_name, members};
use crate::error::{Error, ErrorKind, Result};

/// The type of an extra column, named as in Arrow. Every column may be NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExtraType {
    /// `string`: VARCHAR.
    String,
    /// `int64`: BIGINT.
    Int64,
    /// `int32`: INTEGER.
    Int32,
    /// `int16`: SMALLINT.
    Int16,
    /// `int8`: TINYINT.
    Int8,
    /// `uint64`: UBIGINT.
    UInt64,
    /// `uint32`: UINTEGER.
    UInt32,
    /// `uint16`: USMALLINT.
    UInt16,
    /// `uint8`: UTINYINT.
    UInt8,
    /// `float64`: DOUBLE.
    Float64,
    /// `float32`: FLOAT.
    Float32,
    /// `bool`: BOOLEAN.
    Bool,
    /// `timestamp[us]`, `timestamp[ns]`, `timestamp[ms]` and `timestamp[s]`: TIMESTAMP, microseconds in UTC.
    Timestamp,
    /// `date32`, `date64`: DATE.
    Date,
}

/// Each name with its type and the type's name in SQL, in the order of the specification.
const TYPES: [(&str, ExtraType, &str); 18] = [
    ("string", ExtraType::String, "VARCHAR"),
    ("int64", ExtraType::Int64, "BIGINT"),
    ("int32", ExtraType::Int32, "INTEGER"),
    ("int16", ExtraType::Int16, "SMALLINT"),
    ("int8", ExtraType::Int8, "TINYINT"),
    ("uint64", ExtraType::UInt64, "UBIGINT"),
    ("uint32", ExtraType::UInt32, "UINTEGER"),
    ("uint16", ExtraType::UInt16, "USMALLINT"),
    ("uint8", ExtraType::UInt8, "UTINYINT"),
    ("float64", ExtraType::Float64, "DOUBLE"),
    ("float32", ExtraType::Float32, "FLOAT"),
    ("bool", ExtraType::Bool, "BOOLEAN"),
    ("timestamp[us]", ExtraType::Timestamp, "TIMESTAMP"),
    ("timestamp[ns]", ExtraType::Timestamp, "TIMESTAMP"),
    ("timestamp[ms]", ExtraType::Timestamp, "TIMESTAMP"),
    ("timestamp[s]", ExtraType::Timestamp, "TIMESTAMP"),
    ("date32", ExtraType::Date, "DATE"),
    ("date64", ExtraType::Date, "DATE"),
];

impl ExtraType {
    /// The type of this Arrow name, such as `int64` or `timestamp[us]`.
    ///
    /// ```
    /// use persist_core::extra::ExtraType;
    /// assert_eq!(ExtraType::parse("date64"), Some(ExtraType::Date));
    /// assert_eq!(ExtraType::parse("decimal"), None);
    /// ```
    pub fn parse(name: &str) -> Option<Self> {
        TYPES.iter().find(|(known, ..)| *known == name).map(|(_, kind, _)| *kind)
    }

    /// The type's name in DuckDB.
    pub fn sql(self) -> &'static str {
        TYPES.iter().find(|(_, kind, _)| *kind == self).map_or("VARCHAR", |(.., sql)| sql)
    }

    /// The type's name in Arrow, the first where it has several.
    pub fn name(self) -> &'static str {
        TYPES.iter().find(|(_, kind, _)| *kind == self).map_or("string", |(name, ..)| name)
    }
}

/// An extra column: the member of the data that fills it has the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraColumn {
    /// The column's name, and the member's.
    pub name: String,
    /// The column's type.
    pub kind: ExtraType,
}

/// The extra columns of a table, in order. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraSchema {
    columns: Arc<[ExtraColumn]>,
}

impl ExtraSchema {
    /// Checks names and types. `reserved` are the names that the table has already or keeps for itself; a prefix
    /// `persist_` is never free.
    ///
    /// # Errors
    /// [`Schema`](ErrorKind::Schema), naming the column: an unknown type, a name that is empty or reserved, that has a
    /// NUL, or that differs from another by case alone.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, &'a str)>, reserved: &[&str]) -> Result<Self> {
        let refuse = |name: &str, why: &str| {
            Err(Error::new(ErrorKind::Schema, format!("extra_schema: the column name {name:?} {why}")))
        };
        let mut checked: Vec<ExtraColumn> = Vec::new();
        for (name, kind) in columns {
            // As DuckDB compares names.
            let same = |other: &str| other.eq_ignore_ascii_case(name);
            if name.is_empty() || name.contains('\0') {
                return refuse(name, "is empty or has a NUL");
            }
            if reserved.iter().any(|taken| same(taken)) || name.to_ascii_lowercase().starts_with("persist_") {
                return refuse(name, "is reserved");
            }
            if let Some(other) = checked.iter().find(|other| same(&other.name)) {
                return refuse(name, &format!("stands beside {:?}: DuckDB takes them for one", other.name));
            }
            let Some(kind) = ExtraType::parse(kind) else {
                let known: Vec<_> = TYPES.iter().map(|(name, ..)| *name).collect();
                let message =
                    format!("extra_schema: {name:?} has the unknown type {kind:?}; there are {}", known.join(", "));
                return Err(Error::new(ErrorKind::Schema, message));
            };
            checked.push(ExtraColumn { name: name.to_owned(), kind });
        }
        Ok(Self { columns: checked.into() })
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[ExtraColumn] {
        &self.columns
    }

    /// Whether each column can take what normalized data has for it.
    ///
    /// # Errors
    /// [`Input`](ErrorKind::Input), naming the field.
    pub fn check(&self, data: &str) -> Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        for (name, value) in members(data) {
            if let Some(column) = self.columns.iter().find(|column| is_name(name, &column.name)) {
                column.kind.convert(value).map_err(|why| Error::input(format!("{}: {why}", column.name)))?;
            }
        }
        Ok(())
    }
}
