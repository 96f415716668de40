//! What an item's typed value may be given as, and which column it comes to.

use std::borrow::Cow;

use persist_core::{Error, Result, Scalar};
use serde_json::Value;

/// A typed value, or something that is one.
///
/// | given | column |
/// |---|---|
/// | an integer, a boolean (1 or 0) | `value_int`, BIGINT |
/// | a float | `value_float`, DOUBLE |
/// | text | `value_string`, VARCHAR |
/// | `None`, `()`, JSON's `null` | all three NULL |
///
/// A [`serde_json::Value`] goes by what it holds. The type may change with each write.
pub trait IntoValue {
    /// The value.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) for an integer that 64 bits with a sign do not hold, for NaN and
    /// infinities, for an array or an object.
    fn into_value(self) -> Result<Option<Scalar>>;
}

macro_rules! whole {
    ($($whole:ty),*) => {
        $(impl IntoValue for $whole {
            fn into_value(self) -> Result<Option<Scalar>> {
                let beyond = |_| Error::input(format!("value: {self} is beyond an integer of 64 bits"));
                i64::try_from(self).map(|value| Some(Scalar::Int(value))).map_err(beyond)
            }
        })*
    };
}

whole!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize);

impl IntoValue for bool {
    fn into_value(self) -> Result<Option<Scalar>> {
        Ok(Some(Scalar::Int(self.into())))
    }
}

impl IntoValue for f64 {
    fn into_value(self) -> Result<Option<Scalar>> {
        if self.is_finite() {
            Ok(Some(Scalar::Float(self)))
        } else {
            Err(Error::input(format!("value: {self} is no number that can be stored")))
        }
    }
}

impl IntoValue for f32 {
    fn into_value(self) -> Result<Option<Scalar>> {
        f64::from(self).into_value()
    }
}

macro_rules! text {
    ($($text:ty),*) => {
        $(impl IntoValue for $text {
            fn into_value(self) -> Result<Option<Scalar>> {
                Ok(Some(Scalar::Text(self.into())))
            }
        })*
    };
}

text!(&str, String, Box<str>, Cow<'_, str>);

impl IntoValue for &String {
    fn into_value(self) -> Result<Option<Scalar>> {
        self.as_str().into_value()
    }
}

impl IntoValue for () {
    fn into_value(self) -> Result<Option<Scalar>> {
        Ok(None)
    }
}

impl IntoValue for Scalar {
    fn into_value(self) -> Result<Option<Scalar>> {
        match self {
            Self::Float(value) => value.into_value(),
            other => Ok(Some(other)),
        }
    }
}

impl<T: IntoValue> IntoValue for Option<T> {
    fn into_value(self) -> Result<Option<Scalar>> {
        self.map_or(Ok(None), T::into_value)
    }
}

impl IntoValue for &Value {
    fn into_value(self) -> Result<Option<Scalar>> {
        match self {
            Value::Null => Ok(None),
            Value::Bool(value) => value.into_value(),
            Value::String(text) => text.into_value(),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(value), ..) => value.into_value(),
                (None, Some(value), _) => value.into_value(),
                (None, None, value) => value.unwrap_or(f64::NAN).into_value(),
            },
            Value::Array(_) | Value::Object(_) => {
                Err(Error::input("value: an array or an object is none: it belongs into the data"))
            }
        }
    }
}

impl IntoValue for Value {
    fn into_value(self) -> Result<Option<Scalar>> {
        (&self).into_value()
    }
}
