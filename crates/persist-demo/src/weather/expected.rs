//! What the store has to hold and to answer, by plain Rust over the observations.

use std::collections::BTreeMap;

use persist_collection::{Scalar, Timestamp};
use serde::{Deserialize, Serialize};

use crate::weather::observation::{COLLECTION, Observation};

/// A row of either table, as everyone who is asked gives it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Row {
    pub(crate) airport: String,
    pub(crate) collection: String,
    pub(crate) measure: String,
    pub(crate) version: u32,
    pub(crate) value_int: Option<i64>,
    pub(crate) value_float: Option<f64>,
    pub(crate) value_string: Option<String>,
    pub(crate) unit: Option<String>,
    /// The timestamp, in microseconds since 1970.
    pub(crate) micros: Option<i64>,
}

/// What was observed of one item, in numbers that are the same in whatever order they are added.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measure {
    pub(crate) hours: u64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
    /// The sum of the values, each rounded to hundredths, times 100.
    pub(crate) hundredths: i64,
}

/// By airport and measure.
pub(crate) type Measures = BTreeMap<String, BTreeMap<String, Measure>>;

/// The rows of `storage_history`, by item and version.
pub(crate) fn history(all: &[Observation]) -> Vec<Row> {
    let mut rows: Vec<Row> = all.iter().map(|observation| row(observation, observation.version)).collect();
    rows.sort_by(|a, b| (&a.airport, &a.measure, a.version).cmp(&(&b.airport, &b.measure, b.version)));
    rows
}

/// The rows of `storage_latest`, by item.
pub(crate) fn latest(all: &[Observation]) -> Vec<Row> {
    newest(all).into_values().map(|observation| row(observation, 1)).collect()
}

/// The values of all items as they stood at a moment.
pub(crate) fn as_of(all: &[Observation], moment: Timestamp) -> BTreeMap<(&str, &str), &Scalar> {
    let until = all.iter().filter(|observation| observation.at.unix_micros() <= moment.unix_micros());
    newest(until).into_iter().map(|(item, observation)| (item, &observation.value)).collect()
}

/// The lowest and highest values of each item, and their sum.
pub(crate) fn measures(all: &[Observation]) -> Measures {
    let mut measures = Measures::new();
    for observation in all {
        let value = number(&observation.value);
        let measure = measures.entry(observation.airport.clone()).or_default();
        let none = Measure { hours: 0, lowest: f64::INFINITY, highest: f64::NEG_INFINITY, hundredths: 0 };
        let measure = measure.entry(observation.measure.to_owned()).or_insert(none);
        measure.hours += 1;
        measure.lowest = measure.lowest.min(value);
        measure.highest = measure.highest.max(value);
        measure.hundredths += (value * 100.0).round() as i64;
    }
    measures
}

/// A value as a number. The file has no other.
pub(crate) fn number(value: &Scalar) -> f64 {
    match value {
        Scalar::Int(whole) => *whole as f64,
        Scalar::Float(value) => *value,
        Scalar::Text(_) => f64::NAN,
    }
}

/// Of each item the last that was written.
pub(crate) fn newest<'a>(
    all: impl IntoIterator<Item = &'a Observation>,
) -> BTreeMap<(&'a str, &'a str), &'a Observation> {
    all.into_iter().map(|observation| (observation.item(), observation)).collect()
}

/// The row of an observation.
pub(crate) fn row(observation: &Observation, version: u32) -> Row {
    let (value_int, value_float) = match &observation.value {
        Scalar::Int(whole) => (Some(*whole), None),
        Scalar::Float(value) => (None, Some(*value)),
        Scalar::Text(_) => (None, None),
    };
    Row {
        airport: observation.airport.clone(),
        collection: COLLECTION.to_owned(),
        measure: observation.measure.to_owned(),
        version,
        value_int,
        value_float,
        value_string: None,
        unit: Some(observation.unit.to_owned()),
        micros: Some(observation.at.unix_micros()),
    }
}
