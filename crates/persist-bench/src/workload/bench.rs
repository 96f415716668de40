//! Where the workloads run, how much they do, and what several of them share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use persist_dated::{DatedConfig, DatedStore, Durability};

use crate::Result;
use crate::flight::{self, Flight};
use crate::report::Report;
use crate::workload::{
    closed, collection, declared, flush, latest, prepare, query, read, record, recovery, verbs, write,
};

pub(super) const DATE: &str = "2013-01-01";

/// The workloads of the report, and the queries, which only the targets ask for. Others run where they are asked for.
pub(crate) const REPORTED: [&str; 24] = [
    "durable-1-thread",
    "durable-8-threads",
    "durable-64-threads",
    "durable-256-threads",
    "os-1-thread",
    "os-8-threads",
    "tickets-1000",
    "batch-100",
    "get-1m-1-thread",
    "get-1m-2-threads-writer",
    "flush-1000-at-100k",
    "flush-1000-at-1m",
    "flush-1000-at-5m",
    "compaction",
    "recovery-1m",
    "open-1m",
    "memory-1m",
    "export-1m",
    "query",
    "lazy-load-5m",
    "record-100b",
    "record-1k",
    "record-10k",
    "record-100k",
];

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// What the names of the workloads call 1m.
    pub(crate) records: u64,
    /// What the names of the workloads call 100k.
    pub(crate) small: u64,
    /// What the names of the workloads call 5m.
    pub(crate) large: u64,
    /// How long a run lasts.
    pub(crate) run: Duration,
    /// How many runs each contender has.
    pub(crate) rounds: usize,
    /// How many flushes are timed.
    pub(crate) flushes: usize,
}

/// Where the files are, how much is done, and which workloads.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) dir: PathBuf,
    pub(crate) scale: Scale,
    pub(crate) only: Vec<String>,
    /// Also what is no part of the report: other workloads, and variants that show where the time goes.
    pub(crate) more: bool,
}

impl Bench {
    pub(super) fn wants(&self, workload: &str) -> bool {
        if REPORTED.contains(&workload) {
            self.only.is_empty() || self.only.iter().any(|part| workload.contains(part))
        } else if self.only.is_empty() {
            self.more
        } else {
            self.only.iter().any(|start| workload.starts_with(start))
        }
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
    record::sizes(bench, report)?;
    read::get(bench, report)?;
    prepare::all(bench)?;
    flush::at(bench, report, "flush-1000-at-100k", bench.scale.small)?;
    flush::at(bench, report, "flush-1000-at-1m", bench.scale.records)?;
    query::run(bench, report)?;
    flush::at_large(bench, report)?;
    recovery::run(bench, report)?;
    closed::run(bench, report)?;
    run_collection(bench, report)?;
    declared::inserts(bench, report)?;
    declared::whole(bench, report, "100k", bench.scale.small)?;
    declared::whole(bench, report, "1m", bench.scale.records)
}

fn run_collection(bench: &Bench, report: &mut Report) -> Result<()> {
    let Scale { records, small, large, .. } = bench.scale;
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
    latest::lazy_load(bench, report, "lazy-load-5m", large)?;
    latest::refresh(bench, report, "refresh-1000-at-5m", large, 1_000)?;
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
