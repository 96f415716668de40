//! From a value to the normalized form in one pass, with nothing in between.
//!
//! Kept true: [`normalize_value`] makes what [`normalize`](super::normalize) makes of [`to_json`]'s text, and that text is
//! `serde_json`'s, which writes the numbers and keys here too; but NaN and infinities, which it would write as `null`,
//! are refused: what was a measurement would be gone unnoticed.

use std::fmt::{self, Display};
use std::io;

use serde::ser::{self, Error as _, Serialize, SerializeSeq as _};
use serde_json::Value;

use super::form::Form;
use super::lexer::{self, Literal};
use super::names::Within;
use super::normalize::{self, Normalized, Rules};
use super::special::{Given, Resolved, Special};
use crate::error::{Error, Result};
use crate::timestamp::{Timestamp, TimestampPolicy};

/// What a record usually takes, so that its text need not be moved while it grows.
const USUAL_BYTES: usize = 512;
/// Names of structs that serialize to text which is JSON already: a `RawValue` and, with the feature
/// `arbitrary_precision` of `serde_json`, a `Number`.
const JSON_TEXTS: [&str; 2] = ["$serde_json::private::RawValue", "$serde_json::private::Number"];

/// The JSON text of anything that serializes: a struct, a map, a [`serde_json::Value`], a
/// [`RawValue`](serde_json::value::RawValue), which keeps its text.
///
/// ```
/// use persist_core::data::to_json;
/// use serde_json::json;
///
/// assert_eq!(to_json(&json!({"progress": 75}))?, r#"{"progress":75}"#);
///
/// let speed = std::collections::BTreeMap::from([("knots", f64::NAN)]);
/// assert_eq!(to_json(&speed).unwrap_err().to_string(), "data.knots: NaN is no number of JSON");
/// # Ok::<(), persist_core::Error>(())
/// ```
///
/// # Errors
/// [`Input`](crate::ErrorKind::Input) where a float at any depth is NaN or infinite, naming the field, and where the
/// value does not serialize, as a map whose keys are no text.
pub fn to_json(data: &(impl Serialize + ?Sized)) -> Result<String> {
    static ANYTHING: Rules = Rules { max_bytes: usize::MAX, max_depth: usize::MAX, timestamps: TimestampPolicy::Off };
    let mut writer = Writer::new(&[], &ANYTHING, false);
    writer.whole(data)?;
    Ok(writer.form.finish(&ANYTHING)?.text)
}

/// Brings anything that serializes to an object into its normalized form, as [`normalize`](super::normalize) does with
/// text.
///
/// ```
/// use persist_core::data::{Rules, normalize_value};
/// use serde_json::json;
///
/// let data = normalize_value(&json!({"due": "2025-01-15"}), &[], &Rules::default())?;
/// assert_eq!(data.text, r#"{"due":"2025-01-15T00:00:00+00:00"}"#);
/// # Ok::<(), persist_core::Error>(())
/// ```
///
/// # Errors
/// As [`to_json`] and [`normalize`](super::normalize).
pub fn normalize_value<'a>(
    data: &(impl Serialize + ?Sized),
    specials: &[Special<'a>],
    rules: &Rules,
) -> Result<Normalized<'a>> {
    let mut writer = Writer::new(specials, rules, true);
    writer.whole(data)?;
    if !writer.form.out.starts_with('{') {
        return Err(Error::input("data is not a JSON object"));
    }
    writer.form.finish(rules)
}

/// Why a value is not taken.
#[derive(Debug)]
struct Refused(Box<Error>);

type Done = Result<(), Refused>;

impl From<Error> for Refused {
    #[cold]
    fn from(error: Error) -> Self {
        Self(Box::new(error))
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: Display>(message: T) -> Self {
        Error::input(format!("data does not serialize to JSON: {message}")).into()
    }
}

/// The serializer.
struct Writer<'a, 'r> {
    form: Form<'a, 'r>,
    /// The special field whose value comes next.
    special: Option<usize>,
    /// A key, on its way to text.
    key: Vec<u8>,
    /// Whether text that is JSON already is normalized, and no name may stand twice.
    is_strict: bool,
    /// How many values were begun and did not come to their end, be it by an error or by a panic: what is written is cut
    /// short, and whoever serializes might pass over it.
    unfinished: usize,
}

impl<'a, 'r> Writer<'a, 'r> {
    fn new(specials: &'r [Special<'a>], rules: &'r Rules, is_strict: bool) -> Self {
        let form = Form::new(USUAL_BYTES, specials, rules);
        Self { form, special: None, key: Vec::new(), is_strict, unfinished: 0 }
    }

    fn whole(&mut self, data: &(impl Serialize + ?Sized)) -> Result<()> {
        self.value(data).map_err(|Refused(error)| *error)?;
        if self.unfinished > 0 || self.form.frames.depth() > 0 {
            return Err(Error::input("data does not serialize to JSON: a part of it was refused"));
        }
        Ok(())
    }

    #[inline]
    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Done {
        value.serialize(self)
    }

    fn scalar(&mut self, value: impl Serialize) -> Done {
        let start = self.form.out.len();
        value.serialize(&mut serde_json::Serializer::new(Ascii(&mut self.form.out))).map_err(Refused::custom)?;
        if let Some(index) = self.special.take() {
            let kind = self.form.kind(index);
            let found = match self.form.out.get(start..).unwrap_or_default() {
                "true" | "false" => Err(kind.wants("a boolean")),
                number => kind.of_number(number),
            };
            self.form.field(index, found)?;
        }
        Ok(())
    }

    fn float<F: Serialize + Display + Into<f64> + Copy>(&mut self, float: F) -> Done {
        if !float.into().is_finite() {
            let path = self.form.frames.path(Within::Value);
            return Err(Error::input(format!("{path}: {float} is no number of JSON")).into());
        }
        self.scalar(float)
    }

    fn null(&mut self) -> Done {
        match self.special.take() {
            Some(index) if self.form.field(index, Ok(Resolved::Null))? => self.form.write_field(index),
            _ => self.form.out.push_str("null"),
        }
        Ok(())
    }

    /// Text that is JSON already.
    fn json(&mut self, text: &str) -> Done {
        if self.is_strict {
            normalize::put_text(text, self.special.take(), &mut self.form)?;
        } else {
            self.form.out.push_str(text);
        }
        Ok(())
    }

    #[inline]
    fn open(&mut self, object: bool) -> Done {
        if let Some(index) = self.special.take() {
            let found = if object { "an object" } else { "an array" };
            self.form.field(index, Err(self.form.kind(index).wants(found)))?;
        }
        self.form.open(object)?;
        self.form.out.push(if object { '{' } else { '[' });
        Ok(())
    }

    #[inline]
    fn close(&mut self) {
        if self.form.frames.depth() == 1 {
            self.form.append_missing();
        }
        self.form.out.push(if self.form.frames.innermost() == Some(true) { '}' } else { ']' });
        self.form.frames.close();
    }

    /// Begins a member, whose name stands in `out`.
    #[inline]
    fn begin_member(&mut self, name: &str) -> Done {
        self.form.out.push(':');
        match self.form.name(name) {
            Err(_) if !self.is_strict => {}
            Err(error) => return Err(error.into()),
            Ok(None) => {}
            Ok(Some((index, Special { given: Given::Argument(_), .. }))) => self.form.replace(index),
            Ok(Some((index, _))) => self.special = Some(index),
        }
        Ok(())
    }

    #[inline]
    fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Done {
        lexer::quote(name, &mut self.form.out);
        self.begin_member(name)?;
        self.value(value)?;
        self.form.end_value();
        Ok(())
    }
}

/// Takes what `serde_json` writes, which is text.
struct Ascii<'o>(&'o mut String);

impl io::Write for Ascii<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push_str(std::str::from_utf8(bytes).map_err(io::Error::other)?);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

macro_rules! scalars {
    ($($method:ident($type:ty),)*) => {
        $(#[inline]
        fn $method(self, value: $type) -> Done {
            self.scalar(value)
        })*
    };
}

impl<'w, 'a, 'r> ser::Serializer for &'w mut Writer<'a, 'r> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Container<'w, 'a, 'r>;
    type SerializeTuple = Container<'w, 'a, 'r>;
    type SerializeTupleStruct = Container<'w, 'a, 'r>;
    type SerializeTupleVariant = Container<'w, 'a, 'r>;
    type SerializeMap = Container<'w, 'a, 'r>;
    type SerializeStruct = Container<'w, 'a, 'r>;
    type SerializeStructVariant = Container<'w, 'a, 'r>;

    scalars! {
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
    }

    fn serialize_f32(self, value: f32) -> Done {
        self.float(value)
    }

    fn serialize_f64(self, value: f64) -> Done {
        self.float(value)
    }

    fn serialize_char(self, value: char) -> Done {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Done {
        if let Some(index) = self.special.take() {
            // As text it stands between quotes with escapes, but those are resolved before anything is made of it.
            let found = self.form.kind(index).of_string(Literal { raw: text, escaped: false });
            if self.form.field(index, found)? {
                self.form.write_field(index);
                return Ok(());
            }
        } else if self.form.frames.converts()
            && let Some(at) = Timestamp::parse(text)
        {
            Resolved::Timestamp(at).write(&mut self.form.out);
            return Ok(());
        }
        lexer::quote(text, &mut self.form.out);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Done {
        let mut elements = self.serialize_seq(Some(bytes.len()))?;
        bytes.iter().try_for_each(|byte| elements.serialize_element(byte))?;
        elements.end()
    }

    fn serialize_none(self) -> Done {
        self.null()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.null()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.null()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        self.open(true)?;
        self.member(variant, value)?;
        self.close();
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Container<'w, 'a, 'r>, Refused> {
        self.open(false)?;
        Ok(Container::of(self))
    }

    fn serialize_tuple(self, len: usize) -> Result<Container<'w, 'a, 'r>, Refused> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Container<'w, 'a, 'r>, Refused> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Container<'w, 'a, 'r>, Refused> {
        Container::of_variant(self, variant, false)
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Container<'w, 'a, 'r>, Refused> {
        self.open(true)?;
        Ok(Container::of(self))
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Container<'w, 'a, 'r>, Refused> {
        if JSON_TEXTS.contains(&name) {
            return Ok(Container { stands: Stands::Json, ..Container::of(self) });
        }
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Container<'w, 'a, 'r>, Refused> {
        Container::of_variant(self, variant, true)
    }
}

/// A container that is open.
struct Container<'w, 'a, 'r> {
    writer: &'w mut Writer<'a, 'r>,
    stands: Stands,
    is_empty: bool,
    /// A key was given, and not its value.
    wants_value: bool,
}

/// How a container stands in the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Alone,
    /// In an object of its own, as the member that names its variant.
    Named,
    /// Not at all: its only field is text that is JSON already.
    Json,
}

impl<'w, 'a, 'r> Container<'w, 'a, 'r> {
    #[inline]
    fn of(writer: &'w mut Writer<'a, 'r>) -> Self {
        Self { writer, stands: Stands::Alone, is_empty: true, wants_value: false }
    }

    fn of_variant(writer: &'w mut Writer<'a, 'r>, variant: &str, object: bool) -> Result<Self, Refused> {
        writer.open(true)?;
        lexer::quote(variant, &mut writer.form.out);
        writer.begin_member(variant)?;
        writer.open(object)?;
        Ok(Self { stands: Stands::Named, ..Self::of(writer) })
    }

    #[inline]
    fn noting(&mut self, put: impl FnOnce(&mut Self) -> Done) -> Done {
        self.writer.unfinished += 1;
        put(self)?;
        self.writer.unfinished -= 1;
        Ok(())
    }

    /// Answers whether this is the first of its elements or members.
    #[inline]
    fn separate(&mut self) -> bool {
        let is_first = std::mem::replace(&mut self.is_empty, false);
        if !is_first {
            self.writer.form.out.push(',');
        }
        is_first
    }

    #[inline]
    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Done {
        if !self.separate() {
            self.writer.form.frames.next_element();
        }
        self.writer.value(value)
    }

    #[inline]
    fn field(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Done {
        if self.stands == Stands::Json {
            // A tag, say, that serde puts beside it.
            let is_alone = std::mem::replace(&mut self.is_empty, false) && JSON_TEXTS.contains(&name);
            return match serde_json::to_value(value) {
                Ok(Value::String(text)) if is_alone => self.writer.json(&text),
                _ => Err(Refused::custom("what was to be JSON is no text")),
            };
        }
        self.separate();
        self.writer.member(name, value)
    }

    fn key(&mut self, key: &(impl Serialize + ?Sized)) -> Done {
        if std::mem::replace(&mut self.wants_value, true) {
            return Err(Refused::custom("a key without a value"));
        }
        self.separate();
        // Only serde_json knows what a key may be and what it becomes: `{"7":null}`.
        let mut text = std::mem::take(&mut self.writer.key);
        text.clear();
        OneMember(key).serialize(&mut serde_json::Serializer::new(&mut text)).map_err(Refused::custom)?;
        let text = String::from_utf8(text).map_err(Refused::custom)?;
        let literal = text.strip_prefix('{').and_then(|text| text.strip_suffix(":null}")).unwrap_or_default();
        self.writer.form.out.push_str(literal);
        let name = lexer::unescape(literal).unwrap_or_default();
        self.writer.begin_member(&name)?;
        drop(name);
        self.writer.key = text.into_bytes();
        Ok(())
    }

    fn value_of_key(&mut self, value: &(impl Serialize + ?Sized)) -> Done {
        if !std::mem::replace(&mut self.wants_value, false) {
            return Err(Refused::custom("a value without a key"));
        }
        self.writer.value(value)?;
        self.writer.form.end_value();
        Ok(())
    }

    #[inline]
    fn close(self) -> Done {
        if self.wants_value {
            return Err(Refused::custom("a key without a value"));
        }
        if self.stands != Stands::Json {
            self.writer.close();
        } else if self.is_empty {
            return Err(Refused::custom("there is no text of what was to be JSON"));
        }
        if self.stands == Stands::Named {
            self.writer.form.end_value();
            self.writer.close();
        }
        Ok(())
    }
}

/// A map of this key.
struct OneMember<'k, K: ?Sized>(&'k K);

impl<K: Serialize + ?Sized> Serialize for OneMember<'_, K> {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.0, ())])
    }
}

macro_rules! elements {
    ($($of:ident::$put:ident,)*) => {
        $(impl ser::$of for Container<'_, '_, '_> {
            type Ok = ();
            type Error = Refused;

            #[inline]
            fn $put<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                self.noting(|container| container.element(value))
            }

            #[inline]
            fn end(self) -> Done {
                self.close()
            }
        })*
    };
}

elements! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! fields {
    ($($of:ident,)*) => {
        $(impl ser::$of for Container<'_, '_, '_> {
            type Ok = ();
            type Error = Refused;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
                self.noting(|container| container.field(name, value))
            }

            #[inline]
            fn end(self) -> Done {
                self.close()
            }
        })*
    };
}

fields! { SerializeStruct, SerializeStructVariant, }

impl ser::SerializeMap for Container<'_, '_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.noting(|container| container.key(key))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.noting(|container| container.value_of_key(value))
    }

    #[inline]
    fn end(self) -> Done {
        self.close()
    }
}
