//! A flush of 1,000 rows into a table of some size.

use std::time::{Duration, Instant};

use super::bench::{Bench, fill, unflushed};
use crate::Result;
use crate::drive::Figures;
use crate::floor::appender::{self, Table};
use crate::name::{Name, PERSIST};
use crate::report::Report;

const APPENDER: Name = Name::floor("Appender");
/// The part of a flush that is the worker's, without closing the segment of the log and waking the threads.
const WORKER: Name = PERSIST.variant("worker alone");
const ROWS: u64 = 1000;

/// Figures are rows per second; the times are those of a whole flush.
pub(super) fn at(bench: &Bench, report: &mut Report, name: &str, rows: u64) -> Result<()> {
    if !bench.wants(name) {
        return Ok(());
    }
    let dir = bench.folder("flush")?;
    let store = unflushed(&dir)?;
    fill(&store, 0..rows)?;
    store.compact()?;
    let table = Table::new(&dir.join("floor.duckdb"), rows)?;
    let (mut whole, mut worker, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    // The first of each finds nothing cached and is left out.
    for n in 0..=bench.scale.flushes as u64 {
        let from = rows + n * ROWS;
        fill(&store, from..from + ROWS)?;
        store.sync()?;
        let start = Instant::now();
        store.flush()?;
        whole.push(start.elapsed());
        worker.push(store.stats().last_flush.unwrap_or_default());
        settle(&store);
        let batch = appender::batch(from..from + ROWS)?;
        let start = Instant::now();
        table.append(batch)?;
        floor.push(start.elapsed());
        // persist checkpoints after a flush that closed a segment; the log that DuckDB reads back stays as short here.
        table.checkpoint()?;
    }
    let of = |each: &[Duration]| vec![Figures::of_each(each.get(1..).unwrap_or_default(), ROWS)];
    report.add(name, &[(PERSIST, of(&whole)), (WORKER, of(&worker)), (APPENDER, of(&floor))]);
    store.close()?;
    Ok(std::fs::remove_dir_all(&dir)?)
}

/// Waits until the store has done what a flush leaves to be done, lest the floor pay for it.
fn settle(store: &persist_dated::DatedStore) {
    for _ in 0..100 {
        let stats = store.stats();
        if stats.checkpointed_seq >= stats.watermark {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
