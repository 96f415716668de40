//! [`SimFs`]: one world and its handles; what each operation does, and how one world becomes the next.
//!
//! Bytes are `content.rs`'s, names `names.rs`'s, numbers and faults `fault.rs`'s. The rules are told in [`super`].

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use persist_core::fs::{Access, File, Fs};

use super::content::Content;
use super::fault::{Fault, Ledger, Op, Verdict, errno, os, stopped};
use super::names::Names;
use crate::rng::Rng;

/// No file may be longer: EFBIG.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// A file system in memory: a handle to one world, cheap to clone. See [the module](super) for its rules.
///
/// Paths are kept from one root; a relative path starts there too.
#[derive(Clone, Default)]
pub struct SimFs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    names: Names,
    contents: BTreeMap<u64, Content>,
    handles: BTreeMap<u64, u32>,
    ledger: Ledger,
    disk: Disk,
}

/// What stays the same from world to world.
#[derive(Clone, Copy, Default)]
struct Disk {
    capacity: Option<u64>,
    read_only: bool,
}

impl fmt::Debug for SimFs {
    // Without its content: taking the lock here could hang a test that prints what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFs").finish_non_exhaustive()
    }
}

/// The next worlds.
impl SimFs {
    /// An empty world: its root, and nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that a power cut now could leave, drawn by `seed`; the same seed draws the same disk.
    ///
    /// One seed in ten keeps nothing that was pending, one in ten everything; of the rest each file has these
    /// extremes too, or keeps a beginning of what was written, or sectors here and there. All of the new world is
    /// durable. This world goes on as it was.
    pub fn power_cut(&self, seed: u64) -> Self {
        let state = self.state();
        let mut rng = Rng::new(seed);
        match rng.below(10) {
            0 => state.next(state.names.keep_nothing(), Content::keep_nothing),
            1 => state.next(state.names.keep_everything(), Content::keep_everything),
            _ => state.next(state.names.keep_some(&mut rng), |content| content.keep_some(&mut rng)),
        }
    }

    /// The world after the process died: all that was written is there, and no more durable than before.
    ///
    /// This world goes on as it was, unseen by the new one.
    pub fn kill(&self) -> Self {
        let state = self.state();
        state.next(state.names.clone(), Content::clone)
    }

    /// The world with only what is durable: a power cut that keeps nothing, or what is on the disk once the pages
    /// that a failed sync marked clean have left the cache.
    pub fn drop_caches(&self) -> Self {
        let state = self.state();
        state.next(state.names.keep_nothing(), Content::keep_nothing)
    }
}

/// Faults and the numbers of operations.
impl SimFs {
    /// Sets a fault. Where several strike the same operation, the one set first does.
    pub fn fault(&self, fault: Fault) {
        self.state().ledger.add(fault);
    }

    /// Takes back all faults. A world that has stopped stays stopped.
    pub fn clear_faults(&self) {
        self.state().ledger.clear();
    }

    /// Stops this world: all operations from now on answer [`super::Stopped`].
    pub fn stop(&self) {
        self.state().ledger.stop();
    }

    /// Whether this world has stopped.
    pub fn has_stopped(&self) -> bool {
        self.state().ledger.is_stopped()
    }

    /// How many operations were made in this world, failed ones included; those after it stopped don't count.
    pub fn operations(&self) -> u64 {
        self.state().ledger.operations()
    }

    /// The operations made: number, kind, and the path they were given (at a rename the new name).
    pub fn trace(&self) -> Vec<(u64, Op, PathBuf)> {
        self.state().ledger.trace()
    }

    /// The disk's size: the lengths of all files together can't grow beyond it. A write takes what fits, and gives
    /// ENOSPC where nothing does; `None`, the default, is no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().disk.capacity = bytes;
    }

    /// Whether all that changes something gives EROFS.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().disk.read_only = read_only;
    }
}

/// Looks and changes from outside: they are no operations, meet no faults, and work in a stopped world.
impl SimFs {
    /// What readers see of a file, if there is one.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        let file = state.names.find_file(path.as_ref()).ok()?;
        state.contents.get(&file).map(|content| content.cached().to_vec())
    }

    /// Puts a file there, with the folders above it, all durable at once.
    ///
    /// # Panics
    /// Where a file is in a folder's place, or a folder in the file's.
    pub fn write_file(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let (path, mut state) = (path.as_ref(), self.state());
        let state = &mut *state;
        state.names.create_dirs(path.parent().unwrap_or(path), true).unwrap();
        let file = state.names.find_file(path).or_else(|_| state.names.create(path)).unwrap();
        state.names.settle(path);
        state.contents.insert(file, Content::durable(Arc::new(bytes.as_ref().to_vec())));
    }

    /// Makes a folder and those above it, durable at once.
    ///
    /// # Panics
    /// Where a file is in its place.
    pub fn make_dir(&self, path: impl AsRef<Path>) {
        let mut state = self.state();
        state.names.create_dirs(path.as_ref(), true).unwrap();
        state.names.settle(path.as_ref());
    }

    /// The paths of all files, from the root (`/a/b`), sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().names.files().into_iter().map(|(path, _)| path).collect()
    }

    /// Turns bit `bit` (of byte `bit / 8`, the lowest first) of a file, after making all its bytes durable.
    ///
    /// # Panics
    /// Where there is no such file or bit.
    pub fn flip_bit(&self, path: impl AsRef<Path>, bit: u64) {
        self.damage(path.as_ref(), |bytes| bytes[(bit / 8) as usize] ^= 1 << (bit % 8));
    }

    /// Cuts a file to `len` bytes, or extends it with zeros, after making all its bytes durable.
    ///
    /// # Panics
    /// Where there is no such file.
    pub fn truncate(&self, path: impl AsRef<Path>, len: u64) {
        self.damage(path.as_ref(), |bytes| bytes.resize(len as usize, 0));
    }

    fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let file = state.names.find_file(path).unwrap();
        let content = state.contents.get_mut(&file).unwrap();
        let mut bytes = content.cached().to_vec();
        change(&mut bytes);
        *content = Content::durable(Arc::new(bytes));
    }
}

impl SimFs {
    /// How many files' bytes this world holds on to.
    #[cfg(test)]
    pub(super) fn state_contents(&self) -> usize {
        self.state().contents.len()
    }

    // A test that panicked elsewhere should not hide its message behind this lock's.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one operation: numbers it, lets faults strike, acts. `file` is the one whose writes a failing sync loses;
    /// `act` gets the most bytes it may take.
    fn operate<T>(
        &self,
        op: Op,
        path: &Arc<Path>,
        file: Option<u64>,
        act: impl FnOnce(&mut State, usize) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state();
        match state.ledger.begin(op, path)? {
            Verdict::Go { at_most, then_stop } => {
                let result = act(&mut state, at_most.unwrap_or(usize::MAX));
                if then_stop {
                    state.ledger.stop();
                    return Err(stopped());
                }
                result
            }
            Verdict::Fail(code) => {
                if let (Op::SyncData | Op::SyncAll, Some(file)) = (op, file) {
                    state.content(file).lose_writes();
                }
                Err(os(code))
            }
        }
    }
}

impl State {
    /// The next world: these names, and the contents they refer to.
    fn next(&self, names: Names, mut content: impl FnMut(&Content) -> Content) -> SimFs {
        let contents = names.referred().into_iter().map(|file| (file, content(&self.contents[&file]))).collect();
        SimFs(Arc::new(Mutex::new(Self { names, contents, disk: self.disk, ..Self::default() })))
    }

    fn content(&mut self, file: u64) -> &mut Content {
        self.contents.entry(file).or_default()
    }

    fn writable(&self) -> io::Result<()> {
        if self.disk.read_only { Err(os(errno::EROFS)) } else { Ok(()) }
    }

    /// Forgets the contents of files that have no name and no handle left.
    fn forget_unused(&mut self) {
        let named = self.names.referred();
        let handles = &self.handles;
        self.contents.retain(|file, _| named.contains(file) || handles.contains_key(file));
    }

    /// By how much the files may still grow.
    fn room(&self) -> u64 {
        let Some(capacity) = self.disk.capacity else { return u64::MAX };
        let mut files: Vec<u64> = self.names.files().into_iter().map(|(_, file)| file).collect();
        files.extend(self.handles.keys());
        files.sort_unstable();
        files.dedup();
        let used: usize = files.iter().filter_map(|file| self.contents.get(file)).map(|c| c.cached().len()).sum();
        capacity.saturating_sub(used as u64)
    }

    fn write(&mut self, file: u64, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.writable()?;
        let len = self.content(file).cached().len() as u64;
        let end = offset.saturating_add(bytes.len() as u64);
        if end > MAX_FILE_BYTES {
            return Err(os(errno::EFBIG));
        }
        let mut taken = bytes.len();
        if end > len {
            let reach = len.saturating_add(self.room());
            taken = taken.min(reach.saturating_sub(offset) as usize);
            if taken == 0 && !bytes.is_empty() {
                return Err(os(errno::ENOSPC));
            }
        }
        self.content(file).write(offset as usize, &bytes[..taken]);
        Ok(taken)
    }

    fn set_len(&mut self, file: u64, len: u64) -> io::Result<()> {
        self.writable()?;
        let now = self.content(file).cached().len() as u64;
        if len > MAX_FILE_BYTES {
            return Err(os(errno::EFBIG));
        }
        if len > now && len - now > self.room() {
            return Err(os(errno::ENOSPC));
        }
        self.content(file).set_len(len as usize);
        Ok(())
    }
}

impl Fs for SimFs {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let op = if access == Access::CreateNew { Op::Create } else { Op::Open };
        let path: Arc<Path> = path.into();
        let file = self.operate(op, &path, None, |state, _| {
            if access != Access::Read {
                state.writable()?;
            }
            let file = if op == Op::Create { state.names.create(&path)? } else { state.names.find_file(&path)? };
            state.content(file);
            *state.handles.entry(file).or_default() += 1;
            Ok(file)
        })?;
        Ok(Box::new(SimFile { fs: self.clone(), file, path, writes: access != Access::Read }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(Op::Rename, &to.into(), None, |state, _| {
            state.writable()?;
            state.names.rename(from, to)
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.operate(Op::Remove, &path.into(), None, |state, _| {
            state.writable()?;
            state.names.remove(path)
        })
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.operate(Op::CreateDir, &path.into(), None, |state, _| {
            let allowed = !state.disk.read_only;
            state.names.create_dirs(path, allowed)
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.operate(Op::SyncDir, &path.into(), None, |state, _| {
            let dir = state.names.find_dir(path)?;
            state.names.sync(dir);
            state.forget_unused();
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.operate(Op::List, &dir.into(), None, |state, _| {
            let dir = state.names.find_dir(dir)?;
            Ok(state.names.files_in(dir).filter_map(|name| name.to_str().map(str::to_owned)).collect())
        })
    }

    fn list_folders(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.operate(Op::List, &dir.into(), None, |state, _| {
            let dir = state.names.find_dir(dir)?;
            Ok(state.names.folders_in(dir).filter_map(|name| name.to_str().map(str::to_owned)).collect())
        })
    }

    // Folders are never removed here: only exports do that, and they need DuckDB and so real files.
    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.operate(Op::Exists, &path.into(), None, |state, _| match state.names.find(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
    }
}

/// An open file of a world. Closing it syncs nothing.
#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    file: u64,
    path: Arc<Path>,
    writes: bool,
}

impl SimFile {
    fn operate<T>(&self, op: Op, act: impl FnOnce(&mut State, usize) -> io::Result<T>) -> io::Result<T> {
        self.fs.operate(op, &self.path, Some(self.file), act)
    }
}

impl File for SimFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.operate(Op::Read, |state, at_most| {
            let bytes = state.content(self.file).cached();
            let bytes = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
            let taken = bytes.len().min(buf.len()).min(at_most);
            buf[..taken].copy_from_slice(&bytes[..taken]);
            Ok(taken)
        })
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        self.operate(Op::Write, |state, at_most| {
            if !self.writes {
                return Err(os(errno::EBADF));
            }
            state.write(self.file, offset, &buf[..buf.len().min(at_most)])
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.operate(Op::SyncData, |state, _| {
            state.content(self.file).sync_data();
            Ok(())
        })
    }

    fn sync_all(&self) -> io::Result<()> {
        self.operate(Op::SyncAll, |state, _| {
            state.content(self.file).sync_all();
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate(Op::SetLen, |state, _| {
            if !self.writes {
                return Err(os(errno::EINVAL));
            }
            state.set_len(self.file, len)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.operate(Op::Len, |state, _| Ok(state.content(self.file).cached().len() as u64))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.fs.state();
        if let Some(handles) = state.handles.get_mut(&self.file) {
            *handles -= 1;
            if *handles == 0 {
                state.handles.remove(&self.file);
            }
        }
    }
}
