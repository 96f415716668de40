//! DuckDB that works in part only, for long: row 23 of the promises.
//!
//! Threads write as fast as they may while a step of each flush or checkpoint fails. They are slowed down and at last refused as
//! `Busy`, so that neither memory nor the folder grows without end. When nothing fails any more, the store goes on by itself,
//! and has all that was acknowledged.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use persist_dated::{Durability, Error, ErrorKind};
use persist_test_utils::oracle::Call;
use persist_test_utils::{FlakyDisk, Settings, Subject};
use serde_json::json;

use crate::folder::on_disk;
use crate::rows::{Counters, Setting};

const THREADS: u64 = 3;
/// For so long something fails.
const BROKEN: Duration = Duration::from_millis(2_000);
/// So long the writers are slowed down, then refused, and for so long no longer.
const FILLS: Duration = Duration::from_secs(30);
const GOES_ON: Duration = Duration::from_secs(30);
const UNFLUSHED_BYTES: u64 = 256 << 10;
const SEGMENT_BYTES: u64 = 64 << 10;
/// The folder: what may wait for a checkpoint, in the log and in DuckDB's own, and the databases.
const FOLDER_BYTES: u64 = 16 << 20;
/// What it may grow by when writers are refused.
const SLACK_BYTES: u64 = 1 << 20;
const TEXT_BYTES: usize = 1_000;

/// What fails, and whether writers have to be refused some time.
const FAILS: [(&str, bool); 4] =
    [("flush: begins", true), ("checkpoint: begins", true), ("a journal", true), ("merge: begins", false)];

/// One case: its number says what fails.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn case<S: Subject>(_: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let (what, fills) = FAILS[(number % FAILS.len() as u64) as usize];
    let dir = on_disk()?;
    let is_broken = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_broken);
    let disk = FlakyDisk::new(move |operation, path| {
        let is_it = match operation {
            "step" => path == Path::new(what),
            _ => what == "a journal" && path.to_string_lossy().contains(".journal"),
        };
        if is_it && switch.load(Ordering::SeqCst) { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    });
    let settings = Settings {
        max_unflushed_bytes: UNFLUSHED_BYTES,
        max_wal_size_bytes: SEGMENT_BYTES,
        busy_timeout: Duration::from_millis(20),
        flush_interval: Duration::from_millis(20),
        batch_size: 50,
        fs: Arc::new(disk),
        ..Settings::default()
    };
    let store = S::open(dir.path(), 1, &settings).map_err(|error| error.to_string())?;
    let (busy, stops) = (AtomicU64::new(0), AtomicBool::new(false));
    let put: Vec<AtomicU64> = (0..THREADS).map(|_| AtomicU64::new(0)).collect();
    let lasting =
        Lasting { store: &store, dir: dir.path(), busy: &busy, stops: &stops, put: &put, is_broken: &is_broken };
    lasting.run(fills).map_err(|broken| format!("{what} failed: {broken}"))?;
    counters.add("busy", busy.load(Ordering::SeqCst));
    counters.add("acknowledged", lasting.acknowledged());
    let holds = |store: &S| {
        for (thread, put) in put.iter().enumerate() {
            let rows = store.rows(&format!("t{thread}-")).map_err(|error| error.to_string())?;
            if rows.len() as u64 != put.load(Ordering::SeqCst) {
                return Err(format!("I1: {} of {put:?} records of a thread are there", rows.len()));
            }
        }
        let problems = store.problems().map_err(|error| error.to_string())?;
        if problems.is_empty() { Ok(()) } else { Err(format!("{problems:?}")) }
    };
    holds(&store)?;
    store.close().map_err(|error| format!("I6: closing: {error}"))?;
    let store = S::open(dir.path(), 1, &settings).map_err(|error| format!("I1: {error}"))?;
    holds(&store)
}

struct Lasting<'a, S> {
    store: &'a S,
    dir: &'a Path,
    busy: &'a AtomicU64,
    stops: &'a AtomicBool,
    /// How many records each thread has put.
    put: &'a [AtomicU64],
    is_broken: &'a AtomicBool,
}

impl<S: Subject> Lasting<'_, S> {
    fn acknowledged(&self) -> u64 {
        self.put.iter().map(|put| put.load(Ordering::SeqCst)).sum()
    }

    fn run(&self, fills: bool) -> Result<(), String> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || self.write(thread))).collect();
            let watched = self.watch(fills);
            self.stops.store(true, Ordering::SeqCst);
            self.is_broken.store(false, Ordering::SeqCst);
            let written = threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "I6: a panic")?);
            watched.and(written)
        })
    }

    /// Puts one record after another, each again when it was refused.
    fn write(&self, thread: u64) -> Result<(), String> {
        let put = &self.put[thread as usize];
        while !self.stops.load(Ordering::SeqCst) {
            let number = put.load(Ordering::SeqCst);
            let id = S::id(&format!("t{thread}-{number}"), 0);
            let data = json!({ "n": number, "text": "x".repeat(TEXT_BYTES) });
            let call = Call::Put(id.clone(), S::data(&id, data.as_object().cloned().unwrap_or_default()), None);
            let durability = if number.is_multiple_of(7) { Durability::Sync } else { Durability::Os };
            match self.store.perform(&call, durability) {
                Ok(Ok(_)) => drop(put.fetch_add(1, Ordering::SeqCst)),
                Err(error) if error.kind() == ErrorKind::Busy => drop(self.busy.fetch_add(1, Ordering::SeqCst)),
                other => return Err(format!("I6: {other:?}")),
            }
        }
        Ok(())
    }

    /// Breaks it and mends it, and looks meanwhile.
    fn watch(&self, fills: bool) -> Result<(), String> {
        self.until(GOES_ON, "nothing is written", || self.acknowledged() > 100)?;
        self.is_broken.store(true, Ordering::SeqCst);
        if fills {
            self.until(FILLS, "nobody is refused", || self.busy.load(Ordering::SeqCst) > THREADS)?;
        } else {
            std::thread::sleep(BROKEN / 2);
        }
        let (before, taken) = (bytes(self.dir), self.acknowledged());
        std::thread::sleep(BROKEN);
        let (after, taken) = (bytes(self.dir), self.acknowledged() - taken);
        if fills && (after > FOLDER_BYTES || after > before + SLACK_BYTES || taken * TEXT_BYTES as u64 > SLACK_BYTES) {
            return Err(format!(
                "writers are refused, {taken} more were taken, and the folder grew {before} to {after}"
            ));
        }
        // What is in memory is read nevertheless.
        let read = self.store.get(&S::id("t0-0", 0)).map_err(|error: Error| format!("I6: a read: {error}"))?;
        if read.is_none() {
            return Err("I1: a read finds nothing".to_owned());
        }
        self.is_broken.store(false, Ordering::SeqCst);
        let taken = self.acknowledged();
        self.until(GOES_ON, "all is well, and nobody is served", || self.acknowledged() > taken + 500)
    }

    fn until(&self, time: Duration, otherwise: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
        let start = Instant::now();
        while !is_so() {
            if start.elapsed() > time {
                return Err(format!("I6: {otherwise} in {time:?}: {} acknowledged", self.acknowledged()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// What the files below a folder have.
fn bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}
