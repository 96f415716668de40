//! What is printed: plain tables for people, with the figures that all demos measure; JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::checks::Checks;
use crate::child::Crash;
use crate::error::Error;
use crate::writers::Writes;

#[cfg(test)]
mod tests;

/// All figures of a run, as one JSON object on one line.
pub(crate) fn json(outcome: &impl Serialize) -> Result<String, Error> {
    Ok(serde_json::to_string(outcome)?)
}

/// What it is, its figure, and what there is to say of it.
pub(crate) type Line = [String; 3];

/// The speed of durable writes; none where there were too few of what is stored.
pub(crate) fn writes(writers: usize, writes: Option<&Writes>, stored: &str) -> Line {
    let what = format!("durable writes/s, {writers} writer{}", if writers == 1 { "" } else { "s" });
    match writes {
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
        None => [what, "-".to_owned(), format!("too few {stored}")],
    }
}

/// What the child wrote and what became of it.
pub(crate) fn crash(crash: &Crash) -> [Line; 2] {
    let flushed = match crash.flushed {
        0 => String::new(),
        flushed => format!("; {} were in DuckDB", count(flushed)),
    };
    [
        [
            "acknowledged by the child".to_owned(),
            count(crash.acknowledged),
            format!("when it aborted in the middle of {}", crash.date),
        ],
        [
            "recovered after it".to_owned(),
            count(crash.recovered),
            format!(
                "in {:.1} ms: {} records/s{flushed}",
                crash.recovery_seconds * 1000.0,
                rounded(crash.recovered_per_second)
            ),
        ],
    ]
}

/// Where the stores are, if they were to be kept; what disagrees; and as last line whether all agree.
pub(crate) fn verdict(kept: Option<&Path>, checks: &Checks) -> String {
    let mut text = String::new();
    if let Some(dir) = kept {
        // Writing to a String can't fail.
        let _ = writeln!(text, "the stores are in {}", dir.display());
    }
    for disagreement in &checks.disagreements {
        let _ = writeln!(text, "disagreement: {disagreement}");
    }
    match checks.disagreements.len() {
        0 => text += "all counts agree",
        n => text += &format!("{n} of {} counts disagree", checks.made),
    }
    text
}

/// Columns side by side, those of numbers flush right.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]], right: &[bool; N]) -> String {
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

pub(crate) fn rounded(figure: f64) -> String {
    count(format!("{figure:.0}"))
}

/// With a comma for each thousand.
pub(crate) fn count(number: impl ToString) -> String {
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
