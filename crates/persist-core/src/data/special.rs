//! Special fields: what the engine wants of them, and what it gets.

use std::borrow::Cow;

use super::lexer::{Literal, quote};
use crate::timestamp::{Timestamp, refusal};

/// A top-level member of the data that the engine reads and may put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Special<'a> {
    /// The member's name; no two specials of one record have the same.
    pub name: &'a str,
    /// What the member has to be.
    pub kind: Kind,
    /// What the caller gave for it beside the data.
    pub given: Given<'a>,
}

/// What a special field has to be. Each may also be `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A string. It stays as it came, even one that is a timestamp: ids and names are compared by their text.
    Text,
    /// A number without fraction (`3` or `3.0`) that fits into 32 bits.
    Int32,
    /// A string that [`Timestamp::parse`] accepts. It is normalized whatever the policy.
    Timestamp,
}

/// What the caller gave for a special field beside the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given<'a> {
    /// Nothing: only what the data says.
    Data,
    /// This, if the data lacks the field or has `null` there.
    Default(Resolved<'a>),
    /// This, in place of what the data says, which then may be anything.
    Argument(Resolved<'a>),
}

/// What a special field is in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved<'a> {
    /// Absent or `null`.
    Null,
    /// A text.
    Text(Cow<'a, str>),
    /// A 32-bit integer.
    Int32(i32),
    /// A moment.
    Timestamp(Timestamp),
}

impl Resolved<'_> {
    /// Appends the value as JSON.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Text(text) => quote(text, out),
            Self::Int32(number) => out.push_str(&number.to_string()),
            Self::Timestamp(at) => {
                out.push('"');
                at.emit(|part| out.push_str(part));
                out.push('"');
            }
        }
    }
}

impl Kind {
    /// What a string of the data is as a field of this kind; `Err` says what is wrong with it.
    pub(super) fn of_string(self, literal: Literal<'_>) -> Result<Resolved<'static>, String> {
        match self {
            Self::Text => Ok(Resolved::Text(Cow::Owned(literal.text().into_owned()))),
            Self::Int32 => Err(self.wants("a string")),
            Self::Timestamp => {
                let text = literal.text();
                Timestamp::parse(&text).map(Resolved::Timestamp).ok_or_else(|| refusal(&text))
            }
        }
    }

    /// What a number of the data is as a field of this kind; `Err` says what is wrong with it.
    pub(super) fn of_number(self, number: &str) -> Result<Resolved<'static>, String> {
        if self != Self::Int32 {
            return Err(self.wants("a number"));
        }
        whole(number).map(Resolved::Int32).ok_or_else(|| {
            let shown: String = number.chars().take(64).collect();
            let more = if shown.len() < number.len() { "…" } else { "" };
            format!("{shown}{more} is no integer of 32 bits")
        })
    }

    /// Says that `found` is not what this kind wants.
    pub(super) fn wants(self, found: &str) -> String {
        let wanted = match self {
            Self::Text => "a string",
            Self::Int32 => "an integer of 32 bits",
            Self::Timestamp => "a timestamp string",
        };
        format!("{found} stands where {wanted} or null is wanted")
    }
}

/// The integer that a number of JSON is; it may have been written with a fraction of zeros (`3.0`).
pub(crate) fn whole(number: &str) -> Option<i32> {
    let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
    fraction.bytes().all(|digit| digit == b'0').then(|| integer.parse().ok()).flatten()
}
