//! Where the workloads run, how much they do, and what several of them share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use persist_dated::{DatedConfig, DatedStore, Durability};

use crate::Result;
use crate::flight::{self, Flight};
use crate::report::Report;
use crate::workload::{closed, collection, flush, latest, read, recovery, verbs, write};

/// The row of persist itself.
pub(super) const PERSIST: &str = "persist";
pub(super) const DATE: &str = "2013-01-01";

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// What the names of the workloads call 1m.
    pub(crate) records: u64,
    /// What the names of the workloads call 100k.
    pub(crate) small: u64,
    /// How long a run lasts.
    pub(crate) run: Duration,
    /// How many runs each contender has.
    pub(crate) rounds: usize,
    /// How many flushes are timed.
    pub(crate) flushes: usize,
    /// What takes minutes as well.
    pub(crate) full: bool,
}

/// Where the files are, how much is done, and which workloads.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) dir: PathBuf,
    pub(crate) scale: Scale,
    pub(crate) only: String,
}

impl Bench {
    pub(super) fn wants(&self, workload: &str) -> bool {
        workload.contains(&self.only)
    }

    /// An empty folder of this name.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir(&path)?;
        Ok(path)
    }
}

/// Runs what is wanted.
pub(crate) fn run_all(bench: &Bench, report: &mut Report) -> Result<()> {
    write::durable(bench, report)?;
    write::os(bench, report)?;
    verbs::batches(bench, report)?;
    verbs::tickets(bench, report)?;
    verbs::compare_and_set(bench, report)?;
    read::get(bench, report)?;
    flush::at(bench, report, "flush-1000-at-100k", bench.scale.small)?;
    flush::at(bench, report, "flush-1000-at-1m", bench.scale.records)?;
    recovery::run(bench, report)?;
    closed::run(bench, report)?;
    run_collection(bench, report)
}

fn run_collection(bench: &Bench, report: &mut Report) -> Result<()> {
    let Scale { records, small, full, .. } = bench.scale;
    collection::durable(bench, report)?;
    collection::flush(bench, report, "coll-flush-1000-at-100k", small)?;
    collection::flush(bench, report, "coll-flush-1000-at-1m", records)?;
    latest::lazy_load(bench, report, "lazy-load-100k", small)?;
    latest::lazy_load(bench, report, "lazy-load-1m", records)?;
    latest::refresh(bench, report, "refresh-1000-at-100k", small, 1_000)?;
    latest::refresh(bench, report, "refresh-1000-at-1m", records, 1_000)?;
    latest::refresh(bench, report, "refresh-20000-at-1m", records, 20_000)?;
    latest::recover(bench, report, "coll-recover-at-100k", small)?;
    latest::recover(bench, report, "coll-recover-at-1m", records)?;
    latest::backup(bench, report)?;
    if full {
        latest::lazy_load(bench, report, "lazy-load-5m", 5 * records)?;
        latest::refresh(bench, report, "refresh-1000-at-5m", 5 * records, 1_000)?;
    }
    Ok(())
}

/// A store whose writes are flushed when it is told to, and not before.
pub(super) fn unflushed(dir: &Path) -> Result<DatedStore> {
    Ok(DatedStore::open(DATE, never_flushed(dir).durability(Durability::Os))?)
}

pub(super) fn never_flushed(dir: &Path) -> DatedConfig {
    DatedConfig::new(dir).batch_size(usize::MAX).flush_interval(Duration::from_secs(3600)).max_unflushed_bytes(1 << 40)
}

/// Puts so many flights into a store.
pub(super) fn fill(store: &DatedStore, numbers: std::ops::Range<u64>) -> Result<()> {
    let mut key = String::new();
    for n in numbers {
        flight::key(n, &mut key);
        store.store(&key, &Flight::new(n))?;
    }
    Ok(())
}
