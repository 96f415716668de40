//! The one error type of every persist crate.
//!
//! Owns the kinds a caller can act on and the form of a message: what was being done, to which file, at which
//! offset. Leaves out the errors of the libraries underneath: they are reachable as [`std::error::Error::source`],
//! and their types are no part of the interface.

use std::io;
use std::path::Path;

/// The result of every fallible call in persist.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration, or the folder it names, does not fit: mend it and open again.
    Config,
    /// The columns asked for are not those of the table.
    Schema,
    /// The data handed in is not acceptable; nothing was written.
    Input,
    /// Another process, or another store of this process, has the folder or the database open.
    Locked,
    /// A file is damaged. The message names the file, the line and the offset.
    Corrupt,
    /// The operating system refused a file operation; nothing of this write is visible.
    Io,
    /// DuckDB refused a statement.
    Database,
    /// Too much is waiting to be flushed. The write was not made; try again later.
    Busy,
    /// The record is not at the version the caller expected, or a value is there already that only one may have.
    Conflict,
    /// What was asked for is no longer kept.
    Gone,
    /// An earlier write or sync failed. Reads go on; open the store again to write.
    Poisoned,
    /// The store was closed.
    Closed,
}

/// An error of persist: a [kind](Error::kind), and a message that names what was being done and to which file.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    present_version: Option<u32>,
}

impl Error {
    /// Makes an error of a kind, with the whole message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, present_version: None }
    }

    /// Makes an [`ErrorKind::Input`] error. The message names the field.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// Makes an [`ErrorKind::Config`] error. The message names the option or the file.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Makes an [`ErrorKind::Io`] error: `doing` what (as in "cannot create"), to which file.
    pub fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("{doing} {}: {source}", path.display())).with_source(source)
    }

    /// Makes an [`ErrorKind::Database`] error: `doing` what, and what DuckDB answered.
    pub fn database(doing: &str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::new(ErrorKind::Database, format!("{doing}: {source}")).with_source(source)
    }

    /// Makes an [`ErrorKind::Conflict`] error: the record of the key was to be `wanted`, and has this version.
    pub fn conflict(key: &str, wanted: &str, present_version: Option<u32>) -> Self {
        let present = present_version.map_or("absent".to_owned(), |version| format!("there with version {version}"));
        let message = format!("the record of key {key:?} is {present}, and was to be {wanted}");
        Self { present_version, ..Self::new(ErrorKind::Conflict, message) }
    }

    /// Adds the error underneath.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Of an [`ErrorKind::Conflict`]: the version of the record that is there; `None` where there is none.
    pub fn present_version(&self) -> Option<u32> {
        self.present_version
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
