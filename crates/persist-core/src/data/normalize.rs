//! The one pass that checks a record's data and brings it into its normalized form.
//!
//! Kept true: the text that comes out is the text that went in, but for blanks outside strings, timestamps and special
//! fields; so numbers keep every digit and strings their escapes. What stays is copied in runs, as long as can be.
//! Open containers are kept in a list of at most `max_depth`, not on the stack.

use super::lexer::{self, Fault, Literal};
use super::names::{Frames, Within};
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
    let mut pass = Pass {
        text: json,
        bytes: json.as_bytes(),
        at: 0,
        copied: 0,
        // Room for a timestamp and a name that are appended.
        out: String::with_capacity(json.len() + 96),
        frames: Frames::new(rules.max_depth),
        specials,
        fields: vec![None; specials.len()],
        replacing: None,
        policy: &rules.timestamps,
    };
    pass.run()?;
    if pass.out.len() > rules.max_bytes {
        let (found, limit) = (pass.out.len(), rules.max_bytes);
        return Err(Error::input(format!("data takes {found} bytes of JSON text, more than the {limit} allowed")));
    }
    let fields = pass.fields.into_iter().map(|field| field.unwrap_or(Resolved::Null)).collect();
    Ok(Normalized { text: pass.out, fields })
}

struct Pass<'s, 'a, 'r> {
    text: &'s str,
    bytes: &'s [u8],
    at: usize,
    /// What comes before this is in `out`, or left out of it.
    copied: usize,
    out: String,
    frames: Frames<'s>,
    specials: &'r [Special<'a>],
    fields: Vec<Option<Resolved<'a>>>,
    /// The special field whose value is passed over, and how long `out` was before that value.
    replacing: Option<(usize, usize)>,
    policy: &'r TimestampPolicy,
}

impl<'s, 'a> Pass<'s, 'a, '_> {
    fn run(&mut self) -> Result<()> {
        self.blanks();
        if self.peek() != Some(b'{') {
            return Err(Error::input("data is not a JSON object"));
        }
        let mut value_follows = true;
        loop {
            if value_follows && self.value()? {
                continue;
            }
            // A value has ended: so may the containers around it.
            match self.frames.innermost() {
                None => break,
                Some(_) if self.replacing.is_some() && self.frames.depth() == 1 => self.replaced(),
                Some(_) => {}
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
                if self.frames.converts()
                    && let Some(at) = timestamp(literal)
                {
                    self.copy_to(start);
                    at.emit(|part| self.out.push_str(part));
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
        if !self.frames.open(object) {
            let (path, limit) = (self.frames.path(Within::Value), self.frames.limit());
            return Err(Error::input(format!("{path} is nested deeper than the {limit} levels allowed")));
        }
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
        let object = self.frames.innermost() == Some(true);
        match (self.peek(), object) {
            (Some(b','), _) => {
                self.at += 1;
                self.blanks();
                if object {
                    self.member()
                } else {
                    self.frames.next_element();
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
        if self.frames.depth() == 1 {
            self.append_missing();
        }
        self.at += 1;
        self.frames.close();
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
        let special = match self.frames.depth() {
            1 => self.specials.iter().enumerate().find(|(_, special)| special.name == name),
            _ => None,
        };
        let converts = match self.policy {
            TimestampPolicy::All => true,
            TimestampPolicy::Fields(names) => names.contains(name.as_ref()),
            TimestampPolicy::Off => false,
        };
        if !self.frames.name(name, converts) {
            return Err(Error::input(format!("{} stands there twice", self.frames.path(Within::Value))));
        }
        match special {
            None => Ok(true),
            Some((index, Special { given: Given::Argument(_), .. })) => {
                self.copy_to(self.at);
                self.replacing = Some((index, self.out.len()));
                Ok(true)
            }
            Some((index, special)) => self.special(index, special).map(|()| false),
        }
    }

    /// Reads the value of a special field that no argument replaces.
    fn special(&mut self, index: usize, special: &Special<'a>) -> Result<()> {
        let start = self.at;
        let kind = special.kind;
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
        let mut found: Resolved<'a> =
            found.map_err(|why| Error::input(format!("{}: {why}", self.frames.path(Within::Value))))?;
        if let (Resolved::Null, Given::Default(default)) = (&found, &special.given) {
            found = default.clone();
            self.copy_to(start);
            found.write(&mut self.out);
            self.copied = self.at;
        } else if let Resolved::Timestamp(_) = found {
            self.copy_to(start);
            found.write(&mut self.out);
            self.copied = self.at;
        }
        self.set(index, found);
        Ok(())
    }

    /// Ends the value that an argument replaces: takes back what was copied of it.
    fn replaced(&mut self) {
        let Some((index, before)) = self.replacing.take() else { return };
        self.out.truncate(before);
        self.copied = self.at;
        if let Some(Special { given: Given::Argument(value), .. }) = self.specials.get(index) {
            value.write(&mut self.out);
            self.set(index, value.clone());
        }
    }

    /// Appends the special fields that the object, which is about to end, does not have.
    fn append_missing(&mut self) {
        let mut first = self.frames.is_empty();
        for (index, special) in self.specials.iter().enumerate() {
            let absent = self.fields.get(index).is_some_and(Option::is_none);
            if let (true, Given::Default(value) | Given::Argument(value)) = (absent, &special.given) {
                self.copy_to(self.at);
                if !std::mem::take(&mut first) {
                    self.out.push(',');
                }
                lexer::quote(special.name, &mut self.out);
                self.out.push(':');
                value.write(&mut self.out);
                self.set(index, value.clone());
            }
        }
    }

    fn set(&mut self, index: usize, value: Resolved<'a>) {
        if let Some(field) = self.fields.get_mut(index) {
            *field = Some(value);
        }
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
                let path = self.frames.path(within);
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
        self.out.push_str(self.text.get(self.copied..end).unwrap_or_default());
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
