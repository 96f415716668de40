//! Several dates at once, each by a process of its own, then one question to all of their databases.
//!
//! ```sh
//! cargo run -p persist-dated --example dates
//! ```
//!
//! A folder may be named behind `--`; else it is `target/example-dates`. What stands there from an earlier run is
//! removed.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use duckdb::Connection;
use persist_dated::{DatedConfig, DatedStore};
use persist_test_utils::example_folder;
use serde_json::json;

const DATES: [&str; 3] = ["2025-01-13", "2025-01-14", "2025-01-15"];
const SENSORS: u32 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [word, date, dir] if word == "one-date" => store_one_date(date, Path::new(dir)),
        _ => all_dates(&example_folder(args.into_iter().next(), "dates")?),
    }
}

/// The child: one date.
fn store_one_date(date: &str, dir: &Path) -> Result<(), Box<dyn Error>> {
    let store = DatedStore::open(date, DatedConfig::new(dir))?;
    let day = u32::from(store.date().day());
    for sensor in 0..SENSORS {
        let reading =
            json!({"celsius": f64::from(sensor + day) / 2.0, "process_name": format!("station{}", sensor % 2)});
        store.store(&format!("sensor_{sensor:02}"), &reading)?;
    }
    store.close()?;
    println!("process {} has stored {date}", std::process::id());
    Ok(())
}

fn all_dates(dir: &Path) -> Result<(), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let mut children: Vec<(&str, Child)> = Vec::new();
    for date in DATES {
        let _ = fs::remove_dir_all(dir.join(date));
        children.push((date, Command::new(&program).args(["one-date", date]).arg(dir).spawn()?));
    }
    for (date, mut child) in children {
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("the process of {date} ended with {status}").into());
        }
    }

    // The stores are closed, so their databases are plain files that any DuckDB may open. Of a store in use only its
    // own process asks, with `query`.
    let connection = Connection::open_in_memory()?;
    let mut selects = Vec::new();
    for (number, date) in DATES.iter().enumerate() {
        let file = dir.join(date).join("data.duckdb");
        let file = file.to_str().ok_or("the folder's name is not Unicode")?.replace('\'', "''");
        connection.execute_batch(&format!("ATTACH '{file}' AS day{number} (READ_ONLY)"))?;
        selects.push(format!("SELECT DATE '{date}' AS date, * FROM day{number}.storage"));
    }
    let question = format!(
        "SELECT date::VARCHAR, count(*), avg((data->>'celsius')::DOUBLE) FROM ({}) GROUP BY date ORDER BY date",
        selects.join(" UNION ALL ")
    );
    let mut statement = connection.prepare(&question)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let found: Vec<(String, u32, f64)> = rows.collect::<Result<_, _>>()?;
    for (date, records, celsius) in &found {
        println!("{date}: {records} records, {celsius:.2} degrees on average");
    }
    let complete =
        found.iter().map(|(date, records, _)| (date.as_str(), *records)).eq(DATES.map(|date| (date, SENSORS)));
    if complete { Ok(()) } else { Err("not all records of all dates were found".into()) }
}
