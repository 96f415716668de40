//! What a test run amounts to: a row per suite, the totals, and the closing line that is read by machines.

use std::fmt;

/// One test program, or the doctests of one crate.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Suite {
    /// As in `persist-tests::it`.
    pub(crate) name: String,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// The time of its tests, one after the other.
    pub(crate) seconds: f64,
}

impl Suite {
    /// A suite without a test so far.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// All suites of a run, in the order in which they ran. Displayed as a table; [`Report::closing_line`] is apart.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) suites: Vec<Suite>,
}

impl Report {
    /// Notes what failed without being a test, such as a build, so that no total reads like a success.
    pub(crate) fn fail(&mut self, what: &str) {
        self.suites.push(Suite { failed: 1, ..Suite::new(what) });
    }

    /// Whether something ran and nothing failed.
    pub(crate) fn succeeded(&self) -> bool {
        let total = self.total();
        total.failed == 0 && total.passed > 0
    }

    /// `N passed, N failed`, and `, N skipped` if some were.
    pub(crate) fn closing_line(&self) -> String {
        let Suite { passed, failed, skipped, .. } = self.total();
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        format!("{passed} passed, {failed} failed{skipped}")
    }

    fn total(&self) -> Suite {
        self.suites.iter().fold(Suite::new("total"), |total, suite| Suite {
            passed: total.passed + suite.passed,
            failed: total.failed + suite.failed,
            skipped: total.skipped + suite.skipped,
            seconds: total.seconds + suite.seconds,
            ..total
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.suites.iter().map(|suite| suite.name.len()).max().unwrap_or_default().max("suite".len());
        writeln!(f, "{:width$}  {:>7}  {:>7}  {:>7}  {:>8}", "suite", "passed", "failed", "skipped", "seconds")?;
        for Suite { name, passed, failed, skipped, seconds } in &self.suites {
            writeln!(f, "{name:width$}  {passed:>7}  {failed:>7}  {skipped:>7}  {seconds:>8.2}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_adds_up_the_suites_and_names_skipped_ones_only_if_there_are_some() {
        let mut report =
            Report { suites: vec![Suite { passed: 3, ..Suite::new("a") }, Suite { passed: 4, ..Suite::new("b") }] };
        assert_eq!(report.closing_line(), "7 passed, 0 failed");
        report.suites.push(Suite { failed: 1, skipped: 2, ..Suite::new("c") });
        assert_eq!(report.closing_line(), "7 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn a_run_of_nothing_and_a_run_with_a_failed_build_are_no_success() {
        let mut report = Report::default();
        assert!(!report.succeeded());
        report.suites.push(Suite { passed: 1, ..Suite::new("a") });
        assert!(report.succeeded());
        report.fail("build");
        assert!(!report.succeeded());
    }
}
