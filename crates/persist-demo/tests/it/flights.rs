//! The departures, as `cargo xtask demo` runs it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{data, demo, text};

const HEADER: &str = "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,\
                      flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour";
const ROW: &str = "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z";

fn sample() -> PathBuf {
    data("flights-2013-01-week1.csv.gz")
}

fn written(dir: &Path, rows: &[&str]) -> PathBuf {
    let file = dir.join("flights.csv");
    fs::write(&file, format!("{HEADER}\n{}\n", rows.join("\n"))).unwrap();
    file
}

#[test]
fn the_sample_is_stored_survives_the_crash_and_all_counts_agree() {
    let ran = demo(&["--json", "--csv", text(&sample())]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
    let figures: Value = serde_json::from_slice(&ran.stdout).unwrap();
    for (name, expected) in [("flights", 6099), ("records_stored", 6099), ("rows_in_duckdb", 6099), ("dates", 7)] {
        assert_eq!(figures[name], expected, "{name}");
    }
    let late = ["EWR", "JFK", "LGA"].map(|airport| figures["airports"][airport]["late"].as_i64().unwrap());
    assert_eq!(late, [592, 414, 291]);
    assert_eq!(figures["disagreements"], Value::Array(Vec::new()));

    let exported = &figures["exported"];
    assert_eq!((&exported["rows"], &exported["files"]), (&Value::from(6099), &Value::from(21)), "{exported}");

    let crash = &figures["crash"];
    assert_eq!(crash["date"], "2013-01-04");
    // It aborts in the middle of the date's 915 flights; what was under way may be recovered besides.
    let (acknowledged, recovered) = (crash["acknowledged"].as_u64().unwrap(), crash["recovered"].as_u64().unwrap());
    assert!(acknowledged >= 458, "{crash}");
    assert!((acknowledged..=610).contains(&recovered), "the child was given 610: {crash}");

    let (one, many) = (&figures["one_writer"], &figures["many_writers"]);
    assert_eq!((&one["writers"], &many["writers"]), (&Value::from(1), &Value::from(8)));
    let writes = one["writes"].as_u64().unwrap() + many["writes"].as_u64().unwrap();
    assert_eq!(writes, 6099 - recovered, "the parent stores what the child did not");
    for measured in [one, many] {
        assert!(measured["per_second"].as_f64().unwrap() > 0.0, "{measured}");
        assert!(measured["p50_micros"].as_f64().unwrap() <= measured["p99_micros"].as_f64().unwrap(), "{measured}");
    }
}

#[test]
fn a_broken_file_is_refused_with_line_and_field() {
    let dir = tempfile::tempdir().unwrap();
    let file = written(dir.path(), &[ROW, &ROW.replace(",515,", ",5:15,")]);
    let ran = demo(&["--csv", text(&file)]);
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    let expected =
        format!("error: {}, line 3, field sched_dep_time: \"5:15\": invalid digit found in string\n", text(&file));
    assert_eq!(String::from_utf8_lossy(&ran.stderr), expected);
    assert_eq!(demo(&["--csv", text(&dir.path().join("absent"))]).status.code(), Some(2));
}

#[test]
fn one_date_is_measured_with_both_numbers_of_writers_and_kept_where_asked() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (1..=60).map(|n| ROW.replace("1545", &n.to_string())).collect();
    let file = written(dir.path(), &rows.iter().map(String::as_str).collect::<Vec<_>>());
    let kept = dir.path().join("stores");
    let ran = demo(&["--csv", text(&file), "--keep", text(&kept)]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let table = String::from_utf8(ran.stdout).unwrap();
    assert!(table.ends_with("\nall counts agree\n"), "{table}");
    assert!(!table.contains("too few flights"), "{table}");
    assert!(kept.join("2013-01-01/data.duckdb").is_file());

    let again = demo(&["--csv", text(&file), "--keep", text(&kept)]);
    assert_eq!(again.status.code(), Some(2), "{again:?}");
    let expected = format!("error: --keep {}: is not empty\n", text(&kept));
    assert_eq!(String::from_utf8_lossy(&again.stderr), expected);
}

#[test]
fn a_single_flight_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let ran = demo(&["--csv", text(&written(dir.path(), &[ROW]))]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
}
