//! Every form a line can take, and each refusal, word for word.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use time::macros::date;

use super::*;

const ROW: &str = "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z";

fn parsed(rows: &[&str]) -> Result<ByDate, Error> {
    parse("flights.csv", &format!("{}\n{}\n", COLUMNS.join(","), rows.join("\n")))
}

fn parse(file: &str, text: &str) -> Result<ByDate, Error> {
    let (file, mut reading) = (Path::new(file), Reading::default());
    rows::parse(file, text.as_bytes(), &COLUMNS, |row| reading.add(row))?;
    reading.end(file)
}

/// So many flights of one date, for other tests.
pub(crate) fn some(number: usize) -> Vec<Flight> {
    let rows: Vec<String> = (1..=number).map(|n| with("flight", &n.to_string())).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    parsed(&rows).unwrap().into_values().flatten().collect()
}

fn refusal(rows: &[&str]) -> String {
    parsed(rows).unwrap_err().to_string()
}

/// `ROW` with another value in one column.
fn with(column: &str, value: &str) -> String {
    let fields = ROW.split(',').zip(COLUMNS).map(|(field, name)| if name == column { value } else { field });
    fields.collect::<Vec<_>>().join(",")
}

#[test]
fn a_row_becomes_a_typed_flight() {
    let flights = parsed(&[ROW]).unwrap();
    let flight = &flights[&date!(2013 - 01 - 01)][0];
    assert_eq!((flight.key.as_str(), flight.origin.as_str()), ("UA1545", "EWR"));
    assert_eq!((flight.status, flight.arr_delay), (Status::OnTime, Some(11)));
    assert_eq!(
        flight.data().unwrap(),
        json!({
            "dep_time": 517, "sched_dep_time": 515, "dep_delay": 2, "arr_time": 830, "sched_arr_time": 819,
            "carrier": "UA", "flight": 1545, "tailnum": "N14228", "dest": "IAH", "air_time": 227, "distance": 1400,
            "hour": 5, "minute": 15, "process_name": "EWR", "status": "on_time", "status_int": 11,
            "timestamp": "2013-01-01T10:00:00+00:00",
        })
    );
}

#[test]
fn the_date_is_the_rows_and_not_that_of_the_time() {
    let flights = parsed(&[&with("time_hour", "2013-01-02T03:00:00Z")]).unwrap();
    assert_eq!(flights.keys().collect::<Vec<_>>(), [&date!(2013 - 01 - 01)]);
}

#[test]
fn missing_values_are_missing_in_the_record() {
    let flights = parsed(&[&with("tailnum", "NA")]).unwrap();
    assert_eq!(flights[&date!(2013 - 01 - 01)][0].data().unwrap()["tailnum"], json!(null));
}

#[test]
fn a_flight_is_late_after_15_minutes_and_cancelled_if_it_never_left() {
    for (departed, dep_delay, arr_delay, expected) in [
        (true, Some(0), Some(15), Status::OnTime),
        (true, Some(0), Some(16), Status::Late),
        (true, Some(100), Some(-3), Status::OnTime),
        (true, Some(15), None, Status::OnTime),
        (true, Some(16), None, Status::Late),
        (true, None, None, Status::OnTime),
        (false, None, None, Status::Cancelled),
    ] {
        assert_eq!(Status::of(departed, dep_delay, arr_delay), expected, "{departed} {dep_delay:?} {arr_delay:?}");
    }
}

#[test]
fn a_bad_field_is_refused_with_its_line() {
    for (column, value, why) in [
        ("month", "13", "13 is no month"),
        ("day", "32", "January 2013 has no day 32"),
        ("year", "20130", "20130 has not four digits"),
        ("dep_time", "5:17", "\"5:17\": invalid digit found in string"),
        ("sched_dep_time", "NA", "must not be missing (NA)"),
        ("arr_delay", "", "is empty"),
        ("origin", "NA", "must not be missing (NA)"),
        ("distance", "-1", "\"-1\": invalid digit found in string"),
        ("time_hour", "yesterday", "\"yesterday\" is no ISO 8601 time"),
    ] {
        let message = refusal(&[ROW, &with(column, value)]);
        assert_eq!(message, format!("flights.csv, line 3, field {column}: {why}"));
    }
}

#[test]
fn a_line_of_another_length_is_refused() {
    let short = refusal(&["2013,1,1,517"]);
    assert_eq!(short, "flights.csv, line 2, field sched_dep_time: is not there: the line has 4 fields");
    assert_eq!(refusal(&[&format!("{ROW},7")]), "flights.csv, line 2: 20 fields in place of 19");
}

#[test]
fn a_flight_that_stands_twice_is_refused() {
    let message = refusal(&[ROW, &with("origin", "JFK"), &with("day", "2"), &with("dest", "ORD")]);
    assert_eq!(message, "flights.csv, line 5, field flight: UA1545 from EWR stands in line 2 already");
}

#[test]
fn another_header_is_refused() {
    let refusal = |text: &str| parse("f", text).unwrap_err().to_string();
    assert_eq!(refusal("year,month,date\n"), "f, line 1, field day: the header has \"date\" in its place");
    assert_eq!(refusal("year,month\n"), "f, line 1, field day: the header lacks it");
    assert_eq!(refusal(""), "f, line 1, field year: the header lacks it");
    assert_eq!(refusal(&format!("{}\n", COLUMNS.join(","))), "f: holds no flight");
}

#[test]
fn a_file_is_read_plain_and_gzipped_and_a_cut_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{}\n{ROW}\n", COLUMNS.join(","));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let file = dir.path().join("flights");
    let read_back = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        read(&file)
    };
    let plain = read_back(text.as_bytes()).unwrap();
    assert_eq!(read_back(&packed).unwrap(), plain);
    let cut = read_back(&packed[..packed.len() - 12]).unwrap_err();
    assert!(cut.to_string().contains(": cannot read: "), "{cut}");
}
