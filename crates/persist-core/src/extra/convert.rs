//! What a JSON value is as a value of an extra column's type: the same value, or none.

use std::borrow::Cow;

use super::schema::ExtraType;
use crate::data::unescape;
use crate::timestamp::Timestamp;

/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

/// A value of an extra column.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ExtraValue<'a> {
    /// Of `string`.
    Text(Cow<'a, str>),
    /// Of an integer type, within its bounds.
    Integer(i128),
    /// Of `float64`, and of `float32` as that type has it.
    Float(f64),
    /// Of `bool`.
    Bool(bool),
    /// Of a timestamp type: microseconds since 1970 UTC.
    Micros(i64),
    /// Of a date type: days since 1970-01-01.
    Days(i32),
}

impl ExtraType {
    /// What a value, as it stands in normalized JSON text, is as a value of this type; `None` is NULL.
    ///
    /// Only what loses nothing is converted: an integer to a float that has it exactly, `3.0` and `3e2` to an integer,
    /// ISO 8601 text to a timestamp in UTC, and to a date where it is midnight there. A decimal fraction becomes the
    /// nearest float. Text never becomes a number, nor a boolean one.
    ///
    /// # Errors
    /// Why the type can't have the value.
    pub fn convert(self, value: &str) -> Result<Option<ExtraValue<'_>>, String> {
        if value == "null" {
            return Ok(None);
        }
        let converted = match self {
            Self::String => unescape(value).map(ExtraValue::Text),
            Self::Int64 => whole(value, i64::MIN, i64::MAX),
            Self::Int32 => whole(value, i32::MIN, i32::MAX),
            Self::Int16 => whole(value, i16::MIN, i16::MAX),
            Self::Int8 => whole(value, i8::MIN, i8::MAX),
            Self::UInt64 => whole(value, u64::MIN, u64::MAX),
            Self::UInt32 => whole(value, u32::MIN, u32::MAX),
            Self::UInt16 => whole(value, u16::MIN, u16::MAX),
            Self::UInt8 => whole(value, u8::MIN, u8::MAX),
            Self::Float64 => float(value, |wide| wide),
            Self::Float32 => float(value, |wide| f64::from(wide as f32)),
            Self::Bool => match value {
                "true" => Some(ExtraValue::Bool(true)),
                "false" => Some(ExtraValue::Bool(false)),
                _ => None,
            },
            Self::Timestamp => micros(value).map(ExtraValue::Micros),
            Self::Date => micros(value)
                .filter(|micros| micros % DAY == 0)
                .and_then(|micros| i32::try_from(micros / DAY).ok().map(ExtraValue::Days)),
        };
        converted.map(Some).ok_or_else(|| {
            let shown: String = value.chars().take(64).collect();
            let more = if shown.len() < value.len() { "…" } else { "" };
            format!("{shown}{more} is no {} (or not without loss)", self.name())
        })
    }
}

fn whole<'a, T: Into<i128>>(value: &str, least: T, most: T) -> Option<ExtraValue<'a>> {
    let number = integer(value)?;
    (least.into()..=most.into()).contains(&number).then_some(ExtraValue::Integer(number))
}

/// The integer that a JSON number is, however it is written; `None` where it has a fraction or more digits than 128
/// bits.
fn integer(number: &str) -> Option<i128> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let after = after.trim_end_matches('0');
    let digits = format!("{before}{after}");
    if digits.trim_start_matches(['-', '0']).is_empty() {
        // `trim` leaves nothing of a JSON zero; anything else that it leaves nothing of is no number.
        return number.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then_some(0);
    }
    let scale = exponent.checked_sub(i32::try_from(after.len()).ok()?)?;
    let digits = if scale < 0 {
        let cut = digits.len().checked_sub(usize::try_from(scale.unsigned_abs()).ok()?)?;
        let (kept, zeros) = digits.split_at_checked(cut)?;
        zeros.bytes().all(|digit| digit == b'0').then(|| kept.to_owned())?
    } else if scale <= 39 {
        digits + &"0".repeat(usize::try_from(scale).ok()?)
    } else {
        return None;
    };
    digits.parse().ok()
}

fn float<'a>(value: &str, rounded: impl Fn(f64) -> f64) -> Option<ExtraValue<'a>> {
    let is_number = value.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let float = rounded(value.parse().ok().filter(|_| is_number)?);
    let is_integer = value.bytes().all(|c| c == b'-' || c.is_ascii_digit());
    let exact = || integer(value) == Some(float as i128);
    (float.is_finite() && (!is_integer || exact())).then_some(ExtraValue::Float(float))
}

fn micros(value: &str) -> Option<i64> {
    unescape(value).and_then(|text| Timestamp::parse(&text)).map(|at| at.unix_micros())
}
