//! The large stores, made before anything is measured of them, and side by side: none of that is timed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::bench::{Bench, Scale};
use super::{closed, collection, recovery, table};
use crate::Result;

/// One store, or several that grow out of each other.
type Job<'a> = Box<dyn Fn() -> Result<()> + Send + Sync + 'a>;

/// Makes what the workloads need that are wanted.
pub(super) fn all(bench: &Bench) -> Result<()> {
    let Scale { records, small, large, .. } = bench.scale;
    let wants = |names: &[&str]| names.iter().any(|name| bench.wants(name));
    let tables = [
        (small, wants(&["flush-1000-at-100k"])),
        (records, wants(&["flush-1000-at-1m"])),
        (3 * records, wants(&["query"])),
        (large, wants(&["flush-1000-at-5m", "compaction"])),
    ];
    // Those that take longest come first.
    let mut jobs: Vec<Job<'_>> = Vec::new();
    if wants(&["lazy-load-5m"]) {
        jobs.push(Box::new(move || collection::prepare(bench, large)));
    }
    jobs.push(Box::new(move || {
        let rows = tables.iter().filter(|(_, is_wanted)| *is_wanted).map(|(rows, _)| *rows);
        rows.into_iter().try_for_each(|rows| table::built(bench, rows).map(drop))
    }));
    if wants(&["open-1m", "export-1m"]) {
        jobs.push(Box::new(|| closed::prepare(bench)));
    }
    if wants(&["recovery-1m"]) {
        jobs.push(Box::new(|| recovery::prepare(bench)));
    }
    side_by_side(&jobs)
}

/// As many at a time as there are cores.
fn side_by_side(jobs: &[Job<'_>]) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            job()?;
        }
        Ok(())
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}
