//! Stopping at any file operation: row 2 of the promises, over whole stores.
//!
//! A writer does what its script says, on a disk that from some operation on does nothing any more, and that
//! one in part. A copy of what that
//! leaves is opened on a good disk and compared, goes on, is closed, and is compared again.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use persist_dated::ErrorKind;
use persist_test_utils::{FlakyDisk, Rng, Settings, Subject, copy_as_crash_leaves_it};

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
    let mut rng = Rng::new(seed);
    let day = rng.range(1..29) as u8;
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    // Any operation, of as many as a workload takes, or any write of the log, of which a part is written.
    let (any, operations) = if rng.chance(1, 4) { (true, 260) } else { (false, 35) };
    let (left, torn) = (AtomicU64::new(1 + rng.below(operations)), 200 + rng.index(2_300));
    let is_over = AtomicBool::new(false);
    let disk = FlakyDisk::new(move |operation, path| {
        let counts = any || is_write_of_log(operation, path);
        let is_last =
            counts && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err();
        if is_over.fetch_or(is_last, Ordering::SeqCst) || is_last {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    });
    let disk = disk.tearing(torn);
    let mut acknowledged = 0;
    // Where it can't even be opened there is nothing to lose.
    let opened = S::open(&dir.path().join(STORE), 1, &Settings { fs: Arc::new(disk), ..settings() });
    let copy = tempfile::tempdir().map_err(|error| error.to_string())?;
    if let Ok(store) = opened {
        let chores = chores(dir.path());
        let ended = work(&store, Script::new(seed), rng, chores, ACTIONS, &mut acknowledged)?;
        copy_as_crash_leaves_it(&dir.path().join(STORE), copy.path());
        counters.add("stopped", u64::from(ended));
    } else {
        copy_as_crash_leaves_it(&dir.path().join(STORE), copy.path());
        counters.add("stopped", 1);
    }
    counters.add("acknowledged", acknowledged);
    let mut scripts = [Script::new(seed)];
    let store = S::open(copy.path(), day, &settings()).map_err(|error| format!("I1: {error}"))?;
    if store.recovery().is_damaged() {
        return Err(format!("a stop damages nothing, but: {}", store.recovery()));
    }
    counters.add("replayed", store.recovery().records);
    find(&store, &[acknowledged], &[acknowledged], &mut scripts)?;
    let [script] = &scripts;
    let more = tempfile::tempdir().map_err(|error| error.to_string())?;
    if work(&store, script.clone(), Rng::new(seed), chores(more.path()), MORE, &mut acknowledged)? {
        return Err("I6: the store that was recovered took no more".to_owned());
    }
    store.close().map_err(|error| format!("I6: closing: {error}"))?;
    let store = S::open(copy.path(), day, &settings()).map_err(|error| format!("I1: {error}"))?;
    find(&store, &[acknowledged], &[acknowledged], &mut scripts)
}

pub(crate) fn chores(dir: &Path) -> Chores {
    Chores { one_in: CHORES, backups: dir.join("backups"), exports: dir.join("exports") }
}

fn is_write_of_log(operation: &str, path: &Path) -> bool {
    operation == "write" && path.extension().is_some_and(|extension| extension == "jsonl")
}

fn settings() -> Settings {
    Settings {
        max_wal_size_bytes: 4096,
        batch_size: 20,
        flush_interval: Duration::from_millis(10),
        ..Settings::default()
    }
}

/// Does so many actions, or until the store refuses one: then the answer is `true`.
pub(crate) fn work<S: Subject>(
    store: &S,
    script: Script<S>,
    rng: Rng,
    chores: Chores,
    actions: u64,
    acknowledged: &mut u64,
) -> Result<bool, String> {
    let tell = |says: Says<'_>| {
        if let Says::Done { number, .. } = says {
            *acknowledged = number;
        }
        Ok(())
    };
    let mut writer = Writer::new(store, script, rng, chores, tell);
    for _ in 0..actions {
        match writer.step() {
            Ok(()) => {}
            Err(Ended::Wrong(what)) => return Err(what),
            Err(Ended::Store(error)) => match error.kind() {
                ErrorKind::Io | ErrorKind::Poisoned | ErrorKind::Database => return Ok(true),
                _ => return Err(format!("I6: {error}")),
            },
        }
    }
    Ok(false)
}
