//! A record as the body of a line in the log, and back.
//!
//! The body has the fields of the specification's records: `key`, the fields of the part, `data`. A model with special
//! fields adds `username` and `timestamp`: they repeat what is in the data, for those who read the log with other tools.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::data::{members, quote, unescape};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::model::{Model, RecordValue, Scalar};
use crate::record::Record;
use crate::timestamp::Timestamp;
use crate::wal::{Body, Line};

/// No model has more fields in its part.
const PART_FIELDS_AT_MOST: usize = 4;

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
    const { assert!(M::PART_FIELDS.len() <= PART_FIELDS_AT_MOST) };
    let mut texts: [Option<Cow<'_, str>>; PART_FIELDS_AT_MOST] = Default::default();
    let mut rest = members(line.text());
    let tail_bytes = line.text().len() - line.body().len();
    loop {
        if data.is_none() && M::Value::FIELD.is_none() {
            data = data_at_end(rest.rest(), tail_bytes);
            if data.is_some() {
                break;
            }
        }
        let Some((name, text)) = rest.next() else { break };
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
    let fields = texts.each_ref().map(Option::as_deref);
    let part = M::part_from(fields.get(..M::PART_FIELDS.len()).unwrap_or_default());
    let value = M::Value::of(value);
    Ok(Record { key: Key::from(&*key), part, data: data.into(), value, seq: line.seq, at: line.at, version })
}

/// The data in what is left of a line, where it comes next and only fields that repeat it follow in the body. It is found
/// from its end, not read through: that took a tenth of a recovery. `None` where it has to be.
fn data_at_end(rest: &str, tail_bytes: usize) -> Option<&str> {
    let rest = rest.strip_prefix("\"data\":")?;
    let rest = rest.get(..rest.len().checked_sub(tail_bytes)?)?;
    let data = if rest.ends_with('}') { rest } else { before_repeated(rest)? };
    (data.starts_with('{') && data.ends_with('}')).then_some(data)
}

/// What comes before the user name and the timestamp that a body ends with. Within a string a quote is escaped, so what
/// looks like the name of the field is it.
fn before_repeated(body: &str) -> Option<&str> {
    let (rest, _) = body.strip_suffix('"')?.rsplit_once('"')?;
    let rest = rest.strip_suffix(",\"timestamp\":")?;
    if let Some(rest) = rest.strip_suffix(",\"username\":null") {
        return Some(rest);
    }
    let quotes = memchr::memrchr_iter(b'"', rest.strip_suffix('"')?.as_bytes());
    quotes.filter_map(|quote| rest.get(..quote)).find_map(|before| before.strip_suffix(",\"username\":"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_a_line_is_the_same_found_from_its_end_and_read_through() {
        let tricky =
            r#"{"a":[1,"}\"",{}],"b":{"username":"u","timestamp":"t"},"username":"x,\"username\":\"","timestamp":"t"}"#;
        let names = [
            None,
            Some(""),
            Some("ann"),
            Some("\""),
            Some("a\\"),
            Some(r#"","username":""#),
            Some(r#"x","timestamp":"t"#),
        ];
        for data in ["{}", r#"{"username":"u"}"#, r#"{"n":{"username":null,"timestamp":"t"}}"#, tricky] {
            let tail = r#","at":"2025-01-15T10:30:00+00:00","version":1,"seq":42,"crc":"1b2c3d4e"}"#;
            let at_end = |body: &str| {
                let line = format!("{body}{tail}");
                data_at_end(&line, tail.len()).map(str::to_owned)
            };
            assert_eq!(at_end(&format!("\"data\":{data}")).as_deref(), Some(data));
            for name in names {
                let mut body = format!("\"data\":{data},\"username\":");
                quote_or_null(name, &mut body);
                body.push_str(",\"timestamp\":\"2025-01-15T10:30:00+00:00\"");
                assert_eq!(at_end(&body).as_deref(), Some(data), "{body}");
                let through = format!("{{{body}{tail}");
                assert_eq!(members(&through).next(), Some(("data", data)), "{body}");
            }
        }
        // What follows is not what a body repeats: it has to be read through.
        assert_eq!(data_at_end(r#""data":{"a":1},"value":"x""#, 0), None);
        assert_eq!(data_at_end(r#""key":"k","data":{"a":1}"#, 0), None);
    }
}
