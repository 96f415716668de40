//! What merging the delta into the main table costs, and what it does to who writes meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use persist_dated::DatedStore;

use super::bench::Bench;
use super::{flush, table};
use crate::Result;
use crate::drive::Figures;
use crate::name::{Name, PERSIST};
use crate::report::Report;

pub(super) const NAME: &str = "compaction";
const MEANWHILE: Name = PERSIST.variant("writes meanwhile");
const ALONE: Name = PERSIST.variant("writes alone");

/// Compactions that bring changes of a fiftieth of the rows, spread over all of them, into a large table. Durable writes
/// of one thread are timed while that goes on, and as long before it; in both each 1,000 of them are flushed.
pub(super) fn run(bench: &Bench, report: &mut Report, store: &DatedStore, next: &mut u64) -> Result<()> {
    let rows = bench.scale.large;
    let changes = (rows / 50).max(1);
    let (mut merges, mut meanwhile, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    store.compact()?;
    for round in 0..bench.scale.rounds as u64 {
        table::put_batches(store, (0..changes).map(|n| n * (rows / changes) + round))?;
        let run = bench.scale.run.max(flush::SHORTEST);
        alone.push(flush::beside_flushes(store, || flush::writes(store, next, run))?);
        let (took, figures) = flush::beside_flushes(store, || beside(store, next))?;
        merges.push(Figures::of_whole(took, changes));
        meanwhile.push(figures);
    }
    report.add(NAME, &[(PERSIST, merges), (MEANWHILE, meanwhile), (ALONE, alone)]);
    Ok(())
}

/// Compacts, and writes until that is done.
fn beside(store: &DatedStore, next: &mut u64) -> Result<(Duration, Figures)> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let compaction = scope.spawn(|| {
            let start = Instant::now();
            let done = store.compact();
            is_over.store(true, Ordering::Release);
            done.map(|()| start.elapsed())
        });
        let figures = flush::writes_until(store, next, || is_over.load(Ordering::Acquire))?;
        Ok((compaction.join().map_err(|_| "the compaction panicked")??, figures))
    })
}
