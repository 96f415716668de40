//! A device that fails to write: row 7 of the promises, on a real kernel with DuckDB.
//!
//! A child does on a store what it is told. Its device fails while the log is written, or at one of DuckDB's own syncs; then
//! it works again. The log takes no more in its process; DuckDB is opened again. What the kernel has in memory of a write
//! that failed looks as if it were written. So at the end the child is killed, what is in memory dropped, and the store
//! opened as the device has it: there must be all that was durable.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use persist_test_utils::mount::run as run_program;
use persist_test_utils::{FaultyMount, Killed, Rng, Settings, Subject};

use crate::kill::open_undamaged;
use crate::process::STORE;
use crate::rows::{Counters, Setting};
use crate::script::Script;
use crate::writer::{Chores, Ended, Says, Writer, find};

const BYTES: u64 = 64 << 20;
/// So many actions come before the failure, at most.
const ACTIONS: u64 = 60;
/// strace holds the sync up for so long: meanwhile the device is made to fail.
const HELD_UP: Duration = Duration::from_millis(400);
/// So long it takes to open DuckDB again, where that is possible.
const REOPENED: Duration = Duration::from_secs(3);
/// So long it takes the keeper, which pauses after a checkpoint that took long.
const TIDIED: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the device fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// While the log is written.
    Log,
    /// At the sync of DuckDB's log, when it commits.
    Commit,
    /// At the first sync of a checkpoint, of its blocks.
    Blocks,
    /// At its second sync, of the header that says that it is done.
    Header,
}

impl At {
    /// All of them: the number of a case says which.
    const ALL: [Self; 4] = [Self::Log, Self::Commit, Self::Blocks, Self::Header];
}

/// Why no device can be made to fail here, if so.
pub(crate) fn unavailable(_: &Setting) -> Option<String> {
    run_program("strace", ["-V"]).and_then(|()| FaultyMount::new(BYTES)).err()
}

/// One case.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn case<S: Subject>(setting: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let at = At::ALL[(number % At::ALL.len() as u64) as usize];
    let faulty = FaultyMount::new(BYTES)?;
    let dir = faulty.mount().path();
    let mut child = Obedient::start::<S>(&setting.program, &dir, number, at)?;
    let actions = ACTIONS / 2 + Rng::new(number).below(ACTIONS / 2);
    let before = child.act(actions)?;
    if before.is_refused {
        return Err("refused before the failure".to_owned());
    }
    let after = if at == At::Log {
        faulty.fail(true);
        let failed = child.act(1000)?;
        faulty.fail(false);
        let later = child.act(1)?;
        if !failed.is_refused || !later.is_refused || later.durable != failed.durable {
            return Err("the device failed, and the log took more afterwards".to_owned());
        }
        later
    } else {
        fail_at(&faulty, &mut child, at)?;
        child.tell(if at == At::Commit { "flush" } else { "look" })?;
        let start = Instant::now();
        while !child.answer()?.starts_with("did") && start.elapsed() < REOPENED {
            std::thread::sleep(Duration::from_millis(20));
            child.tell("look")?;
        }
        // The keeper finds the segments of the log superfluous: on the word of what DuckDB says that it has.
        let start = Instant::now();
        while at == At::Header && segments(&child.database) > 1 && start.elapsed() < TIDIED {
            std::thread::sleep(Duration::from_millis(20));
        }
        let later = child.act(5)?;
        counters.add("stores that went on", u64::from(!later.is_refused));
        later
    };
    child.kill()?;
    faulty.mount_again()?;

    let store = open_undamaged::<S>(&dir.join(STORE), 1)?;
    let mut scripts = [Script::new(number)];
    let (durable, acknowledged) = (before.durable.max(after.durable), before.acknowledged.max(after.acknowledged));
    find(&store, &[durable], &[acknowledged], &mut scripts).map_err(|broken| format!("{at:?}: {broken}"))?;
    store.close().map_err(|error| format!("I6: closing: {error}"))?;
    counters.add("durable", durable);
    Ok(())
}

/// Has DuckDB sync what it says, and the device fail just then.
fn fail_at(faulty: &FaultyMount, child: &mut Obedient, at: At) -> Result<(), String> {
    let database = child.database.clone();
    let header = headers(&database);
    child.tell(if at == At::Commit { "flush" } else { "compact" })?;
    let start = Instant::now();
    match at {
        // The sync is held up, and the header is in the kernel's memory.
        At::Header => {
            while headers(&database) == header {
                if start.elapsed() > PATIENCE {
                    return Err("there was no checkpoint".to_owned());
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        _ => std::thread::sleep(HELD_UP / 2),
    }
    faulty.fail(true);
    let answer = child.answer()?;
    faulty.fail(false);
    if answer.starts_with("did") {
        return Err(format!("{at:?}: the device failed, and nobody noticed"));
    }
    Ok(())
}

/// The segments of a log, that stand beside this database or in a folder beside it.
fn segments(database: &Path) -> usize {
    let mut folders = vec![database.parent().unwrap_or(database).to_owned()];
    let mut segments = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            segments += usize::from(path.extension().is_some_and(|extension| extension == "jsonl"));
            folders.extend(path.is_dir().then_some(path));
        }
    }
    segments
}

/// The headers of a database of DuckDB's.
fn headers(database: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(database).unwrap_or_default();
    bytes.truncate(3 * 4096);
    bytes
}

/// A child that does what it is told, under strace.
struct Obedient {
    strace: Killed,
    pid: String,
    tells: ChildStdin,
    answers: std::io::Lines<BufReader<ChildStdout>>,
    database: PathBuf,
}

/// What came of actions.
#[derive(Debug, Clone, Copy)]
struct Acted {
    acknowledged: u64,
    durable: u64,
    is_refused: bool,
}

impl Obedient {
    fn start<S: Subject>(program: &Path, dir: &Path, number: u64, at: At) -> Result<Self, String> {
        // Made before, so that its paths are known, and it syncs nothing else under strace.
        let store = dir.join(STORE);
        S::open(&store, 1, &settings()).and_then(S::close).map_err(|error| error.to_string())?;
        let database = find_database(&store).ok_or("there is no database")?;
        let (path, when) = match at {
            At::Log | At::Commit => (database.with_extension("duckdb.wal"), "1+"),
            At::Blocks => (database.clone(), "1"),
            At::Header => (database.clone(), "2"),
        };
        let inject = format!("inject=fsync,fdatasync:delay_enter={}ms:when={when}", HELD_UP.as_millis());
        let mut strace = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &inject, "-P"])
            .arg(path)
            .arg(program)
            .args(["--store", S::NAME, "--task", "obey"])
            .args(["--child".as_ref(), dir.as_os_str(), number.to_string().as_ref(), "0".as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start strace: {error}"))?;
        let tells = strace.stdin.take().ok_or("the child has no pipe")?;
        let answers = BufReader::new(strace.stdout.take().ok_or("the child has no pipe")?).lines();
        let mut child = Self { strace: Killed(strace), pid: String::new(), tells, answers, database };
        child.pid = child.answer()?;
        Ok(child)
    }

    fn tell(&mut self, what: &str) -> Result<(), String> {
        writeln!(self.tells, "{what}").map_err(|error| format!("I6: the child is gone: {error}"))
    }

    fn answer(&mut self) -> Result<String, String> {
        match self.answers.next() {
            Some(Ok(line)) => Ok(line),
            gone => Err(format!("I6: the child is gone: {gone:?}")),
        }
    }

    fn act(&mut self, actions: u64) -> Result<Acted, String> {
        self.tell(&actions.to_string())?;
        let answer = self.answer()?;
        let wrong = || format!("the child answers {answer}");
        let words: Vec<&str> = answer.split(' ').collect();
        let [acknowledged, durable, refused] = words.as_slice() else { return Err(wrong()) };
        let number = |word: &str| word.parse::<u64>().map_err(|_| wrong());
        let is_refused = *refused == "refused";
        Ok(Acted { acknowledged: number(acknowledged)?, durable: number(durable)?, is_refused })
    }

    fn kill(&mut self) -> Result<(), String> {
        run_program("kill", ["-9", &self.pid])?;
        self.strace.0.wait().map(drop).map_err(|error| error.to_string())
    }
}

impl Drop for Obedient {
    fn drop(&mut self) {
        if self.strace.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.kill();
        }
    }
}

/// The file that flushes go to.
fn find_database(dir: &Path) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let is_it = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "duckdb");
    let here = entries.iter().find(|path| is_it(path)).cloned();
    here.or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|dir| find_database(dir)))
}

fn settings() -> Settings {
    Settings { max_wal_size_bytes: 16 * 1024, ..Settings::default() }
}

/// The child: does what it reads, and says what came of it.
///
/// # Errors
/// What kept it from that.
pub(crate) fn obey<S: Subject>(dir: &Path, number: u64) -> Result<(), String> {
    let say = |line: String| writeln!(std::io::stdout(), "{line}").map_err(|error| error.to_string());
    let store = S::open(&dir.join(STORE), 1, &settings()).map_err(|error| error.to_string())?;
    say(std::process::id().to_string())?;
    let reached = Cell::new((0, 0));
    let tell = |says: Says<'_>| {
        if let Says::Done { number, is_durable } = says {
            reached.set((number, if is_durable { number } else { reached.get().1 }));
        }
        Ok(())
    };
    // It does no chores but those that it is told.
    let chores = Chores { one_in: u64::MAX, backups: dir.join("backups"), exports: dir.join("exports") };
    let mut writer = Writer::new(&store, Script::new(number), Rng::new(number), chores, tell);
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let done = match line.as_str() {
            "flush" => store.flush(),
            "compact" => store.compact(),
            "look" => store.table().map(drop),
            actions => {
                let mut actions = 0..actions.parse::<u64>().map_err(|error| error.to_string())?;
                let acted = actions.try_for_each(|_| writer.step()).and_then(|()| writer.wait_for_all());
                let how = match acted {
                    Err(Ended::Wrong(what)) => return Err(what),
                    Err(Ended::Store(_)) => "refused",
                    Ok(()) => "done",
                };
                let (acknowledged, durable) = reached.get();
                say(format!("{acknowledged} {durable} {how}"))?;
                continue;
            }
        };
        say(done.map_or_else(|error| format!("refused {error}").replace('\n', " "), |()| "did".to_owned()))?;
    }
    Ok(())
}
