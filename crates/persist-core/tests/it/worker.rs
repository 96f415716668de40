//! The threads of a store wait: they do not ask again and again whether it is time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use persist_core::clock::{Clock, SystemClock};
use persist_core::{Durability, Entry};

use crate::subscribe::{open, quiet};

/// Counts how often somebody asks how late it is.
#[derive(Debug, Default)]
struct CountingClock {
    clock: SystemClock,
    asked: AtomicU64,
}

impl Clock for CountingClock {
    fn unix_micros(&self) -> i64 {
        self.clock.unix_micros()
    }

    fn monotonic(&self) -> Duration {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.clock.monotonic()
    }
}

/// While a flush that was due had to pause after the last one, its thread took a whole core.
#[test]
fn a_flush_that_is_due_and_has_to_pause_costs_no_time_meanwhile() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(CountingClock::default()));
    let mut options = quiet();
    options.flush_interval = Duration::from_micros(100);
    options.clock = clock.clone();
    let store = open(dir.path(), options).unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        store.put(Entry::new("k", (), "{}".to_owned()), Some(Durability::Os)).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let asked = clock.asked.load(Ordering::Relaxed);
    assert!(store.stats().watermark > 0, "nothing was flushed");
    assert!(asked < 20_000, "somebody asked {asked} times what time it is");
}
