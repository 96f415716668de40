//! The CSV file of departures as typed flights; and what each is as a record.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use persist_dated::{DatedStore, Record, Timestamp};
use serde::Serialize;
use serde_json::Value;
use time::Date;

use crate::error::Error;
use crate::rows::{self, Row};

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

    fn from_row(row: &Row) -> Result<Self, Error> {
        let details = Details {
            dep_time: row.optional("dep_time")?,
            sched_dep_time: row.number("sched_dep_time")?,
            dep_delay: row.optional("dep_delay")?,
            arr_time: row.optional("arr_time")?,
            sched_arr_time: row.number("sched_arr_time")?,
            carrier: row.text("carrier")?.to_owned(),
            flight: row.number("flight")?,
            tailnum: row.known("tailnum")?.map(str::to_owned),
            dest: row.text("dest")?.to_owned(),
            air_time: row.optional("air_time")?,
            distance: row.number("distance")?,
            hour: row.number("hour")?,
            minute: row.number("minute")?,
        };
        let arr_delay = row.optional("arr_delay")?;
        Ok(Self {
            date: row.date()?,
            key: format!("{}{}", details.carrier, details.flight),
            origin: row.text("origin")?.to_owned(),
            status: Status::of(details.dep_time.is_some(), details.dep_delay, arr_delay),
            arr_delay,
            time_hour: row.moment("time_hour")?,
            details,
        })
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
    let mut reading = Reading::default();
    rows::read(file, &COLUMNS, |row| reading.add(row))?;
    reading.end(file)
}

/// What was read so far.
#[derive(Debug, Default)]
struct Reading {
    flights: ByDate,
    /// The line of each flight.
    lines: HashMap<(Date, String, String), u64>,
}

impl Reading {
    fn add(&mut self, row: &Row) -> Result<(), Error> {
        let flight = Flight::from_row(row)?;
        let id = (flight.date, flight.key.clone(), flight.origin.clone());
        if let Some(first) = self.lines.insert(id, row.line) {
            let why = format!("{} from {} stands in line {first} already", flight.key, flight.origin);
            return Err(row.bad("flight", why));
        }
        self.flights.entry(flight.date).or_default().push(flight);
        Ok(())
    }

    fn end(self, file: &Path) -> Result<ByDate, Error> {
        if self.flights.is_empty() { Err(rows::refusal(file, "holds no flight")) } else { Ok(self.flights) }
    }
}
