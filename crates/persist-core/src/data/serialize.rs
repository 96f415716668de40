//! JSON text of anything that serializes, without the silence of `serde_json` about NaN.
//!
//! `serde_json` writes `null` for a number that is not finite, and what was a measurement is gone unnoticed. The
//! serializer here stands between a value and `serde_json`'s: it looks at floats and hands on everything else, so that
//! what relies on the name of a struct (`RawValue`) works as it does there.
//!
//! A path is put together only after a float was refused, on the way out; until then a guard costs next to nothing.

use std::cell::RefCell;
use std::fmt::Display;

use serde::Serialize;
use serde::ser;

use super::names::step;
use crate::error::{Error, Result};

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
    let trail = Trail::default();
    let mut bytes = Vec::with_capacity(256);
    let written = Guarded { value: data, trail: &trail }.serialize(&mut serde_json::Serializer::new(&mut bytes));
    written.map_err(|error| {
        let message = match trail.0.into_inner() {
            Some(refused) => refused.message(),
            None => format!("data does not serialize to JSON: {error}"),
        };
        Error::input(message).with_source(error)
    })?;
    String::from_utf8(bytes).map_err(|error| Error::input("data serializes to invalid UTF-8").with_source(error))
}

/// The float that was refused, if one was, and the way from it to the root.
#[derive(Debug, Default)]
struct Trail(RefCell<Option<Refused>>);

#[derive(Debug)]
struct Refused {
    float: f64,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Name(String),
    Element(usize),
}

impl Refused {
    fn message(&self) -> String {
        let mut path = String::from("data");
        for way in self.steps.iter().rev() {
            match way {
                Step::Name(name) => step(&mut path, name),
                Step::Element(index) => path.push_str(&format!("[{index}]")),
            }
        }
        format!("{path}: {} is no number of JSON", self.float)
    }
}

impl Trail {
    #[cold]
    fn refuse<E: ser::Error>(&self, float: f64) -> E {
        *self.0.borrow_mut() = Some(Refused { float, steps: Vec::new() });
        E::custom("not a finite number")
    }

    /// Lets an error pass out of a member or element, noting which.
    #[inline]
    fn passed<T, E>(&self, result: Result<T, E>, step: impl FnOnce() -> Step) -> Result<T, E> {
        if result.is_err()
            && let Some(refused) = self.0.borrow_mut().as_mut()
        {
            refused.steps.push(step());
        }
        result
    }
}

struct Guarded<'t, T: ?Sized> {
    value: &'t T,
    trail: &'t Trail,
}

impl<T: Serialize + ?Sized> Serialize for Guarded<'_, T> {
    #[inline]
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Guard { inner: serializer, trail: self.trail, element: 0, key: None, variant: None })
    }
}

/// A serializer, or the part of one that takes the members of a container.
struct Guard<'t, S> {
    inner: S,
    trail: &'t Trail,
    /// The element that comes next, in a sequence.
    element: usize,
    /// The key whose value comes next, in a map that hands over keys and values apart.
    key: Option<String>,
    /// The variant of an enum around the members, which is a member itself.
    variant: Option<&'static str>,
}

impl<'t, S> Guard<'t, S> {
    #[inline]
    fn around<T, E>(self, container: impl FnOnce(S) -> Result<T, E>) -> Result<Guard<'t, T>, E> {
        Ok(Guard { inner: container(self.inner)?, trail: self.trail, element: 0, key: None, variant: None })
    }

    /// Puts a member or element; where that fails, notes which.
    #[inline]
    fn put<E>(
        &mut self,
        put: impl FnOnce(&mut S, &'t Trail) -> Result<(), E>,
        step: impl FnOnce() -> Step,
    ) -> Result<(), E> {
        let result = self.trail.passed(put(&mut self.inner, self.trail), step);
        match self.variant {
            None => result,
            Some(variant) => self.trail.passed(result, || Step::Name(variant.to_owned())),
        }
    }
}

/// A key as the text it becomes; only for messages.
fn key_text(key: &(impl Serialize + ?Sized)) -> String {
    match serde_json::to_value(key) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

macro_rules! hand_on {
    ($($method:ident($type:ty),)*) => {
        $(#[inline]
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        })*
    };
}

impl<'t, S: ser::Serializer> ser::Serializer for Guard<'t, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Guard<'t, S::SerializeSeq>;
    type SerializeTuple = Guard<'t, S::SerializeTuple>;
    type SerializeTupleStruct = Guard<'t, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Guard<'t, S::SerializeTupleVariant>;
    type SerializeMap = Guard<'t, S::SerializeMap>;
    type SerializeStruct = Guard<'t, S::SerializeStruct>;
    type SerializeStructVariant = Guard<'t, S::SerializeStructVariant>;

    hand_on! {
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
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str),
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.inner.serialize_f32(value) } else { Err(self.trail.refuse(value.into())) }
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.inner.serialize_f64(value) } else { Err(self.trail.refuse(value)) }
    }

    #[inline]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Guarded { value, trail: self.trail })
    }

    #[inline]
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Guarded { value, trail: self.trail })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let trail = self.trail;
        let result = self.inner.serialize_newtype_variant(name, index, variant, &Guarded { value, trail });
        trail.passed(result, || Step::Name(variant.to_owned()))
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.around(|inner| inner.serialize_seq(len))
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.around(|inner| inner.serialize_tuple(len))
    }

    #[inline]
    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.around(|inner| inner.serialize_tuple_struct(name, len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let guard = self.around(|inner| inner.serialize_tuple_variant(name, index, variant, len))?;
        Ok(Guard { variant: Some(variant), ..guard })
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.around(|inner| inner.serialize_map(len))
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.around(|inner| inner.serialize_struct(name, len))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let guard = self.around(|inner| inner.serialize_struct_variant(name, index, variant, len))?;
        Ok(Guard { variant: Some(variant), ..guard })
    }

    #[inline]
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! elements {
    ($($of:ident::$put:ident,)*) => {
        $(impl<S: ser::$of> ser::$of for Guard<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            #[inline]
            fn $put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                let element = self.element;
                self.element += 1;
                self.put(|inner, trail| inner.$put(&Guarded { value, trail }), || Step::Element(element))
            }

            #[inline]
            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
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
        $(impl<S: ser::$of> ser::$of for Guard<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                self.put(
                    |inner, trail| inner.serialize_field(name, &Guarded { value, trail }),
                    || Step::Name(name.to_owned()),
                )
            }

            #[inline]
            fn skip_field(&mut self, name: &'static str) -> Result<(), S::Error> {
                self.inner.skip_field(name)
            }

            #[inline]
            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        })*
    };
}

fields! { SerializeStruct, SerializeStructVariant, }

impl<S: ser::SerializeMap> ser::SerializeMap for Guard<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.key = Some(key_text(key));
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let result = self.inner.serialize_value(&Guarded { value, trail: self.trail });
        let key = self.key.take();
        self.trail.passed(result, || Step::Name(key.unwrap_or_default()))
    }

    #[inline]
    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), S::Error> {
        let trail = self.trail;
        trail.passed(self.inner.serialize_entry(key, &Guarded { value, trail }), || Step::Name(key_text(key)))
    }

    #[inline]
    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}
