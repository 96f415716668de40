//! A database of rows that are numbers: what it has committed in memory, what its file has, and how it gets lost.
//!
//! Before and after each thing that it is asked for shuttle may let others go on. A checkpoint takes its time: of what is
//! committed meanwhile its file has as much as chance will have it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use persist_core::error::{Error, ErrorKind, Result};
use persist_core::fs::Fs;
use persist_core::protocol::{Append, Base, Entry, Merged, Place, Reached};
use shuttle::rand::{Rng, thread_rng};

use super::Chance;

/// A record: its `seq`, and that of the last record of its batch.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) seq: u64,
    pub(super) batch_ends: u64,
}

impl Entry for Row {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn at(&self) -> i64 {
        0
    }

    fn bytes(&self) -> u64 {
        100
    }
}

/// One transaction: its rows, and the watermark that it says.
#[derive(Debug, Clone, Default)]
struct Commit {
    rows: Vec<u64>,
    watermark: u64,
}

/// What the file has.
#[derive(Debug, Clone, Default)]
pub(super) struct Content(Vec<Commit>);

impl Content {
    pub(super) fn rows(&self) -> Vec<u64> {
        self.0.iter().flat_map(|commit| &commit.rows).copied().collect()
    }

    pub(super) fn watermark(&self) -> u64 {
        self.0.iter().map(|commit| commit.watermark).max().unwrap_or(0)
    }
}

/// The file, and what may become of it.
#[derive(Debug, Clone, Default)]
pub(super) struct File(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    content: Mutex<Content>,
    /// What it had before, at each checkpoint.
    older: Mutex<Vec<Content>>,
    noted: AtomicU64,
    /// So often does something still fail.
    failures: AtomicU32,
    chance: Chance,
}

impl File {
    /// From now on so many things that are asked for fail.
    pub(super) fn fail(&self, times: u32) {
        self.0.failures.store(times, Ordering::SeqCst);
    }

    pub(super) fn content(&self) -> Content {
        self.0.content.lock().unwrap().clone()
    }

    /// What it had at some time before, if there was a checkpoint, and up to where it is noted to have everything.
    pub(super) fn older(&self) -> (Option<Content>, u64) {
        let older = self.0.older.lock().unwrap();
        let at = thread_rng().gen_range(0..older.len().max(1));
        (older.get(at).cloned(), self.0.noted.load(Ordering::SeqCst))
    }

    /// Whether what is asked for now fails.
    fn fails(&self) -> bool {
        let left = self.0.failures.load(Ordering::SeqCst);
        let fails = left > 0 && thread_rng().gen_bool(0.3);
        self.0.failures.store(left - u32::from(fails), Ordering::SeqCst);
        fails
    }
}

impl Place for File {
    type Base = Instance;

    fn path(&self) -> &Path {
        Path::new("/store/base")
    }

    fn open(&self) -> Result<Instance> {
        self.0.chance.around(|| {
            if self.fails() {
                return Err(Error::new(ErrorKind::Database, "it does not open"));
            }
            Ok(Instance(Arc::new(Opened {
                file: self.clone(),
                commits: Mutex::new(self.content()),
                is_lost: AtomicBool::new(false),
            })))
        })
    }

    fn note(&self, checkpointed: u64) -> Result<()> {
        self.0.chance.around(|| self.0.noted.store(checkpointed, Ordering::SeqCst));
        Ok(())
    }
}

/// The file, opened.
#[derive(Debug, Clone)]
pub(super) struct Instance(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    file: File,
    commits: Mutex<Content>,
    is_lost: AtomicBool,
}

impl Instance {
    /// What it has committed.
    pub(super) fn content(&self) -> Content {
        self.0.commits.lock().unwrap().clone()
    }

    /// It gives up, as on a disk that does not take what it writes.
    pub(super) fn lose(&self) {
        self.0.is_lost.store(true, Ordering::SeqCst);
    }

    fn usable(&self) -> Result<()> {
        if self.0.file.fails() {
            if thread_rng().gen_bool(0.5) {
                return Err(Error::new(ErrorKind::Database, "refused"));
            }
            self.lose();
        }
        match self.0.is_lost.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Database, "lost")),
            false => Ok(()),
        }
    }

    fn around<T>(&self, act: impl FnOnce() -> T) -> T {
        self.0.file.0.chance.around(act)
    }
}

impl Base for Instance {
    type Appender = Self;

    fn appender(&self) -> Result<Self> {
        Ok(self.clone())
    }

    fn reached(&self) -> Result<Reached> {
        self.around(|| {
            if self.0.is_lost.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Database, "lost"));
            }
            let content = self.content();
            let delta_rows = content.rows().len() as u64;
            Ok(Reached { watermark: content.watermark(), base_rows: 0, delta_rows })
        })
    }

    fn merge(&self) -> Result<Merged> {
        self.around(|| {
            self.usable()?;
            // What was committed by now becomes one; what comes in meanwhile stays as it is.
            let mut commits = self.0.commits.lock().unwrap();
            *commits = Content(vec![Commit { rows: commits.rows(), watermark: commits.watermark() }]);
            Ok(Merged::default())
        })
    }

    fn checkpoint(&self, _: &dyn Fs) -> Result<bool> {
        let before = self.around(|| self.content().0.len());
        // It takes longer than anything else.
        (0..3).for_each(|_| self.around(|| ()));
        let after = self.content();
        let taken = thread_rng().gen_range(before..=after.0.len());
        self.around(|| {
            self.usable()?;
            if self.0.file.fails() {
                return Ok(false);
            }
            let file = &self.0.file.0;
            let before = std::mem::replace(&mut *file.content.lock().unwrap(), Content(after.0[..taken].to_vec()));
            file.older.lock().unwrap().push(before);
            Ok(true)
        })
    }

    fn is_lost(error: &Error) -> bool {
        error.to_string() == "lost"
    }
}

impl Append<Row> for Instance {
    fn append(&mut self, records: &[Arc<Row>], watermark: u64, _: i64) -> Result<usize> {
        self.around(|| {
            self.usable()?;
            let mut commits = self.0.commits.lock().unwrap();
            let there = commits.rows();
            for (row, wanted) in records.iter().zip(there.len() as u64 + 1..) {
                assert_eq!(row.seq, wanted, "a row is flushed twice, or one is passed over: {there:?}");
            }
            let last = records.last().expect("a flush of something");
            assert_eq!(last.seq, last.batch_ends, "a flush ends within a batch");
            commits.0.push(Commit { rows: records.iter().map(|row| row.seq).collect(), watermark });
            Ok(records.len())
        })
    }
}
