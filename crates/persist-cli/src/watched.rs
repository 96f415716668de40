//! The disk, with an eye on some of its files: what is read and written of them is counted for a progress bar, and refused
//! once the process has been asked to end. So a step of a store that takes long fails as on a failing disk, and the store
//! clears away what it had made of it, as it does then.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use persist_core::fs::{Access, Disk, File, Fs};
use persist_core::wal::SegmentId;

use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// Which files are watched.
#[derive(Debug, Clone)]
pub(crate) enum Files {
    /// Those below a folder.
    Below(PathBuf),
    /// The compressed segments of logs.
    KeptLog,
}

/// The disk.
#[derive(Debug)]
pub(crate) struct Watched {
    /// What is watched of it.
    pub(crate) files: Files,
    /// Told what was read and written.
    pub(crate) progress: Progress,
    /// Refuses once this is asked.
    pub(crate) interrupt: Interrupt,
}

#[derive(Debug)]
struct WatchedFile {
    file: Box<dyn File>,
    progress: Progress,
    interrupt: Interrupt,
}

impl Files {
    fn has(&self, path: &Path) -> bool {
        match self {
            Self::Below(dir) => path.starts_with(dir),
            Self::KeptLog => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.ends_with(".gz") && SegmentId::of_any(&name).is_some()
            }
        }
    }
}

impl Fs for Watched {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let file = Disk.open(path, access)?;
        if !self.files.has(path) {
            return Ok(file);
        }
        let (progress, interrupt) = (self.progress.clone(), self.interrupt.clone());
        Ok(Box::new(WatchedFile { file, progress, interrupt }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        Disk.remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        Disk.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        Disk.sync_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Disk.list(dir)
    }

    fn list_folders(&self, dir: &Path) -> io::Result<Vec<String>> {
        Disk.list_folders(dir)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        Disk.remove_dir(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Disk.exists(path)
    }
}

impl WatchedFile {
    fn go_on(&self) -> io::Result<()> {
        // Not as `ErrorKind::Interrupted`, which is tried again.
        if self.interrupt.is_asked() { Err(io::Error::other("it was interrupted")) } else { Ok(()) }
    }
}

impl File for WatchedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.go_on()?;
        let read = self.file.read_at(offset, buf)?;
        self.progress.add(read as u64);
        Ok(read)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        self.go_on()?;
        let written = self.file.write_at(offset, buf)?;
        self.progress.add(written as u64);
        Ok(written)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.file.forget_cached()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
