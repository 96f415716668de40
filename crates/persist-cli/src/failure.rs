//! Why a verb ended without doing its work, what to do about it, and which exit code says so.

use std::io;
use std::path::Path;

use persist_core::{Error, ErrorKind};

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It was called in a way that can't be meant.
    #[error("{0}")]
    Usage(String),
    /// What it was pointed at is not what the verb is for, or is not there.
    #[error("{0}")]
    Unfit(String),
    /// It was asked to end before it was done.
    #[error("{0}")]
    Interrupted(String),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] Error),
    /// What it printed could not be written.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

/// What most verbs come to.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// Of a file that is read past the store.
    pub(crate) fn reading(path: &Path, error: io::Error) -> Self {
        Self::Store(Error::io("cannot read", path, error))
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            // Who reads the output had enough of it.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            _ => 1,
        }
    }

    /// The kind, in a word, for programs.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Usage(_) => "usage".to_owned(),
            Self::Unfit(_) => "unfit".to_owned(),
            Self::Interrupted(_) => "interrupted".to_owned(),
            Self::Output(_) => "output".to_owned(),
            Self::Store(error) => format!("{:?}", error.kind()).to_lowercase(),
        }
    }

    /// What to do next, where there is something to say beyond the message.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        let Self::Store(error) = self else { return None };
        match error.kind() {
            ErrorKind::Locked => Some(
                "ask the process that has it, or stop it first; `persist inspect` and `persist wal` work beside it",
            ),
            ErrorKind::Busy => Some("the store has to be opened and closed: `persist verify` does that"),
            ErrorKind::Schema => Some("name the store's extra columns, in their order: --column NAME=TYPE"),
            ErrorKind::Corrupt => {
                Some("nothing was changed; make a copy of the folder first, then see docs/operations.md")
            }
            ErrorKind::Conflict => Some("read the record again, and decide anew"),
            _ => None,
        }
    }
}
