//! Killing a process that writes: row 1 of the promises. What was acknowledged must be there, once and in order.
//!
//! A child process writes with several threads, each doing what its script says, and says on a pipe what was
//! acknowledged; it is killed with SIGKILL at a random moment, also while it recovers from the kill before. A copy of what
//! it leaves is opened and compared: of each writer there is exactly what a first part of its script leaves. The next
//! child goes on from there in the folder itself.

use std::path::Path;
use std::time::{Duration, Instant};

use persist_test_utils::{Rng, Subject, copy_as_crash_leaves_it};

use crate::process::{Made, PATIENCE, Reached, Running, STORE, Said, Task, settings};
use crate::script::Script;
use crate::writer::{WRITERS, find};

/// So many kills in one folder, then a new one.
const KILLS_PER_FOLDER: u64 = 10;

/// What the kills showed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdict {
    /// Kills.
    pub cycles: u64,
    /// Actions that were acknowledged: writes, removals, batches, and conflicts.
    pub acknowledged: u64,
    /// Records that recovery replayed.
    pub replayed: u64,
    /// Children that were killed before their first acknowledgement: while they opened the store.
    pub killed_while_opening: u64,
    /// Actions that were there and had not been acknowledged.
    pub unacknowledged: u64,
    /// Backups and exports that were done, and read.
    pub backups: u64,
    #[allow(missing_docs)]
    pub exports: u64,
}

/// Kills children of `program` so often, and checks after each what they left.
///
/// # Errors
/// The first promise that was broken, with what replays it.
pub fn run<S: Subject>(program: &Path, cycles: u64, seed: u64) -> Result<Verdict, String> {
    let mut verdict = Verdict::default();
    let mut folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut scripts = scripts::<S>();
    for cycle in 0..cycles {
        let mut rng = Rng::new(seed.wrapping_add(cycle));
        if cycle % KILLS_PER_FOLDER == 0 {
            folder = tempfile::tempdir().map_err(|error| error.to_string())?;
            scripts = self::scripts();
        }
        let before = scripts.iter().map(|script| script.done).sum::<u64>();
        let killed = kill_once(program, folder.path(), &mut rng, &scripts);
        let checked = killed.and_then(|said| {
            let checked = check(folder.path(), rng.range(1..29) as u8, &said, &mut scripts)?;
            Ok((said.acknowledged.values().sum::<u64>(), checked))
        });
        let (acknowledged, (replayed, backups, exports)) = checked.map_err(|broken| {
            format!(
                "{broken}\nreplay: cargo xtask crash --row 1 --store {} --cycles {} --seed {seed}",
                S::NAME,
                cycle + 1
            )
        })?;
        verdict.cycles += 1;
        verdict.replayed += replayed;
        verdict.backups += backups;
        verdict.exports += exports;
        verdict.acknowledged += acknowledged - before;
        verdict.unacknowledged += scripts.iter().map(|script| script.done).sum::<u64>() - acknowledged;
        verdict.killed_while_opening += u64::from(acknowledged == before);
    }
    Ok(verdict)
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

/// Opens a copy of what the child left and compares it. Answers how many records were replayed, and how many backups and
/// exports there were. What is there now has to stay, acknowledged or not: somebody has read it.
fn check<S: Subject>(dir: &Path, day: u8, said: &Said, scripts: &mut [Script<S>]) -> Result<(u64, u64, u64), String> {
    let copy = tempfile::tempdir().map_err(|error| error.to_string())?;
    let from = dir.join(STORE);
    std::fs::create_dir_all(&from).map_err(|error| error.to_string())?;
    copy_as_crash_leaves_it(&from, copy.path());
    let store = open_undamaged::<S>(copy.path(), day)?;
    let replayed = store.recovery().records;
    let acknowledged: Vec<u64> = said.acknowledged.values().copied().collect();
    find(&store, &acknowledged, &acknowledged, scripts)?;
    let (backups, exports) = Made::of(dir).check(&store, &said.made)?;
    store.close().map_err(|error| format!("I6: closing: {error}"))?;
    Ok((replayed, backups, exports))
}

/// Opens what a crash left.
pub(crate) fn open_undamaged<S: Subject>(dir: &Path, day: u8) -> Result<S, String> {
    let store = S::open(dir, day, &settings()).map_err(|error| format!("I1: {error}"))?;
    if store.recovery().is_damaged() {
        return Err(format!("a crash damages nothing, but: {}", store.recovery()));
    }
    Ok(store)
}
