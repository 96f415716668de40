//! Faults in the midst of a workload, of a kind that a store may outlive: rows 3, 8 and 18 of the promises.
//!
//! Writers do what their scripts say, and something goes wrong once: at a step that is no file operation of ours, or at a
//! file operation. A crash just there is a copy of the folder, taken before anything else can happen. Else the store is
//! poisoned, and answers everybody at once; or it is not, and goes on by itself. In either case a copy as a crash would
//! leave it is opened and compared, and the folder itself when the store was closed.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use persist_dated::{Durability, Error, ErrorKind};
use persist_test_utils::oracle::Call;
use persist_test_utils::{FlakyDisk, Rng, Settings, Subject, copy_as_crash_leaves_it};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, json};

use crate::folder::in_memory;
use crate::rows::run::said;
use crate::rows::{Counters, Setting};
use crate::script::Script;
use crate::stop::{act, copy, goes_on, is_there, recovers, settings};
use crate::writer::{Chores, WRITERS, find};
use crate::{CollectionSubject, DatedSubject};

const EIO: i32 = 5;
/// The steps of a flush and of a checkpoint, between which a crash may come.
pub(crate) const STEPS: [&str; 6] = [
    "flush: begins",
    "flush: is committed",
    "merge: begins",
    "merge: is committed",
    "checkpoint: begins",
    "checkpoint: has ended",
];
/// What the system has for a file operation that can't be done: EIO, ENOSPC, EDQUOT, EMFILE, EACCES, EROFS, EFBIG.
const ERRORS: [i32; 7] = [EIO, 28, 122, 24, 13, 30, 27];
/// One chore of each kind comes after so many actions.
const CHORES: u64 = 12;
/// A workload ends after so many actions, whether the fault came or not.
const MOST: u64 = 90;
/// After the fault so many actions are tried.
const AFTER: u64 = 5;
/// Whatever is asked of a store that is poisoned, the answer comes within this time.
const AT_ONCE: Duration = Duration::from_secs(5);
/// So long a thread is held up.
const DELAY: Duration = Duration::from_millis(60);
/// How soon a store that is not goes on by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// What happens at the place of the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The world stops.
    Stop,
    /// The operation fails with this error, once.
    Error(i32),
    /// The thread that does it panics.
    Panic,
    /// Its thread is held up while all others go on, and the crash comes shortly after.
    Delay,
}

/// Where a fault comes.
#[derive(Debug, Clone, Copy)]
enum At {
    /// At this step, when it has come so often before.
    Step(&'static str, u64),
    /// At a file operation of any kind, after so many others.
    Operation(u64),
    /// At a write of the log, after so many others.
    LogWrite(u64),
}

impl At {
    fn counts(self, operation: &str, path: &Path) -> bool {
        match self {
            Self::Step(step, _) => operation == "step" && path == Path::new(step),
            Self::Operation(_) => operation != "step",
            Self::LogWrite(_) => operation == "write" && path.extension().is_some_and(|ending| ending == "jsonl"),
        }
    }

    fn before(self) -> u64 {
        match self {
            Self::Step(_, before) | Self::Operation(before) | Self::LogWrite(before) => before,
        }
    }
}

/// A step of a flush or a checkpoint at which the world stops, or which fails, or whose thread panics.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn step<S: Subject>(_: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let steps = STEPS.len() as u64;
    let faults = [Fault::Stop, Fault::Error(EIO), Fault::Panic, Fault::Delay];
    let fault = faults[(number / steps % 4) as usize];
    let at = At::Step(STEPS[(number % steps) as usize], number / steps / 4 % 3 * 2);
    // One who waits for a checkpoint that is held up does nothing meanwhile: there have to be others.
    let writers = if fault == Fault::Delay { 3 } else { 1 };
    Broken::<S>::new(number, writers)?.run(Some((at, fault)), |_| Ok(()), counters)
}

/// A file operation that fails once, with each of the errors that there are.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn error<S: Subject>(_: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let mut rng = Rng::new(number);
    let at = if rng.chance(1, 3) { At::LogWrite(rng.below(40)) } else { At::Operation(rng.below(300)) };
    let fault = Fault::Error(ERRORS[(number % ERRORS.len() as u64) as usize]);
    Broken::<S>::new(number, 1)?.run(Some((at, fault)), |_| Ok(()), counters)
}

/// A thread that panics beside others: one of the store's at a step or an operation, or the caller's within its own value.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn panic<S: Careless>(_: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let at = match number % 3 {
        0 => return Broken::<S>::new(number, 3)?.run(None, careless, counters),
        1 => At::Step(STEPS[(number / 3 % STEPS.len() as u64) as usize], number / 18 % 3),
        _ => At::Operation(Rng::new(number).below(150)),
    };
    Broken::<S>::new(number, 3)?.run(Some((at, Fault::Panic)), |_| Ok(()), counters)
}

/// A workload in which something goes wrong.
struct Broken<S> {
    dir: tempfile::TempDir,
    number: u64,
    /// One for each writer, as far as it is known what the store has.
    scripts: Vec<Script<S>>,
    /// How far each writer was acknowledged.
    acknowledged: Arc<Vec<AtomicU64>>,
    seen: Arc<Seen>,
}

/// What is known of the fault.
#[derive(Debug, Default)]
struct Seen {
    /// How often its place was passed.
    passed: AtomicU64,
    /// It has come.
    came: AtomicBool,
    /// Nothing is done any more.
    is_over: AtomicBool,
    /// What was acknowledged before the world stopped, as soon as there is a copy of what it left.
    before: Mutex<Option<Vec<u64>>>,
}

/// Panics on purpose print nothing: with their backtraces they would take longer than all else.
fn hush() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !said(panic.payload()).starts_with("planted: ") {
                others(panic);
            }
        }));
    });
}

impl<S: Subject> Broken<S> {
    fn new(number: u64, writers: u64) -> Result<Self, String> {
        hush();
        Ok(Self {
            dir: in_memory()?,
            number,
            scripts: (0..writers).map(|writer| Script::new(number * WRITERS + writer)).collect(),
            acknowledged: Arc::new((0..writers).map(|_| AtomicU64::new(0)).collect()),
            seen: Arc::default(),
        })
    }

    /// Runs the writers, the fault and what is done `besides`, and checks what is left.
    fn run(
        mut self,
        place: Option<(At, Fault)>,
        besides: fn(&S) -> Result<(), String>,
        counters: &mut Counters,
    ) -> Result<(), String> {
        let checked = self.checked(place, besides, counters);
        counters.add("faults", u64::from(self.seen.came.load(Ordering::SeqCst)));
        counters.add("acknowledged", reached(&self.acknowledged).iter().sum());
        checked.map_err(|broken| place.map_or(broken.clone(), |(at, fault)| format!("{at:?}, {fault:?}: {broken}")))
    }

    fn checked(
        &mut self,
        place: Option<(At, Fault)>,
        besides: fn(&S) -> Result<(), String>,
        counters: &mut Counters,
    ) -> Result<(), String> {
        let (dir, day) = (self.dir.path().join("store"), 1 + (self.number % 28) as u8);
        let with = Settings { fs: Arc::new(self.disk(place)), ..settings() };
        let opened = catch_unwind(AssertUnwindSafe(|| S::open(&dir, 1, &with)));
        let came = || self.seen.came.load(Ordering::SeqCst);
        let store = match opened {
            Ok(Ok(store)) => Some(store),
            Ok(Err(error)) if came() => is_told(&error).map(|()| None)?,
            Ok(Err(error)) => return Err(format!("I6: opening: {error}")),
            // The opener's own thread.
            Err(_) if came() => None,
            Err(_) => return Err("I6: opening panics".to_owned()),
        };
        if let Some(store) = &store {
            self.act(store, place, besides)?;
        }
        if matches!(place, Some((_, Fault::Stop))) && came() {
            // Another thread makes the copy, and may not be done.
            let start = Instant::now();
            let before = loop {
                match self.seen.before.lock().unwrap().take() {
                    Some(before) => break before,
                    None if start.elapsed() > PATIENCE => return Err("I6: the copy is not made".to_owned()),
                    None => std::thread::sleep(Duration::from_millis(1)),
                }
            };
            let reached = reached(&self.acknowledged);
            return recovers(&self.dir.path().join("crashed"), day, [&before, &reached], &mut self.scripts, counters);
        }
        let acknowledged = reached(&self.acknowledged);
        if matches!(place, Some((_, Fault::Delay))) {
            let crashed = copy(&dir)?;
            let both = [acknowledged.as_slice(); 2];
            recovers(crashed.path(), day, both, &mut self.scripts.clone(), counters)?;
        }
        let Some(store) = store else {
            std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
            return recovers(&dir, day, [&acknowledged, &acknowledged], &mut self.scripts, counters);
        };
        let must_be_poisoned = came() && matches!(place, Some((At::Step(..), Fault::Panic)));
        let is_poisoned = !settles(&store, must_be_poisoned)?;
        counters.add("poisoned", u64::from(is_poisoned));
        if is_poisoned && matches!(place, Some((At::Step(..), Fault::Error(_) | Fault::Delay)) | None) {
            return Err("the log has nothing to do with it, and is poisoned".to_owned());
        }
        if is_poisoned {
            self.answers_at_once(&store)?;
        } else {
            find(&store, &acknowledged, &acknowledged, &mut self.scripts)?;
        }
        let crashed = copy(&dir)?;
        let least: Vec<u64> = self
            .scripts
            .iter()
            .map(|script| script.done)
            .zip(&acknowledged)
            .map(|(known, reached)| known.max(*reached))
            .collect();
        recovers(crashed.path(), day, [&least, &least], &mut self.scripts.clone(), counters)?;
        if is_poisoned {
            if store.close().is_ok() {
                return Err("a store that is poisoned closes as if all were well".to_owned());
            }
            return recovers(&dir, day, [&least, &least], &mut self.scripts, counters);
        }
        goes_on(&store, &mut self.scripts)?;
        store.close().map_err(|error| format!("I6: closing: {error}"))?;
        is_there(&dir, day, &mut self.scripts)
    }

    /// The disk on which the fault comes.
    fn disk(&self, place: Option<(At, Fault)>) -> FlakyDisk {
        let (seen, acknowledged) = (Arc::clone(&self.seen), Arc::clone(&self.acknowledged));
        let (from, to) = (self.dir.path().join("store"), self.dir.path().join("crashed"));
        FlakyDisk::new(move |operation, path| {
            let failed = |code| Err(io::Error::from_raw_os_error(code));
            if seen.is_over.load(Ordering::SeqCst) {
                return failed(EIO);
            }
            let Some((at, fault)) = place else { return Ok(()) };
            if !at.counts(operation, path) || seen.passed.fetch_add(1, Ordering::SeqCst) != at.before() {
                return Ok(());
            }
            if fault == Fault::Delay {
                std::thread::sleep(DELAY);
            }
            seen.came.store(true, Ordering::SeqCst);
            match fault {
                Fault::Delay => Ok(()),
                Fault::Error(code) => failed(code),
                Fault::Panic => panic!("planted: {operation} {}", path.display()),
                Fault::Stop => {
                    // What is acknowledged later may be there, too: it was under way.
                    let before = reached(&acknowledged);
                    seen.is_over.store(true, Ordering::SeqCst);
                    copy_as_crash_leaves_it(&from, &to);
                    *seen.before.lock().unwrap() = Some(before);
                    failed(EIO)
                }
            }
        })
    }

    /// Has all writers act until the fault has come, and a little longer.
    fn act(&self, store: &S, place: Option<(At, Fault)>, besides: fn(&S) -> Result<(), String>) -> Result<(), String> {
        let (seen, dir) = (&self.seen, self.dir.path());
        let after = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let mut threads = vec![scope.spawn(move || besides(store))];
            for (writer, (script, acknowledged)) in self.scripts.iter().zip(self.acknowledged.iter()).enumerate() {
                let chores = Chores { one_in: CHORES, backups: dir.join("backups"), exports: dir.join("exports") };
                let (rng, after) = (Rng::new(self.number ^ writer as u64), &after);
                let goes_on = move |done| {
                    let came = seen.came.load(Ordering::SeqCst);
                    let most = if place.is_none() { MOST / 3 } else { MOST };
                    done < most && (!came || after.fetch_add(1, Ordering::SeqCst) < AFTER)
                };
                threads.push(scope.spawn(move || {
                    let acted = catch_unwind(AssertUnwindSafe(|| {
                        act(store, script.clone(), rng, chores, acknowledged, goes_on)
                    }));
                    match acted {
                        Ok(Ok(Some(error))) if !seen.came.load(Ordering::SeqCst) => Err(format!("I6: {error}")),
                        Ok(acted) => acted.map(drop),
                        // The fault came in the caller's own thread.
                        Err(_) if matches!(place, Some((_, Fault::Panic))) => Ok(()),
                        Err(_) => Err("I6: a caller panics".to_owned()),
                    }
                }));
            }
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "I6: a panic beside")?)
        })
    }

    /// Nothing is taken any more, and nobody waits for what will never come.
    fn answers_at_once(&self, store: &S) -> Result<(), String> {
        let start = Instant::now();
        let id = S::id("after", 0);
        let put = Call::Put(id.clone(), S::data(&id, Map::new()), None);
        let submitted = || store.submit(&put, Durability::Os).and_then(|waiting| waiting()).map(drop);
        let refused = [
            ("put", store.perform(&put, Durability::Sync).map(drop)),
            ("submit", submitted()),
            ("flush", store.flush()),
            ("compact", store.compact()),
        ];
        // These may be answered: what can be read is, and it is no error where all is durable.
        let _ = (store.sync(), store.rows(""), store.table(), store.backup(&self.dir.path().join("late")));
        if start.elapsed() > AT_ONCE {
            return Err(format!("I6: it took {:?} to be refused", start.elapsed()));
        }
        for (verb, done) in refused {
            match done {
                Err(error) if error.kind() == ErrorKind::Poisoned => {}
                other => return Err(format!("I6: poisoned, and {verb} answers {other:?}")),
            }
        }
        Ok(())
    }
}

fn reached(acknowledged: &[AtomicU64]) -> Vec<u64> {
    acknowledged.iter().map(|reached| reached.load(Ordering::SeqCst)).collect()
}

/// Waits until the store has done what it has to do by itself after a failure, or is poisoned. Whether it goes on.
fn settles<S: Subject>(store: &S, must_be_poisoned: bool) -> Result<bool, String> {
    let start = Instant::now();
    loop {
        let done = store.compact().and_then(|()| store.table().map(drop));
        match done {
            Err(error) if error.kind() == ErrorKind::Poisoned => return Ok(false),
            Ok(()) if !must_be_poisoned => return Ok(true),
            Ok(()) if start.elapsed() > AT_ONCE => {
                return Err("I6: a thread of the store is gone, and nobody says so".to_owned());
            }
            Err(error) if start.elapsed() > PATIENCE => {
                return Err(format!("I6: nothing fails any more, and still: {error}"));
            }
            Err(error) => is_told(&error)?,
            Ok(()) => {}
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An error that says what the matter is.
fn is_told(error: &Error) -> Result<(), String> {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Database | ErrorKind::Busy | ErrorKind::Poisoned => Ok(()),
        kind => Err(format!("I6: a fault is told as {kind:?}: {error}")),
    }
}

/// A value whose serialization panics when so many of its members are written.
pub(crate) struct Panics(u64);

impl Serialize for Panics {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let mut map = serializer.serialize_map(None)?;
        for member in 0..self.0 {
            map.serialize_entry(&format!("m{member}"), &"x".repeat(100))?;
        }
        panic!("planted: in the midst of a value")
    }
}

/// A store to which a caller gives a value that panics.
pub(crate) trait Careless: Subject {
    /// In each of the ways to write one; nothing of it may be there.
    fn give(&self, value: &Panics);
}

macro_rules! careless {
    ($subject:ident) => {
        impl Careless for $subject {
            fn give(&self, value: &Panics) {
                let panics = |give: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(give)).is_err());
                panics(&|| drop(self.0.put("careless").data(value)));
                panics(&|| drop(self.0.put("careless").durability(Durability::Os).submit(value)));
                panics(&|| {
                    let mut batch = self.0.batch();
                    batch.put("careless").data(&json!({"n": 1})).unwrap();
                    let _ = batch.put("careful").data(value);
                });
            }
        }
    };
}

careless!(DatedSubject);
careless!(CollectionSubject);

/// Panics in values beside writers, which hear nothing of it.
fn careless<S: Careless>(store: &S) -> Result<(), String> {
    for members in [0, 1, 7, 40] {
        store.give(&Panics(members));
    }
    let left = store.rows("care").map_err(|error| format!("I6: {error}"))?;
    if left.is_empty() { Ok(()) } else { Err(format!("of a value that panicked there is {left:?}")) }
}
