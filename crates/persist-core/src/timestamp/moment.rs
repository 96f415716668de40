//! For `#[serde(with = "…::timestamp::moment")]`: a date or time of the `time` crate as a timestamp.
//!
//! Kept true: what is written is the normalized text, so the policy of the store changes nothing about it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use super::Timestamp;

/// A type that [`serialize`] and [`deserialize`] take: `OffsetDateTime`, `PrimitiveDateTime`, `Date`, [`Timestamp`], or
/// an `Option` of one.
pub trait Moment: Sized {
    /// The timestamp to write; `None` for `null`.
    ///
    /// # Errors
    /// What can't be written: a year before 1.
    fn to_timestamp(&self) -> Result<Option<Timestamp>, &'static str>;

    /// From the timestamp that was read; `None` from `null`.
    ///
    /// # Errors
    /// Why it is no such value.
    fn from_timestamp(at: Option<Timestamp>) -> Result<Self, &'static str>;
}

/// Writes a moment as `2025-01-15T10:30:00+00:00`, `None` as `null`.
///
/// An `OffsetDateTime` keeps its offset, a `PrimitiveDateTime` is in UTC, a `Date` is midnight UTC. What is finer than a
/// microsecond is cut.
///
/// ```
/// use persist_core::timestamp::moment;
/// use time::macros::{date, datetime};
/// use time::{Date, OffsetDateTime};
///
/// #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
/// struct Task {
///     #[serde(with = "moment")]
///     begun: OffsetDateTime,
///     #[serde(with = "moment", default)] // may be left out
///     due: Option<Date>,
/// }
///
/// let task = Task { begun: datetime!(2025-01-15 10:30 +1), due: Some(date!(2025 - 02 - 01)) };
/// let json = serde_json::to_string(&task)?;
/// assert_eq!(json, r#"{"begun":"2025-01-15T10:30:00+01:00","due":"2025-02-01T00:00:00+00:00"}"#);
/// assert_eq!(serde_json::from_str::<Task>(&json)?, task);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// For a year before 1, of the offset or of UTC, or after 9999 in UTC, which has no text.
pub fn serialize<T: Moment, S: Serializer>(moment: &T, serializer: S) -> Result<S::Ok, S::Error> {
    moment.to_timestamp().map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// Reads a moment from any text that [`Timestamp::parse`] accepts, and `None` from `null`.
///
/// A `PrimitiveDateTime` is the moment in UTC, a `Date` the date in the text's own offset.
///
/// # Errors
/// For any other text; for `null` where it is no `Option`; for a `Date` where the text names a time of day besides
/// midnight.
pub fn deserialize<'de, T: Moment, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::from_timestamp(Option::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

const ABSENT: &str = "null stands where a timestamp is wanted";

impl Moment for Timestamp {
    fn to_timestamp(&self) -> Result<Option<Timestamp>, &'static str> {
        Ok(Some(*self))
    }

    fn from_timestamp(at: Option<Timestamp>) -> Result<Self, &'static str> {
        at.ok_or(ABSENT)
    }
}

impl Moment for OffsetDateTime {
    fn to_timestamp(&self) -> Result<Option<Timestamp>, &'static str> {
        let utc = self.checked_to_offset(UtcOffset::UTC).map_or(0, OffsetDateTime::year);
        let writable = self.year() > 0 && utc > 0;
        writable.then(|| Some((*self).into())).ok_or("a timestamp has a year from 1 to 9999, in UTC too")
    }

    fn from_timestamp(at: Option<Timestamp>) -> Result<Self, &'static str> {
        Timestamp::from_timestamp(at).map(Into::into)
    }
}

impl Moment for PrimitiveDateTime {
    fn to_timestamp(&self) -> Result<Option<Timestamp>, &'static str> {
        self.assume_utc().to_timestamp()
    }

    fn from_timestamp(at: Option<Timestamp>) -> Result<Self, &'static str> {
        let utc = OffsetDateTime::from_timestamp(at)?.to_offset(UtcOffset::UTC);
        Ok(Self::new(utc.date(), utc.time()))
    }
}

impl Moment for Date {
    fn to_timestamp(&self) -> Result<Option<Timestamp>, &'static str> {
        self.midnight().to_timestamp()
    }

    fn from_timestamp(at: Option<Timestamp>) -> Result<Self, &'static str> {
        let at = OffsetDateTime::from_timestamp(at)?;
        (at.time() == Time::MIDNIGHT).then(|| at.date()).ok_or("a time of day stands where a date is wanted")
    }
}

impl<T: Moment> Moment for Option<T> {
    fn to_timestamp(&self) -> Result<Option<Timestamp>, &'static str> {
        self.as_ref().map_or(Ok(None), Moment::to_timestamp)
    }

    fn from_timestamp(at: Option<Timestamp>) -> Result<Self, &'static str> {
        at.map(|at| T::from_timestamp(Some(at))).transpose()
    }
}
