//! The table of promises: each row a fault, what is promised of it, and what shows that the promise is kept.
//!
//! A row has a part for each store that it is about. A part is shown either by cases, of which each follows from its number
//! alone, or by tests of the crates, by their names. CI runs both as tests; `cargo xtask crash` runs them for as long as one
//! likes. [`list`] is the table, [`run`] runs a part of it, [`named`] a test by its name, [`verdict`] keeps what came of it.

pub mod list;
pub mod named;
pub mod run;
pub mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;

use persist_test_utils::Kind;

/// A fault, and what is promised of it.
#[derive(Debug)]
pub struct Row {
    /// From 1 on.
    pub number: u8,
    /// The fault.
    pub name: &'static str,
    /// What must be so nevertheless.
    pub promise: &'static str,
    /// What shows it, for each store.
    pub parts: &'static [Part],
}

/// What shows a row for one store.
#[derive(Debug)]
pub struct Part {
    /// The store.
    pub store: Store,
    /// What is run.
    pub shown: Shown,
    /// So many cases are worth a soak.
    pub soak: u64,
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Store {
    /// The log alone, and other parts below the stores.
    Log,
    /// The dated store.
    Dated,
    /// The collection store.
    Collection,
}

impl Store {
    /// As it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Dated => "dated",
            Self::Collection => "collection",
        }
    }
}

/// What is run for a part.
#[derive(Debug)]
pub enum Shown {
    /// Cases, each of which follows from its number.
    Cases(Cases),
    /// Tests of the crates.
    Tests(&'static [Named]),
}

/// A part that is a function of a case's number.
#[derive(Debug)]
pub struct Cases {
    /// Runs the case of this number, and counts what it did.
    pub case: Case,
    /// Why it can't be run here, if so.
    pub unavailable: fn(&Setting) -> Option<String>,
    /// So many cases CI runs.
    pub ci: u64,
    /// So much at least is counted in as many cases as CI runs. Less, and the cases put nothing at stake.
    pub at_stake: &'static [(&'static str, u64)],
    /// The test of CI's, in `tests/it/rows.rs`.
    pub test: &'static str,
}

/// Runs one case.
pub type Case = fn(&Setting, u64, &mut Counters) -> Result<(), String>;

/// A test of a crate's.
#[derive(Debug)]
pub struct Named {
    /// The crate.
    pub package: &'static str,
    /// Its program: `it`, or `lib` for the tests beside the sources.
    pub program: &'static str,
    /// Its name, with its modules.
    pub name: &'static str,
    /// So many seeds it runs with, by itself. None has a test that goes through all there is.
    pub seeds: u64,
}

/// What a case may use.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The program `crash`, whose processes are killed.
    pub program: PathBuf,
    /// The file system whose power is cut; else that of each case's own.
    pub fs: Option<Kind>,
    /// Whether DuckDB is compiled into what is run.
    pub is_bundled: bool,
}

/// What was done, counted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// Adds to one of them.
    pub fn add(&mut self, name: &str, number: u64) {
        *self.0.entry(name.to_owned()).or_default() += number;
    }

    /// Adds all of others.
    pub fn add_all(&mut self, others: &Self) {
        others.iter().for_each(|(name, number)| self.add(name, number));
    }

    /// One of them.
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, number)| (name.as_str(), *number))
    }
}

impl std::fmt::Display for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (name, number)) in self.iter().enumerate() {
            write!(f, "{}{number} {name}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
