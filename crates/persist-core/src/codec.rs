//! A record as the body of a line in the log, and back.
//!
//! The body has the fields of the specification's records: `key`, the fields of the part, `data`, `username`,
//! `timestamp`. The last two repeat what is in the data, for those who read the log with other tools.

use crate::data::{members, unescape};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::record::Record;
use crate::timestamp::Timestamp;
use crate::wal::{Body, Line};

/// What a store hands to the engine to be written: an id, the normalized data, and what was resolved from it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry<'a, M: Model> {
    /// The record's key.
    pub key: &'a str,
    /// What tells it apart from the others of its key.
    pub part: M::Part,
    /// The normalized data, as [`data::normalize`](crate::data::normalize) made it.
    pub data: String,
    /// The user name that was resolved.
    pub username: Option<&'a str>,
    /// The timestamp that was resolved.
    pub timestamp: Timestamp,
}

impl<'a, M: Model> Entry<'a, M> {
    /// Puts together what is to be written.
    pub fn new(key: &'a str, part: M::Part, data: String, username: Option<&'a str>, timestamp: Timestamp) -> Self {
        Self { key, part, data, username, timestamp }
    }

    /// The body of the entry's line.
    pub(crate) fn body(&self) -> Body {
        let mut text = Vec::with_capacity(self.key.len() + self.data.len() + 128);
        text.extend_from_slice(b"{\"key\":");
        string(&mut text, Some(self.key));
        for (field, name) in M::PART_FIELDS.iter().enumerate() {
            text.extend_from_slice(b",\"");
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b"\":");
            string(&mut text, M::part_text(&self.part, field));
        }
        text.extend_from_slice(b",\"data\":");
        text.extend_from_slice(self.data.as_bytes());
        text.extend_from_slice(b",\"username\":");
        string(&mut text, self.username);
        text.extend_from_slice(b",\"timestamp\":\"");
        self.timestamp.write(&mut text);
        text.push(b'"');
        Body::new(text)
    }
}

/// The record that a line holds.
pub(crate) fn record<M: Model>(line: &Line<'_>) -> Result<Record<M>> {
    let unreadable = || {
        let message = format!("the line of seq {} in the log is not one of this store's model", line.seq);
        Error::new(ErrorKind::Corrupt, message)
    };
    let (mut key, mut data) = (None, None);
    let mut texts = vec![None; M::PART_FIELDS.len()];
    for (name, value) in members(line.text()) {
        if name == "key" {
            key = unescape(value);
        } else if name == "data" {
            data = Some(value);
            break;
        } else if let Some(text) = M::PART_FIELDS.iter().position(|field| *field == name).and_then(|at| texts.get_mut(at)) {
            *text = if value == "null" { None } else { Some(unescape(value).ok_or_else(unreadable)?) };
        }
    }
    let (Some(key), Some(data), Some(version)) = (key, data, line.version) else { return Err(unreadable()) };
    let fields: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
    let part = M::part_from(&fields);
    Ok(Record { key: key.into(), part, data: data.into(), seq: line.seq, at: line.at, version })
}

fn string(out: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else { return out.extend_from_slice(b"null") };
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing to a vector can't fail, and a string always serializes.
        let _ = serde_json::to_writer(out, text);
    }
}
