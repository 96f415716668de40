//! Data as a dynamic value, for callers who have no type of their own for it.
//!
//! Kept true: a value made from normalized text serializes to that text again, but for the way its strings were
//! escaped. So a number is kept as its text, and members keep their order. Which strings are moments is told by
//! their form, the one that normalization gives them: a value needs no policy to be read.

use std::fmt;
use std::str::FromStr;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::lexer;
use crate::error::{Error, Result};
use crate::timestamp::Timestamp;

/// The deepest nesting that a [`Value`] may have and that [`Rules::max_depth`](super::Rules::max_depth) may allow a
/// store. Reading recurses once a level, and this many fit into the stack of any thread.
pub const MAX_DEPTH: usize = 1000;

/// Any JSON value, with moments told apart from text.
///
/// A string is a [`Timestamp`](Value::Timestamp) if it has exactly the form in which [`normalize`](super::normalize)
/// writes one, `2025-01-15T10:30:00+00:00`; with the policy `All` that is every date and time of the data.
///
/// It serializes to anything and deserializes from JSON text, with [`str::parse`] or as a field of a struct.
///
/// ```
/// use persist_core::{Timestamp, Value};
///
/// let value: Value = r#"{"id":123456789012345678901234567890,"due":"2025-01-15T00:00:00+00:00"}"#.parse()?;
/// assert_eq!(value.get("id").unwrap().to_string(), "123456789012345678901234567890");
/// assert_eq!(value.get("due").unwrap().as_timestamp(), Timestamp::parse("2025-01-15"));
/// assert_eq!(value.get("price"), None);
/// # Ok::<(), persist_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, with every digit it was written with.
    Number(Number),
    /// A string that is no timestamp.
    Text(String),
    /// A string that is one.
    Timestamp(Timestamp),
    /// An array.
    List(Vec<Value>),
    /// An object: its members in the order they were written.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The member of this name, where this is an object that has one.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, where this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number, where this is one.
    pub fn as_number(&self) -> Option<&Number> {
        if let Self::Number(value) = self { Some(value) } else { None }
    }

    /// The number as an integer, where this is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// The number as the nearest float, where this is one.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number()?.as_f64()
    }

    /// The text, where this is one and no timestamp.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(value) = self { Some(value) } else { None }
    }

    /// The moment, where this is one.
    pub fn as_timestamp(&self) -> Option<Timestamp> {
        if let Self::Timestamp(value) = self { Some(*value) } else { None }
    }

    /// The elements, where this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Self::List(values) = self { Some(values) } else { None }
    }

    /// The members in their order, where this is an object.
    pub fn as_object(&self) -> Option<&[(String, Value)]> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }
}

/// From JSON text.
///
/// # Errors
/// [`Input`](crate::ErrorKind::Input) where it is not JSON, or nested deeper than [`MAX_DEPTH`].
impl FromStr for Value {
    type Err = Error;

    fn from_str(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|error| Error::input(format!("no JSON value: {error}")).with_source(error))
    }
}

/// As JSON text without blanks.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Timestamp(at) => at.serialize(serializer),
            Self::List(values) => values.serialize(serializer),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// From JSON text only: no other form keeps the digits of a number.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Reader { text: raw.get(), at: 0 }.value(0).ok_or_else(|| {
            let limits = format!("a value nested deeper than {MAX_DEPTH} levels, or half a surrogate pair in a string");
            serde::de::Error::custom(limits)
        })
    }
}

/// A number as it was written. Two are equal if their texts are: `1.0` is not `1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number(Box<str>);

impl Number {
    /// The number as JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as an integer; `None` where it has a fraction or an exponent, or does not fit.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The number as an integer; `None` where it is negative, has a fraction or an exponent, or does not fit.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The nearest float; `None` where that is infinite.
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|float: &f64| float.is_finite())
    }
}

/// From JSON text.
///
/// # Errors
/// [`Input`](crate::ErrorKind::Input) where JSON has no such number, as `NaN`, `+1` or `.5`.
impl FromStr for Number {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match lexer::number(text.as_bytes()) {
            Ok(length) if length == text.len() => Ok(Self(text.into())),
            _ => Err(Error::input(format!("{text:?} is no number of JSON"))),
        }
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self(number.to_string().into())
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_i64() {
            // As an integer where that is the same text, and -0 is not: other serializers know no raw text.
            Some(number) if *self.0 != *"-0" => serializer.serialize_i64(number),
            _ => RawValue::from_string(self.0.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer),
        }
    }
}

/// Reads text that is known to be JSON.
struct Reader<'s> {
    text: &'s str,
    at: usize,
}

impl Reader<'_> {
    /// The value that comes next, within so many open containers.
    fn value(&mut self, depth: usize) -> Option<Value> {
        self.blanks();
        let rest = self.text.get(self.at..)?;
        match rest.as_bytes().first()? {
            b'"' => self.string().map(|text| match Timestamp::parse(&text) {
                Some(at) if at.to_string() == text => Value::Timestamp(at),
                _ => Value::Text(text),
            }),
            b'{' | b'[' if depth >= MAX_DEPTH => None,
            b'{' => {
                let mut members = Vec::new();
                while self.another(b'}')? {
                    let name = self.string()?;
                    self.blanks();
                    self.at += 1;
                    members.push((name, self.value(depth + 1)?));
                }
                Some(Value::Object(members))
            }
            b'[' => {
                let mut values = Vec::new();
                while self.another(b']')? {
                    values.push(self.value(depth + 1)?);
                }
                Some(Value::List(values))
            }
            b'n' => self.word(4, Value::Null),
            b't' => self.word(4, Value::Bool(true)),
            b'f' => self.word(5, Value::Bool(false)),
            _ => {
                let digits = rest.get(..lexer::number(rest.as_bytes()).ok()?)?;
                self.word(digits.len(), Value::Number(Number(digits.into())))
            }
        }
    }

    /// Steps over what opens or separates, and tells whether another element or member follows it.
    fn another(&mut self, end: u8) -> Option<bool> {
        self.blanks();
        if *self.text.as_bytes().get(self.at)? != end {
            self.at += 1;
            self.blanks();
        }
        let ended = *self.text.as_bytes().get(self.at)? == end;
        self.at += usize::from(ended);
        Some(!ended)
    }

    fn string(&mut self) -> Option<String> {
        let (literal, end) = lexer::string(self.text, self.at + 1).ok()?;
        self.at = end;
        Some(literal.text().into_owned())
    }

    fn word(&mut self, length: usize, value: Value) -> Option<Value> {
        self.at += length;
        Some(value)
    }

    fn blanks(&mut self) {
        while matches!(self.text.as_bytes().get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }
}
