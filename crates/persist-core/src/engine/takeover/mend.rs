//! What Python writes as JSON and JSON does not know, and fields of kinds that a record may not have.
//!
//! Each is brought as near to what the original makes of it as JSON lets it. What was changed is said, so that it can
//! be reported.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::data::{Kind, quote, unescape};
use crate::timestamp::Timestamp;
use crate::wal::RecoveryReport;

const NO_NUMBER: &str = "NaN or an infinity became null";
const HALF_PAIR: &str = "half a surrogate pair became U+FFFD";
const TWICE: &str = "of a name that stood twice the last value stayed";
const KIND: &str = "a special field was brought to its type";

/// What was changed in a record, each thing once.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<&'static str>);

impl Changes {
    fn note(&mut self, change: &'static str) {
        if !self.0.contains(&change) {
            self.0.push(change);
        }
    }

    /// Adds them to the report, if there are any.
    pub(super) fn report(&self, place: &str, report: &mut RecoveryReport) {
        if !self.0.is_empty() {
            report.changed.push(format!("{place}: {}", self.0.join(", ")));
        }
    }
}

/// Python's JSON with `NaN` and infinities as null, and halves of surrogate pairs as U+FFFD. Whether it is JSON besides
/// is not looked at.
pub(super) fn strict<'t>(text: &'t str, changes: &mut Changes) -> Cow<'t, str> {
    if !["NaN", "Infinity", "\\ud", "\\uD"].iter().any(|mark| text.contains(mark)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let (taken, put) = match c {
            '"' => {
                in_string = !in_string;
                (1, None)
            }
            '\\' if in_string => escape(rest),
            'N' | 'I' | '-' if !in_string => {
                let word = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word));
                word.map_or((1, None), |word| (word.len(), Some(("null", NO_NUMBER))))
            }
            c => (c.len_utf8(), None),
        };
        let Some((piece, after)) = rest.split_at_checked(taken) else { break };
        match put {
            None => out.push_str(piece),
            Some((instead, change)) => {
                out.push_str(instead);
                changes.note(change);
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// How long the escape is that `text` begins with, and what to put in its place.
fn escape(text: &str) -> (usize, Option<(&'static str, &'static str)>) {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    match (unit(0), unit(6)) {
        (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => (12, None),
        (Some(0xD800..0xE000), _) => (6, Some(("\\ufffd", HALF_PAIR))),
        // A backslash and one ASCII character; of anything else the backslash alone.
        _ => (if text.as_bytes().get(1).is_some_and(u8::is_ascii) { 2 } else { 1 }, None),
    }
}

/// The members of an object, in order; of a name that stands twice the last value, as Python reads it.
#[derive(Debug)]
pub(super) struct Members<'t> {
    all: Vec<(String, &'t RawValue)>,
    twice: bool,
}

impl<'t> Members<'t> {
    /// `None` where the text is no JSON object.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The JSON text of a member; `None` where it is missing or null.
    pub(super) fn get(&self, name: &str) -> Option<&'t str> {
        let found = self.all.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.get()).filter(|value| *value != "null")
    }
}

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members { all: Vec::new(), twice: false };
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    match members.all.iter_mut().find(|(other, _)| *other == name) {
                        Some(before) => {
                            before.1 = value;
                            members.twice = true;
                        }
                        None => members.all.push((name, value)),
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// An object with each name once at every level, and special fields of the right kinds. `None` where it is no object or
/// deeper than `depth`.
pub(super) fn rebuilt(text: &str, specials: &[(&str, Kind)], depth: usize, changes: &mut Changes) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    let members = Members::of(text)?;
    if members.twice {
        changes.note(TWICE);
    }
    let mut out = String::with_capacity(text.len());
    for (name, value) in &members.all {
        out.push(if out.is_empty() { '{' } else { ',' });
        quote(name, &mut out);
        out.push(':');
        let value = value.get();
        match specials.iter().find(|(special, _)| special == name) {
            Some((_, kind)) => out.push_str(&of_kind(value, *kind, changes)),
            None => value_into(value, depth, changes, &mut out)?,
        }
    }
    out.push_str(if out.is_empty() { "{}" } else { "}" });
    Some(out)
}

fn value_into(value: &str, depth: usize, changes: &mut Changes, out: &mut String) -> Option<()> {
    if value.starts_with('{') {
        out.push_str(&rebuilt(value, &[], depth, changes)?);
    } else if value.starts_with('[') {
        let depth = depth.checked_sub(1)?;
        let items: Vec<&RawValue> = serde_json::from_str(value).ok()?;
        out.push('[');
        for (n, item) in items.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            value_into(item.get(), depth, changes, out)?;
        }
        out.push(']');
    } else {
        out.push_str(value);
    }
    Some(())
}

/// The value as a special field of this kind, as DuckDB casts it for the original: numbers become text, text of digits
/// a number. What has no such form becomes null.
fn of_kind<'v>(value: &'v str, kind: Kind, changes: &mut Changes) -> Cow<'v, str> {
    let text = unescape(value);
    let number = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        fraction.bytes().all(|digit| digit == b'0').then(|| whole.parse::<i32>().ok()).flatten()
    };
    let fits = match kind {
        _ if value == "null" => true,
        Kind::Text => text.is_some(),
        Kind::Int32 => text.is_none() && number(value).is_some(),
        Kind::Timestamp => text.as_deref().is_some_and(|text| Timestamp::parse(text).is_some()),
    };
    if fits {
        return Cow::Borrowed(value);
    }
    changes.note(KIND);
    let instead = match (kind, value) {
        (Kind::Text, value) => {
            let mut quoted = String::with_capacity(value.len() + 2);
            quote(value, &mut quoted);
            Some(quoted)
        }
        (Kind::Int32, "true") => Some("1".to_owned()),
        (Kind::Int32, "false") => Some("0".to_owned()),
        (Kind::Int32, _) => text.and_then(|text| number(text.trim())).map(|number| number.to_string()),
        (Kind::Timestamp, _) => None,
    };
    instead.map_or(Cow::Borrowed("null"), Cow::Owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn strictly(text: &str) -> (String, Vec<&'static str>) {
        let mut changes = Changes::default();
        let strict = strict(text, &mut changes).into_owned();
        (strict, changes.0)
    }

    #[test]
    fn what_json_does_not_know_is_replaced_outside_strings_only() {
        let (text, changed) = strictly(r#"{"NaN": NaN, "a": [Infinity, -Infinity, -1, "NaN \" -Infinity"]}"#);
        assert_eq!(text, r#"{"NaN": null, "a": [null, null, -1, "NaN \" -Infinity"]}"#);
        assert_eq!(changed, [NO_NUMBER]);
        let untouched = r#"{"a": "NaN \\", "b": "\ud83e\uddc0"}"#;
        assert_eq!(strictly(untouched), (untouched.to_owned(), vec![]));
    }

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character() {
        let (text, changed) = strictly(r#"{"a": "\ud83ex\uddc0\\ud800 \ud83e\ud83e\uddc0"}"#);
        assert_eq!(text, r#"{"a": "\ufffdx\ufffd\\ud800 \ufffd\ud83e\uddc0"}"#);
        assert_eq!(changed, [HALF_PAIR]);
    }

    #[test]
    fn names_and_kinds_become_such_as_a_record_may_have() {
        let mut changes = Changes::default();
        let kinds = [("who", Kind::Text), ("n", Kind::Int32), ("m", Kind::Int32), ("t", Kind::Timestamp)];
        let text = r#"{"a": 1, "who": 7, "n": "12", "m": "x", "t": "soon", "b": [{"c": 1, "c": 1.50}], "a": {}}"#;
        let rebuilt_text = rebuilt(text, &kinds, 9, &mut changes).unwrap();
        assert_eq!(rebuilt_text, r#"{"a":{},"who":"7","n":12,"m":null,"t":null,"b":[{"c":1.50}]}"#);
        assert_eq!(changes.0, [TWICE, KIND]);
        assert_eq!(rebuilt(r#"{"a":[[1]]}"#, &[], 2, &mut changes), None);
    }
}
