//! A flush of 1,000 rows into a table of some size, and what flushes do to who writes meanwhile.

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use persist_dated::{DatedStore, Durability};

use super::bench::{Bench, fill, unflushed};
use super::{compaction, table};
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
/// How long writes are timed at least beside something else.
pub(super) const SHORTEST: Duration = Duration::from_millis(500);

/// Figures are rows per second; the times are those of a whole flush.
pub(super) fn at(bench: &Bench, report: &mut Report, name: &str, rows: u64) -> Result<()> {
    if !bench.wants(name) {
        return Ok(());
    }
    let dir = table::copy(bench, rows, "flush")?;
    let store = unflushed(&dir)?;
    report.add(name, &timed(bench, &store, &dir, rows)?);
    store.close()?;
    Ok(std::fs::remove_dir_all(&dir)?)
}

/// The same at the largest table, and beside it the durable writes of one thread while each 1,000 of them are flushed, and
/// while none are. Then compactions of it.
pub(super) fn at_large(bench: &Bench, report: &mut Report) -> Result<()> {
    let (name, rows) = ("flush-1000-at-5m", bench.scale.large);
    if !bench.wants(name) && !bench.wants(compaction::NAME) {
        return Ok(());
    }
    let dir = table::built(bench, rows)?;
    let store = unflushed(&dir)?;
    let mut next = rows;
    if bench.wants(name) {
        let mut runs = timed(bench, &store, &dir, rows)?;
        runs.extend(meanwhile(bench, &store, &mut next)?);
        report.add(name, &runs);
    }
    if bench.wants(compaction::NAME) {
        compaction::run(bench, report, &store, &mut next)?;
    }
    store.close()?;
    Ok(std::fs::remove_dir_all(&dir)?)
}

fn timed(bench: &Bench, store: &DatedStore, dir: &Path, rows: u64) -> Result<Vec<(Name, Vec<Figures>)>> {
    let table = Table::new(&dir.join("floor.duckdb"), rows)?;
    let (mut whole, mut worker, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    // The first of each finds nothing cached and is left out.
    for n in 0..=bench.scale.flushes as u64 {
        // Not those that other runs write.
        let from = 2 * rows + n * ROWS;
        fill(store, from..from + ROWS)?;
        store.sync()?;
        let start = Instant::now();
        store.flush()?;
        whole.push(start.elapsed());
        worker.push(store.stats().last_flush.unwrap_or_default());
        settle(store);
        let batch = appender::batch(from..from + ROWS)?;
        let start = Instant::now();
        table.append(batch)?;
        floor.push(start.elapsed());
        // persist checkpoints after a flush that closed a segment; the log that DuckDB reads back stays as short here.
        table.checkpoint()?;
    }
    let of = |each: &[Duration]| vec![Figures::of_each(each.get(1..).unwrap_or_default(), ROWS)];
    Ok(vec![(PERSIST, of(&whole)), (WORKER, of(&worker)), (APPENDER, of(&floor))])
}

fn meanwhile(bench: &Bench, store: &DatedStore, next: &mut u64) -> Result<Vec<(Name, Vec<Figures>)>> {
    let run = bench.scale.run.max(SHORTEST);
    let next = RefCell::new(next);
    let flushing = || beside_flushes(store, || writes(store, &mut next.borrow_mut(), run));
    let alone = || {
        store.flush()?;
        settle(store);
        writes(store, &mut next.borrow_mut(), run)
    };
    let contenders: Vec<Contender<'_>> = vec![(MEANWHILE, Box::new(flushing)), (ALONE, Box::new(alone))];
    in_turns(bench.scale.rounds, contenders)
}

/// Flushes each 1,000 records, as a store does by itself with the default settings, while something else is done.
pub(super) fn beside_flushes<T>(store: &DatedStore, work: impl FnOnce() -> Result<T>) -> Result<T> {
    store.flush()?;
    settle(store);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flusher = scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                if store.stats().pending_writes >= ROWS as usize {
                    store.flush()?;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok::<(), persist_dated::Error>(())
        });
        let done = work();
        is_over.store(true, Ordering::Release);
        flusher.join().map_err(|_| "the flusher panicked")??;
        done
    })
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
