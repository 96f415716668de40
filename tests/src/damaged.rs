//! Files of DuckDB's that are damaged between two openings: rows 14 and 15 of the promises.
//!
//! A store does what a script says, and is closed, or a copy taken as a crash would leave it. In copies of that the files of
//! DuckDB are flipped, cut, emptied, removed or replaced by older ones: the store is refused, or answers nothing but what it
//! answered before. Of DuckDB's own log it makes nothing at all, so that whatever is done to that is as if it were not.

use std::path::{Path, PathBuf};

use persist_dated::{Error, ErrorKind};
use persist_test_utils::subject::{Row, Told};
use persist_test_utils::{Rng, Settings, Subject};

use crate::rows::{Counters, Setting};
use crate::script::Script;
use crate::stop::{act, chores, copy};
use crate::writer::find;

/// So many damages are a case.
const DAMAGES: u64 = 10;
const ACTIONS: u64 = 40;
/// So many times that many actions at most.
const MOST: u64 = 12;
/// DuckDB's three headers.
const HEADERS: u64 = 3 * 4096;
const BLOCK: usize = 4096;

/// A case of row 14: the files themselves.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn files<S: Subject>(_: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let left = Left::<S>::new(number)?;
    let mut rng = Rng::new(number ^ 0x1400_0000);
    for damage in 0..DAMAGES {
        let hit = copy(left.dir.path())?;
        let files = files_of(hit.path(), "duckdb");
        let file = rng.pick(&files).clone();
        let what = match damage {
            0..=4 => flip(&file, if damage == 0 { HEADERS } else { u64::MAX }, &mut rng),
            5 => change(&file, |bytes| bytes.truncate(rng.index(bytes.len()))),
            6 => change(&file, |bytes| {
                let at = rng.index(bytes.len() / BLOCK) * BLOCK;
                bytes[at..at + BLOCK].fill(0);
            }),
            7 => std::fs::remove_file(&file),
            8 => change(&file, Vec::clear),
            _ => left.make_older(hit.path()),
        };
        what.map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let refused = left.judge(hit.path()).map_err(|broken| format!("damage {damage} of {name}: {broken}"))?;
        counters.add("damages", 1);
        counters.add("refused", u64::from(refused));
    }
    Ok(())
}

/// A case of row 15: DuckDB's own logs, as a crash leaves them.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn own_logs<S: Subject>(_: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let left = Left::<S>::new(number * 2)?;
    let mut rng = Rng::new(number ^ 0x1500_0000);
    for damage in 0..DAMAGES {
        let hit = copy(left.dir.path())?;
        let logs = files_of(hit.path(), "wal");
        if logs.is_empty() {
            // A checkpoint came just before the crash: this case has nothing at stake, which its count of damages tells.
            return Ok(());
        }
        for log in logs {
            let what = match damage {
                0..=3 => flip(&log, u64::MAX, &mut rng),
                4..=7 => change(&log, |bytes| bytes.truncate(rng.index(bytes.len().max(1)))),
                8 => std::fs::remove_file(&log),
                _ => change(&log, |bytes| bytes.extend_from_within(..)),
            };
            what.map_err(|error| format!("{}: {error}", log.display()))?;
            counters.add("damages", 1);
        }
        let store = left.open(hit.path()).map_err(|error| format!("damage {damage}: {error}"))?;
        let mut scripts = left.scripts.clone();
        let done = scripts[0].done;
        find(&store, &[done], &[done], &mut scripts).map_err(|broken| format!("damage {damage}: {broken}"))?;
        store.close().map_err(|error| format!("damage {damage}: closing: {error}"))?;
        let store = left.open(hit.path()).map_err(|error| format!("damage {damage}: {error}"))?;
        find(&store, &[done], &[done], &mut scripts).map_err(|broken| format!("damage {damage}, closed: {broken}"))?;
    }
    Ok(())
}

/// What a store leaves, and what it answers.
struct Left<S> {
    dir: tempfile::TempDir,
    /// The same folder as it was some time before.
    older: tempfile::TempDir,
    scripts: [Script<S>; 1],
    rows: Vec<Row>,
    history: Option<Vec<Told>>,
}

impl<S: Subject> Left<S> {
    /// A store that was closed, for odd numbers, or that a crash left with records in its log and in DuckDB's.
    fn new(number: u64) -> Result<Self, String> {
        let failed = |error: Error| format!("before any damage: {error}");
        let (dir, elsewhere) = (temporary()?, temporary()?);
        let store = S::open(dir.path(), 1, &settings()).map_err(failed)?;
        let mut scripts = [Script::new(number)];
        let mut acts = |store: &S, from: u64| {
            let reached = from.into();
            let (rng, chores) = (Rng::new(number ^ from), chores(elsewhere.path()));
            if let Some(error) = act(store, scripts[0].clone(), rng, chores, &reached, |done| done < ACTIONS)? {
                return Err(failed(error));
            }
            let reached = [reached.into_inner()];
            find(store, &reached, &reached, &mut scripts)
        };
        acts(&store, 0)?;
        store.compact().map_err(failed)?;
        let older = copy(dir.path())?;
        acts(&store, ACTIONS)?;
        store.compact().map_err(failed)?;
        acts(&store, 2 * ACTIONS)?;
        store.flush().map_err(failed)?;
        let mut crashed = copy(dir.path())?;
        // A checkpoint that comes right after a flush leaves none of DuckDB's logs.
        for more in 3..MOST {
            if !files_of(crashed.path(), "wal").is_empty() {
                break;
            }
            acts(&store, more * ACTIONS)?;
            store.flush().map_err(failed)?;
            crashed = copy(dir.path())?;
        }
        let (rows, history) = (store.rows("").map_err(failed)?, store.history().map_err(failed)?);
        let dir = if number.is_multiple_of(2) {
            crashed
        } else {
            store.close().map_err(failed)?;
            dir
        };
        Ok(Self { dir, older, scripts, rows, history })
    }

    fn open(&self, dir: &Path) -> Result<S, Error> {
        S::open(dir, 1, &settings())
    }

    /// Puts the databases there that were the store's some time before, under a log that goes on from later or without one.
    fn make_older(&self, dir: &Path) -> std::io::Result<()> {
        for file in files_of(self.older.path(), "duckdb") {
            let name = file.strip_prefix(self.older.path()).map_err(std::io::Error::other)?;
            std::fs::copy(&file, dir.join(name))?;
        }
        Ok(())
    }

    /// Opens, reads all there is, writes it anew, closes, and all of that again. Whether something was refused; what was not
    /// is as it was.
    fn judge(&self, dir: &Path) -> Result<bool, String> {
        let mut refused = false;
        for _ in 0..2 {
            let store = match self.open(dir) {
                Ok(store) => store,
                Err(error) => return is_told(&error).map(|()| true),
            };
            refused |= self.same("memory", store.rows(""), &self.rows)?;
            refused |= self.same("DuckDB", store.table(), &self.rows)?;
            refused |= self.same("the history", store.history(), &self.history)?;
            refused |= match store.problems() {
                Ok(problems) => !problems.is_empty(),
                Err(error) => is_told(&error).map(|()| true)?,
            };
            if let Err(error) = store.compact() {
                is_told(&error)?;
                refused = true;
            }
            refused |= self.same("what was written anew", store.table(), &self.rows)?;
            if let Err(error) = store.close() {
                return is_told(&error).map(|()| true);
            }
        }
        Ok(refused)
    }

    fn same<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &str,
        found: Result<T, Error>,
        wanted: &T,
    ) -> Result<bool, String> {
        match found {
            Ok(found) if found == *wanted => Ok(false),
            Ok(found) => Err(format!("{what} answers wrongly: {found:?}, not {wanted:?}")),
            Err(error) => is_told(&error).map(|()| true),
        }
    }
}

fn settings() -> Settings {
    Settings { max_wal_size_bytes: 16 * 1024, ..Settings::default() }
}

fn temporary() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|error| error.to_string())
}

/// An error that tells of a damaged database.
fn is_told(error: &Error) -> Result<(), String> {
    match error.kind() {
        ErrorKind::Corrupt | ErrorKind::Database | ErrorKind::Schema | ErrorKind::Config | ErrorKind::Io => Ok(()),
        kind => Err(format!("I6: damage is told as {kind:?}: {error}")),
    }
}

/// The files below a folder whose name ends so.
fn files_of(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            files.extend(files_of(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Flips a bit of a file's first so many bytes.
fn flip(file: &Path, first: u64, rng: &mut Rng) -> std::io::Result<()> {
    change(file, |bytes| {
        let bit = rng.below(first.min(bytes.len() as u64).max(1) * 8);
        if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
            *byte ^= 1 << (bit % 8);
        }
    })
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) -> std::io::Result<()> {
    let mut bytes = std::fs::read(file)?;
    change(&mut bytes);
    std::fs::write(file, bytes)
}
