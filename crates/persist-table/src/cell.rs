//! One value of a row, of the type of its column.
//!
//! Owns the types, which JSON values each takes, and the order of values. Kept true: what a column took is written as JSON
//! that it takes again, as the same value; values of one column are equal, and sort, by what they mean: timestamps by their
//! moment, numbers by their size.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::{self, Write};

use persist_core::Timestamp;
use persist_core::data::quote;
use serde::de::{DeserializeSeed, Deserializer, Visitor};
use serde_json::value::RawValue;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Type {
    /// A whole number of 64 bits: `int`.
    Int,
    /// A floating-point number of 64 bits, finite: `float`.
    Float,
    /// `bool`.
    Bool,
    /// Text: `str`.
    Text,
    /// A moment, written as ISO 8601 text: `datetime`.
    Timestamp,
    /// Any JSON value: `json`.
    Json,
}

impl Type {
    /// As schema files call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Text => "str",
            Self::Timestamp => "datetime",
            Self::Json => "json",
        }
    }

    /// The type of a name in a schema file; `dict` and `list`, which Python calls them, are JSON.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "str" => Self::Text,
            "datetime" => Self::Timestamp,
            "json" | "dict" | "list" => Self::Json,
            _ => return None,
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value of a row.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    Timestamp(Timestamp),
    /// JSON text other than `null`.
    Json(Box<str>),
}

impl Cell {
    /// Reads the JSON text of a value for a column of this type.
    pub(crate) fn parse(kind: Type, text: &str) -> Result<Self, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let cell = Seed(kind).deserialize(&mut reader).and_then(|cell| reader.end().map(|()| cell));
        cell.map_err(|_| format!("{} is no {kind}", shortened(text)))
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Appends the value as JSON text.
    pub(crate) fn write(&self, out: &mut String) {
        // Writing to a String does not fail.
        let _ = match self {
            Self::Null => out.write_str("null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Int(value) => write!(out, "{value}"),
            Self::Float(value) => match serde_json::to_string(value) {
                Ok(text) => out.write_str(&text),
                Err(_) => out.write_str("null"),
            },
            Self::Text(text) => {
                quote(text, out);
                Ok(())
            }
            Self::Timestamp(at) => write!(out, "\"{at}\""),
            Self::Json(text) => out.write_str(text),
        };
    }

    /// The value as JSON text, cut where it is long: for messages.
    pub(crate) fn shown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        shortened(&text).into_owned()
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Text(_) => 4,
            Self::Timestamp(_) => 5,
            Self::Json(_) => 6,
        }
    }
}

impl Ord for Cell {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            // Adding zero makes one of the two zeros.
            (Self::Float(a), Self::Float(b)) => (a + 0.0).total_cmp(&(b + 0.0)),
            (Self::Text(a), Self::Text(b)) | (Self::Json(a), Self::Json(b)) => a.cmp(b),
            (Self::Timestamp(a), Self::Timestamp(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Cell {}

/// A text, cut where it is long: for messages.
pub(crate) fn shortened(text: &str) -> Cow<'_, str> {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// Reads a value for a column of this type.
pub(crate) struct Seed(pub(crate) Type);

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Cell;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cell, D::Error> {
        if self.0 == Type::Json {
            let raw: Box<RawValue> = serde::Deserialize::deserialize(deserializer)?;
            return Ok(if raw.get() == "null" { Cell::Null } else { Cell::Json(on_one_line(raw.get())) });
        }
        deserializer.deserialize_any(self)
    }
}

/// JSON text without line breaks, which stand between its parts only: a record is one line.
fn on_one_line(json: &str) -> Box<str> {
    if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ").into() } else { json.into() }
}

impl Visitor<'_> for Seed {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Cell, E> {
        Ok(Cell::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Cell, E> {
        match self.0 {
            Type::Bool => Ok(Cell::Bool(value)),
            _ => Err(E::custom("")),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Cell, E> {
        match self.0 {
            Type::Int => Ok(Cell::Int(value)),
            // Only what the float says exactly.
            Type::Float if (value as f64) as i128 == i128::from(value) => Ok(Cell::Float(value as f64)),
            _ => Err(E::custom("")),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Cell, E> {
        match (self.0, i64::try_from(value)) {
            (_, Ok(value)) => self.visit_i64(value),
            (Type::Float, _) if (value as f64) as u128 == u128::from(value) => Ok(Cell::Float(value as f64)),
            _ => Err(E::custom("")),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Cell, E> {
        // That itself is also what the number after it is read as.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self.0 {
            Type::Float if value.is_finite() => Ok(Cell::Float(value)),
            Type::Int if value.fract() == 0.0 && value.abs() < EXACT => Ok(Cell::Int(value as i64)),
            _ => Err(E::custom("")),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Cell, E> {
        match self.0 {
            Type::Text => Ok(Cell::Text(text.into())),
            Type::Timestamp => Timestamp::parse(text).map(Cell::Timestamp).ok_or_else(|| E::custom("")),
            _ => Err(E::custom("")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(kind: Type, text: &str) -> Result<String, String> {
        let cell = Cell::parse(kind, text)?;
        let mut out = String::new();
        cell.write(&mut out);
        assert_eq!(Cell::parse(kind, &out).unwrap(), cell);
        Ok(out)
    }

    #[test]
    fn a_column_takes_what_it_says_exactly_and_nothing_else() {
        for (kind, text, out) in [
            (Type::Int, "-9223372036854775808", "-9223372036854775808"),
            (Type::Int, "3.0", "3"),
            (Type::Float, "3", "3.0"),
            (Type::Float, "0.1", "0.1"),
            (Type::Bool, "true", "true"),
            (Type::Text, r#""caf\u00e9 \"x\"""#, r#""café \"x\"""#),
            (Type::Timestamp, r#""2026-01-22T20:31:17.592172""#, r#""2026-01-22T20:31:17.592172+00:00""#),
            (Type::Json, r#"{"a": [1,{"b":null}]}"#, r#"{"a": [1,{"b":null}]}"#),
            (Type::Int, "null", "null"),
            (Type::Json, "null", "null"),
        ] {
            assert_eq!(round(kind, text).unwrap(), out);
        }
        for (kind, text) in [
            (Type::Int, "3.5"),
            (Type::Int, "9223372036854775808"),
            (Type::Int, "\"3\""),
            (Type::Int, "true"),
            (Type::Float, "9007199254740993"),
            (Type::Int, "9007199254740993.0"),
            (Type::Float, "1e999"),
            (Type::Bool, "1"),
            (Type::Text, "1"),
            (Type::Timestamp, "\"yesterday\""),
            (Type::Int, "1 2"),
            (Type::Text, "[]"),
        ] {
            let error = round(kind, text).unwrap_err();
            assert!(error.starts_with(text) && error.contains(kind.name()), "{error}");
        }
    }

    #[test]
    fn values_sort_by_what_they_mean() {
        let at = |text| Cell::parse(Type::Timestamp, text).unwrap();
        assert_eq!(at("\"2026-01-22T10:30:00Z\""), at("\"2026-01-22T11:30:00+01:00\""));
        assert_eq!(Cell::Float(0.0), Cell::Float(-0.0));
        assert!(
            Cell::Null < Cell::Int(i64::MIN) && Cell::Int(2) < Cell::Int(10) && Cell::Float(-1.0) < Cell::Float(0.5)
        );
    }
}
