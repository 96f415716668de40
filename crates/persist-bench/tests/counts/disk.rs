//! The real disk, and what it was asked for.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use persist_core::fs::{Access, Disk, File, Fs};

/// What was asked of some files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) opened: u64,
    pub(crate) created: u64,
    pub(crate) renamed: u64,
    pub(crate) removed: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) bytes: u64,
    /// Writes of newlines alone, which lay a segment out, and their bytes. Among the others.
    pub(crate) fills: u64,
    pub(crate) fill_bytes: u64,
    pub(crate) syncs: u64,
    pub(crate) lengths_set: u64,
    /// Of a folder: listed, synced, made, removed; of any name: looked for; of a file: its length asked for.
    pub(crate) others: u64,
}

impl Counts {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            opened: self.opened - before.opened,
            created: self.created - before.created,
            renamed: self.renamed - before.renamed,
            removed: self.removed - before.removed,
            reads: self.reads - before.reads,
            writes: self.writes - before.writes,
            bytes: self.bytes - before.bytes,
            fills: self.fills - before.fills,
            fill_bytes: self.fill_bytes - before.fill_bytes,
            syncs: self.syncs - before.syncs,
            lengths_set: self.lengths_set - before.lengths_set,
            others: self.others - before.others,
        }
    }

    /// All operations.
    pub(crate) fn all(self) -> u64 {
        let names = self.opened + self.created + self.renamed + self.removed;
        names + self.reads + self.writes + self.syncs + self.lengths_set + self.others
    }
}

/// What can be made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Write,
    Sync,
}

#[derive(Debug, Default)]
struct State {
    log: Counts,
    other: Counts,
    held: Option<Held>,
    sync_takes: Option<Duration>,
}

/// The real disk that counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct CountingDisk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

impl CountingDisk {
    /// What was asked of the segments of the log.
    pub(crate) fn log(&self) -> Counts {
        self.0.state.lock().log
    }

    /// What was asked of all else.
    pub(crate) fn other(&self) -> Counts {
        self.0.state.lock().other
    }

    /// Syncs take so long from now on, and are none.
    pub(crate) fn sync_takes(&self, time: Duration) {
        self.0.state.lock().sync_takes = Some(time);
    }

    /// Has such operations on the log wait until [`CountingDisk::release`].
    pub(crate) fn hold(&self, what: Held) {
        self.0.state.lock().held = Some(what);
    }

    pub(crate) fn release(&self) {
        self.0.state.lock().held = None;
        self.0.released.notify_all();
    }

    fn count(&self, path: &Path, count: impl FnOnce(&mut Counts)) {
        let mut state = self.0.state.lock();
        count(if is_log(path) { &mut state.log } else { &mut state.other });
    }

    fn wait(&self, path: &Path, what: Held) {
        let mut state = self.0.state.lock();
        while is_log(path) && state.held == Some(what) {
            let waited = self.0.released.wait_for(&mut state, Duration::from_secs(20));
            assert!(!waited.timed_out(), "what the test waits for does not come");
        }
    }

    fn sync(&self, path: &Path, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.count(path, |counts| counts.syncs += 1);
        self.wait(path, Held::Sync);
        let takes = self.0.state.lock().sync_takes;
        match takes {
            Some(time) => {
                std::thread::sleep(time);
                Ok(())
            }
            None => sync(),
        }
    }
}

fn is_log(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"wal_"))
}

impl Fs for CountingDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        self.count(path, |counts| match access {
            Access::CreateNew => counts.created += 1,
            Access::Read | Access::Write => counts.opened += 1,
        });
        Ok(Box::new(CountingFile { file: Disk.open(path, access)?, path: path.into(), disk: self.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.count(to, |counts| counts.renamed += 1);
        Disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.count(path, |counts| counts.removed += 1);
        Disk.remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.count(path, |counts| counts.others += 1);
        Disk.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.count(path, |counts| counts.syncs += 1);
        Disk.sync_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.count(dir, |counts| counts.others += 1);
        Disk.list(dir)
    }

    fn list_folders(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.count(dir, |counts| counts.others += 1);
        Disk.list_folders(dir)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.count(path, |counts| counts.removed += 1);
        Disk.remove_dir(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.count(path, |counts| counts.others += 1);
        Disk.exists(path)
    }
}

#[derive(Debug)]
struct CountingFile {
    file: Box<dyn File>,
    path: Box<Path>,
    disk: CountingDisk,
}

impl File for CountingFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.disk.count(&self.path, |counts| counts.reads += 1);
        self.file.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        let is_fill = buf.iter().all(|byte| *byte == b'\n');
        self.disk.count(&self.path, |counts| {
            counts.writes += 1;
            counts.bytes += buf.len() as u64;
            if is_fill {
                counts.fills += 1;
                counts.fill_bytes += buf.len() as u64;
            }
        });
        self.disk.wait(&self.path, Held::Write);
        self.file.write_at(offset, buf)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync(&self.path, || self.file.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.disk.sync(&self.path, || self.file.sync_all())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.count(&self.path, |counts| counts.lengths_set += 1);
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.count(&self.path, |counts| counts.others += 1);
        self.file.len()
    }
}
