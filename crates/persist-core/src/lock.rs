//! One owner at a time: advisory locks on a store's folder and on its database.
//!
//! A lock file is never unlinked, so that two openers can't hold locks on two files of one name; a process that died
//! holds none. Its content says who has it, for the error that the next opener gets. Locks are real files of the
//! operating system, whatever [`Fs`](crate::fs::Fs) the store uses for its data.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock, or fails at once. `purpose` goes into the file, to tell the next opener what it is held for.
    ///
    /// # Errors
    /// [`Locked`](ErrorKind::Locked), naming the holder, where another process or another store of this one has it.
    /// [`Io`](ErrorKind::Io) where the file can't be made.
    pub fn acquire(path: &Path, purpose: &str) -> Result<Self> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(|error| Error::io("cannot open the lock", path, error))?;
        if let Err(error) = fs2::FileExt::try_lock_exclusive(&file) {
            if error.raw_os_error() != fs2::lock_contended_error().raw_os_error() {
                return Err(Error::io("cannot lock", path, error));
            }
            let mut holder = String::new();
            // Who holds it is only told: a file that can't be read makes the message poorer, nothing else.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let holder = if holder.is_empty() { "another process" } else { holder };
            let message = format!("{} is held by {holder}", path.display());
            return Err(Error::new(ErrorKind::Locked, message).with_source(error));
        }
        let holder = format!("pid {} on {}, {purpose}\n", std::process::id(), host());
        let told = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(holder.as_bytes()));
        told.map_err(|error| Error::io("cannot write the lock", path, error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// The lock's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A name left behind would name a process that holds nothing.
        let _ = self.file.set_len(0);
        let _ = fs2::FileExt::unlock(&self.file);
    }
}

fn host() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    from_kernel.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_else(|| "this host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_opener_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let first = Lock::acquire(&path, "store of 2025-01-15").unwrap();
        let error = Lock::acquire(&path, "x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
        assert!(error.to_string().contains("store of 2025-01-15"), "{error}");
        drop(first);
        assert!(path.exists(), "a lock file is never unlinked");
        Lock::acquire(&path, "x").unwrap();
    }

    #[test]
    fn a_lock_in_a_missing_folder_is_an_io_error_with_the_path() {
        let error = Lock::acquire(Path::new("no/such/folder/.lock"), "x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("no/such/folder"), "{error}");
    }
}
