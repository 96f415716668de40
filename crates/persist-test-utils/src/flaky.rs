//! The real disk, but for one kind of operation that fails on demand: for whole stores, whose DuckDB needs real files.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use persist_core::fs::{Access, Disk, File, Fs};

/// What happens instead of an operation, and on which files.
type Trouble = dyn Fn(&str, &Path) -> io::Result<()> + Send + Sync;

/// The real disk with a hook before every operation that changes something.
#[derive(Clone)]
pub struct FlakyDisk {
    trouble: Arc<Trouble>,
    /// So many bytes of the next write that fails are written all the same.
    torn: Arc<AtomicUsize>,
}

impl FlakyDisk {
    /// Calls `trouble` with the operation (`create`, `write`, `sync`, `rename`, `remove`, `sync_dir`, `set_len`) and the
    /// path, and with `step` and the name of each [step](Fs::step); an error it answers is the operation's, and the operation is not done.
    pub fn new(trouble: impl Fn(&str, &Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { trouble: Arc::new(trouble), torn: Arc::default() }
    }

    /// Of the first write that fails so many bytes are written all the same.
    pub fn tearing(self, bytes: usize) -> Self {
        self.torn.store(bytes, Ordering::Relaxed);
        self
    }
}

impl std::fmt::Debug for FlakyDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FlakyDisk")
    }
}

impl Fs for FlakyDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        if access == Access::CreateNew {
            (self.trouble)("create", path)?;
        }
        let file = Disk.open(path, access)?;
        Ok(Box::new(FlakyFile { file, path: path.to_owned(), disk: self.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.trouble)("rename", to)?;
        Disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        (self.trouble)("remove", path)?;
        Disk.remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        Disk.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        (self.trouble)("sync_dir", path)?;
        Disk.sync_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Disk.list(dir)
    }

    fn list_folders(&self, dir: &Path) -> io::Result<Vec<String>> {
        Disk.list_folders(dir)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        (self.trouble)("remove", path)?;
        Disk.remove_dir(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Disk.exists(path)
    }

    fn step(&self, name: &str) -> io::Result<()> {
        (self.trouble)("step", Path::new(name))
    }
}

#[derive(Debug)]
struct FlakyFile {
    file: Box<dyn File>,
    path: std::path::PathBuf,
    disk: FlakyDisk,
}

impl File for FlakyFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        let refused = (self.disk.trouble)("write", &self.path);
        if refused.is_err() {
            let torn = self.disk.torn.swap(0, Ordering::Relaxed).min(buf.len());
            self.file.write_at(offset, &buf[..torn])?;
        }
        refused.and_then(|()| self.file.write_at(offset, buf))
    }

    fn sync_data(&self) -> io::Result<()> {
        (self.disk.trouble)("sync", &self.path)?;
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        (self.disk.trouble)("sync", &self.path)?;
        self.file.sync_all()
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.file.forget_cached()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        (self.disk.trouble)("set_len", &self.path)?;
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
