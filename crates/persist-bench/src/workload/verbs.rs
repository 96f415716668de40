//! Batches, tickets, and compare and set.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use persist_dated::{DatedConfig, DatedStore, Durability, ErrorKind};

use super::bench::{Bench, DATE};
use super::peers;
use super::write::{GROUP_COMMIT, group_commit, store};
use crate::Result;
use crate::drive::{Contender, Figures, drive, in_turns};
use crate::flight::{self, Flight};
use crate::floor::file::Lines;
use crate::name::{Name, PERSIST};
use crate::report::Report;

/// As many lines in one write and one sync.
const TOGETHER: Name = Name::floor("lines together");
/// Single writes under the same conditions, which a batch is set against.
const ONE_BY_ONE: Name = PERSIST.variant("one by one");
/// Each thread on a record of its own.
const APART: Name = PERSIST.variant("apart");
const LAID_OUT_BYTES: u64 = 64 << 20;

/// Figures are records per second; the times are those of a whole batch.
pub(super) fn batches(bench: &Bench, report: &mut Report) -> Result<()> {
    for (name, size) in [("batch-of-1", 1), ("batch-of-10", 10), ("batch-100", 100), ("batch-of-1000", 1000)] {
        if !bench.wants(name) {
            continue;
        }
        let mut contenders: Vec<Contender<'_>> = vec![
            (PERSIST, Box::new(move || in_batches(bench, size))),
            (TOGETHER, Box::new(move || lines_together(bench, size))),
        ];
        contenders.extend(peers::contenders(move |kind| peers::batches(bench, kind, size)));
        if bench.more {
            contenders.push((ONE_BY_ONE, Box::new(move || store(bench, 1, Durability::Sync, false))));
        }
        report.add(name, &in_turns(bench.scale.rounds, contenders)?);
    }
    Ok(())
}

/// One thread with so many writes under way; the times are from a write's submission to its acknowledgement. The peers
/// know no such thing: of them it is so many records in one transaction, the quickest that one thread can have from them,
/// and the times are those of a whole transaction, as with the floor.
pub(super) fn tickets(bench: &Bench, report: &mut Report) -> Result<()> {
    for (name, most) in [("tickets-1", 1), ("tickets-10", 10), ("tickets-100", 100), ("tickets-1000", 1000)] {
        if !bench.wants(name) {
            continue;
        }
        let mut contenders: Vec<Contender<'_>> = vec![
            (PERSIST, Box::new(move || with_tickets(bench, most))),
            (TOGETHER, Box::new(move || lines_together(bench, most))),
        ];
        contenders.extend(peers::contenders(move |kind| peers::batches(bench, kind, most)));
        report.add(name, &in_turns(bench.scale.rounds, contenders)?);
    }
    Ok(())
}

/// Threads that count in one record by compare and set, durably. Figures are successful counts.
pub(super) fn compare_and_set(bench: &Bench, report: &mut Report) -> Result<()> {
    for (name, threads) in [("compare-and-set-1-thread", 1), ("compare-and-set-8-threads", 8)] {
        if !bench.wants(name) {
            continue;
        }
        let contenders: Vec<Contender<'_>> = vec![
            (PERSIST, Box::new(move || counting(bench, threads, |_| "counter".to_owned()))),
            (APART, Box::new(move || counting(bench, threads, |thread| format!("counter of {thread}")))),
            (GROUP_COMMIT, Box::new(move || group_commit(bench, threads))),
        ];
        report.add(name, &in_turns(bench.scale.rounds, contenders)?);
    }
    Ok(())
}

fn open(dir: &Path) -> Result<DatedStore> {
    // As it comes: it flushes all the while, as the peers do what they do in the background.
    let store = DatedStore::open(DATE, DatedConfig::new(dir))?;
    store.store("the first write makes the segment", &Flight::new(0))?;
    Ok(store)
}

fn close(store: DatedStore, dir: &Path) -> Result<()> {
    store.close()?;
    Ok(std::fs::remove_dir_all(dir)?)
}

fn in_batches(bench: &Bench, size: u64) -> Result<Figures> {
    let dir = bench.folder("batches")?;
    let store = open(&dir)?;
    let mut key = String::new();
    let figures = each(bench.scale.run, size, |from| {
        let mut batch = store.batch();
        for n in from..from + size {
            flight::key(n, &mut key);
            batch.put(&key).data(&Flight::new(n))?;
        }
        batch.commit()?;
        Ok(())
    })?;
    close(store, &dir)?;
    Ok(figures)
}

fn lines_together(bench: &Bench, size: u64) -> Result<Figures> {
    let dir = bench.folder("together")?;
    let file = Lines::new(&dir.join("lines"), LAID_OUT_BYTES)?;
    let lines: Vec<u8> = (0..size).flat_map(|n| flight::line(1_000_000 + n)).collect();
    let figures = each(bench.scale.run, size, |_| file.append(&lines, true))?;
    drop(file);
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

/// Calls `operation` for so long, each time with the number of the first of `size` records.
pub(super) fn each(run: Duration, size: u64, mut operation: impl FnMut(u64) -> Result<()>) -> Result<Figures> {
    let (start, mut each) = (Instant::now(), Vec::new());
    while start.elapsed() < run {
        let before = Instant::now();
        operation(each.len() as u64 * size)?;
        each.push(before.elapsed());
    }
    Ok(Figures::of_each(&each, size))
}

fn with_tickets(bench: &Bench, most: u64) -> Result<Figures> {
    let dir = bench.folder("tickets")?;
    let store = open(&dir)?;
    let (mut key, mut nanos, mut under_way) = (String::new(), Vec::new(), VecDeque::new());
    let start = Instant::now();
    for n in 0.. {
        flight::key(n, &mut key);
        under_way.push_back((Instant::now(), store.put(&key).submit(&Flight::new(n))?));
        let is_over = start.elapsed() >= bench.scale.run;
        let left = if is_over { 0 } else { most as usize - 1 };
        while under_way.len() > left {
            let Some((submitted, ticket)) = under_way.pop_front() else { break };
            ticket.wait()?;
            nanos.push(submitted.elapsed().as_nanos() as u64);
        }
        if is_over {
            break;
        }
    }
    let (count, wall) = (nanos.len() as u64, start.elapsed());
    close(store, &dir)?;
    Ok(Figures::of(nanos, count, wall))
}

fn counting(bench: &Bench, threads: usize, key: impl Fn(usize) -> String) -> Result<Figures> {
    let dir = bench.folder("counting")?;
    let store = open(&dir)?;
    let keys: Vec<String> = (0..threads).map(key).collect();
    let figures = drive(threads, bench.scale.run, 1, |thread, n| {
        count(&store, keys.get(thread).ok_or("a thread without a key")?, n)
    })?;
    close(store, &dir)?;
    Ok(figures)
}

fn count(store: &DatedStore, key: &str, n: u64) -> Result<()> {
    loop {
        let put = store.put(key);
        let put = match store.get_key_process(key, None) {
            Some(record) => put.if_version(record.version()),
            None => put.if_absent(),
        };
        match put.data(&Flight::new(n)) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
}
