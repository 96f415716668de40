//! The comparisons: what was found, in an open store and in closed files, beside what plain Rust expects.

use std::collections::BTreeMap;
use std::fmt::Display;

use persist_collection::{Change, Collection, CollectionStore, DatabaseFile, Scalar, Timestamp};
use serde::Serialize;

use crate::checks::Checks;
use crate::error::Error;
use crate::table::count;
use crate::weather::expected::{self, Row};
use crate::weather::found::Ask;
use crate::weather::observation::{COLLECTION, Observation};

#[cfg(test)]
mod tests;

/// Whose temperature is told as of an hour.
const AIRPORT: &str = "JFK";
const MEASURE: &str = "temp";

/// One comparison, as it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) what: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// The comparisons of a run.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    all: &'a [Observation],
    /// How many items there are.
    pub(crate) items: usize,
    pub(crate) lines: Vec<Compared>,
    pub(crate) checks: Checks,
}

impl<'a> Comparison<'a> {
    /// With these observations.
    pub(crate) fn with(all: &'a [Observation]) -> Self {
        Self { all, items: expected::latest(all).len(), lines: Vec::new(), checks: Checks::default() }
    }

    /// A number of something.
    pub(crate) fn counts(&mut self, what: impl Display, expected: usize, found: usize) {
        self.checks.equal(&what, expected, found);
        self.lines.push(Compared { what: what.to_string(), expected: count(expected), found: count(found) });
    }

    /// Something that has a name.
    pub(crate) fn texts(&mut self, what: impl Display, expected: String, found: String) {
        self.checks.equal(&what, &expected, &found);
        self.lines.push(Compared { what: what.to_string(), expected, found });
    }

    /// Both tables, as someone shows them, row for row.
    pub(crate) fn tables(&mut self, whose: &str, asked: &impl Ask) -> Result<(), Error> {
        let (history, latest) = (asked.history_rows()?, asked.latest_rows()?);
        let name = format!("history rows {whose}");
        self.counts(&name, self.all.len(), history.len());
        let same = agreeing(&expected::history(self.all), &history);
        self.counts(format_args!("{name}, as in the CSV"), self.all.len(), same);
        self.counts(format_args!("items {whose} whose versions have no gap"), self.items, asked.items_without_gap()?);
        let (expected, found) = (expected::measures(self.all), asked.measures()?);
        let measures = found.values().map(BTreeMap::len).sum::<usize>();
        let same = expected.iter().flat_map(|(airport, measures)| {
            let found = found.get(airport);
            measures
                .iter()
                .filter(move |(measure, figures)| found.and_then(|found| found.get(*measure)) == Some(*figures))
        });
        self.counts(
            format_args!("items {whose} whose count, extremes and sum agree"),
            self.items,
            same.count().min(measures),
        );
        let name = format!("latest rows {whose}");
        self.counts(&name, self.items, latest.len());
        let same = agreeing(&expected::latest(self.all), &latest);
        self.counts(format_args!("{name}, as in the CSV"), self.items, same);
        Ok(())
    }

    /// An open store: its tables, its memory, its past, and the state of its files.
    pub(crate) fn store(&mut self, store: &CollectionStore) -> Result<(), Error> {
        self.tables("by query", store)?;
        self.memory(store)?;
        self.past(store)?;
        self.health("of the store", store)
    }

    /// The state of an open store's files, and of its memory beside them.
    pub(crate) fn health(&mut self, whose: &str, store: &CollectionStore) -> Result<(), Error> {
        for (file, name) in [(DatabaseFile::Main, "history"), (DatabaseFile::Latest, "latest")] {
            let problems = store.check_database_health(file)?;
            self.counts(format_args!("problems in the {name} database, {whose}"), 0, problems.len());
        }
        let verified = store.verify()?;
        let differing = verified.missing.len() + verified.differing.len();
        self.counts(format_args!("items that differ in memory and in DuckDB, {whose}"), 0, differing);
        Ok(())
    }

    /// What a child left, beside the numbers of the observations that it said were acknowledged.
    pub(crate) fn after_the_crash(&mut self, acknowledged: &[usize], found: &[Row]) {
        let by_id: BTreeMap<_, &Row> =
            found.iter().map(|row| ((row.airport.as_str(), row.measure.as_str(), row.version), row)).collect();
        let is_there = |one: &&Observation| {
            let row = by_id.get(&(one.airport.as_str(), one.measure, one.version));
            row.is_some_and(|row| **row == expected::row(one, one.version))
        };
        let kept = acknowledged.iter().filter_map(|number| self.all.get(*number)).filter(is_there).count();
        let same = self.all.iter().filter(is_there).count();
        self.counts("acknowledged by the child, and there", acknowledged.len(), kept);
        self.counts("there after the crash, as in the CSV", found.len(), same);
    }

    fn memory(&mut self, store: &CollectionStore) -> Result<(), Error> {
        let mut same = 0;
        let newest = expected::newest(self.all);
        for ((airport, measure), observation) in &newest {
            let record = store.get_item(airport, COLLECTION, measure)?;
            same += usize::from(record.is_some_and(|record| {
                record.typed_value().as_ref() == Some(&observation.value) && record.version() == observation.version
            }));
        }
        self.counts("newest values in memory", newest.len(), same);
        Ok(())
    }

    fn past(&mut self, store: &CollectionStore) -> Result<(), Error> {
        let of_item = |observation: &&Observation| observation.item() == (AIRPORT, MEASURE);
        let expected: Vec<_> = self.all.iter().filter(of_item).map(|one| (one.version, Some(&one.value))).collect();
        let history = store.history(AIRPORT, COLLECTION, MEASURE)?;
        let value = |change: &Change<Collection>| change.record().and_then(|record| record.typed_value().clone());
        let found: Vec<_> = history.iter().map(|change| (change.version(), value(change))).collect();
        let found: Vec<_> = found.iter().map(|(version, value)| (*version, value.as_ref())).collect();
        let name = format!("versions of {MEASURE} at {AIRPORT}");
        self.counts(&name, expected.len(), found.len());
        self.counts(format_args!("{name}, as in the CSV"), expected.len(), agreeing(&expected, &found));

        // Half past the hour in the middle.
        let Some(middle) = self.all.get(self.all.len() / 2) else { return Ok(()) };
        let moment = Timestamp::from_unix_micros(middle.at.unix_micros() + 30 * 60 * 1_000_000);
        let expected = expected::as_of(self.all, moment);
        let items = store.as_of(moment)?;
        let found: BTreeMap<_, _> =
            items.iter().map(|one| ((one.key(), one.part().item()), one.typed_value())).collect();
        let same =
            expected.iter().filter(|(item, value)| found.get(*item).and_then(|found| found.as_ref()) == Some(**value));
        let name = format!("items as of {moment}");
        self.counts(&name, expected.len(), found.len());
        self.counts(format_args!("{name}, as in the CSV"), expected.len(), same.count());
        let temperature =
            |value: Option<&Scalar>| value.map_or_else(|| "-".to_owned(), |value| expected::number(value).to_string());
        let what = format!("{MEASURE} at {AIRPORT} then");
        let expected = temperature(expected.get(&(AIRPORT, MEASURE)).copied());
        let found = temperature(found.get(&(AIRPORT, MEASURE)).and_then(|found| found.as_ref()));
        self.texts(what, expected, found);
        Ok(())
    }
}

/// How many stand in the same place in both. What is found beyond what is expected counts against it.
pub(crate) fn agreeing<T: PartialEq>(expected: &[T], found: &[T]) -> usize {
    let same = expected.iter().zip(found).filter(|(expected, found)| expected == found).count();
    same.saturating_sub(found.len().saturating_sub(expected.len()))
}
