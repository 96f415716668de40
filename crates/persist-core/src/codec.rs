//! A record as the body of a line in the log, and back.
//!
//! The body has the fields of the specification's records: `key`, the fields of the part, `data`. A model with special
//! fields adds `username` and `timestamp`: they repeat what is in the data, for those who read the log with other tools.

use std::fmt::Write as _;

use crate::data::{members, quote, unescape};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::model::{Model, RecordValue, Scalar};
use crate::record::Record;
use crate::timestamp::Timestamp;
use crate::wal::{Body, Line};

/// What a store hands to the engine to be written: an id and the normalized data.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry<'a, M: Model> {
    /// The record's key.
    pub key: &'a str,
    /// What tells it apart from the others of its key.
    pub part: M::Part,
    /// The normalized data, as [`data::normalize`](crate::data::normalize) made it.
    pub data: String,
    /// What the record has besides.
    pub value: M::Value,
    /// The user name and the timestamp of the data, where the line repeats them.
    repeated: Option<(Option<&'a str>, Timestamp)>,
}

impl<'a, M: Model> Entry<'a, M> {
    /// Puts together what is to be written.
    pub fn new(key: &'a str, part: M::Part, data: String) -> Self {
        Self { key, part, data, value: M::Value::default(), repeated: None }
    }

    /// Sets what the record has besides its data.
    #[must_use]
    pub fn value(mut self, value: M::Value) -> Self {
        self.value = value;
        self
    }

    /// Has the line of the log repeat the user name and the timestamp that were resolved from the data.
    #[must_use]
    pub fn repeating(mut self, username: Option<&'a str>, timestamp: Timestamp) -> Self {
        self.repeated = Some((username, timestamp));
        self
    }

    /// The body of the entry's line.
    pub(crate) fn body(&self) -> Body {
        let mut text = String::with_capacity(self.key.len() + self.data.len() + 192);
        push_id::<M>(self.key, &self.part, &mut text);
        text.push_str(",\"data\":");
        text.push_str(&self.data);
        if let Some(name) = M::Value::FIELD {
            text.push_str(",\"");
            text.push_str(name);
            text.push_str("\":");
            push_scalar(self.value.scalar(), &mut text);
        }
        let Some((username, timestamp)) = self.repeated else { return Body::new(text.into_bytes()) };
        text.push_str(",\"username\":");
        quote_or_null(username, &mut text);
        text.push_str(",\"timestamp\":\"");
        let mut text = text.into_bytes();
        timestamp.write(&mut text);
        text.push(b'"');
        Body::new(text)
    }
}

/// The body of a line that removes a record: its id.
pub(crate) fn removal<M: Model>(key: &str, part: &M::Part) -> Body {
    let mut text = String::with_capacity(key.len() + 64);
    push_id::<M>(key, part, &mut text);
    Body::new(text.into_bytes())
}

fn push_id<M: Model>(key: &str, part: &M::Part, text: &mut String) {
    text.push_str("{\"key\":");
    quote(key, text);
    for (field, name) in M::PART_FIELDS.iter().enumerate() {
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":");
        quote_or_null(M::part_text(part, field), text);
    }
}

/// The record that a line holds, or whose removal it is.
pub(crate) fn record<M: Model>(line: &Line<'_>) -> Result<Record<M>> {
    let unreadable = || {
        let message = format!("the line of seq {} in the log is not one of this store's model", line.seq);
        Error::new(ErrorKind::Corrupt, message)
    };
    let (mut key, mut data) = (None, line.marks.is_removal.then_some(""));
    let mut value = None;
    let mut texts = vec![None; M::PART_FIELDS.len()];
    for (name, text) in members(line.text()) {
        if name == "key" {
            key = unescape(text);
        } else if name == "data" && data.is_none() {
            data = Some(text);
            if M::Value::FIELD.is_none() {
                break;
            }
        } else if M::Value::FIELD == Some(name) {
            value = scalar(text).ok_or_else(unreadable)?;
            break;
        } else if let Some(field) =
            M::PART_FIELDS.iter().position(|field| *field == name).and_then(|at| texts.get_mut(at))
        {
            *field = if text == "null" { None } else { Some(unescape(text).ok_or_else(unreadable)?) };
        }
    }
    let (Some(key), Some(data), Some(version)) = (key, data, line.marks.version) else { return Err(unreadable()) };
    let fields: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
    let part = M::part_from(&fields);
    let value = M::Value::of(value);
    Ok(Record { key: Key::from(&*key), part, data: data.into(), value, seq: line.seq, at: line.at, version })
}

/// A fraction has a point or an exponent, which tells it from an integer.
fn push_scalar(scalar: Option<&Scalar>, out: &mut String) {
    // Writing to a String can't fail.
    let _ = match scalar {
        None => out.write_str("null"),
        Some(Scalar::Int(value)) => write!(out, "{value}"),
        Some(Scalar::Float(value)) => write!(out, "{value:?}"),
        Some(Scalar::Text(text)) => {
            quote(text, out);
            Ok(())
        }
    };
}

/// The scalar of a text that [`push_scalar`] wrote; the outer `None` for any other.
fn scalar(text: &str) -> Option<Option<Scalar>> {
    let is_fraction = text.contains(['.', 'e']);
    Some(match text.as_bytes().first()? {
        b'n' => None,
        b'"' => Some(Scalar::Text(unescape(text)?.into())),
        _ if is_fraction => Some(Scalar::Float(text.parse().ok()?)),
        _ => Some(Scalar::Int(text.parse().ok()?)),
    })
}

fn quote_or_null(text: Option<&str>, out: &mut String) {
    match text {
        Some(text) => quote(text, out),
        None => out.push_str("null"),
    }
}
