//! Writes, durable ones and those that only the operating system has.

use std::sync::Arc;

use parking_lot::Mutex;
use persist_core::clock::SystemClock;
use persist_core::fs::Disk;
use persist_core::wal::{Body, Log, LogOptions, LogStart, Marks, Reach};
use persist_dated::{DatedConfig, DatedStore, Durability};
use serde::Serialize;

use super::bench::{Bench, DATE, never_flushed};
use super::peers;
use crate::Result;
use crate::drive::{Contender, Figures, drive, in_turns};
use crate::flight::{self, Flight};
use crate::floor::file::Lines;
use crate::floor::group_commit::GroupCommit;
use crate::name::{Name, PERSIST};
use crate::report::Report;

/// What one thread has to pay.
pub(super) const LAID_OUT: Name = Name::floor("laid out");
/// What several threads have to pay.
pub(super) const GROUP_COMMIT: Name = Name::floor("group commit");
/// What one thread has to pay that waits for no disk.
pub(super) const WRITE: Name = Name::floor("write(2)");
const GROWING: Name = LAID_OUT.variant("growing file");
const ALONE: Name = LAID_OUT.variant("one by one");
const GROUP_OF_ONE: Name = LAID_OUT.variant("group commit");
/// persist with nothing flushed meanwhile, to see what DuckDB takes away on a machine of few cores.
const UNFLUSHED: Name = PERSIST.variant("unflushed");
/// persist's log alone, to see what the rest of a write costs.
const LOG: Name = PERSIST.variant("log alone");

/// More than any run of one thread fills.
pub(super) const LAID_OUT_BYTES: u64 = 16 << 20;
/// More than any threads fill in a second.
const LAID_OUT_FOR_GROUPS_BYTES: u64 = 96 << 20;

pub(super) fn durable(bench: &Bench, report: &mut Report) -> Result<()> {
    let line = flight::line(1_000_000);
    let line = line.as_slice();
    for (name, threads) in
        [("durable-1-thread", 1), ("durable-8-threads", 8), ("durable-64-threads", 64), ("durable-256-threads", 256)]
    {
        if !bench.wants(name) {
            continue;
        }
        let mut contenders: Vec<Contender<'_>> =
            vec![(PERSIST, Box::new(move || store(bench, threads, Durability::Sync, true)))];
        let (alone, together) = if threads == 1 { (LAID_OUT, GROUP_OF_ONE) } else { (ALONE, GROUP_COMMIT) };
        if threads == 1 || bench.more {
            contenders.push((alone, Box::new(move || lines(bench, threads, line, LAID_OUT_BYTES, true))));
        }
        if threads > 1 || bench.more {
            contenders.push((together, Box::new(move || group_commit(bench, threads))));
        }
        contenders.extend(peers::contenders(move |kind| peers::writes(bench, kind, threads, true, Flight::new)));
        if bench.more {
            contenders.push((UNFLUSHED, Box::new(move || store(bench, threads, Durability::Sync, false))));
            contenders.push((LOG, Box::new(move || log(bench, threads, Reach::Durable))));
            contenders.push((GROWING, Box::new(move || lines(bench, threads, line, 0, true))));
        }
        report.add(name, &in_turns(bench.scale.rounds, contenders)?);
    }
    Ok(())
}

pub(super) fn os(bench: &Bench, report: &mut Report) -> Result<()> {
    let line = flight::line(1_000_000);
    let line = line.as_slice();
    for (name, threads) in [("os-1-thread", 1), ("os-8-threads", 8)] {
        if !bench.wants(name) {
            continue;
        }
        let mut contenders: Vec<Contender<'_>> = vec![
            (PERSIST, Box::new(move || store(bench, threads, Durability::Os, true))),
            (WRITE, Box::new(move || lines(bench, threads, line, 0, false))),
        ];
        contenders.extend(peers::contenders(move |kind| peers::writes(bench, kind, threads, false, Flight::new)));
        if bench.more {
            contenders.push((UNFLUSHED, Box::new(move || store(bench, threads, Durability::Os, false))));
            contenders.push((LOG, Box::new(move || log(bench, threads, Reach::Written))));
        }
        report.add(name, &in_turns(bench.scale.rounds, contenders)?);
    }
    Ok(())
}

/// A store as it comes, which flushes into DuckDB all the while, or one that does so only when it is closed.
pub(super) fn store(bench: &Bench, threads: usize, durability: Durability, flushes: bool) -> Result<Figures> {
    store_of(bench, threads, durability, flushes, Flight::new)
}

/// The same with records of any kind.
pub(super) fn store_of<V: Serialize>(
    bench: &Bench,
    threads: usize,
    durability: Durability,
    flushes: bool,
    value: impl Fn(u64) -> V + Sync,
) -> Result<Figures> {
    let dir = bench.folder("store")?;
    let config = if flushes { DatedConfig::new(&dir) } else { never_flushed(&dir) };
    let store = DatedStore::open(DATE, config.durability(durability))?;
    store.store("the first write makes the segment", &Flight::new(0))?;
    let keys: Vec<Mutex<String>> = (0..threads).map(|_| Mutex::default()).collect();
    let figures = drive(threads, bench.scale.run, 1, |thread, n| {
        let Some(mut key) = keys.get(thread).and_then(Mutex::try_lock) else {
            return Err("two threads, one key".into());
        };
        let n = (thread as u64) << 24 | n;
        flight::key(n, &mut key);
        store.store(&key, &value(n))?;
        Ok(())
    })?;
    store.close()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

fn log(bench: &Bench, threads: usize, reach: Reach) -> Result<Figures> {
    let dir = bench.folder("log")?;
    let clock = Arc::new(SystemClock::default());
    let log = Log::new(Arc::new(Disk), clock, &dir, "00ff", LogOptions::default(), LogStart::default());
    let line = body();
    let figures = drive(threads, bench.scale.run, 1, |_, _| {
        let body = Body::new(line.clone());
        let stamp = log.begin(body.line_bytes_at_most())?.push(body, Marks::version(1));
        Ok(log.wait(stamp.seq, reach)?)
    })?;
    log.close()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

/// A line up to where the log takes over.
fn body() -> Vec<u8> {
    let mut line = flight::line(1_000_000);
    let tail = b",\"at\":\"".len();
    let at = line.windows(tail).rposition(|bytes| bytes == b",\"at\":\"").unwrap_or(0);
    line.truncate(at);
    line
}

pub(super) fn group_commit(bench: &Bench, threads: usize) -> Result<Figures> {
    group_commit_of(bench, threads, &flight::line(1_000_000))
}

/// The same with another line.
pub(super) fn group_commit_of(bench: &Bench, threads: usize, line: &[u8]) -> Result<Figures> {
    let dir = bench.folder("group-commit")?;
    let laid_out_bytes = (LAID_OUT_FOR_GROUPS_BYTES as f64 * bench.scale.run.as_secs_f64()) as u64;
    let file = GroupCommit::new(&dir.join("lines"), laid_out_bytes)?;
    let figures = drive(threads, bench.scale.run, 1, |_, _| file.append(line))?;
    drop(file);
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

pub(super) fn lines(bench: &Bench, threads: usize, line: &[u8], laid_out_bytes: u64, sync: bool) -> Result<Figures> {
    let dir = bench.folder("lines")?;
    let file = Lines::new(&dir.join("lines"), laid_out_bytes)?;
    let figures = drive(threads, bench.scale.run, 1, |_, _| file.append(line, sync))?;
    drop(file);
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}
