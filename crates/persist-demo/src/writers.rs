//! Durable writes from several threads at once, and what they took.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Error;

/// Writes from so many threads at once. `next` gives a thread, by its number, what it is to write; `acknowledged` is
/// called after that is durable.
pub(crate) fn write_all<T>(
    writers: usize,
    next: impl Fn(usize) -> Option<T> + Sync,
    write: impl Fn(&T) -> Result<(), Error> + Sync,
    acknowledged: impl Fn(&T) + Sync,
) -> Result<Written, Error> {
    let failed = AtomicBool::new(false);
    let work = |writer| {
        let mut took = Vec::new();
        // After an error the others need not go on.
        while let Some(item) = next(writer).filter(|_| !failed.load(Ordering::Relaxed)) {
            let start = Instant::now();
            let written = write(&item);
            took.push(start.elapsed());
            if let Err(error) = written {
                failed.store(true, Ordering::Relaxed);
                return Err(error);
            }
            acknowledged(&item);
        }
        Ok(took)
    };
    let start = Instant::now();
    let mut took = Vec::new();
    thread::scope(|scope| -> Result<(), Error> {
        let work = &work;
        let writers: Vec<_> = (0..writers).map(|writer| scope.spawn(move || work(writer))).collect();
        for writer in writers {
            took.extend(writer.join().map_err(|_| Error::Panicked)??);
        }
        Ok(())
    })?;
    Ok(Written { elapsed: start.elapsed(), took })
}

/// What one call of [`write_all`] took.
#[derive(Debug)]
pub(crate) struct Written {
    elapsed: Duration,
    took: Vec<Duration>,
}

/// All writes by a number of writers.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) writers: usize,
    elapsed: Duration,
    took: Vec<Duration>,
}

impl Measured {
    pub(crate) fn of(writers: usize) -> Self {
        Self { writers, elapsed: Duration::ZERO, took: Vec::new() }
    }

    pub(crate) fn add(&mut self, written: Written) {
        self.elapsed += written.elapsed;
        self.took.extend(written.took);
    }

    pub(crate) fn figures(mut self) -> Option<Writes> {
        self.took.sort_unstable();
        // Nearest rank: so many in a hundred writes took no longer.
        let percentile = |share: usize| self.took.get((self.took.len() * share).div_ceil(100).saturating_sub(1));
        Some(Writes {
            writers: self.writers,
            writes: self.took.len(),
            seconds: self.elapsed.as_secs_f64(),
            per_second: self.took.len() as f64 / self.elapsed.as_secs_f64(),
            p50_micros: micros(*percentile(50)?),
            p99_micros: micros(*percentile(99)?),
        })
    }
}

/// The figures of durable writes by a number of writers.
#[derive(Debug, Serialize)]
pub(crate) struct Writes {
    pub(crate) writers: usize,
    pub(crate) writes: usize,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
}

fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1000.0
}
