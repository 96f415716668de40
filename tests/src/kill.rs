//! Killing a process that writes: row 1 of the promises. What was acknowledged must be there, once and in order.
//!
//! A child process writes with several threads, each doing what its script says, and says on a pipe what was
//! acknowledged; it is killed with SIGKILL at a random moment, also while it recovers from the kill before. A copy of what
//! it leaves is opened and compared: of each writer there is exactly what a first part of its script leaves. The next
//! child goes on from there in the folder itself.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use persist_test_utils::{Rng, Settings, Subject, copy_as_crash_leaves_it};

use crate::script::Script;
use crate::writer::{Chores, Ended, WRITERS, Writer, find};

/// So many kills in one folder, then a new one.
const KILLS_PER_FOLDER: u64 = 10;
/// The folder of the store, and that of its backups, in the one that a child is given.
const STORE: &str = "store";
const BACKUPS: &str = "backups";
/// No child lives longer than this.
const PATIENCE: Duration = Duration::from_secs(60);
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
    /// Backups that were done, and read.
    pub backups: u64,
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
        let checked = killed.and_then(|acknowledged| {
            let replayed = check(folder.path(), rng.range(1..29) as u8, &acknowledged, &mut scripts)?;
            Ok((acknowledged.values().sum::<u64>(), replayed, check_backups::<S>(folder.path())?))
        });
        let (acknowledged, replayed, backups) = checked.map_err(|broken| {
            format!(
                "{broken}\nreplay: cargo xtask crash --row 1 --store {} --cycles {} --seed {seed}",
                S::NAME,
                cycle + 1
            )
        })?;
        verdict.cycles += 1;
        verdict.replayed += replayed;
        verdict.backups += backups;
        verdict.acknowledged += acknowledged - before;
        verdict.unacknowledged += scripts.iter().map(|script| script.done).sum::<u64>() - acknowledged;
        verdict.killed_while_opening += u64::from(acknowledged == before);
    }
    Ok(verdict)
}

fn scripts<S: Subject>() -> Vec<Script<S>> {
    (0..WRITERS).map(Script::new).collect()
}

/// How many actions of each writer were acknowledged.
type Acknowledged = BTreeMap<u64, u64>;

fn kill_once<S: Subject>(
    program: &Path,
    dir: &Path,
    rng: &mut Rng,
    scripts: &[Script<S>],
) -> Result<Acknowledged, String> {
    let mut acknowledged: Acknowledged = (0..).zip(scripts.iter().map(|script| script.done)).collect();
    let done: Vec<String> = acknowledged.values().map(u64::to_string).collect();
    let spawned = Command::new(program)
        .args(["--store", S::NAME])
        .args(["--child".as_ref(), dir.as_os_str(), rng.next_u64().to_string().as_ref(), done.join(",").as_ref()])
        .stdout(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let lines = BufReader::new(child.stdout.take().ok_or("the child has no pipe")?);
    let (acknowledges, acknowledgements) = flume::unbounded();
    let reader = std::thread::spawn(move || {
        let mut last = Acknowledged::new();
        for line in lines.lines().map_while(Result::ok) {
            let _ = acknowledges.send(());
            if let Some((writer, number)) = line.split_once(' ')
                && let (Ok(writer), Ok(number)) = (writer.parse(), number.parse())
            {
                last.insert(writer, number);
            }
        }
        last
    });
    // The others end most of them midway.
    let cycle_has_backup = rng.chance(1, 16);
    if rng.chance(1, 5) {
        // Somewhere in its opening, or shortly after.
        std::thread::sleep(Duration::from_micros(rng.range(0..60_000)));
    } else {
        // By what it has done, which takes longer on a machine that is busy.
        for _ in 0..=rng.below(80) {
            let _ = acknowledgements.recv_timeout(PATIENCE);
        }
        let start = Instant::now();
        while cycle_has_backup && done_backups(dir).is_empty() && start.elapsed() < PATIENCE / 2 {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_micros(rng.range(0..30_000)));
    }
    let ended = end(&mut child)?;
    let last = reader.join().map_err(|_| "the reader of the pipe panicked")?;
    if let Some(how) = ended {
        return Err(format!("the child ended by itself: {how}"));
    }
    acknowledged.extend(last);
    Ok(acknowledged)
}

/// Kills the child with SIGKILL. Answers how it ended, if it did before.
fn end(child: &mut Child) -> Result<Option<String>, String> {
    let before = child.try_wait().map_err(|error| error.to_string())?;
    let _ = child.kill();
    child.wait().map_err(|error| error.to_string())?;
    Ok(before.map(|status| status.to_string()))
}

/// Opens a copy of what the child left and compares it. Answers how many records were replayed. What is there now has to
/// stay, acknowledged or not: somebody has read it.
fn check<S: Subject>(
    dir: &Path,
    day: u8,
    acknowledged: &Acknowledged,
    scripts: &mut [Script<S>],
) -> Result<u64, String> {
    let copy = tempfile::tempdir().map_err(|error| error.to_string())?;
    let dir = dir.join(STORE);
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    copy_as_crash_leaves_it(&dir, copy.path());
    let store = S::open(copy.path(), day, &settings()).map_err(|error| format!("I1: {error}"))?;
    let report = store.recovery().clone();
    if report.is_damaged() {
        return Err(format!("a kill damages nothing, but: {report}"));
    }
    let acknowledged: Vec<u64> = acknowledged.values().copied().collect();
    find(&store, &acknowledged, scripts)?;
    store.close().map_err(|error| format!("I6: closing: {error}"))?;
    Ok(report.records)
}

/// Reads the backups that are done, and removes all there are. Answers how many were done.
fn check_backups<S: Subject>(dir: &Path) -> Result<u64, String> {
    let done = done_backups(dir);
    for backup in &done {
        S::verify_backup(backup, &settings()).map_err(|error| format!("a backup: {error}"))?;
    }
    let _ = std::fs::remove_dir_all(dir.join(BACKUPS));
    Ok(done.len() as u64)
}

/// The folders of the backups that are done.
fn done_backups(dir: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(dir.join(BACKUPS)).into_iter().flatten().flatten().map(|folder| folder.path());
    folders.filter(|folder| folder.join("manifest.json").exists()).collect()
}

fn settings() -> Settings {
    Settings {
        max_wal_size_bytes: 16 * 1024,
        batch_size: 50,
        flush_interval: Duration::from_millis(20),
        max_wal_age: Duration::from_millis(100),
        ..Settings::default()
    }
}

/// The child: writes until it is killed. Returns only where it can't go on. `done` is how far each writer had come.
///
/// # Errors
/// What went wrong; nothing may, before the kill.
pub fn child<S: Subject>(dir: &Path, seed: u64, done: &[u64]) -> Result<(), String> {
    let day = Rng::new(seed).range(1..29) as u8;
    let store = S::open(&dir.join(STORE), day, &settings()).map_err(|error| error.to_string())?;
    let chores = Chores { one_in: 200, backups: dir.join(BACKUPS) };
    let failure: Mutex<Option<String>> = Mutex::default();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for (writer, done) in (0..).zip(done.iter().copied()) {
            let (store, failure, chores) = (&store, &failure, chores.clone());
            scope.spawn(move || {
                let mut script = Script::<S>::new(writer);
                while script.done < done {
                    script.next();
                }
                let tell = |number| acknowledge(writer, number).map_err(Ended::Wrong);
                let mut child = Writer::new(store, script, Rng::new(seed ^ writer), chores, tell);
                while start.elapsed() < PATIENCE && failure.lock().is_ok_and(|failure| failure.is_none()) {
                    if let Err(error) = child.step()
                        && let Ok(mut failure) = failure.lock()
                    {
                        *failure = Some(error.to_string());
                    }
                }
            });
        }
    });
    let failure = failure.lock().ok().and_then(|mut failure| failure.take());
    Err(failure.unwrap_or_else(|| "nobody killed the child".to_owned()))
}

/// One write of less than a pipe's buffer: whole or not at all, whenever the kill comes.
fn acknowledge(writer: u64, number: u64) -> Result<(), String> {
    let line = format!("{writer} {number}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).map_err(|error| error.to_string())
}
