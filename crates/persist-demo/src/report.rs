//! What the run measured: as a table for people, as JSON for programs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Serialize, Serializer};
use time::Date;

use crate::answer::{Answer, Checks};
use crate::error::Error;
use crate::exported::Exported;
use crate::run::MANY;

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

/// Durable writes by a number of writers.
#[derive(Debug, Serialize)]
pub(crate) struct Writes {
    pub(crate) writers: usize,
    pub(crate) writes: usize,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
}

/// What the child left, and what became of it.
#[derive(Debug, Serialize)]
pub(crate) struct Crash {
    #[serde(serialize_with = "as_text")]
    pub(crate) date: Date,
    pub(crate) acknowledged: usize,
    pub(crate) recovered: u64,
    /// What was read of the log, its fill included.
    pub(crate) log_bytes: u64,
    /// The torn tail, if there is one.
    pub(crate) left_out_bytes: u64,
    pub(crate) recovery_seconds: f64,
    pub(crate) recovered_per_second: f64,
    /// Opening the store, recovery included.
    pub(crate) opened_in_seconds: f64,
}

fn as_text<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

impl Outcome {
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.checks.disagreements.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// One JSON object on one line.
pub(crate) fn json(outcome: &Outcome) -> Result<String, Error> {
    Ok(serde_json::to_string(outcome)?)
}

/// Two plain tables, and as last line whether all counts agree.
pub(crate) fn table(outcome: &Outcome) -> String {
    let mut figures = vec![[
        "records stored".to_owned(),
        count(outcome.records_stored),
        format!("of {} flights, on {} dates, in {:.1} s", count(outcome.flights), outcome.dates, outcome.seconds),
    ]];
    for (writers, writes) in [(1, &outcome.one_writer), (MANY, &outcome.many_writers)] {
        let what = format!("durable writes/s, {writers} writer{}", if writers == 1 { "" } else { "s" });
        figures.push(match writes {
            Some(writes) => [
                what,
                rounded(writes.per_second),
                format!(
                    "p50 {} µs, p99 {} µs, of {} writes",
                    rounded(writes.p50_micros),
                    rounded(writes.p99_micros),
                    count(writes.writes)
                ),
            ],
            None => [what, "-".to_owned(), "too few flights".to_owned()],
        });
    }
    if let Some(crash) = &outcome.crash {
        figures.push([
            "acknowledged by the child".to_owned(),
            count(crash.acknowledged),
            format!("when it aborted in the middle of {}", crash.date),
        ]);
        figures.push([
            "recovered after it".to_owned(),
            count(crash.recovered),
            format!("in {:.1} ms: {} records/s", crash.recovery_seconds * 1000.0, rounded(crash.recovered_per_second)),
        ]);
    }
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
    if let Some(dir) = &outcome.kept {
        // Writing to a String can't fail.
        let _ = writeln!(text, "the stores are in {}", dir.display());
    }
    for disagreement in &outcome.checks.disagreements {
        let _ = writeln!(text, "disagreement: {disagreement}");
    }
    match outcome.checks.disagreements.len() {
        0 => text += "all counts agree",
        n => text += &format!("{n} of {} counts disagree", outcome.checks.made),
    }
    text
}

/// Columns side by side, those of numbers flush right.
fn aligned<const N: usize>(rows: &[[String; N]], right: &[bool; N]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells =
            row.iter().zip(widths).zip(right).map(|((cell, width), right)| {
                if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn rounded(figure: f64) -> String {
    count(format!("{figure:.0}"))
}

/// With a comma for each thousand.
fn count(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
