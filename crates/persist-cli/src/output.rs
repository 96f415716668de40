//! The one place that prints: text for people, JSON for programs, failures.
//!
//! Nothing is coloured but clap's own help, which heeds `NO_COLOR`.

use std::io::{self, Write};
use std::process::ExitCode;

use persist_core::text::printable;
use serde::Serialize;

use crate::failure::{Failure, Result};

/// Where and in which form a verb prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Prints text, or JSON.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints an answer: as one JSON document, or as the text that `text` makes of it.
    pub(crate) fn answer<T: Serialize>(&self, answer: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        let printed =
            if self.json { serde_json::to_string_pretty(answer).map_err(io::Error::from)? } else { text(answer) };
        self.line(&printed)
    }

    /// Prints a line, or several in one text; nothing where it is empty.
    pub(crate) fn line(&self, text: &str) -> Result<()> {
        let text = text.trim_end_matches('\n');
        if text.is_empty() {
            return Ok(());
        }
        self.exactly(text)
    }

    /// Prints a text, whatever it is, and a newline.
    pub(crate) fn exactly(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    /// Tells whoever looks what is beside the answer.
    pub(crate) fn note(&self, note: &str) {
        // Where nobody listens, nobody misses it.
        let _ = writeln!(io::stderr(), "note: {note}");
    }

    /// Says why a verb failed and what to do, and answers the exit code.
    pub(crate) fn fail(&self, failure: &Failure) -> ExitCode {
        let code = ExitCode::from(failure.code());
        if failure.code() == 0 {
            return code;
        }
        let (message, advice) = (failure.to_string(), failure.advice());
        let text = if self.json {
            let error = serde_json::json!({"kind": failure.kind(), "message": message, "advice": advice});
            serde_json::json!({ "error": error }).to_string()
        } else {
            let advice = advice.map(|advice| format!("\n  {advice}")).unwrap_or_default();
            format!("error: {message}{advice}")
        };
        let _ = writeln!(io::stderr(), "{text}");
        code
    }
}

/// The exit code that says whether everything is fine.
pub(crate) fn code(is_fine: bool) -> ExitCode {
    if is_fine { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// A name before each value, aligned.
pub(crate) fn list(entries: &[(&str, String)]) -> String {
    let width = entries.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines = entries.iter().map(|(name, value)| format!("{name:<width$}  {}", printable(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// So many of a thing.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A size, in the unit that suits it.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    match units.get(unit) {
        Some(unit) if bytes >= 1024 => format!("{size:.1} {unit}"),
        _ => format!("{bytes} bytes"),
    }
}

/// A time span, to two digits or so.
pub(crate) fn span(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    match seconds.unsigned_abs() {
        0..60 => format!("{:.1} s", micros as f64 / 1e6),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
