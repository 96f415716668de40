//! Killing a process that writes: row 1 of the promises. What was acknowledged must be there, once and in order.
//!
//! A child process writes with several threads, each doing what its script says, and says on a pipe what was
//! acknowledged; it is killed with SIGKILL at a random moment, also while it recovers from the kill before. A copy of what
//! it leaves is opened and compared: of each writer there is exactly what a first part of its script leaves. The next
//! child goes on from there in the folder itself.

use std::path::Path;
use std::time::{Duration, Instant};

use persist_test_utils::{Rng, Subject, copy_as_crash_leaves_it};

use crate::folder::on_disk;
use crate::process::{Made, PATIENCE, Reached, Running, STORE, Said, Task, settings};
use crate::rows::{Counters, Setting};
use crate::script::Script;
use crate::writer::{WRITERS, find};

/// So many kills in one folder are a case.
const KILLS_PER_FOLDER: u64 = 10;

/// One case: a folder, and so many kills.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn case<S: Subject>(setting: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let folder = on_disk()?;
    let mut scripts = scripts::<S>();
    for kill in 0..KILLS_PER_FOLDER {
        let mut rng = Rng::new(number.wrapping_mul(KILLS_PER_FOLDER).wrapping_add(kill));
        let before = scripts.iter().map(|script| script.done).sum::<u64>();
        let said = kill_once(&setting.program, folder.path(), &mut rng, &scripts)?;
        check(folder.path(), rng.range(1..29) as u8, &said, &mut scripts, counters)?;
        let acknowledged = said.acknowledged.values().sum::<u64>();
        counters.add("kills", 1);
        counters.add("acknowledged", acknowledged - before);
        counters.add("unacknowledged", scripts.iter().map(|script| script.done).sum::<u64>() - acknowledged);
        counters.add("kills while opening", u64::from(acknowledged == before));
    }
    Ok(())
}

/// The scripts of all writers, from their start.
pub(crate) fn scripts<S: Subject>() -> Vec<Script<S>> {
    (0..WRITERS).map(Script::new).collect()
}

/// How far these have come.
pub(crate) fn reached<S: Subject>(scripts: &[Script<S>]) -> Reached {
    (0..).zip(scripts.iter().map(|script| script.done)).collect()
}

fn kill_once<S: Subject>(program: &Path, dir: &Path, rng: &mut Rng, scripts: &[Script<S>]) -> Result<Said, String> {
    let before = reached(scripts);
    let child = Running::start::<S>(program, dir, rng.next_u64(), &before, Task::Write)?;
    // The others end most of them midway.
    let cycle_has_backup = rng.chance(1, 24);
    if rng.chance(1, 5) {
        // Somewhere in its opening, or shortly after.
        std::thread::sleep(Duration::from_micros(rng.range(0..60_000)));
    } else {
        // By what it has done, which takes longer on a machine that is busy.
        child.wait_for_lines(2 + rng.below(50));
        let start = Instant::now();
        while cycle_has_backup && Made::of(dir).backups().is_empty() && start.elapsed() < PATIENCE / 2 {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_micros(rng.range(0..30_000)));
    }
    let (mut said, ended) = child.kill()?;
    if ended.is_some() || said.ended.is_some() {
        return Err(format!("the child ended by itself: {ended:?}, {:?}", said.ended));
    }
    let last = std::mem::replace(&mut said.acknowledged, before);
    said.acknowledged.extend(last);
    Ok(said)
}

/// Opens a copy of what the child left and compares it. What is there now has to stay, acknowledged or not: somebody has
/// read it.
fn check<S: Subject>(
    dir: &Path,
    day: u8,
    said: &Said,
    scripts: &mut [Script<S>],
    counters: &mut Counters,
) -> Result<(), String> {
    let copy = on_disk()?;
    let from = dir.join(STORE);
    std::fs::create_dir_all(&from).map_err(|error| error.to_string())?;
    copy_as_crash_leaves_it(&from, copy.path());
    let store = open_undamaged::<S>(copy.path(), day)?;
    counters.add("replayed", store.recovery().records);
    let acknowledged: Vec<u64> = said.acknowledged.values().copied().collect();
    find(&store, &acknowledged, &acknowledged, scripts)?;
    let (backups, exports) = Made::of(dir).check(&store, &said.made)?;
    counters.add("backups", backups);
    counters.add("exports", exports);
    store.close().map_err(|error| format!("I6: closing: {error}"))
}

/// Opens what a crash left.
pub(crate) fn open_undamaged<S: Subject>(dir: &Path, day: u8) -> Result<S, String> {
    let store = S::open(dir, day, &settings()).map_err(|error| format!("I1: {error}"))?;
    if store.recovery().is_damaged() {
        return Err(format!("a crash damages nothing, but: {}", store.recovery()));
    }
    Ok(store)
}
