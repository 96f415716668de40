//! A process of its own that writes to a store until something ends it, and what it says on its pipe.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use persist_test_utils::{Killed, Rng, Settings, Subject};

use crate::script::Script;
use crate::writer::{Chores, Ended, Says, Writer};
use crate::{cycles, eio, owners};

/// No child lives longer than this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The folder of the store, those of its backups and of its exports, in the one that a child is given.
pub(crate) const STORE: &str = "store";
const BACKUPS: &str = "backups";
const EXPORTS: &str = "exports";

/// Up to which action each writer has come.
pub(crate) type Reached = BTreeMap<u64, u64>;

/// What a child said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// What was acknowledged.
    pub(crate) acknowledged: Reached,
    /// So much of it is durable.
    pub(crate) durable: Reached,
    /// The folders of the backups and exports that are done.
    pub(crate) made: Vec<PathBuf>,
    /// Whether the store was opened, is being closed, and is closed.
    pub(crate) is_open: bool,
    pub(crate) is_closing: bool,
    pub(crate) is_closed: bool,
    lines: u64,
    /// Why it ended by itself, and when.
    pub(crate) ended: Option<(String, Instant)>,
}

impl Said {
    fn take(&mut self, line: &str) -> Option<()> {
        self.lines += 1;
        let mut words = line.splitn(2, ' ');
        let (word, rest) = (words.next()?, words.next().unwrap_or_default());
        match word {
            "opened" => self.is_open = true,
            "closing" => self.is_closing = true,
            "closed" => self.is_closed = true,
            "ended" => self.ended = Some((rest.to_owned(), Instant::now())),
            "made" => self.made.push(rest.into()),
            _ => {
                let (writer, number) = rest.split_once(' ')?;
                let (writer, number) = (writer.parse().ok()?, number.parse().ok()?);
                self.acknowledged.insert(writer, number);
                if word == "durable" {
                    self.durable.insert(writer, number);
                }
            }
        }
        Some(())
    }
}

/// What a child is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Task {
    /// Write without end.
    Write,
    /// Write, and close the store after a while.
    Close,
    /// Open the store, and leave it alone.
    Open,
    /// Do what it reads.
    Obey,
    /// Open a store and close it, often.
    Cycle,
    /// Likewise, in turns with others.
    Share,
}

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Killed,
    said: Arc<Mutex<Said>>,
    reader: JoinHandle<()>,
}

impl Running {
    /// Starts `program`, which calls [`child`].
    pub(crate) fn start<S: Subject>(
        program: &Path,
        dir: &Path,
        seed: u64,
        done: &Reached,
        task: Task,
    ) -> Result<Self, String> {
        let done: Vec<String> = done.values().map(u64::to_string).collect();
        let task = match task {
            Task::Write => "write",
            Task::Close => "close",
            Task::Open => "open",
            Task::Obey => "obey",
            Task::Cycle => "cycle",
            Task::Share => "share",
        };
        let spawned = Command::new(program)
            .args(["--store", S::NAME, "--task", task])
            .args(["--child".as_ref(), dir.as_os_str(), seed.to_string().as_ref(), done.join(",").as_ref()])
            .stdout(Stdio::piped())
            .spawn();
        let mut child = Killed(spawned.map_err(|error| format!("cannot start {}: {error}", program.display()))?);
        let pipe = BufReader::new(child.0.stdout.take().ok_or("the child has no pipe")?);
        let said = Arc::<Mutex<Said>>::default();
        let saying = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in pipe.lines().map_while(Result::ok) {
                saying.lock().unwrap().take(&line);
            }
        });
        Ok(Self { child, said, reader })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Waits until it has said so many lines, or ended.
    pub(crate) fn wait_for_lines(&self, lines: u64) {
        self.wait_until(|said| said.lines >= lines);
    }

    /// Waits until it has said this, or ended.
    pub(crate) fn wait_until(&self, is_said: impl Fn(&Said) -> bool) {
        let start = Instant::now();
        while !is_said(&self.said.lock().unwrap()) && !self.reader.is_finished() && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills it with SIGKILL. Answers what it said, and how it ended, if it did before.
    pub(crate) fn kill(mut self) -> Result<(Said, Option<ExitStatus>), String> {
        let before = self.child.0.try_wait().map_err(|error| error.to_string())?;
        let _ = self.child.0.kill();
        self.child.0.wait().map_err(|error| error.to_string())?;
        self.reader.join().map_err(|_| "the reader of the pipe panicked")?;
        let said = self.said.lock().unwrap().clone();
        Ok((said, before))
    }

    /// Kills it if it has said this; else it has to end by itself before.
    pub(crate) fn end_unless(self, is_said: impl Fn(&Said) -> bool) -> Result<(Said, Option<ExitStatus>), String> {
        let is_said = is_said(&self.said.lock().unwrap());
        if is_said { self.kill() } else { self.end(PATIENCE) }
    }

    /// Gives it so long to end by itself, then kills it.
    pub(crate) fn end(mut self, patience: Duration) -> Result<(Said, Option<ExitStatus>), String> {
        let start = Instant::now();
        while start.elapsed() < patience && self.child.0.try_wait().map_err(|error| error.to_string())?.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.kill()
    }
}

/// The child: does its task until something ends it. `done` is how far each writer had come.
///
/// # Errors
/// What went wrong; nothing may, before something was done to it.
pub fn child<S: Subject>(dir: &Path, seed: u64, done: &[u64], task: Task) -> Result<(), String> {
    if task == Task::Obey {
        return eio::obey::<S>(dir, seed);
    }
    let ended = match task {
        Task::Cycle => cycles::cycle::<S>(dir, seed).and_then(|()| say("closed")).map_err(Ended::Wrong),
        Task::Share => owners::share::<S>(dir).and_then(|()| say("closed")).map_err(Ended::Wrong),
        _ => serve::<S>(dir, seed, done, task),
    };
    match &ended {
        Err(Ended::Store(error)) => say(&format!("ended {:?}: {error}", error.kind())),
        Err(Ended::Wrong(what)) => say(&format!("ended Wrong: {what}")),
        Ok(()) => Ok(()),
    }?;
    ended.map_err(|ended| ended.to_string())
}

fn serve<S: Subject>(dir: &Path, seed: u64, done: &[u64], task: Task) -> Result<(), Ended> {
    let mut rng = Rng::new(seed);
    let day = rng.range(1..29) as u8;
    let store = S::open(&dir.join(STORE), day, &settings())?;
    say("opened").map_err(Ended::Wrong)?;
    if task == Task::Open {
        std::thread::sleep(PATIENCE);
        return Err(Ended::Wrong("nobody ended the child".to_owned()));
    }
    let actions = if task == Task::Close { 1 + rng.below(80) } else { u64::MAX };
    let one_in = if rng.chance(1, 5) { 40 } else { 200 };
    let chores = Chores { one_in, backups: dir.join(BACKUPS), exports: dir.join(EXPORTS) };
    let failure: Mutex<Option<Ended>> = Mutex::default();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for (writer, done) in (0..).zip(done.iter().copied()) {
            let (store, failure, chores) = (&store, &failure, chores.clone());
            scope.spawn(move || {
                let mut script = Script::<S>::new(writer);
                while script.done < done {
                    script.next();
                }
                let tell = |says: Says<'_>| tell(writer, says).map_err(Ended::Wrong);
                let mut child = Writer::new(store, script, Rng::new(seed ^ writer), chores, tell);
                let goes_on = || start.elapsed() < PATIENCE && failure.lock().is_ok_and(|failure| failure.is_none());
                let mut acted = 0;
                while acted < actions && goes_on() {
                    acted += 1;
                    if let Err(ended) = child.step()
                        && let Ok(mut failure) = failure.lock()
                    {
                        failure.get_or_insert(ended);
                    }
                }
                if acted == actions
                    && let Err(ended) = child.wait_for_all()
                    && let Ok(mut failure) = failure.lock()
                {
                    failure.get_or_insert(ended);
                }
            });
        }
    });
    if let Some(ended) = failure.lock().ok().and_then(|mut failure| failure.take()) {
        // Whatever is called now answers.
        let _ = (store.flush(), store.rows("").map(drop), store.table().map(drop), store.sync(), store.close());
        return Err(ended);
    }
    if task == Task::Write {
        return Err(Ended::Wrong("nobody ended the child".to_owned()));
    }
    say("closing").map_err(Ended::Wrong)?;
    store.close()?;
    say("closed").map_err(Ended::Wrong)
}

fn tell(writer: u64, says: Says<'_>) -> Result<(), String> {
    match says {
        Says::Done { number, is_durable: true } => say(&format!("durable {writer} {number}")),
        Says::Done { number, .. } => say(&format!("done {writer} {number}")),
        Says::Made(folder) => say(&format!("made {}", folder.display())),
    }
}

/// One write of less than a pipe's buffer: whole or not at all, whenever the end comes.
fn say(line: &str) -> Result<(), String> {
    let line = format!("{}\n", line.replace('\n', " "));
    std::io::stdout().lock().write_all(line.as_bytes()).map_err(|error| error.to_string())
}

/// The options of the child's store.
pub(crate) fn settings() -> Settings {
    Settings {
        max_wal_size_bytes: 16 * 1024,
        batch_size: 50,
        flush_interval: Duration::from_millis(20),
        max_wal_age: Duration::from_millis(100),
        ..Settings::default()
    }
}

/// The backups and exports that a child made, and what is there of others.
#[derive(Debug)]
pub(crate) struct Made {
    dir: PathBuf,
}

impl Made {
    pub(crate) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The folders of the backups that are done.
    pub(crate) fn backups(&self) -> Vec<PathBuf> {
        folders(&self.dir.join(BACKUPS)).filter(|folder| folder.join("manifest.json").exists()).collect()
    }

    /// Reads all there is that is done, in which there must be what was said to be `made`, and removes it with the rest.
    /// Answers how many backups and exports there were.
    ///
    /// # Errors
    /// The promise that was broken.
    pub(crate) fn check<S: Subject>(&self, store: &S, made: &[PathBuf]) -> Result<(u64, u64), String> {
        let backups = self.backups();
        for backup in &backups {
            S::verify_backup(backup, &settings()).map_err(|error| format!("a backup: {error}"))?;
        }
        let mut exports = Vec::new();
        for root in folders(&self.dir.join(EXPORTS)) {
            let manifest = std::fs::read_dir(&root).into_iter().flatten().flatten();
            let mut manifests = manifest.filter(|entry| entry.file_name().to_string_lossy().ends_with(".json"));
            if let Some(manifest) = manifests.next() {
                let text = std::fs::read(manifest.path()).map_err(|error| format!("an export: {error}"))?;
                let manifest: serde_json::Value =
                    serde_json::from_slice(&text).map_err(|error| format!("an export's manifest: {error}"))?;
                let rows = manifest["rows"].as_u64().unwrap_or_default();
                let found =
                    if rows == 0 { 0 } else { store.exported(&root).map_err(|error| format!("an export: {error}"))? };
                if found != rows {
                    return Err(format!("an export of {rows} records has {found}: {}", root.display()));
                }
                exports.push(root);
            }
        }
        if let Some(missing) = made.iter().find(|made| !backups.contains(made) && !exports.contains(made)) {
            return Err(format!("{} was made, and is not there", missing.display()));
        }
        for folder in [BACKUPS, EXPORTS] {
            let _ = std::fs::remove_dir_all(self.dir.join(folder));
        }
        Ok((backups.len() as u64, exports.len() as u64))
    }
}

fn folders(dir: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|folder| folder.path())
}
