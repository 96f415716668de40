//! Stopping at any file operation: row 2 of the promises, over whole stores.
//!
//! A writer does what its script says, on a disk that from some operation on does nothing any more, and that one in part.
//! A copy of what that leaves is opened on a good disk and compared, goes on, is closed, and is compared again.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use persist_dated::{Error, ErrorKind};
use persist_test_utils::{FlakyDisk, Rng, Settings, Subject, copy_as_crash_leaves_it};

use crate::folder::in_memory;
use crate::rows::{Counters, Setting};
use crate::script::Script;
use crate::writer::{Chores, Ended, Says, Writer, find};

/// The store's folder: its backups are beside it.
const STORE: &str = "store";
/// A workload is so many actions.
const ACTIONS: u64 = 50;
/// The chores come after one in so many of them, each.
const CHORES: u64 = 24;
/// So many actions follow on a good disk.
const MORE: u64 = 10;

/// One case: a workload that stops at one of its operations.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn case<S: Subject>(_: &Setting, seed: u64, counters: &mut Counters) -> Result<(), String> {
    let (left, acknowledged) = crashed::<S>(seed, counters)?;
    let day = 1 + (seed % 28) as u8;
    recovers::<S>(left.path(), day, [&[acknowledged], &[acknowledged]], &mut [Script::new(seed)], counters)
}

/// What a workload leaves that stops at one of its operations, and how far it was acknowledged.
pub(crate) fn crashed<S: Subject>(seed: u64, counters: &mut Counters) -> Result<(tempfile::TempDir, u64), String> {
    let mut rng = Rng::new(seed);
    let dir = in_memory()?;
    // Any operation, of as many as a workload takes, or any write of the log, of which a part is written.
    let any = rng.chance(1, 4);
    let (before, torn) = (rng.below(if any { 260 } else { 35 }), 200 + rng.index(2_300));
    let disk = stopping(before, move |operation, path| any || is_write_of_log(operation, path)).tearing(torn);
    let acknowledged = AtomicU64::new(0);
    // Where it can't even be opened there is nothing to lose.
    let opened = S::open(&dir.path().join(STORE), 1, &Settings { fs: Arc::new(disk), ..settings() });
    let ended = match &opened {
        Ok(store) => {
            let chores = chores(dir.path());
            act(store, Script::new(seed), rng, chores, &acknowledged, |done| done < ACTIONS)?.is_some()
        }
        Err(_) => true,
    };
    counters.add("stopped", u64::from(ended));
    let acknowledged = acknowledged.into_inner();
    counters.add("acknowledged", acknowledged);
    Ok((copy(&dir.path().join(STORE))?, acknowledged))
}

/// A disk that after so many operations of a kind does nothing any more.
pub(crate) fn stopping(before: u64, counts: impl Fn(&str, &Path) -> bool + Send + Sync + 'static) -> FlakyDisk {
    let (left, is_over) = (AtomicU64::new(before), AtomicBool::new(false));
    FlakyDisk::new(move |operation, path| {
        let less = |left: u64| left.checked_sub(1);
        let is_last = counts(operation, path) && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_err();
        if is_over.fetch_or(is_last, Ordering::SeqCst) || is_last {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    })
}

/// A copy of a folder as a crash leaves it.
pub(crate) fn copy(dir: &Path) -> Result<tempfile::TempDir, String> {
    let copy = in_memory()?;
    copy_as_crash_leaves_it(dir, copy.path());
    Ok(copy)
}

/// Opens what a crash left, compares it, goes on with the first script, closes it, and compares it again. There must be as
/// much of each script as the first figures say, and no more than was acknowledged, by the second, and under way.
pub(crate) fn recovers<S: Subject>(
    left: &Path,
    day: u8,
    [least, acknowledged]: [&[u64]; 2],
    scripts: &mut [Script<S>],
    counters: &mut Counters,
) -> Result<(), String> {
    let store = S::open(left, day, &settings()).map_err(|error| format!("I1: {error}"))?;
    if store.recovery().is_damaged() {
        return Err(format!("a crash damages nothing, but: {}", store.recovery()));
    }
    counters.add("replayed", store.recovery().records);
    find(&store, least, acknowledged, scripts)?;
    goes_on(&store, scripts)?;
    store.close().map_err(|error| format!("I6: closing: {error}"))?;
    is_there(left, day, scripts)
}

/// Does some more of the first script, none of which may be refused.
pub(crate) fn goes_on<S: Subject>(store: &S, scripts: &mut [Script<S>]) -> Result<(), String> {
    let elsewhere = in_memory()?;
    let (script, reached) = (&scripts[0], AtomicU64::new(scripts[0].done));
    let rng = Rng::new(script.done);
    match act(store, script.clone(), rng, chores(elsewhere.path()), &reached, |done| done < MORE)? {
        Some(error) => Err(format!("I6: the store takes no more: {error}")),
        None => {
            let others = scripts.iter().skip(1).map(|script| script.done);
            let reached: Vec<u64> = std::iter::once(reached.into_inner()).chain(others).collect();
            find(store, &reached, &reached, scripts)
        }
    }
}

/// Opens a store that was closed: it has what it had.
pub(crate) fn is_there<S: Subject>(dir: &Path, day: u8, scripts: &mut [Script<S>]) -> Result<(), String> {
    let store = S::open(dir, day, &settings()).map_err(|error| format!("I1: {error}"))?;
    let done: Vec<u64> = scripts.iter().map(|script| script.done).collect();
    find(&store, &done, &done, scripts)
}

pub(crate) fn chores(dir: &Path) -> Chores {
    Chores { one_in: CHORES, backups: dir.join("backups"), exports: dir.join("exports") }
}

fn is_write_of_log(operation: &str, path: &Path) -> bool {
    operation == "write" && path.extension().is_some_and(|extension| extension == "jsonl")
}

pub(crate) fn settings() -> Settings {
    Settings {
        max_wal_size_bytes: 4096,
        batch_size: 20,
        flush_interval: Duration::from_millis(10),
        ..Settings::default()
    }
}

/// Does actions while `goes_on` says so of how many were done, or until the store refuses one: that is the answer.
pub(crate) fn act<S: Subject>(
    store: &S,
    script: Script<S>,
    rng: Rng,
    chores: Chores,
    acknowledged: &AtomicU64,
    goes_on: impl Fn(u64) -> bool,
) -> Result<Option<Error>, String> {
    let tell = |says: Says<'_>| {
        if let Says::Done { number, .. } = says {
            acknowledged.store(number, Ordering::SeqCst);
        }
        Ok(())
    };
    let mut writer = Writer::new(store, script, rng, chores, tell);
    let (mut done, mut ended) = (0, Ok(()));
    while ended.is_ok() && goes_on(done) {
        done += 1;
        ended = writer.step();
    }
    match ended.and_then(|()| writer.wait_for_all()) {
        Ok(()) => Ok(None),
        Err(Ended::Wrong(what)) => Err(what),
        Err(Ended::Store(error)) => match error.kind() {
            ErrorKind::Io | ErrorKind::Poisoned | ErrorKind::Database => Ok(Some(error)),
            _ => Err(format!("I6: {error}")),
        },
    }
}
