//! The one pass that checks a record's data and brings it into its normalized form.
//!
//! Kept true: the text that comes out is the text that went in, but for blanks outside strings, timestamps and special
//! fields; so numbers keep every digit and strings their escapes. What stays is copied in runs, as long as can be.
//! Open containers are kept in a list of at most `max_depth`, not on the stack.

use super::form::Form;
use super::lexer::{self, Fault, Literal};
use super::names::Within;
use super::special::{Given, Resolved, Special};
use crate::error::{Error, Result};
use crate::timestamp::{Timestamp, TimestampPolicy};

/// What a record's data may be, and what is a timestamp in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The longest normalized text, in bytes. Default: 16 MiB.
    pub max_bytes: usize,
    /// How deep objects and arrays may be nested, the data itself counted as 1. Default: 128.
    pub max_depth: usize,
    /// Which strings are timestamps. Default: all that are written as one.
    pub timestamps: TimestampPolicy,
}

impl Default for Rules {
    fn default() -> Self {
        Self { max_bytes: 16 << 20, max_depth: 128, timestamps: TimestampPolicy::All }
    }
}

/// What [`normalize`] makes of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalized<'a> {
    /// The normalized JSON text.
    pub text: String,
    /// What each special field is, in the order they were asked for.
    pub fields: Vec<Resolved<'a>>,
}

/// Checks that `json` is an object that may be stored, and brings it into its normalized form.
///
/// That form has no blanks outside strings; numbers and strings stand there byte for byte as they came, but for
/// strings that are timestamps under the rules. A special field that an argument or a default fills is replaced where
/// it stands, or appended, in the order given. Normalizing the result again, by the same rules and with
/// [`Given::Data`] throughout, changes nothing.
///
/// ```
/// use persist_core::data::{Given, Kind, Resolved, Rules, Special, normalize};
///
/// let user = Special { name: "username", kind: Kind::Text, given: Given::Default(Resolved::Text("bob".into())) };
/// let data = normalize(r#"{ "due": "2025-01-15", "cost": 12.50 }"#, &[user], &Rules::default())?;
/// assert_eq!(data.text, r#"{"due":"2025-01-15T00:00:00+00:00","cost":12.50,"username":"bob"}"#);
/// assert_eq!(data.fields, [Resolved::Text("bob".into())]);
/// # Ok::<(), persist_core::Error>(())
/// ```
///
/// # Errors
/// [`Input`](crate::ErrorKind::Input), naming the field by its path (`data.legs[2].time`) or the byte, where the text
/// is not JSON or not an object; is larger or deeper than the rules allow; has a name twice in one object, escapes
/// resolved; has half a surrogate pair in a string; or has a special field of the wrong kind.
pub fn normalize<'a>(json: &str, specials: &[Special<'a>], rules: &Rules) -> Result<Normalized<'a>> {
    let mut form = Form::new(json.len(), specials, rules);
    let mut pass = Pass::new(json, &mut form);
    pass.blanks();
    if pass.peek() != Some(b'{') {
        return Err(Error::input("data is not a JSON object"));
    }
    pass.whole(None)?;
    form.finish(rules)
}

/// Puts the text of a value where the form stands, normalized.
pub(super) fn put_text<'a>(text: &str, special: Option<usize>, form: &mut Form<'a, '_>) -> Result<()> {
    let mut pass = Pass::new(text, form);
    pass.blanks();
    pass.whole(special)
}

struct Pass<'s, 'f, 'a, 'r> {
    text: &'s str,
    bytes: &'s [u8],
    at: usize,
    /// What comes before this is in the form, or left out of it.
    copied: usize,
    form: &'f mut Form<'a, 'r>,
}

impl<'s, 'f, 'a, 'r> Pass<'s, 'f, 'a, 'r> {
    fn new(text: &'s str, form: &'f mut Form<'a, 'r>) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, copied: 0, form }
    }

    /// Reads the one value that the text is, and that may be a special field.
    fn whole(&mut self, special: Option<usize>) -> Result<()> {
        let depth = self.form.frames.depth();
        let mut value_follows = match special {
            Some(index) => self.special(index).map(|()| false)?,
            None => true,
        };
        loop {
            if value_follows && self.value()? {
                continue;
            }
            // A value has ended: so may the containers around it.
            if self.form.frames.depth() == depth {
                break;
            }
            if self.form.end_value() {
                self.copied = self.at;
            }
            value_follows = self.next_in_container()?;
        }
        self.blanks();
        match self.peek() {
            None => {
                self.copy_to(self.at);
                Ok(())
            }
            Some(_) => Err(self.malformed(self.at, "nothing may follow the object")),
        }
    }

    /// Reads a value; `true` where it has only been opened and a value inside it follows.
    fn value(&mut self) -> Result<bool> {
        match self.peek() {
            Some(b'"') => {
                let start = self.at + 1;
                let literal = self.string(Within::Value)?;
                if self.form.frames.converts()
                    && let Some(at) = timestamp(literal)
                {
                    self.copy_to(start);
                    at.emit(|part| self.form.out.push_str(part));
                    self.copied = self.at - 1;
                }
                Ok(false)
            }
            Some(b'{') => self.open(true),
            Some(b'[') => self.open(false),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| false),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(_) => Err(self.malformed(self.at, "no value begins like this")),
            None => Err(self.malformed(self.at, "the text ends where a value is wanted")),
        }
    }

    fn open(&mut self, object: bool) -> Result<bool> {
        self.form.open(object)?;
        self.at += 1;
        self.blanks();
        if self.peek() == Some(if object { b'}' } else { b']' }) {
            self.close();
            return Ok(false);
        }
        if object { self.member() } else { Ok(true) }
    }

    /// Goes on behind a value: `true` where another follows in the same container, `false` where that has ended too.
    fn next_in_container(&mut self) -> Result<bool> {
        self.blanks();
        let object = self.form.frames.innermost() == Some(true);
        match (self.peek(), object) {
            (Some(b','), _) => {
                self.at += 1;
                self.blanks();
                if object {
                    self.member()
                } else {
                    self.form.frames.next_element();
                    Ok(true)
                }
            }
            (Some(b'}'), true) | (Some(b']'), false) => {
                self.close();
                Ok(false)
            }
            (Some(_), true) => Err(self.malformed(self.at, "a comma or a closing brace is wanted")),
            (Some(_), false) => Err(self.malformed(self.at, "a comma or a closing bracket is wanted")),
            (None, _) => Err(self.malformed(self.at, "the text ends inside an object or array")),
        }
    }

    fn close(&mut self) {
        if self.form.frames.depth() == 1 {
            self.copy_to(self.at);
            self.form.append_missing();
        }
        self.at += 1;
        self.form.frames.close();
    }

    /// Reads a name and its colon; `true` where its value follows, `false` where that was a special field and is read.
    fn member(&mut self) -> Result<bool> {
        if self.peek() != Some(b'"') {
            return Err(self.malformed(self.at, "a name in quotes is wanted"));
        }
        let name = self.string(Within::Name)?.text();
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(self.malformed(self.at, "a colon is wanted after a name"));
        }
        self.at += 1;
        self.blanks();
        match self.form.name(&name)? {
            None => Ok(true),
            Some((index, Special { given: Given::Argument(_), .. })) => {
                self.copy_to(self.at);
                self.form.replace(index);
                Ok(true)
            }
            Some((index, _)) => self.special(index).map(|()| false),
        }
    }

    /// Reads the value of a special field that no argument replaces.
    fn special(&mut self, index: usize) -> Result<()> {
        let start = self.at;
        let kind = self.form.kind(index);
        let found = match self.peek() {
            Some(b'"') => kind.of_string(self.string(Within::Value)?),
            Some(b'-' | b'0'..=b'9') => kind.of_number(self.number()?),
            Some(b'n') => {
                self.word("null")?;
                Ok(Resolved::Null)
            }
            Some(b't' | b'f') => Err(kind.wants("a boolean")),
            Some(b'{') => Err(kind.wants("an object")),
            Some(b'[') => Err(kind.wants("an array")),
            _ => return Err(self.malformed(start, "no value begins like this")),
        };
        if self.form.field(index, found)? {
            self.copy_to(start);
            self.form.write_field(index);
            self.copied = self.at;
        }
        Ok(())
    }

    #[inline]
    fn string(&mut self, within: Within) -> Result<Literal<'s>> {
        match lexer::string(self.text, self.at + 1) {
            Ok((literal, end)) => {
                self.at = end;
                Ok(literal)
            }
            Err(fault) => Err(self.bad_string(fault, within)),
        }
    }

    #[cold]
    fn bad_string(&self, fault: Fault, within: Within) -> Error {
        match fault {
            Fault::Malformed(at, what) => self.malformed(at, what),
            Fault::LoneSurrogate => {
                let place = if within == Within::Name { " in a name" } else { "" };
                let path = self.form.frames.path(within);
                Error::input(format!("{path} has half a surrogate pair (such as \\ud800 alone){place}"))
            }
        }
    }

    fn number(&mut self) -> Result<&'s str> {
        let start = self.at;
        match lexer::number(self.bytes.get(start..).unwrap_or_default()) {
            Ok(length) => {
                self.at = start + length;
                Ok(self.text.get(start..self.at).unwrap_or_default())
            }
            Err(Fault::Malformed(offset, what)) => Err(self.malformed(start + offset, what)),
            Err(Fault::LoneSurrogate) => Ok(""),
        }
    }

    fn word(&mut self, word: &str) -> Result<bool> {
        if !self.bytes.get(self.at..).unwrap_or_default().starts_with(word.as_bytes()) {
            return Err(self.malformed(self.at, "no value begins like this"));
        }
        self.at += word.len();
        Ok(false)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Leaves out blanks.
    #[inline]
    fn blanks(&mut self) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.copy_to(self.at);
            while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
                self.at += 1;
            }
            self.copied = self.at;
        }
    }

    /// Copies what has not been copied yet, up to a position.
    fn copy_to(&mut self, end: usize) {
        self.form.out.push_str(self.text.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    #[cold]
    fn malformed(&self, at: usize, what: &str) -> Error {
        Error::input(format!("data is malformed JSON at byte {at}: {what}"))
    }
}

/// The moment a string stands for. Escapes are resolved only where the first character may be a digit.
fn timestamp(literal: Literal<'_>) -> Option<Timestamp> {
    if !literal.escaped {
        return Timestamp::parse(literal.raw);
    }
    match literal.raw.as_bytes() {
        [b'0'..=b'9', ..] | [b'\\', b'u', b'0', b'0', b'3', ..] => Timestamp::parse(&literal.text()),
        _ => None,
    }
}
