//! What DuckDB answers, as errors of persist.
//!
//! The only place that reads the text of DuckDB's messages. The library tells its errors apart by a prefix of the
//! message alone: the C interface gives no code for most calls.

use std::error::Error as _;
use std::path::Path;

use crate::error::{Error, ErrorKind};

/// Messages of a file that is damaged, cut short, or no database at all.
const DAMAGE: &[&str] = &[
    "Corrupt database file",
    "does not match stored checksum",
    "not a valid DuckDB database file",
    "Serialization Error",
    "Could not read enough bytes",
    "Could not read all bytes",
    "INTERNAL Error",
];

/// Messages of a disk, or a memory, that did not do what it was asked: they tell nothing of what the file holds.
const NO_ANSWER: &[&str] =
    &["Could not read from file", "Cannot open file", "Failed to get stats", "Out of Memory Error"];

/// An error of `doing` something (as in "cannot open") with the database at `path`.
pub(super) fn failed(doing: &str, path: &Path, error: duckdb::Error) -> Error {
    refused(&format!("{doing} {}", path.display()), error)
}

/// An error of `doing` something with no file in particular.
pub(super) fn refused(doing: &str, error: duckdb::Error) -> Error {
    let text = error.to_string();
    let kind = if DAMAGE.iter().any(|mark| text.contains(mark)) {
        ErrorKind::Corrupt
    } else if text.contains("Could not set lock on file") {
        ErrorKind::Locked
    } else {
        ErrorKind::Database
    };
    // An internal error brings a stack trace of some thousand characters along.
    let said = text.split("\n\nStack Trace").next().unwrap_or_default();
    Error::new(kind, format!("{doing}: {said}")).with_source(error)
}

/// Whether a file could not be read for a reason that is not in the file, and may be sound.
pub(super) fn is_no_answer(error: &duckdb::Error) -> bool {
    let text = error.to_string();
    NO_ANSWER.iter().any(|mark| text.contains(mark)) && !DAMAGE.iter().any(|mark| text.contains(mark))
}

/// Whether DuckDB gave up its whole instance with this error: nothing but closing and opening again helps.
///
/// It does so when it can't write its own log or a checkpoint: the main file and the log stay as they were.
pub(crate) fn is_invalidated(error: &Error) -> bool {
    let message = error.source().and_then(|source| source.downcast_ref::<duckdb::Error>()).map(ToString::to_string);
    message.is_some_and(|text| text.starts_with("FATAL Error") || text.contains("database has been invalidated"))
}

/// Whether DuckDB refused a checkpoint because of others, and may grant it later.
pub(super) fn is_refused_checkpoint(error: &duckdb::Error) -> bool {
    error.to_string().contains("Cannot CHECKPOINT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_does_not_answer_is_not_taken_for_a_damaged_file() {
        let said = |text: &str| duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(text.to_owned()));
        let disk = said("IO Error: Could not read from file \"a.duckdb\": Input/output error");
        assert!(is_no_answer(&disk));
        assert_eq!(failed("cannot read", Path::new("a.duckdb"), disk).kind(), ErrorKind::Database);
        let cut = said("IO Error: Could not read enough bytes from file \"a.duckdb\": attempted to read 8 bytes");
        assert!(!is_no_answer(&cut));
        assert_eq!(failed("cannot read", Path::new("a.duckdb"), cut).kind(), ErrorKind::Corrupt);
    }
}
