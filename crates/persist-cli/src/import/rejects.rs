//! The rows that could not be imported, as JSON Lines: the line, the reason, and the row as it stands in the file.

use std::path::PathBuf;

use persist_core::Error;
use persist_core::fs::{Access, Disk, File, Fs, sync_dir_of, write_all_at};

use super::position::Position;
use super::source::{Place, Source};
use crate::failure::{Failure, Result};

/// The file, which is made when the first row is rejected.
#[derive(Debug)]
pub(crate) struct Rejects {
    path: PathBuf,
}

impl Rejects {
    /// The file of an import. One that is there must be this import's.
    pub(crate) fn open(position: &Position, is_anew: bool) -> Result<Self> {
        let path = position.rejects.clone();
        let is_ours = position.at.byte > 0 || position.end.is_some() || position.is_done;
        if path.exists() && !is_ours && !is_anew {
            let message = format!(
                "{} is there already: move it away, name another file with --rejects, or say --anew",
                path.display()
            );
            return Err(Failure::Usage(message));
        }
        Ok(Self { path })
    }

    /// Adds rows after so many bytes, durably, in place of what an interrupted run may have added. Answers how long the file
    /// is now.
    pub(crate) fn add(&self, source: &Source, rejected: &[(Place, u64, String)], after: u64) -> Result<u64> {
        if rejected.is_empty() && (after > 0 || !self.path.exists()) {
            return Ok(after);
        }
        let mut text = String::new();
        for (start, end, reason) in rejected {
            let row = source.text(start.byte, *end)?;
            let reject = serde_json::json!({"line": start.line, "reason": reason, "row": row});
            text.push_str(&reject.to_string());
            text.push('\n');
        }
        let write = |file: &dyn File| {
            file.set_len(after)?;
            write_all_at(file, after, text.as_bytes())?;
            file.sync_all()
        };
        let access = if self.path.exists() { Access::Write } else { Access::CreateNew };
        Disk.open(&self.path, access)
            .and_then(|file| write(&*file))
            .map_err(|error| Error::io("cannot write", &self.path, error))?;
        sync_dir_of(&Disk, &self.path)?;
        Ok(after + text.len() as u64)
    }
}
