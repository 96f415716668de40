//! What the run measured and compared, as tables for people.

use std::path::PathBuf;

use serde::Serialize;

use crate::checks::Checks;
use crate::child::Crash;
use crate::table::{self, aligned, count};
use crate::weather::compare::Compared;
use crate::weather::expected::Measures;
use crate::writers::Writes;

#[cfg(test)]
mod tests;

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) csv: PathBuf,
    pub(crate) dates: usize,
    pub(crate) airports: usize,
    /// The observations in the file, each of them a write.
    pub(crate) writes: usize,
    /// Durable writes by one writer; none if the file is that small.
    pub(crate) one_writer: Option<Writes>,
    /// Durable writes by one for each airport.
    pub(crate) many_writers: Option<Writes>,
    pub(crate) crash: Crash,
    pub(crate) measures: Measures,
    pub(crate) compared: Vec<Compared>,
    #[serde(flatten)]
    pub(crate) checks: Checks,
    /// Where the stores are, if they were to be kept.
    pub(crate) kept: Option<PathBuf>,
    pub(crate) seconds: f64,
}

/// Plain tables, and as last line whether all agree.
pub(crate) fn table(outcome: &Outcome) -> String {
    let mut figures = vec![[
        "writes stored".to_owned(),
        count(outcome.writes),
        format!("one for each measure and hour, on {} dates, in {:.1} s", outcome.dates, outcome.seconds),
    ]];
    for (writers, writes) in [(1, &outcome.one_writer), (outcome.airports, &outcome.many_writers)] {
        figures.push(table::writes(writers, writes.as_ref(), "dates"));
    }
    figures.extend(table::crash(&outcome.crash));

    let mut measures = vec![["airport", "measure", "hours", "lowest", "mean", "highest"].map(str::to_owned)];
    for (airport, of_airport) in &outcome.measures {
        for (measure, figures) in of_airport {
            measures.push([
                airport.clone(),
                measure.clone(),
                count(figures.hours),
                format!("{:.2}", figures.lowest),
                format!("{:.2}", figures.hundredths as f64 / 100.0 / figures.hours as f64),
                format!("{:.2}", figures.highest),
            ]);
        }
    }

    let mut compared = vec![["compared", "expected", "found"].map(str::to_owned)];
    compared.extend(outcome.compared.iter().map(|one| [one.what.clone(), one.expected.clone(), one.found.clone()]));

    let mut text = aligned(&figures, &[false, true, false]);
    text += "\nthe weather by airport\n";
    text += &aligned(&measures, &[false, false, true, true, true, true]);
    text.push('\n');
    text += &aligned(&compared, &[false, true, true]);
    text.push('\n');
    text + &table::verdict(outcome.kept.as_deref(), &outcome.checks)
}
