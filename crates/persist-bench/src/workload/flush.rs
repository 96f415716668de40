//! A flush of 1,000 rows into a table of some size, and what flushes do to who writes meanwhile.

use std::time::{Duration, Instant};

use persist_dated::{DatedConfig, DatedStore, Durability};

use super::bench::{Bench, DATE, fill, unflushed};
use super::table;
use crate::Result;
use crate::drive::{Contender, Figures, in_turns};
use crate::flight::{self, Flight};
use crate::floor::appender::{self, Table};
use crate::name::{Name, PERSIST};
use crate::report::Report;

const APPENDER: Name = Name::floor("Appender");
/// The part of a flush that is the worker's, without closing the segment of the log and waking the threads.
const WORKER: Name = PERSIST.variant("worker alone");
const MEANWHILE: Name = PERSIST.variant("writes meanwhile");
const ALONE: Name = PERSIST.variant("writes alone");
const ROWS: u64 = 1000;

/// Figures are rows per second; the times are those of a whole flush. Beside it the durable writes of one thread, into a
/// store that flushes each 1,000 of them and into one that flushes none, at the largest table.
pub(super) fn at(bench: &Bench, report: &mut Report, name: &str, rows: u64) -> Result<()> {
    if !bench.wants(name) {
        return Ok(());
    }
    let dir = table::copy(bench, rows, "flush")?;
    let store = unflushed(&dir)?;
    let mut runs = if rows < bench.scale.large { Vec::new() } else { meanwhile(bench, &store, rows)? };
    let table = Table::new(&dir.join("floor.duckdb"), rows)?;
    let (mut whole, mut worker, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    // The first of each finds nothing cached and is left out.
    for n in 0..=bench.scale.flushes as u64 {
        // Not those that were written above.
        let from = 2 * rows + n * ROWS;
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
    runs.splice(0..0, [(PERSIST, of(&whole)), (WORKER, of(&worker)), (APPENDER, of(&floor))]);
    report.add(name, &runs);
    store.close()?;
    Ok(std::fs::remove_dir_all(&dir)?)
}

fn meanwhile(bench: &Bench, unflushed: &DatedStore, rows: u64) -> Result<Vec<(Name, Vec<Figures>)>> {
    let dir = table::copy(bench, rows, "flushing")?;
    let flushing = DatedStore::open(DATE, DatedConfig::new(&dir))?;
    let run = bench.scale.run.max(Duration::from_millis(500));
    let once = |store| {
        let mut next = rows;
        move || writes(store, &mut next, run)
    };
    let contenders: Vec<Contender<'_>> =
        vec![(MEANWHILE, Box::new(once(&flushing))), (ALONE, Box::new(once(unflushed)))];
    let runs = in_turns(bench.scale.rounds, contenders)?;
    flushing.close()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(runs)
}

/// Durable writes of one thread for so long; `next` is the number of the next.
pub(super) fn writes(store: &DatedStore, next: &mut u64, run: Duration) -> Result<Figures> {
    let start = Instant::now();
    writes_until(store, next, || start.elapsed() >= run)
}

pub(super) fn writes_until(store: &DatedStore, next: &mut u64, is_over: impl Fn() -> bool) -> Result<Figures> {
    let (mut each, mut key) = (Vec::new(), String::new());
    while !is_over() {
        flight::key(*next, &mut key);
        let flight = Flight::new(*next);
        let before = Instant::now();
        store.put(&key).durability(Durability::Sync).data(&flight)?;
        each.push(before.elapsed());
        *next += 1;
    }
    Ok(Figures::of_each(&each, 1))
}

/// Waits until the store has done what a flush leaves to be done, lest the floor pay for it.
pub(super) fn settle(store: &DatedStore) {
    for _ in 0..1_000 {
        let stats = store.stats();
        if stats.checkpointed_seq >= stats.watermark {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
