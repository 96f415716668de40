//! One file, written line by line under a lock, synced after each line or never.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use parking_lot::Mutex;

use crate::Result;

/// A file that lines are appended to.
#[derive(Debug)]
pub(crate) struct Lines {
    file: File,
    end: Mutex<u64>,
    laid_out: u64,
}

/// A new file, filled with so many newlines and synced.
pub(crate) fn laid_out(path: &Path, bytes: u64) -> Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    let fill = vec![b'\n'; 1 << 20];
    let mut at = 0;
    while at < bytes {
        file.write_all_at(&fill, at)?;
        at += fill.len() as u64;
    }
    file.sync_all()?;
    Ok(file)
}

impl Lines {
    pub(crate) fn new(path: &Path, laid_out_bytes: u64) -> Result<Self> {
        Ok(Self { file: laid_out(path, laid_out_bytes)?, end: Mutex::new(0), laid_out: laid_out_bytes })
    }

    pub(crate) fn append(&self, line: &[u8], sync: bool) -> Result<()> {
        let mut end = self.end.lock();
        // A file that was laid out is gone through again, so that it never grows.
        if self.laid_out > 0 && *end + line.len() as u64 > self.laid_out {
            *end = 0;
        }
        self.file.write_all_at(line, *end)?;
        *end += line.len() as u64;
        if sync {
            self.file.sync_data()?;
        }
        Ok(())
    }
}
