//! What a line of the file becomes, and what is refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

const ROW: &str = "JFK,2013,1,1,1,39.02,26.06,59.37,270,10.357019999999999,NA,0,1012,10,2013-01-01T06:00:00Z";

pub(crate) fn parsed(rows: &[&str]) -> Result<Vec<Observation>, Error> {
    let text = format!("{}\n{}\n", COLUMNS.join(","), rows.join("\n"));
    let (file, mut reading) = (Path::new("weather.csv"), Reading::default());
    rows::parse(file, text.as_bytes(), &COLUMNS, |row| reading.add(row))?;
    reading.end(file)
}

/// `ROW` with other values in some columns.
pub(crate) fn with(changes: &[(&str, &str)]) -> String {
    let fields = ROW
        .split(',')
        .zip(COLUMNS)
        .map(|(field, name)| changes.iter().find(|(column, _)| *column == name).map_or(field, |(_, value)| value));
    fields.collect::<Vec<_>>().join(",")
}

fn refusal(rows: &[&str]) -> String {
    parsed(rows).unwrap_err().to_string()
}

#[test]
fn each_measure_that_is_there_becomes_a_typed_value() {
    let all = parsed(&[&with(&[("humid", "NA")])]).unwrap();
    let found: Vec<_> = all.iter().map(|one| (one.measure, one.unit, one.value.clone())).collect();
    assert_eq!(
        found,
        [
            ("temp", "°F", Scalar::Float(39.02)),
            ("dewp", "°F", Scalar::Float(26.06)),
            ("wind_speed", "mph", Scalar::Float(10.357019999999999)),
            ("pressure", "mbar", Scalar::Int(1012)),
            ("visib", "mi", Scalar::Int(10)),
        ]
    );
    let first = &all[0];
    assert_eq!((first.airport.as_str(), first.date), ("JFK", time::macros::date!(2013 - 01 - 01)));
    assert_eq!((first.at.to_string().as_str(), first.version), ("2013-01-01T06:00:00+00:00", 1));
}

#[test]
fn observations_are_in_the_order_of_their_hours_and_count_the_versions_of_their_item() {
    let at = |airport, hour: &str| with(&[("origin", airport), ("time_hour", &format!("2013-01-01T{hour}:00:00Z"))]);
    let rows = [at("EWR", "06"), at("EWR", "07"), at("JFK", "06"), at("JFK", "07")];
    let all = parsed(&rows.each_ref().map(String::as_str)).unwrap();
    let temps: Vec<_> = all.iter().filter(|one| one.measure == "temp").collect();
    let found: Vec<_> = temps.iter().map(|one| (one.number, one.airport.as_str(), one.version)).collect();
    assert_eq!(found, [(0, "EWR", 1), (6, "JFK", 1), (12, "EWR", 2), (18, "JFK", 2)]);
}

#[test]
fn what_is_no_weather_is_refused_with_its_line() {
    assert_eq!(
        refusal(&[ROW, &with(&[("origin", "EWR"), ("temp", "warm")])]),
        "weather.csv, line 3, field temp: \"warm\" is no number"
    );
    assert_eq!(refusal(&[&with(&[("temp", "inf")])]), "weather.csv, line 2, field temp: \"inf\" is no number");
    assert_eq!(
        refusal(&[ROW, ROW]),
        "weather.csv, line 3, field time_hour: 2013-01-01T06:00:00+00:00 at JFK stands in line 2 already"
    );
    let none = ["temp", "dewp", "humid", "wind_speed", "pressure", "visib"].map(|measure| (measure, "NA"));
    assert_eq!(refusal(&[&with(&none)]), "weather.csv: holds no observation");
}
