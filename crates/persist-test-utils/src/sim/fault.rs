//! Which operation fails, and how: the numbering of operations, their trace, and the faults set on them.
//!
//! What a fault does to the files is done in `fs.rs`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Linux's numbers of the errors that storage gives.
pub mod errno {
    /// No such file or folder.
    pub const ENOENT: i32 = 2;
    /// Interrupted; the call may be made again.
    pub const EINTR: i32 = 4;
    /// The device failed.
    pub const EIO: i32 = 5;
    /// The file is not open for this.
    pub const EBADF: i32 = 9;
    /// Permission denied.
    pub const EACCES: i32 = 13;
    /// The name is taken.
    pub const EEXIST: i32 = 17;
    /// A folder was expected.
    pub const ENOTDIR: i32 = 20;
    /// A folder, where a file was expected.
    pub const EISDIR: i32 = 21;
    /// An argument makes no sense.
    pub const EINVAL: i32 = 22;
    /// Too many files are open.
    pub const EMFILE: i32 = 24;
    /// The file would be too large.
    pub const EFBIG: i32 = 27;
    /// The disk is full.
    pub const ENOSPC: i32 = 28;
    /// The file system is read-only.
    pub const EROFS: i32 = 30;
    /// The quota is used up.
    pub const EDQUOT: i32 = 122;
}

/// The kind of an operation: one for each method of [`persist_core::fs::Fs`] and [`persist_core::fs::File`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// `open` of a file that is there.
    Open,
    /// `open` with [`persist_core::fs::Access::CreateNew`].
    Create,
    /// `read_at`.
    Read,
    /// `write_at`.
    Write,
    /// `sync_data`.
    SyncData,
    /// `sync_all`.
    SyncAll,
    /// `set_len`.
    SetLen,
    /// `len`, and `is_empty`, which calls it.
    Len,
    /// `rename`; its path in the trace is the new name.
    Rename,
    /// `remove_file`.
    Remove,
    /// `create_dir_all`.
    CreateDir,
    /// `sync_dir`.
    SyncDir,
    /// `list`.
    List,
    /// `exists`.
    Exists,
}

/// When a fault strikes. Numbers start at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At operation `n` of the world.
    At(u64),
    /// At operation `n` and all after it.
    AtOn(u64),
    /// At the `n`-th operation of a kind.
    Nth(Op, u64),
    /// At the `n`-th operation of a kind and all of that kind after it.
    NthOn(Op, u64),
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The operation has no effect and answers this error; a sync loses the file's pending writes (see [`super`]).
    Errno(i32),
    /// A write takes at most so many bytes, a read gives at most so many; both answer OK. Others go on as ever.
    Short(usize),
    /// As [`What::Short`], then the world stops, and the caller gets the error of a stopped world.
    ShortThenStop(usize),
    /// The world stops before the operation: this one and all later ones answer [`Stopped`].
    Stop,
    /// The operation takes effect, then the world stops; its caller gets [`Stopped`] as well.
    StopAfter,
}

/// A fault to set with [`super::SimFs::fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When it strikes.
    pub when: When,
    /// What it does.
    pub what: What,
}

impl Fault {
    /// At operation `n` of the world, counted from 1.
    pub fn at(n: u64, what: What) -> Self {
        Self { when: When::At(n), what }
    }

    /// At operation `n` and all after it.
    pub fn at_on(n: u64, what: What) -> Self {
        Self { when: When::AtOn(n), what }
    }

    /// At the `n`-th operation of a kind, counted from 1.
    pub fn nth(op: Op, n: u64, what: What) -> Self {
        Self { when: When::Nth(op, n), what }
    }

    /// At the `n`-th operation of a kind and all of that kind after it.
    pub fn nth_on(op: Op, n: u64, what: What) -> Self {
        Self { when: When::NthOn(op, n), what }
    }
}

/// The error of every operation in a world that has stopped. See [`is_stopped`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated world has stopped")
    }
}

impl Error for Stopped {}

/// Whether an error, or one that it was made from, is that of a world that has stopped.
pub fn is_stopped(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // The source of an `io::Error` is that of the error inside it: the inner one has to be asked for.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<Stopped>() || inner.is_some_and(|inner| is_stopped(inner)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// What is to become of an operation.
pub(super) enum Verdict {
    Go { at_most: Option<usize>, then_stop: bool },
    Fail(i32),
}

/// The operations of one world, and the faults set on them.
#[derive(Default)]
pub(super) struct Ledger {
    faults: Vec<Fault>,
    kinds: BTreeMap<Op, u64>,
    trace: Vec<(Op, Arc<Path>)>,
    stopped: bool,
}

impl Ledger {
    /// Numbers an operation and judges it. In a stopped world nothing is numbered any more, so that the count shows
    /// where it stopped.
    pub(super) fn begin(&mut self, op: Op, path: &Arc<Path>) -> io::Result<Verdict> {
        self.check()?;
        self.trace.push((op, Arc::clone(path)));
        let number = self.operations();
        let nth = self.kinds.entry(op).or_default();
        *nth += 1;
        let nth = *nth;
        let fault = self.faults.iter().find(|fault| match fault.when {
            When::At(n) => number == n,
            When::AtOn(n) => number >= n,
            When::Nth(kind, n) => kind == op && nth == n,
            When::NthOn(kind, n) => kind == op && nth >= n,
        });
        Ok(match fault.map(|fault| fault.what) {
            None => Verdict::Go { at_most: None, then_stop: false },
            Some(What::Errno(code)) => Verdict::Fail(code),
            Some(What::Short(at_most)) => Verdict::Go { at_most: Some(at_most), then_stop: false },
            Some(What::ShortThenStop(at_most)) => Verdict::Go { at_most: Some(at_most), then_stop: true },
            Some(What::StopAfter) => Verdict::Go { at_most: None, then_stop: true },
            Some(What::Stop) => {
                self.stopped = true;
                return Err(stopped());
            }
        })
    }

    pub(super) fn check(&self) -> io::Result<()> {
        if self.stopped { Err(stopped()) } else { Ok(()) }
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(super) fn operations(&self) -> u64 {
        self.trace.len() as u64
    }

    pub(super) fn trace(&self) -> Vec<(u64, Op, PathBuf)> {
        (1..).zip(&self.trace).map(|(number, (op, path))| (number, *op, path.to_path_buf())).collect()
    }
}

pub(super) fn stopped() -> io::Error {
    io::Error::other(Stopped)
}

pub(super) fn os(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}
