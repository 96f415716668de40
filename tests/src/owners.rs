//! Two processes and one store: row 16 of the promises.
//!
//! One at a time has a store. The other is told which process that is; and whatever the first one died of, the next opening
//! succeeds at once.

use std::path::Path;
use std::time::{Duration, Instant};

use persist_dated::ErrorKind;
use persist_test_utils::{Rng, Subject};

use crate::folder::on_disk;
use crate::process::{Reached, Running, STORE, Task, settings};
use crate::rows::{Counters, Setting};

/// So many want the store at once.
const RIVALS: usize = 3;
/// How soon a store is open whose owner is dead.
const AT_ONCE: Duration = Duration::from_secs(10);
/// For so long they take turns, and no longer than this does one wait for its own.
const TURNS: Duration = Duration::from_millis(800);
const PATIENCE: Duration = Duration::from_secs(60);

/// One case: an owner that is killed, some who open at the same moment, one that is killed as it opens, or some who open and
/// close in turns.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn case<S: Subject>(setting: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let mut rng = Rng::new(number);
    let dir = on_disk()?;
    let none: Reached = (0..4).map(|writer| (writer, 0)).collect();
    let mut start = |task| Running::start::<S>(&setting.program, dir.path(), rng.next_u64(), &none, task);
    match number % 4 {
        3 => {
            let rivals: Vec<Running> = (0..RIVALS).map(|_| start(Task::Share)).collect::<Result<_, _>>()?;
            for rival in rivals {
                match rival.end(PATIENCE)? {
                    (said, Some(status)) if said.is_closed && status.success() => {}
                    (said, status) => return Err(format!("of those who take turns: {:?}; {status:?}", said.ended)),
                }
            }
            counters.add("took turns", RIVALS as u64);
        }
        0 => {
            let owner = start(Task::Write)?;
            owner.wait_for_lines(5);
            for _ in 0..3 {
                refused::<S>(dir.path(), owner.pid())?;
                counters.add("refused", 1);
            }
            let (said, ended) = owner.kill()?;
            if ended.is_some() {
                return Err(format!("the owner ended by itself: {:?}", said.ended));
            }
        }
        1 => {
            let rivals: Vec<Running> = (0..RIVALS).map(|_| start(Task::Open)).collect::<Result<_, _>>()?;
            rivals.iter().for_each(|rival| rival.wait_until(|said| said.is_open));
            let pids: Vec<u32> = rivals.iter().map(Running::pid).collect();
            let said = rivals.into_iter().map(|rival| Ok(rival.kill()?.0)).collect::<Result<Vec<_>, String>>()?;
            let owners: Vec<usize> = (0..RIVALS).filter(|rival| said[*rival].is_open).collect();
            let [owner] = owners.as_slice() else {
                return Err(format!("{} of {RIVALS} have the store", owners.len()));
            };
            let told = format!("pid {} ", pids[*owner]);
            for other in said.iter().filter(|said| !said.is_open) {
                match &other.ended {
                    Some((how, _)) if how.starts_with("Locked:") && how.contains(&told) => {}
                    other => return Err(format!("it is held by {told}, and another is told {other:?}")),
                }
                counters.add("refused", 1);
            }
        }
        _ => {
            let opener = start(Task::Open)?;
            std::thread::sleep(Duration::from_micros(Rng::new(number).range(0..40_000)));
            let (said, _) = opener.kill()?;
            counters.add("killed while opening", u64::from(!said.is_open));
        }
    }
    let start = Instant::now();
    let store = S::open(&dir.path().join(STORE), 1, &settings()).map_err(|error| format!("a dead owner: {error}"))?;
    if start.elapsed() > AT_ONCE {
        return Err(format!("a dead owner holds the next one up for {:?}", start.elapsed()));
    }
    let problems = store.problems().map_err(|error| error.to_string())?;
    if !problems.is_empty() {
        return Err(format!("{problems:?}"));
    }
    store.close().map_err(|error| format!("I6: closing: {error}"))
}

/// The process that takes turns with others: each time that it has the store, nobody else has.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn share<S: Subject>(dir: &Path) -> Result<(), String> {
    let (mark, start) = (dir.join("owner"), Instant::now());
    let mut turns = 0;
    while start.elapsed() < TURNS || (turns == 0 && start.elapsed() < PATIENCE) {
        let store = match S::open(&dir.join(STORE), 1, &settings()) {
            Ok(store) => store,
            Err(error) if error.kind() == ErrorKind::Locked => continue,
            Err(error) => return Err(format!("{:?}: {error}", error.kind())),
        };
        turns += 1;
        std::fs::File::create_new(&mark).map_err(|error| format!("two have the store: {error}"))?;
        std::thread::sleep(Duration::from_millis(1));
        std::fs::remove_file(&mark).map_err(|error| format!("two have the store: {error}"))?;
        store.close().map_err(|error| format!("closing: {error}"))?;
    }
    if turns > 0 { Ok(()) } else { Err("its turn never came".to_owned()) }
}

/// Nobody gets a store that a process has, which is named.
fn refused<S: Subject>(dir: &Path, owner: u32) -> Result<(), String> {
    match S::open(&dir.join(STORE), 1, &settings()) {
        Err(error) if error.kind() == ErrorKind::Locked => {
            let told = error.to_string();
            if told.contains(&format!("pid {owner} ")) { Ok(()) } else { Err(format!("not by {owner}: {told}")) }
        }
        Err(error) => Err(format!("I6: {error}")),
        Ok(_) => Err("two have the store".to_owned()),
    }
}
