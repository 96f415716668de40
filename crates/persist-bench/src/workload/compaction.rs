//! What merging the delta into the main table costs, and what it does to who writes meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use persist_dated::{DatedConfig, DatedStore};

use super::bench::{Bench, DATE};
use super::{flush, table};
use crate::Result;
use crate::drive::Figures;
use crate::name::{Name, PERSIST};
use crate::report::Report;

const NAME: &str = "compaction";
const MEANWHILE: Name = PERSIST.variant("writes meanwhile");
const ALONE: Name = PERSIST.variant("writes alone");

/// Compactions that bring changes of a fiftieth of the rows, spread over all of them, into a large table. Durable writes
/// of one thread are timed while that goes on, and as long before it.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.wants(NAME) {
        return Ok(());
    }
    let rows = bench.scale.large;
    let dir = table::copy(bench, rows, NAME)?;
    let store = DatedStore::open(DATE, DatedConfig::new(&dir))?;
    let changes = (rows / 50).max(1);
    let (mut merges, mut meanwhile, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    let mut next = rows;
    for round in 0..bench.scale.rounds as u64 {
        table::put_batches(&store, (0..changes).map(|n| n * (rows / changes) + round))?;
        store.flush()?;
        flush::settle(&store);
        alone.push(flush::writes(&store, &mut next, bench.scale.run.max(Duration::from_millis(500)))?);
        let (took, figures) = beside(&store, &mut next)?;
        merges.push(Figures::of_whole(took, changes));
        meanwhile.push(figures);
    }
    report.add(NAME, &[(PERSIST, merges), (MEANWHILE, meanwhile), (ALONE, alone)]);
    store.close()?;
    Ok(std::fs::remove_dir_all(&dir)?)
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
