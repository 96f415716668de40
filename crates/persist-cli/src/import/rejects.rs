//! The rows that could not be imported, as JSON Lines: the line, the reason, and the row as it stands in the file.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use persist_core::Error;
use persist_core::fs::{Access, Disk, File, Fs, remove_if_there, sync_dir_of, write_all_at};
use serde::Deserialize;

use super::position::Position;
use super::source::{Place, Source};
use crate::failure::{Failure, Result};

/// The file, which is made when the first row is rejected.
#[derive(Debug)]
pub(crate) struct Rejects {
    path: PathBuf,
}

impl Rejects {
    /// The file of an import. One that is there must be this import's, or with `anew` an earlier one's, which goes.
    pub(crate) fn open(position: &mut Position, is_anew: bool) -> Result<Self> {
        let path = position.rejects.clone();
        let unread = |error| Failure::reading(&path, error);
        let length = if path.exists() { Some(path.metadata().map_err(unread)?.len()) } else { None };
        match length {
            None => position.rejects_bytes = 0,
            Some(length) if position.has_rejects && length >= position.rejects_bytes => {}
            Some(_) if is_anew && has_rejects_only(&path).map_err(unread)? => remove_if_there(&Disk, &path)?,
            Some(_) => {
                let message = format!(
                    "{} is there already, and is not what this import wrote: move it away, or name another file with --rejects",
                    path.display()
                );
                return Err(Failure::Usage(message));
            }
        }
        Ok(Self { path })
    }

    /// Adds rows durably, in place of what an interrupted run may have added.
    pub(crate) fn add(
        &self,
        source: &Source,
        rejected: &[(Place, u64, String)],
        position: &mut Position,
    ) -> Result<u64> {
        let after = position.rejects_bytes;
        if rejected.is_empty() {
            return Ok(after);
        }
        let mut text = String::new();
        for (start, end, reason) in rejected {
            let row = source.text(start.byte, *end)?;
            let reject = serde_json::json!({"line": start.line, "reason": reason, "row": row});
            text.push_str(&reject.to_string());
            text.push('\n');
        }
        if !position.has_rejects {
            position.begin_rejects()?;
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

/// Whether each line of a file, if it has any, is a rejected row.
fn has_rejects_only(path: &Path) -> io::Result<bool> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "that they are there is what matters")]
    struct Reject {
        line: u64,
        reason: String,
        row: String,
    }
    for line in BufReader::new(fs::File::open(path)?).split(b'\n') {
        if serde_json::from_slice::<Reject>(&line?).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}
