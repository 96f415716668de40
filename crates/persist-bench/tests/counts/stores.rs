//! The stores that are counted, and what is written into them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use persist_collection::{CollectionConfig, CollectionStore};
use persist_core::Stats;
use persist_core::clock::ManualClock;
use persist_dated::{DatedConfig, DatedStore, Durability};
use persist_kv::{KvConfig, KvStore};
use serde::Serialize;
use tempfile::TempDir;

use crate::disk::CountingDisk;

const DATE: &str = "2025-01-15";
const NOW: i64 = 1_736_937_000_123_456;
const NEVER: Duration = Duration::from_secs(3600);

/// A record: with all that a store looks for in one, and as long as those of the benchmarks.
#[derive(Debug, Serialize)]
pub(crate) struct Flight {
    carrier: &'static str,
    flight: u32,
    tailnum: &'static str,
    origin: &'static str,
    dest: &'static str,
    scheduled: &'static str,
    dep_delay: i32,
    arr_delay: i32,
    distance: u32,
    air_time: u32,
    timestamp: &'static str,
    status: &'static str,
    username: &'static str,
}

pub(crate) const FLIGHT: Flight = Flight {
    carrier: "UA",
    flight: 1545,
    tailnum: "N14228",
    origin: "EWR",
    dest: "IAH",
    scheduled: "2013-01-01T05:15:00Z",
    dep_delay: 2,
    arr_delay: 11,
    distance: 1400,
    air_time: 227,
    timestamp: "2013-01-01T10:00:00Z",
    status: "landed",
    username: "tower",
};

/// The key of a flight: 21 bytes, which memory holds within the record.
pub(crate) fn key(n: usize) -> String {
    format!("2013-01-01/{n:010}")
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Where a test keeps its store. Only one test at a time has one: plain `cargo test` runs them side by side.
pub(crate) struct Place {
    dir: TempDir,
    pub(crate) disk: CountingDisk,
    _alone: MutexGuard<'static, ()>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let alone = ONE_AT_A_TIME.lock();
        let dir = tempfile::Builder::new().prefix("counts-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self { dir, disk: CountingDisk::default(), _alone: alone }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A store that flushes when it is told to, and whose clock stands still.
    pub(crate) fn dated(&self) -> DatedStore {
        self.dated_as(|config| {
            config.clock(Arc::new(ManualClock::new(NOW))).batch_size(usize::MAX).flush_interval(NEVER)
        })
    }

    /// A store as it is by default.
    pub(crate) fn dated_by_default(&self) -> DatedStore {
        self.dated_as(|config| config)
    }

    fn dated_as(&self, set: impl FnOnce(DatedConfig) -> DatedConfig) -> DatedStore {
        let config = DatedConfig::new(self.path()).fs(Arc::new(self.disk.clone()));
        DatedStore::open(DATE, set(config)).unwrap()
    }

    pub(crate) fn kv(&self) -> KvStore {
        let config = KvConfig::new(self.path()).fs(Arc::new(self.disk.clone()));
        let config = config.batch_size(usize::MAX).flush_interval(NEVER);
        KvStore::open(self.path().join("kv.duckdb"), config).unwrap()
    }

    pub(crate) fn collection(&self) -> CollectionStore {
        let config = CollectionConfig::new(self.path()).fs(Arc::new(self.disk.clone())).backups(false);
        CollectionStore::open(DATE, config.batch_size(usize::MAX).flush_interval(NEVER)).unwrap()
    }
}

/// Writes flights, acknowledged by the operating system.
pub(crate) fn fill(store: &DatedStore, numbers: std::ops::Range<usize>) {
    for n in numbers {
        store.put(&key(n)).durability(Durability::Os).data(&FLIGHT).unwrap();
    }
}

/// Waits until the store has done all that it does by itself after a flush.
pub(crate) fn settle(stats: impl Fn() -> Stats) {
    wait_until(|| {
        let stats = stats();
        stats.checkpointed_seq == stats.last_seq && stats.wal_files_count == 0
    });
}

pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not come to that");
        std::thread::sleep(Duration::from_millis(1));
    }
}
