//! How much memory may be taken for how many bytes.

use std::io;
use std::path::{Path, PathBuf};

use allocation_counter::{measure, opt_out};
use persist_core::fs::{Access, File, Fs};
use persist_test_utils::SimFs;

/// What may be taken for each byte of untrusted input.
pub const FACTOR: u64 = 4;
/// What may be taken besides, whatever the input: paths, messages, buffers, most of all what it takes to decompress.
pub const SLACK: u64 = 192 * 1024;

/// Does something with `bytes` bytes of input and sees that it takes no more memory than that allows.
pub fn bounded<T>(bytes: usize, act: impl FnOnce() -> T) -> T {
    bounded_by(FACTOR, bytes, act)
}

/// The same, where each byte becomes more than [`FACTOR`].
pub fn bounded_by<T>(factor: u64, bytes: usize, act: impl FnOnce() -> T) -> T {
    let mut done = None;
    let taken = measure(|| done = Some(act())).bytes_max;
    let allowed = factor * bytes as u64 + SLACK;
    assert!(taken <= allowed, "{taken} bytes of memory were taken for {bytes} bytes, not {allowed}");
    done.expect("it was done")
}

/// The simulated disk, whose own memory is not counted: it is no memory of who reads a disk.
#[derive(Debug, Clone)]
pub(crate) struct Uncounted {
    sim: SimFs,
    /// A file that can't be opened to be read.
    unreadable: Option<PathBuf>,
}

impl Uncounted {
    pub(crate) fn new(sim: &SimFs) -> Self {
        Self { sim: sim.clone(), unreadable: None }
    }

    pub(crate) fn without_reading(self, path: PathBuf) -> Self {
        Self { unreadable: Some(path), ..self }
    }
}

impl Fs for Uncounted {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        if access == Access::Read && self.unreadable.as_deref() == Some(path) {
            return Err(io::ErrorKind::Other.into());
        }
        uncounted(|| self.sim.open(path, access)).map(|file| Box::new(UncountedFile(file)) as Box<dyn File>)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        uncounted(|| self.sim.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        uncounted(|| self.sim.remove_file(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        uncounted(|| self.sim.create_dir_all(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        uncounted(|| self.sim.sync_dir(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        uncounted(|| self.sim.list(dir))
    }

    fn list_folders(&self, dir: &Path) -> io::Result<Vec<String>> {
        uncounted(|| self.sim.list_folders(dir))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        uncounted(|| self.sim.remove_dir(path))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        uncounted(|| self.sim.exists(path))
    }
}

#[derive(Debug)]
struct UncountedFile(Box<dyn File>);

impl File for UncountedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        uncounted(|| self.0.read_at(offset, buf))
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        uncounted(|| self.0.write_at(offset, buf))
    }

    fn sync_data(&self) -> io::Result<()> {
        uncounted(|| self.0.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        uncounted(|| self.0.sync_all())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        uncounted(|| self.0.set_len(len))
    }

    fn len(&self) -> io::Result<u64> {
        uncounted(|| self.0.len())
    }
}

fn uncounted<T>(act: impl FnOnce() -> T) -> T {
    let mut done = None;
    opt_out(|| done = Some(act()));
    done.expect("it was done")
}
