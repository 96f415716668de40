//! Moments as records hold them, and which strings are one.
//!
//! Owns the [`Timestamp`], its text form and the rule for what text is accepted. Kept true: every timestamp has a
//! text of the years 1 to 9999, in UTC as in its own offset, and [`parse`](Timestamp::parse) reads back exactly what
//! [`Display`](fmt::Display) writes. Leaves out which strings of a record are looked at: that is [`crate::data`],
//! by the [`TimestampPolicy`]. [`moment`] and [`text`] let fields of a caller's own struct come back as they went in.

mod given;
pub mod moment;
pub mod text;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};

pub use given::{IntoDate, IntoTimestamp, date_text};

use crate::error::{Error, Result};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// 0001-01-01T00:00:00 UTC.
const MIN_MICROS: i64 = -62_135_596_800 * MICROS_PER_SECOND;
/// 9999-12-31T23:59:59.999999 UTC.
const MAX_MICROS: i64 = 253_402_300_800 * MICROS_PER_SECOND - 1;

/// `2025-01-15T10:30:00.123456+00:00:00`
const MAX_TEXT_BYTES: usize = 35;

/// A moment, to the microsecond, with the offset from UTC it was written in.
///
/// Two timestamps are equal, and sort, by their moment alone: `10:30+00:00` equals `11:30+01:00`.
///
/// The text form is `YYYY-MM-DDTHH:MM:SS[.ffffff]+00:00`: the fraction left out where it is zero and six digits
/// otherwise, the offset its own and in hours and minutes (and seconds, in the rare case that it has any).
///
/// ```
/// use persist_core::timestamp::Timestamp;
///
/// let at = Timestamp::parse("2025-01-15 10:30Z").unwrap();
/// assert_eq!(at.to_string(), "2025-01-15T10:30:00+00:00");
/// assert_eq!(at, Timestamp::parse("2025-01-15T11:30:00.0+0100").unwrap());
/// assert_eq!(Timestamp::parse("2025-01-15").unwrap().to_string(), "2025-01-15T00:00:00+00:00");
/// assert_eq!(Timestamp::parse("20250115"), None); // an order number is not a date
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Timestamp {
    unix_micros: i64,
    offset_seconds: i32,
}

impl Timestamp {
    /// A moment in UTC, by its microseconds since 1970-01-01.
    ///
    /// A moment outside the years 1 to 9999 becomes the nearest inside: there is no text for it.
    pub fn from_unix_micros(unix_micros: i64) -> Self {
        Self { unix_micros: unix_micros.clamp(MIN_MICROS, MAX_MICROS), offset_seconds: 0 }
    }

    /// Microseconds since 1970-01-01 UTC, negative before.
    pub fn unix_micros(&self) -> i64 {
        self.unix_micros
    }

    /// How many seconds the timestamp's own clock is ahead of UTC; less than a day either way.
    pub fn offset_seconds(&self) -> i32 {
        self.offset_seconds
    }

    /// Reads an ISO 8601 date or datetime of the extended form; `None` for any other text, within a few nanoseconds.
    ///
    /// Accepted are `YYYY-MM-DD`, which is midnight UTC, and `YYYY-MM-DD`, one of `T`, `t` or a space, `HH:MM[:SS[.f…]]`
    /// (a comma does for the point), and none, `Z`, `z`, `±HH`, `±HHMM`, `±HH:MM` or `±HH:MM:SS`. No offset means UTC.
    /// Digits past the microsecond are cut. Not accepted, because a string like these may well be something else or has
    /// no moment: basic forms without separators, weeks, ordinal dates, hour 24, second 60, year 0, an offset of a day
    /// or more, and a moment that in UTC falls outside the years 1 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, clock @ ..] = text.as_bytes() else { return None };
        let year = i64::from(two(*y1, *y2)? * 100 + two(*y3, *y4)?);
        let (month, day) = (two(*m1, *m2)?, two(*d1, *d2)?);
        if year == 0 || day == 0 || day > days_in_month(year, month) {
            return None;
        }
        let days = days_from_civil(year, i64::from(month), i64::from(day));
        let (micros_of_day, offset_seconds) = if clock.is_empty() { (0, 0) } else { parse_clock(clock)? };
        let local = days * SECONDS_PER_DAY * MICROS_PER_SECOND + micros_of_day;
        let unix_micros = local - i64::from(offset_seconds) * MICROS_PER_SECOND;
        (MIN_MICROS..=MAX_MICROS).contains(&unix_micros).then_some(Self { unix_micros, offset_seconds })
    }

    /// Appends the text form. This is [`Display`](fmt::Display) without the cost of a formatter.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (text, len) = self.text();
        out.extend_from_slice(text.get(..len).unwrap_or_default());
    }

    /// The same moment and offset as the `time` crate has them.
    pub fn to_offset_date_time(&self) -> OffsetDateTime {
        // Neither fallback is reached: both ranges are those of the fields, kept by every constructor.
        let utc = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.unix_micros) * 1_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        UtcOffset::from_whole_seconds(self.offset_seconds)
            .ok()
            .and_then(|offset| utc.checked_to_offset(offset))
            .unwrap_or(utc)
    }

    /// Hands the text form to `put`.
    pub(crate) fn emit(&self, put: impl FnOnce(&str)) {
        let (text, len) = self.text();
        put(std::str::from_utf8(text.get(..len).unwrap_or_default()).unwrap_or_default());
    }

    /// The text form, and its length.
    fn text(&self) -> ([u8; MAX_TEXT_BYTES], usize) {
        let local = self.unix_micros + i64::from(self.offset_seconds) * MICROS_PER_SECOND;
        let (seconds, micros) = (local.div_euclid(MICROS_PER_SECOND), local.rem_euclid(MICROS_PER_SECOND));
        let (days, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = civil_from_days(days);
        let ([y1, y2], [y3, y4]) = (digits(year / 100), digits(year % 100));
        let ([m1, m2], [d1, d2]) = (digits(month), digits(day));
        let ([h1, h2], [n1, n2], [s1, s2]) = (digits(second / 3600), digits(second / 60 % 60), digits(second % 60));
        let sign = if self.offset_seconds < 0 { b'-' } else { b'+' };
        let offset = i64::from(self.offset_seconds).abs();
        let ([o1, o2], [p1, p2], [q1, q2]) = (digits(offset / 3600), digits(offset / 60 % 60), digits(offset % 60));
        let ([f1, f2], [f3, f4], [f5, f6]) = (digits(micros / 10_000), digits(micros / 100), digits(micros));
        // Whole arrays: put together from parts it took three times as long, and a write has four of these texts.
        let (text, len) = if micros == 0 {
            let text = [
                y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, sign, o1, o2,
                b':', p1, p2, b':', q1, q2, 0, 0, 0, 0, 0, 0, 0,
            ];
            (text, MAX_TEXT_BYTES - 7)
        } else {
            let text = [
                y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'.', f1, f2, f3,
                f4, f5, f6, sign, o1, o2, b':', p1, p2, b':', q1, q2,
            ];
            (text, MAX_TEXT_BYTES)
        };
        (text, if offset % 60 == 0 { len - 3 } else { len })
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.unix_micros == other.unix_micros
    }
}

impl Eq for Timestamp {}

impl Hash for Timestamp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.unix_micros.hash(state);
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        self.unix_micros.cmp(&other.unix_micros)
    }
}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut done = Ok(());
        self.emit(|text| done = f.write_str(text));
        done
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text).ok_or_else(|| Error::input(refusal(text)))
    }
}

/// What is cut past the microsecond is cut towards the past. An offset is kept unless it would put the date, as its own
/// clock shows it, outside the years 1 to 9999 or is a day or more: then the same moment in UTC stands for it. A moment
/// outside those years becomes the nearest inside.
impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        let micros = at.unix_timestamp_nanos().div_euclid(1_000);
        let utc = Self::from_unix_micros(i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX }));
        let offset_seconds = at.offset().whole_seconds();
        let local = utc.unix_micros + i64::from(offset_seconds) * MICROS_PER_SECOND;
        if i64::from(offset_seconds).abs() < SECONDS_PER_DAY && (MIN_MICROS..=MAX_MICROS).contains(&local) {
            Self { offset_seconds, ..utc }
        } else {
            utc
        }
    }
}

/// Taken as UTC.
impl From<PrimitiveDateTime> for Timestamp {
    fn from(at: PrimitiveDateTime) -> Self {
        at.assume_utc().into()
    }
}

/// Midnight UTC.
impl From<Date> for Timestamp {
    fn from(date: Date) -> Self {
        date.midnight().into()
    }
}

impl From<Timestamp> for OffsetDateTime {
    fn from(at: Timestamp) -> Self {
        at.to_offset_date_time()
    }
}

/// As the text form.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From any text that [`Timestamp::parse`] accepts.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ISO 8601 date or datetime")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text).ok_or_else(|| E::custom(refusal(text)))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Which strings of a record's data become timestamps in its normalized form.
///
/// The special field `timestamp` always does, whatever the policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TimestampPolicy {
    /// Every string that [`Timestamp::parse`] accepts, at any depth.
    #[default]
    All,
    /// Only the members of these names, at any depth: a string there, or strings in an array there.
    Fields(BTreeSet<String>),
    /// None: strings stay as they came.
    Off,
}

pub(crate) fn refusal(text: &str) -> String {
    let shown: String = text.chars().take(64).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{more} is no ISO 8601 date or datetime such as 2025-01-15T10:30:00+00:00")
}

/// What follows the date: the microseconds of the day, and the offset from UTC in seconds.
fn parse_clock(text: &[u8]) -> Option<(i64, i32)> {
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, rest @ ..] = text else { return None };
    let (hour, minute) = (two(*h1, *h2)?, two(*m1, *m2)?);
    let (second, micros, offset) = match rest {
        [b':', s1, s2, b'.' | b',', rest @ ..] => {
            let (micros, rest) = parse_fraction(rest)?;
            (two(*s1, *s2)?, micros, rest)
        }
        [b':', s1, s2, rest @ ..] => (two(*s1, *s2)?, 0, rest),
        rest => (0, 0, rest),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    Some((seconds * MICROS_PER_SECOND + micros, parse_offset(offset)?))
}

fn parse_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(count)?;
    if digits.is_empty() {
        return None;
    }
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0'));
    Some((padded.take(6).fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')), rest))
}

fn parse_offset(text: &[u8]) -> Option<i32> {
    let (sign, hour, minute, second) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [sign, h1, h2] => (sign, two(*h1, *h2)?, 0, 0),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, two(*h1, *h2)?, two(*m1, *m2)?, 0),
        [sign, h1, h2, b':', m1, m2, b':', s1, s2] => (sign, two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = hour * 3600 + minute * 60 + second;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn two(tens: u8, ones: u8) -> Option<i32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i32::from(tens * 10 + ones))
}

/// The two digits of a number below 100.
fn digits(number: i64) -> [u8; 2] {
    let number = (number % 100) as u8;
    [b'0' + number / 10, b'0' + number % 10]
}

fn days_in_month(year: i64, month: i32) -> i32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

// The two conversions below count years from March, so that the leap day ends a year, and in eras of 400 years, which
// are all of 146,097 days (Howard Hinnant, "chrono-compatible low-level date algorithms").

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
