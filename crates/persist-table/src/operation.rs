//! What the log says: one operation a line, in the form of the specification.

use std::borrow::Cow;

use persist_core::data::quote;
use persist_core::wal::Body;
use persist_core::{Error, ErrorKind, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cell::Cell;
use crate::row;
use crate::schema::Layout;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Action {
    /// A table is made.
    CreateTable,
    /// A row is added.
    Insert,
    /// A row is changed.
    Update,
    /// A row is removed.
    Delete,
    /// A table is removed, with its rows.
    DropTable,
}

impl Action {
    /// As the log writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateTable => "CREATE_TABLE",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::DropTable => "DROP_TABLE",
        }
    }
}

/// An operation of the log, as [`Database::inspect_wal`](crate::Database::inspect_wal) gives it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Operation {
    /// When it was made.
    pub timestamp: Timestamp,
    /// What it does.
    pub operation: Action,
    /// To which table.
    pub table: String,
    /// The row as it is then.
    pub record: Option<serde_json::Value>,
    /// The row as it was before.
    pub old_record: Option<serde_json::Value>,
    /// The operation's number; it rises by one.
    pub seq: u64,
}

/// A line of the log, as it is read.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry<'a> {
    #[serde(borrow)]
    pub(crate) timestamp: Cow<'a, str>,
    pub(crate) operation: Action,
    #[serde(borrow)]
    pub(crate) table: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) record: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) old_record: Option<&'a RawValue>,
}

/// The body of a line.
pub(crate) fn body(
    at: Timestamp,
    action: Action,
    layout: &Layout,
    record: Option<&[Cell]>,
    old_record: Option<&[Cell]>,
) -> Body {
    let mut text = String::with_capacity(256);
    text.push_str("{\"timestamp\": \"");
    text.push_str(&at.to_string());
    text.push_str("\", \"operation\": \"");
    text.push_str(action.name());
    text.push_str("\", \"table\": ");
    quote(layout.table(), &mut text);
    for (name, row) in [("record", record), ("old_record", old_record)] {
        text.push_str(", \"");
        text.push_str(name);
        text.push_str("\": ");
        match row {
            Some(row) => row::write(layout, row, &mut text),
            None => text.push_str("null"),
        }
    }
    Body::new(text.into_bytes())
}

impl<'a> Entry<'a> {
    /// Reads a whole line.
    ///
    /// # Errors
    /// `Corrupt`, with the `seq`.
    pub(crate) fn parse(line: &'a str, seq: u64) -> Result<Self> {
        serde_json::from_str(line).map_err(|error| {
            let message = format!("the log's line with seq {seq} is no operation on a table: {error}");
            Error::new(ErrorKind::Corrupt, message).with_source(error)
        })
    }

    /// As who asks for it gets it.
    pub(crate) fn into_operation(self, seq: u64) -> Option<Operation> {
        let value = |raw: Option<&RawValue>| raw.map(|raw| serde_json::from_str(raw.get())).transpose().ok();
        Some(Operation {
            timestamp: Timestamp::parse(&self.timestamp)?,
            operation: self.operation,
            table: self.table.into_owned(),
            record: value(self.record)?,
            old_record: value(self.old_record)?,
            seq,
        })
    }
}
