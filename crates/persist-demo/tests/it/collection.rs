//! The weather, as `cargo xtask demo --collection` runs it.

use std::path::PathBuf;

use serde_json::Value;

use crate::{data, demo, text};

fn sample() -> PathBuf {
    data("weather-2013-01-week1.csv.gz")
}

#[test]
fn the_sample_is_stored_survives_the_crash_and_all_counts_agree() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let ran = demo(&["--collection", "--json", "--csv", text(&sample()), "--keep", text(&kept)]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let figures: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&figures["writes"], &figures["dates"]), (&Value::from(2971), &Value::from(7)));
    assert_eq!(figures["disagreements"], Value::Array(Vec::new()));
    assert_eq!(figures["measures"]["JFK"]["temp"]["hours"], 166);

    let crash = &figures["crash"];
    assert_eq!(crash["date"], "2013-01-04");
    // It aborts in the middle of that date, which goes to the 1,695th write; what was under way may be recovered besides.
    let figure = |name: &str| crash[name].as_u64().unwrap();
    let there = figure("flushed") + figure("recovered");
    assert!((1264..1695).contains(&figure("acknowledged")) && figure("recovered") > 0, "{crash}");
    assert!((figure("acknowledged")..=1695).contains(&there), "{crash}");
    let writes = |writers: &str| figures[writers]["writes"].as_u64().unwrap();
    let stored = writes("one_writer") + writes("many_writers");
    assert_eq!(stored, 2971 - there, "the parent stores what the child did not");

    let compared = figures["compared"].as_array().unwrap();
    assert!(compared.len() > 30 && compared.iter().all(|one| one["expected"] == one["found"]), "{compared:?}");
    for file in
        ["store/storage_history.duckdb", "store/storage_latest.duckdb", "backup/manifest.json", "restored", "earlier"]
    {
        assert!(kept.join(file).exists(), "{file}");
    }
}

#[test]
fn an_altered_value_fails_the_run_whoever_stored_it() {
    // The one by the child, the other by the parent.
    for altered in ["100", "2900"] {
        let ran = demo(&["--collection", "--csv", text(&sample()), "--alter", altered]);
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        let table = String::from_utf8(ran.stdout).unwrap();
        assert!(table.trim_end().ends_with("counts disagree"), "{table}");
        assert!(
            table.contains("disagreement: history rows in the closed files, as in the CSV: 2970 and not 2971"),
            "{table}"
        );
    }
}

#[test]
fn one_hour_at_one_airport_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("weather.csv");
    std::fs::write(
        &file,
        "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour\n\
         LGA,2013,1,1,1,NA,NA,NA,270,NA,NA,0,1012,NA,2013-01-01T06:00:00Z\n",
    )
    .unwrap();
    let ran = demo(&["--collection", "--csv", text(&file)]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert_eq!(demo(&["--collection", "--csv", text(&data("flights-2013-01-week1.csv.gz"))]).status.code(), Some(2));
}
