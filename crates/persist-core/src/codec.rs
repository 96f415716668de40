//! A record as the body of a line in the log, and back.
//!
//! The body has the fields of the specification's records: `key`, the fields of the part, `data`. A model with special
//! fields adds `username` and `timestamp`: they repeat what is in the data, for those who read the log with other tools.

use crate::data::{members, quote, unescape};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::model::Model;
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
    /// The user name and the timestamp of the data, where the line repeats them.
    repeated: Option<(Option<&'a str>, Timestamp)>,
}

impl<'a, M: Model> Entry<'a, M> {
    /// Puts together what is to be written.
    pub fn new(key: &'a str, part: M::Part, data: String) -> Self {
        Self { key, part, data, repeated: None }
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
    let mut texts = vec![None; M::PART_FIELDS.len()];
    for (name, value) in members(line.text()) {
        if name == "key" {
            key = unescape(value);
        } else if name == "data" && data.is_none() {
            data = Some(value);
            break;
        } else if let Some(text) =
            M::PART_FIELDS.iter().position(|field| *field == name).and_then(|at| texts.get_mut(at))
        {
            *text = if value == "null" { None } else { Some(unescape(value).ok_or_else(unreadable)?) };
        }
    }
    let (Some(key), Some(data), Some(version)) = (key, data, line.marks.version) else { return Err(unreadable()) };
    let fields: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
    let part = M::part_from(&fields);
    Ok(Record { key: Key::from(&*key), part, data: data.into(), seq: line.seq, at: line.at, version })
}

fn quote_or_null(text: Option<&str>, out: &mut String) {
    match text {
        Some(text) => quote(text, out),
        None => out.push_str("null"),
    }
}
