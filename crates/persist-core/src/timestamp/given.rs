//! What dates and timestamps may be given as.

use time::{Date, OffsetDateTime, PrimitiveDateTime};

use super::Timestamp;
use crate::error::{Error, Result};

/// A date as folders are named by it: `2025-01-15`.
pub fn date_text(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// A date, or something with a date in it.
pub trait IntoDate {
    /// The date: of a moment, the one in its own offset.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) for a text that is no ISO 8601 date or time.
    fn into_date(self) -> Result<Date>;
}

impl IntoDate for Date {
    fn into_date(self) -> Result<Date> {
        Ok(self)
    }
}

impl IntoDate for OffsetDateTime {
    fn into_date(self) -> Result<Date> {
        Ok(self.date())
    }
}

impl IntoDate for PrimitiveDateTime {
    fn into_date(self) -> Result<Date> {
        Ok(self.date())
    }
}

impl IntoDate for Timestamp {
    fn into_date(self) -> Result<Date> {
        Ok(self.to_offset_date_time().date())
    }
}

impl IntoDate for &str {
    fn into_date(self) -> Result<Date> {
        match Timestamp::parse(self) {
            Some(moment) => moment.into_date(),
            None => Err(Error::input(format!("date: {self:?} is neither an ISO date (2025-01-15) nor an ISO time"))),
        }
    }
}

impl IntoDate for &String {
    fn into_date(self) -> Result<Date> {
        self.as_str().into_date()
    }
}

/// A timestamp, or something that is one.
pub trait IntoTimestamp {
    /// The moment; UTC where no offset is named.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) for a text that is no ISO 8601 date or time.
    fn into_timestamp(self) -> Result<Timestamp>;
}

impl IntoTimestamp for &str {
    fn into_timestamp(self) -> Result<Timestamp> {
        Timestamp::parse(self).ok_or_else(|| Error::input(format!("timestamp: {self:?} is no ISO 8601 date or time")))
    }
}

macro_rules! into_timestamp {
    ($($moment:ty),*) => {
        $(impl IntoTimestamp for $moment {
            fn into_timestamp(self) -> Result<Timestamp> {
                Ok(self.into())
            }
        })*
    };
}

into_timestamp!(Timestamp, OffsetDateTime, PrimitiveDateTime, Date);
