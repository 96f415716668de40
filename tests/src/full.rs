//! A full disk of a real kernel: row 9 of the promises, over whole stores.
//!
//! On a small ext4, which promises space before it finds it, a store does what its script says; then the disk is full, and
//! something is asked of the store that needs space. It may be refused, in words. Reads go on, or say that DuckDB is closed
//! for now. When there is space again, all that was acknowledged is there, and the store goes on by itself.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use persist_dated::{Error, ErrorKind};
use persist_test_utils::{Kind, Mount, Rng, Settings, Subject, copy_as_crash_leaves_it};

use crate::folder::on_disk;
use crate::rows::{Counters, Setting};
use crate::script::Script;
use crate::stop::{act, chores};
use crate::writer::find;

/// Space for two databases of DuckDB's, the log and a backup.
const BYTES: u64 = 32 << 20;
/// So many actions are done before the disk is full, at most so many while it is, and so many afterwards.
const ACTIONS: u64 = 60;
const REFUSED: u64 = 20_000;
const MORE: u64 = 30;
/// The folders of the exports, and of a backup that was made before.
const EXPORTS: &str = "exports";
const OLD: &str = "old";
/// How soon the store goes on by itself when there is space.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked of the store when the disk is full, and how many bytes are left of it then.
const ASKED: [(&str, u64); 10] = [
    ("append", 0),
    ("flush", 0),
    ("merge", 0),
    ("checkpoint", 300 * 1024),
    ("export", 0),
    ("backup", 64 * 1024),
    ("close", 0),
    ("open", 0),
    ("roll", 0),
    ("journal", 8 * 1024),
];

/// Why no small disk can be made here, if so.
pub(crate) fn unavailable(_: &Setting) -> Option<String> {
    Mount::new(Kind::Ext4, BYTES).err()
}

/// One case: its number says what is asked.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn case<S: Subject>(_: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let (asked, left) = ASKED[(number % ASKED.len() as u64) as usize];
    let mount = Mount::new(Kind::Ext4, BYTES)?;
    // The chores of the scripts' own are done on another disk.
    let elsewhere = on_disk()?;
    let mut full =
        Full { root: mount.path(), elsewhere: elsewhere.path(), number, scripts: [Script::<S>::new(number)] };
    let mut dir = full.root.join("store");
    let mut store = full.open(&dir)?;
    full.act(&store, ACTIONS)?;
    // What there is already has to stay.
    let old = match asked {
        "export" => store.export(&full.root.join(EXPORTS)).map(drop),
        "backup" => store.backup(&full.root.join(OLD)).map(drop),
        _ => Ok(()),
    };
    old.map_err(|error| format!("on a good disk: {error}"))?;

    let ballast;
    let refused = match asked {
        "open" => {
            let crashed = full.root.join("crashed");
            copy_as_crash_leaves_it(&dir, &crashed);
            drop(store);
            ballast = mount.fill_but(left);
            let opened = S::open(&crashed, 2, &settings());
            let refused = opened.as_ref().map_err(is_told).err().transpose()?;
            drop(opened);
            remove(&ballast)?;
            dir = crashed;
            store = full.open(&dir)?;
            refused.is_some()
        }
        "close" => {
            ballast = mount.fill_but(left);
            let closed = store.close();
            let refused = closed.as_ref().map_err(is_told).err().transpose()?;
            remove(&ballast)?;
            store = full.open(&dir)?;
            refused.is_some()
        }
        asked => {
            ballast = mount.fill_but(left);
            let refused = full.ask(&store, asked)?;
            full.read(&store)?;
            remove(&ballast)?;
            refused
        }
    };
    counters.add("refused", u64::from(refused));
    full.finish(store, &dir)
}

struct Full<'a, S> {
    root: std::path::PathBuf,
    elsewhere: &'a Path,
    number: u64,
    scripts: [Script<S>; 1],
}

impl<S: Subject> Full<'_, S> {
    /// Opens a store that has what the script leaves.
    fn open(&mut self, dir: &Path) -> Result<S, String> {
        let store = S::open(dir, 1 + (self.number % 28) as u8, &settings()).map_err(|error| format!("I1: {error}"))?;
        if store.recovery().is_damaged() {
            return Err(format!("a full disk damages nothing, but: {}", store.recovery()));
        }
        let done = self.scripts[0].done;
        find(&store, &[done], &[done], &mut self.scripts)?;
        Ok(store)
    }

    /// Does actions of the script until the store refuses one; answers whether it did.
    fn act(&mut self, store: &S, actions: u64) -> Result<bool, String> {
        let [script] = &self.scripts;
        let (acknowledged, rng) = (AtomicU64::new(script.done), Rng::new(self.number ^ script.done));
        let wanted = |done| done < actions;
        let refused = act(store, script.clone(), rng, chores(self.elsewhere), &acknowledged, wanted)?;
        let acknowledged = acknowledged.into_inner();
        let [script] = &mut self.scripts;
        while script.done < acknowledged {
            script.next();
        }
        Ok(refused.is_some())
    }

    /// Asks for what needs space. Answers whether it was refused.
    fn ask(&mut self, store: &S, asked: &str) -> Result<bool, String> {
        let done = match asked {
            "append" | "roll" => {
                if asked == "roll" {
                    let _ = store.roll_to(7).map_err(|error| is_told(&error)).err().transpose()?;
                }
                return self.act(store, REFUSED);
            }
            "flush" => store.flush(),
            "merge" | "checkpoint" | "journal" => store.compact(),
            // A collection store has none; it makes its newest records anew.
            "export" => store.export(&self.root.join(EXPORTS)).and_then(|_| store.rebuild_latest()).map(drop),
            "backup" => store.backup(&self.root.join("backup")).map(drop),
            _ => return Err(format!("nobody knows how to {asked}")),
        };
        Ok(done.as_ref().map_err(is_told).err().transpose()?.is_some())
    }

    /// Reads by key go on; or they say that DuckDB has to be opened again.
    fn read(&self, store: &S) -> Result<(), String> {
        match store.rows(&self.scripts[0].prefix()) {
            Ok(rows) if rows.len() + 10 < self.scripts[0].records.len() => {
                Err(format!("I1: of {} records {} are read", self.scripts[0].records.len(), rows.len()))
            }
            Ok(_) => Ok(()),
            Err(error) => is_told(&error),
        }
    }

    /// There is space: everything is there, and goes on.
    fn finish(mut self, store: S, dir: &Path) -> Result<(), String> {
        let start = Instant::now();
        // DuckDB's instance, if it was lost, is opened again by itself.
        while let Err(error) = store.compact().and_then(|()| store.table()) {
            if start.elapsed() > PATIENCE {
                return Err(format!("I6: there is space, and still: {error}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let done = self.scripts[0].done;
        find(&store, &[done], &[done], &mut self.scripts)?;
        if self.act(&store, MORE)? {
            return Err("I6: there is space, and the store takes no more".to_owned());
        }
        let (old, exports) = (self.root.join(OLD), self.root.join(EXPORTS));
        if old.exists() {
            S::verify_backup(&old, &settings()).map_err(|error| format!("the old backup: {error}"))?;
        }
        if exports.exists() {
            store.exported(&exports).map_err(|error| format!("an export: {error}"))?;
        }
        store.close().map_err(|error| format!("I6: closing: {error}"))?;
        self.open(dir)?.close().map_err(|error| format!("I6: closing: {error}"))
    }
}

fn remove(ballast: &Path) -> Result<(), String> {
    std::fs::remove_file(ballast).map_err(|error| error.to_string())
}

/// An error that says what the matter is.
fn is_told(error: &Error) -> Result<(), String> {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Database | ErrorKind::Busy => Ok(()),
        _ => Err(format!("I6: a full disk is told as {:?}: {error}", error.kind())),
    }
}

fn settings() -> Settings {
    Settings { max_wal_size_bytes: 16 * 1024, ..Settings::default() }
}
