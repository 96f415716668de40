//! What was compared, and what did not agree.

use std::fmt::{Debug, Display};
use std::process::ExitCode;

use serde::Serialize;

/// The comparisons of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Checks {
    #[serde(rename = "checks")]
    pub(crate) made: usize,
    pub(crate) disagreements: Vec<String>,
}

impl Checks {
    /// `found` must be `expected`.
    pub(crate) fn equal<T: PartialEq + Debug>(&mut self, what: impl Display, expected: T, found: T) {
        self.made += 1;
        if found != expected {
            self.disagreements.push(format!("{what}: {found:?} and not {expected:?}"));
        }
    }

    /// Success only if all agree.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.disagreements.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
