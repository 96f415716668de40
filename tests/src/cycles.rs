//! Opening and closing a store again and again in one process: row 24 of the promises.

use std::path::Path;
use std::time::{Duration, Instant};

use persist_dated::Durability;
use persist_test_utils::Subject;
use persist_test_utils::oracle::Call;
use serde_json::Map;

use crate::folder::in_memory;
use crate::process::{Running, STORE, Task, settings};
use crate::rows::{Counters, Setting};

/// So many openings are a case.
const OPENINGS: u64 = 125;
/// After so many, all that is allocated once is allocated.
const FIRST: u64 = 50;
/// So much may the resident memory differ by, as allocators have it.
const SLACK_BYTES: u64 = 24 << 20;
/// A thread that has ended may be seen for so long.
const LEAVING: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(240);

/// One case, in a process of its own: what others do in this one would be counted, too.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn case<S: Subject>(setting: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let dir = in_memory()?;
    let none = [(0, 0)].into_iter().collect();
    let child = Running::start::<S>(&setting.program, dir.path(), number, &none, Task::Cycle)?;
    match child.end(PATIENCE)? {
        (said, Some(status)) if status.success() && said.is_closed => {
            counters.add("openings", OPENINGS);
            Ok(())
        }
        (said, status) => Err(format!("{:?}; {status:?}", said.ended)),
    }
}

/// What a process has.
#[derive(Debug, Clone, Copy)]
struct Holdings {
    descriptors: usize,
    threads: usize,
    resident_bytes: u64,
}

impl Holdings {
    fn now() -> Result<Self, String> {
        let entries = |dir: &str| std::fs::read_dir(dir).map(Iterator::count).map_err(|error| error.to_string());
        let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
        let kilobytes: u64 = resident.and_then(|number| number.parse().ok()).ok_or("there is no VmRSS")?;
        let (descriptors, threads) = (entries("/proc/self/fd")?, entries("/proc/self/task")?);
        Ok(Self { descriptors, threads, resident_bytes: kilobytes * 1024 })
    }
}

/// The process: opens a store, writes, flushes now and then, and closes it, so often.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn cycle<S: Subject>(dir: &Path, number: u64) -> Result<(), String> {
    let mut first = None;
    for opening in 0..OPENINGS {
        let failed = |error| format!("opening {opening}: {error}");
        let store = S::open(&dir.join(STORE), 1, &settings()).map_err(failed)?;
        for n in 0..3 {
            let id = S::id(&format!("k{}", (number + opening * 3 + n) % 40), 0);
            let put = Call::Put(id.clone(), S::data(&id, Map::new()), None);
            store.perform(&put, Durability::Sync).map_err(failed)?.map_err(|conflict| format!("{conflict:?}"))?;
        }
        if opening % 10 == 0 {
            store.compact().and_then(|()| store.table()).map_err(failed)?;
        }
        store.close().map_err(failed)?;
        if opening == FIRST {
            first = Some(Holdings::now()?);
        }
    }
    let first = first.ok_or("too few openings")?;
    let until = Instant::now() + LEAVING;
    loop {
        let last = Holdings::now()?;
        let grew = last.descriptors > first.descriptors
            || last.threads > first.threads
            || last.resident_bytes > first.resident_bytes + SLACK_BYTES;
        if !grew {
            break;
        }
        if Instant::now() >= until {
            return Err(format!("after {FIRST} openings {first:?}, after {OPENINGS} {last:?}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let store = S::open(&dir.join(STORE), 1, &settings()).map_err(|error| error.to_string())?;
    let records = store.rows("").map_err(|error| error.to_string())?.len();
    store.close().map_err(|error| error.to_string())?;
    if records == 40 { Ok(()) } else { Err(format!("{records} records, not 40")) }
}
