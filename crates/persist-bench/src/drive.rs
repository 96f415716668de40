//! Runs one operation over and over on some threads, and takes turns between what is compared.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::Result;
use crate::name::Name;

/// What one run gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) ops_per_s: f64,
    /// How long operations took; none where there was one that was the whole run.
    pub(crate) micros: Option<Micros>,
    /// How long the whole took, where that is what one wants to know.
    pub(crate) seconds: Option<f64>,
}

/// Percentiles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Micros {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Figures {
    /// The figures of operations that took so long each, `operations` in all in so much time.
    pub(crate) fn of(nanos: Vec<u64>, operations: u64, wall: Duration) -> Self {
        Self { ops_per_s: per_second(operations, wall), micros: Some(Micros::of(nanos)), seconds: None }
    }

    /// The figures of one long operation on so many records.
    pub(crate) fn of_whole(took: Duration, records: u64) -> Self {
        Self { ops_per_s: per_second(records, took), micros: None, seconds: Some(took.as_secs_f64()) }
    }

    /// The figures of operations of which each was timed, with anything between them left out.
    pub(crate) fn of_each(each: &[Duration], operations_in_each: u64) -> Self {
        let nanos = each.iter().map(|took| took.as_nanos() as u64).collect();
        Self::of(nanos, operations_in_each * each.len() as u64, each.iter().sum())
    }
}

impl Micros {
    fn of(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        let at = |share: f64| {
            let index = ((nanos.len() as f64 * share) as usize).min(nanos.len().saturating_sub(1));
            nanos.get(index).map_or(0.0, |nanos| *nanos as f64 / 1e3)
        };
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }
}

fn per_second(operations: u64, took: Duration) -> f64 {
    operations as f64 / took.as_secs_f64().max(1e-9)
}

/// Calls `operation(thread, n)` on each thread for `run`, with n = 0, 1, 2 …; `batch` of them are timed together, so
/// that reading the clock does not count where an operation takes no longer than that.
pub(crate) fn drive(
    threads: usize,
    run: Duration,
    batch: u64,
    operation: impl Fn(usize, u64) -> Result<()> + Sync,
) -> Result<Figures> {
    let barrier = Barrier::new(threads);
    let one = |thread: usize| -> Result<(Vec<u64>, u64, Duration)> {
        let mut nanos = Vec::with_capacity(1 << 16);
        barrier.wait();
        let start = Instant::now();
        let mut before = start;
        let mut n = 0;
        loop {
            for _ in 0..batch {
                operation(thread, n)?;
                n += 1;
            }
            let now = Instant::now();
            nanos.push((now - before).as_nanos() as u64 / batch);
            before = now;
            if now - start >= run {
                return Ok((nanos, n, now - start));
            }
        }
    };
    let (mut nanos, mut ops_per_s) = (Vec::new(), 0.0);
    std::thread::scope(|scope| -> Result<()> {
        let one = &one;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
        for thread in running {
            let (of_thread, count, took) = thread.join().map_err(|_| "a thread panicked")??;
            nanos.extend(of_thread);
            // Each thread at its own rate: one that was kept waiting in the end does not make the others slower.
            ops_per_s += per_second(count, took);
        }
        Ok(())
    })?;
    Ok(Figures { ops_per_s, micros: Some(Micros::of(nanos)), seconds: None })
}

/// One of the things that are compared: a name and how to run it once.
pub(crate) type Contender<'a> = (Name, Box<dyn FnMut() -> Result<Figures> + 'a>);

/// Runs all in turns, each round starting with another, so that none always comes after the same one.
pub(crate) fn in_turns(rounds: usize, mut contenders: Vec<Contender<'_>>) -> Result<Vec<(Name, Vec<Figures>)>> {
    let mut runs: Vec<(Name, Vec<Figures>)> =
        contenders.iter().map(|(name, _)| (*name, Vec::with_capacity(rounds))).collect();
    let count = contenders.len();
    for round in 0..rounds {
        for turn in 0..count {
            let index = (round + turn) % count;
            if let (Some((_, run)), Some((_, figures))) = (contenders.get_mut(index), runs.get_mut(index)) {
                figures.push(run()?);
            }
        }
    }
    Ok(runs)
}
