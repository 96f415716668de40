//! What can go wrong, and the exit code of each.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Why the demo could not be finished. Counts that disagree are no error but an outcome.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file is not of the form that is known here.
    #[error("{}{}: {why}", file.display(), place(*line, *field))]
    Csv { file: PathBuf, line: Option<u64>, field: Option<&'static str>, why: String },
    /// The folder for the stores can't be used.
    #[error("--keep {}: {why}", dir.display())]
    Keep { dir: PathBuf, why: String },
    #[error("{0}")]
    Io(String),
    #[error("{0}")]
    Store(#[from] persist_dated::Error),
    #[error("DuckDB on the closed stores: {0}")]
    Database(#[from] duckdb::Error),
    #[error("the export: {0}")]
    Export(#[from] parquet::errors::ParquetError),
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The child process did something else than to abort.
    #[error("the child process {0}")]
    Child(String),
    #[error("a writer thread panicked")]
    Panicked,
}

impl Error {
    pub(crate) fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        Self::Io(format!("{doing} {}: {source}", path.display()))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Csv { .. } | Self::Keep { .. } => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

fn place(line: Option<u64>, field: Option<&str>) -> String {
    let line = line.map(|line| format!(", line {line}"));
    let field = field.map(|field| format!(", field {field}"));
    line.into_iter().chain(field).collect()
}
