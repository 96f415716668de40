//! The CSV file of the weather as observations, in the order in which they are written; and what each is as a record.
//!
//! A number that the file gives without a fraction becomes an integer, any other a float: so the type of an item's value
//! changes from hour to hour, as the collection store allows, and its number is `coalesce(value_float, value_int)`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use persist_collection::{CollectionStore, Scalar, Timestamp};
use serde_json::json;
use time::Date;

use crate::error::Error;
use crate::rows::{self, Row};

#[cfg(test)]
pub(crate) mod tests;

/// The collection of every airport.
pub(crate) const COLLECTION: &str = "weather";
/// The header of the file.
const COLUMNS: [&str; 15] = [
    "origin",
    "year",
    "month",
    "day",
    "hour",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
    "time_hour",
];
/// The columns that become items, each with the unit of its numbers.
const MEASURES: [(&str, &str); 6] =
    [("temp", "°F"), ("dewp", "°F"), ("humid", "%"), ("wind_speed", "mph"), ("pressure", "mbar"), ("visib", "mi")];

/// What an airport measured in an hour: one write.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observation {
    /// Its place in the order of the writes, from 0.
    pub(crate) number: usize,
    /// The row's date, by the clocks of New York.
    pub(crate) date: Date,
    pub(crate) airport: String,
    pub(crate) measure: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: Scalar,
    pub(crate) at: Timestamp,
    /// How many writes of its item there are up to this one.
    pub(crate) version: u32,
}

impl Observation {
    /// Stores a value in the observation's place; it is on the disk when this returns.
    pub(crate) fn store(&self, store: &CollectionStore, value: &Scalar) -> Result<(), Error> {
        let put = store.put(&self.airport).collection(COLLECTION).item(self.measure);
        put.value(value.clone()).timestamp(self.at).data(&json!({"unit": self.unit}))?;
        Ok(())
    }

    /// The airport and the measure, which make the item.
    pub(crate) fn item(&self) -> (&str, &str) {
        (&self.airport, self.measure)
    }
}

/// Reads a file of weather: the observations of each date, in the order of their hours.
pub(crate) fn read(file: &Path) -> Result<Vec<Observation>, Error> {
    let mut reading = Reading::default();
    rows::read(file, &COLUMNS, |row| reading.add(row))?;
    reading.end(file)
}

/// The dates, in order, with the observations of each.
pub(crate) fn dates(all: &[Observation]) -> Vec<(Date, &[Observation])> {
    let dates = all.chunk_by(|a, b| a.date == b.date);
    dates.filter_map(|observations| Some((observations.first()?.date, observations))).collect()
}

/// What was read so far.
#[derive(Debug, Default)]
struct Reading {
    dates: BTreeMap<Date, Vec<Observation>>,
    /// The line of each airport and hour.
    lines: HashMap<(String, i64), u64>,
}

impl Reading {
    fn add(&mut self, row: &Row) -> Result<(), Error> {
        let (airport, date, at) = (row.text("origin")?, row.date()?, row.moment("time_hour")?);
        if let Some(first) = self.lines.insert((airport.to_owned(), at.unix_micros()), row.line) {
            return Err(row.bad("time_hour", format!("{at} at {airport} stands in line {first} already")));
        }
        let observations = self.dates.entry(date).or_default();
        for (measure, unit) in MEASURES {
            let Some(value) = value(row, measure)? else { continue };
            let airport = airport.to_owned();
            observations.push(Observation { number: 0, date, airport, measure, unit, value, at, version: 0 });
        }
        Ok(())
    }

    fn end(self, file: &Path) -> Result<Vec<Observation>, Error> {
        let mut all = Vec::new();
        for mut observations in self.dates.into_values() {
            observations.sort_by_key(|observation| observation.at.unix_micros());
            all.append(&mut observations);
        }
        let mut versions: HashMap<(String, &str), u32> = HashMap::new();
        for (number, observation) in all.iter_mut().enumerate() {
            let version = versions.entry((observation.airport.clone(), observation.measure)).or_default();
            *version += 1;
            (observation.number, observation.version) = (number, *version);
        }
        if all.is_empty() { Err(rows::refusal(file, "holds no observation")) } else { Ok(all) }
    }
}

fn value(row: &Row, measure: &'static str) -> Result<Option<Scalar>, Error> {
    let Some(text) = row.known(measure)? else { return Ok(None) };
    if let Ok(whole) = text.parse() {
        return Ok(Some(Scalar::Int(whole)));
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Some(Scalar::Float(value))),
        _ => Err(row.bad(measure, format!("{text:?} is no number"))),
    }
}
