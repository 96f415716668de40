//! The CSV file of departures, gzipped or not, as typed flights; and what each is as a record.
//!
//! A file of another form is refused with its line and field: nothing is guessed. `NA` means that a value is missing.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use csv::StringRecord;
use flate2::bufread::MultiGzDecoder;
use persist_dated::{DatedStore, Record, Timestamp};
use serde::Serialize;
use serde_json::Value;
use time::{Date, Month};

use crate::error::Error;

#[cfg(test)]
pub(crate) mod tests;

/// The header of the file.
const COLUMNS: [&str; 19] = [
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "arr_delay",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
    "distance",
    "hour",
    "minute",
    "time_hour",
];
/// A flight is late when it was over so many minutes behind.
const LATE_MINUTES: i32 = 15;

/// The flights of each date, in the order of the file.
pub(crate) type ByDate = BTreeMap<Date, Vec<Flight>>;

/// One departure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flight {
    pub(crate) date: Date,
    /// Carrier and flight number: `UA1545`. With the origin it is unique within a date.
    pub(crate) key: String,
    pub(crate) origin: String,
    pub(crate) status: Status,
    /// In minutes; missing for a flight that did not arrive where it should have.
    pub(crate) arr_delay: Option<i32>,
    pub(crate) time_hour: Timestamp,
    pub(crate) details: Details,
}

/// The fields of a row that become nothing else: the data of its record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Details {
    /// Clock times are as in the file: 517 is 5:17, 2400 midnight.
    dep_time: Option<u16>,
    sched_dep_time: u16,
    dep_delay: Option<i32>,
    arr_time: Option<u16>,
    sched_arr_time: u16,
    carrier: String,
    flight: u32,
    pub(crate) tailnum: Option<String>,
    pub(crate) dest: String,
    pub(crate) air_time: Option<u32>,
    pub(crate) distance: u32,
    hour: u8,
    minute: u8,
}

/// How a flight went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    OnTime,
    Late,
    Cancelled,
}

impl Status {
    /// A flight that never departed was cancelled. One that departed is judged by its delay at arrival. One that was
    /// diverted has none (21 of the first week): it is judged by its delay at departure, the last that is known.
    fn of(departed: bool, dep_delay: Option<i32>, arr_delay: Option<i32>) -> Self {
        match arr_delay.or(dep_delay) {
            _ if !departed => Self::Cancelled,
            Some(minutes) if minutes > LATE_MINUTES => Self::Late,
            _ => Self::OnTime,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OnTime => "on_time",
            Self::Late => "late",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Flight {
    /// Stores the flight; it is on the disk when this returns.
    pub(crate) fn store(&self, store: &DatedStore) -> Result<Arc<Record>, persist_dated::Error> {
        let mut put = store.put(&self.key).process(&self.origin).status(self.status.as_str()).timestamp(self.time_hour);
        if let Some(minutes) = self.arr_delay {
            put = put.status_int(minutes);
        }
        put.data(&self.details)
    }

    /// Whether a record is this flight, written once, with exactly its data.
    pub(crate) fn is(&self, record: &Record) -> Result<bool, Error> {
        Ok(record.version() == 1 && record.key() == self.key && record.to::<Value>()? == self.data()?)
    }

    /// The data of the flight's record as it is read back.
    fn data(&self) -> Result<Value, Error> {
        let mut data = serde_json::to_value(&self.details)?;
        if let Value::Object(fields) = &mut data {
            fields.insert("process_name".to_owned(), self.origin.as_str().into());
            fields.insert("timestamp".to_owned(), self.time_hour.to_string().into());
            fields.insert("status".to_owned(), self.status.as_str().into());
            if let Some(minutes) = self.arr_delay {
                fields.insert("status_int".to_owned(), minutes.into());
            }
        }
        Ok(data)
    }
}

/// Reads a file of departures.
pub(crate) fn read(file: &Path) -> Result<ByDate, Error> {
    let bad = |why: String| Error::Csv { file: file.to_owned(), line: None, field: None, why };
    let mut bytes = File::open(file).map(BufReader::new).map_err(|error| bad(format!("cannot open: {error}")))?;
    let start = bytes.fill_buf().map_err(|error| bad(format!("cannot read: {error}")))?;
    if start.starts_with(&[0x1f, 0x8b]) { parse(file, MultiGzDecoder::new(bytes)) } else { parse(file, bytes) }
}

fn parse(file: &Path, text: impl Read) -> Result<ByDate, Error> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let refuse = |line, field, why| Error::Csv { file: file.to_owned(), line: Some(line), field, why };
    let header = reader.headers().map_err(|error| refuse(1, None, unreadable(error)))?;
    Row { record: header, bad: &|field, why| refuse(1, field, why) }.is_header()?;

    let mut record = StringRecord::new();
    let mut flights = ByDate::new();
    let mut lines = HashMap::new();
    loop {
        let more = reader.read_record(&mut record);
        let line = record.position().map_or_else(|| reader.position().line(), csv::Position::line);
        let bad = |field, why| refuse(line, field, why);
        if !more.map_err(|error| bad(None, unreadable(error)))? {
            break;
        }
        let row = Row { record: &record, bad: &bad };
        let flight = row.flight()?;
        let id = (flight.date, flight.key.clone(), flight.origin.clone());
        if let Some(first) = lines.insert(id, line) {
            let why = format!("{} from {} stands in line {first} already", flight.key, flight.origin);
            return Err(bad(Some("flight"), why));
        }
        flights.entry(flight.date).or_default().push(flight);
    }
    if flights.is_empty() {
        return Err(Error::Csv { file: file.to_owned(), line: None, field: None, why: "holds no flight".to_owned() });
    }
    Ok(flights)
}

fn unreadable(error: csv::Error) -> String {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => format!("cannot read: {error}"),
        csv::ErrorKind::Utf8 { err, .. } => format!("is no UTF-8: {err}"),
        other => format!("is no CSV: {other:?}"),
    }
}

/// One line of the file, and how to complain of it.
struct Row<'a> {
    record: &'a StringRecord,
    bad: &'a dyn Fn(Option<&'static str>, String) -> Error,
}

impl Row<'_> {
    fn is_header(&self) -> Result<(), Error> {
        for (n, column) in COLUMNS.into_iter().enumerate() {
            match self.record.get(n) {
                Some(found) if found == column => {}
                Some(found) => return Err(self.bad(column, format!("the header has {found:?} in its place"))),
                None => return Err(self.bad(column, "the header lacks it")),
            }
        }
        self.has_no_more()
    }

    fn has_no_more(&self) -> Result<(), Error> {
        match self.record.len() {
            n if n > COLUMNS.len() => Err((self.bad)(None, format!("{n} fields in place of {}", COLUMNS.len()))),
            _ => Ok(()),
        }
    }

    fn flight(&self) -> Result<Flight, Error> {
        let details = Details {
            dep_time: self.optional("dep_time")?,
            sched_dep_time: self.number("sched_dep_time")?,
            dep_delay: self.optional("dep_delay")?,
            arr_time: self.optional("arr_time")?,
            sched_arr_time: self.number("sched_arr_time")?,
            carrier: self.text("carrier")?.to_owned(),
            flight: self.number("flight")?,
            tailnum: self.known("tailnum")?.map(str::to_owned),
            dest: self.text("dest")?.to_owned(),
            air_time: self.optional("air_time")?,
            distance: self.number("distance")?,
            hour: self.number("hour")?,
            minute: self.number("minute")?,
        };
        let arr_delay = self.optional("arr_delay")?;
        let time_hour = self.text("time_hour")?;
        self.has_no_more()?;
        Ok(Flight {
            date: self.date()?,
            key: format!("{}{}", details.carrier, details.flight),
            origin: self.text("origin")?.to_owned(),
            status: Status::of(details.dep_time.is_some(), details.dep_delay, arr_delay),
            arr_delay,
            time_hour: Timestamp::parse(time_hour)
                .ok_or_else(|| self.bad("time_hour", format!("{time_hour:?} is no ISO 8601 time")))?,
            details,
        })
    }

    fn date(&self) -> Result<Date, Error> {
        let month: u8 = self.number("month")?;
        let month = Month::try_from(month).map_err(|_| self.bad("month", format!("{month} is no month")))?;
        let (year, day) = (self.number("year")?, self.number("day")?);
        if !(1..=9999).contains(&year) {
            return Err(self.bad("year", format!("{year} has not four digits")));
        }
        Date::from_calendar_date(year, month, day)
            .map_err(|_| self.bad("day", format!("{month} {year} has no day {day}")))
    }

    /// The text of a field that may be missing.
    fn known(&self, column: &'static str) -> Result<Option<&str>, Error> {
        let field = COLUMNS.iter().position(|name| *name == column).and_then(|n| self.record.get(n));
        match field {
            None => Err(self.bad(column, format!("is not there: the line has {} fields", self.record.len()))),
            Some("") => Err(self.bad(column, "is empty")),
            Some("NA") => Ok(None),
            Some(text) => Ok(Some(text)),
        }
    }

    fn text(&self, column: &'static str) -> Result<&str, Error> {
        self.known(column)?.ok_or_else(|| self.bad(column, "must not be missing (NA)"))
    }

    fn optional<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, Error>
    where
        T::Err: fmt::Display,
    {
        let parse = |text: &str| text.parse().map_err(|error| self.bad(column, format!("{text:?}: {error}")));
        self.known(column)?.map(parse).transpose()
    }

    fn number<T: FromStr>(&self, column: &'static str) -> Result<T, Error>
    where
        T::Err: fmt::Display,
    {
        self.optional(column)?.ok_or_else(|| self.bad(column, "must not be missing (NA)"))
    }

    fn bad(&self, field: &'static str, why: impl Into<String>) -> Error {
        (self.bad)(Some(field), why.into())
    }
}
