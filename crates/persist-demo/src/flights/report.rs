//! What the run measured: as a table for people, as JSON for programs.

use std::path::PathBuf;

use serde::Serialize;

use crate::checks::Checks;
use crate::child::Crash;
use crate::flights::answer::Answer;
use crate::flights::exported::Exported;
use crate::flights::run::MANY;
use crate::table::{self, aligned, count};
use crate::writers::Writes;

#[cfg(test)]
mod tests;

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) csv: PathBuf,
    pub(crate) dates: usize,
    pub(crate) flights: usize,
    pub(crate) records_stored: usize,
    /// Durable writes by one writer; none if the file is that small.
    pub(crate) one_writer: Option<Writes>,
    /// Durable writes by several.
    pub(crate) many_writers: Option<Writes>,
    pub(crate) crash: Option<Crash>,
    pub(crate) rows_in_duckdb: usize,
    pub(crate) exported: Exported,
    pub(crate) airports: Answer,
    #[serde(flatten)]
    pub(crate) checks: Checks,
    /// Where the stores are, if they were to be kept.
    pub(crate) kept: Option<PathBuf>,
    pub(crate) seconds: f64,
}

/// Two plain tables, and as last line whether all counts agree.
pub(crate) fn table(outcome: &Outcome) -> String {
    let mut figures = vec![[
        "records stored".to_owned(),
        count(outcome.records_stored),
        format!("of {} flights, on {} dates, in {:.1} s", count(outcome.flights), outcome.dates, outcome.seconds),
    ]];
    for (writers, writes) in [(1, &outcome.one_writer), (MANY, &outcome.many_writers)] {
        figures.push(table::writes(writers, writes.as_ref(), "flights"));
    }
    figures.extend(outcome.crash.iter().flat_map(table::crash));
    let duckdb = format!("in {} closed files", outcome.dates);
    figures.push(["rows in DuckDB".to_owned(), count(outcome.rows_in_duckdb), duckdb]);

    let parquet = format!("in {} Parquet files", count(outcome.exported.files));
    figures.push(["rows exported".to_owned(), count(outcome.exported.rows), parquet]);

    let mut airports = vec![["airport", "flights", "late", "", "cancelled", "mean delay"].map(str::to_owned)];
    for (code, airport) in &outcome.airports.0 {
        airports.push([
            code.clone(),
            count(airport.flights),
            count(airport.late),
            format!("{:.1} %", 100.0 * airport.late as f64 / airport.flights as f64),
            count(airport.cancelled),
            match airport.arrived {
                0 => "-".to_owned(),
                arrived => format!("{:.1} min", airport.delay_minutes as f64 / arrived as f64),
            },
        ]);
    }

    let mut text = aligned(&figures, &[false, true, false]);
    text += "\nlate flights by airport\n";
    text += &aligned(&airports, &[false, true, true, true, true, true]);
    text.push('\n');
    text + &table::verdict(outcome.kept.as_deref(), &outcome.checks)
}
