//! Group commit and nothing else: lines go into a shared buffer under a lock; whoever finds no leader leads, writes and
//! syncs for all, publishes how far the file is durable, and wakes all.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::file::laid_out;
use crate::Result;

/// A file that lines are appended to by many threads, durably.
#[derive(Debug)]
pub(crate) struct GroupCommit {
    file: File,
    shared: Mutex<Shared>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Shared {
    buffer: Vec<u8>,
    spare: Vec<u8>,
    end: u64,
    taken: u64,
    durable: u64,
    leading: bool,
}

impl GroupCommit {
    pub(crate) fn new(path: &Path, laid_out_bytes: u64) -> Result<Self> {
        Ok(Self { file: laid_out(path, laid_out_bytes)?, shared: Mutex::default(), changed: Condvar::new() })
    }

    pub(crate) fn append(&self, line: &[u8]) -> Result<()> {
        let mut shared = self.shared.lock();
        shared.buffer.extend_from_slice(line);
        shared.taken += 1;
        let mine = shared.taken;
        while shared.durable < mine {
            if shared.leading {
                self.changed.wait(&mut shared);
                continue;
            }
            shared.leading = true;
            let spare = std::mem::take(&mut shared.spare);
            let mut bytes = std::mem::replace(&mut shared.buffer, spare);
            let (last, offset) = (shared.taken, shared.end);
            shared.end += bytes.len() as u64;
            MutexGuard::unlocked(&mut shared, || {
                self.file.write_all_at(&bytes, offset)?;
                self.file.sync_data()
            })?;
            bytes.clear();
            shared.spare = bytes;
            shared.durable = last;
            shared.leading = false;
            self.changed.notify_all();
        }
        Ok(())
    }
}
