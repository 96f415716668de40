//! Group commit under schedules that shuttle chooses: threads that write, sync, rotate, ask to be called and close, on a log
//! whose files let others go on before and after each operation.
//!
//! Built and run by `cargo xtask schedules`. Two who wait for each other, or one whom nobody wakes, end a schedule with shuttle's
//! word for it. `PERSIST_SCHEDULES` is how many schedules each scenario has; a failure prints the schedule, and
//! `PERSIST_SCHEDULE` runs that one again.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Wake, Waker};

use persist_core::clock::ManualClock;
use persist_core::error::ErrorKind;
use persist_core::fs::{Access, File, Fs};
use persist_core::wal::{Ancestor, Body, Line, Log, LogOptions, LogStart, Marks, Reach, Recovery};
use persist_test_utils::{Fault, Op, SimFs, What, errno};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner, thread};

mod base;
mod flush;

const DIR: &str = "/store";
const STORE: &str = "00ff";

/// The simulated disk; other threads may go on before and after each of its operations.
#[derive(Debug, Clone)]
struct Yielding(SimFs, Chance);

/// A place where shuttle may choose: loading this is one. To yield would say that another has to go on.
#[derive(Debug, Clone, Default)]
struct Chance(Arc<shuttle::sync::atomic::AtomicBool>);

impl Chance {
    fn around<T>(&self, act: impl FnOnce() -> T) -> T {
        let _ = self.0.load(Ordering::SeqCst);
        let done = act();
        let _ = self.0.load(Ordering::SeqCst);
        done
    }
}

impl Fs for Yielding {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let file = self.1.around(|| self.0.open(path, access))?;
        Ok(Box::new(YieldingFile(file, self.1.clone())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.1.around(|| self.0.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.1.around(|| self.0.remove_file(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.1.around(|| self.0.create_dir_all(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.1.around(|| self.0.sync_dir(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }

    fn list_folders(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.list_folders(dir)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }
}

#[derive(Debug)]
struct YieldingFile(Box<dyn File>, Chance);

impl File for YieldingFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        self.1.around(|| self.0.write_at(offset, buf))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.1.around(|| self.0.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.1.around(|| self.0.sync_all())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.1.around(|| self.0.set_len(len))
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

/// A log, and what its disk would have if the power failed.
#[derive(Debug)]
struct World {
    fs: SimFs,
    log: Log,
    body: Body,
    calls: std::sync::Mutex<Vec<(Arc<Called>, bool)>>,
}

/// How often a call was made.
#[derive(Debug, Default)]
struct Called(AtomicU32);

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl World {
    /// With short lines, three to a segment.
    fn new() -> Arc<Self> {
        Self::with_lines_of(1, Some(3))
    }

    fn with_lines_of(bytes: usize, records: Option<u64>) -> Arc<Self> {
        let fs = SimFs::new();
        fs.make_dir(DIR);
        fs.make_dir(format!("{DIR}/other"));
        let mut options = LogOptions::default();
        // Small, so that it is laid out and closed often and costs little each time.
        options.max_segment_bytes = 4096;
        options.max_segment_records = records;
        let clock = Arc::new(ManualClock::new(0));
        let shared = Arc::new(Yielding(fs.clone(), Chance::default()));
        let log = Log::new(shared, clock, Path::new(DIR), STORE, options, LogStart::default());
        let body = Body::new(format!(r#"{{"key":"{}""#, "k".repeat(bytes)).into_bytes());
        Arc::new(Self { fs, log, body, calls: std::sync::Mutex::default() })
    }

    /// Takes a line; `None` where the log takes none any more.
    fn push(&self) -> Option<u64> {
        let body = self.body.clone();
        match self.log.begin(body.line_bytes_at_most()) {
            Ok(mut append) => Some(append.push(body, Marks::default()).seq),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Closed | ErrorKind::Io), "{error}");
                None
            }
        }
    }

    /// Waits for a line; what is then said to be durable is on the disk, with all before it.
    fn wait(&self, seq: u64, reach: Reach) {
        let before = self.log.durable_seq();
        match self.log.wait(seq, reach) {
            Ok(()) if reach == Reach::Durable => {
                assert!(self.log.durable_seq() >= seq);
                self.is_on_disk(seq);
            }
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}"),
        }
        let after = self.log.durable_seq();
        assert!(after >= before, "what is durable fell from {before} to {after}");
        self.is_on_disk(after);
    }

    fn is_on_disk(&self, last: u64) {
        let there: BTreeSet<u64> = lines(&self.fs.drop_caches()).into_iter().map(|(_, seq)| seq).collect();
        let missing: Vec<u64> = (1..=last).filter(|seq| !there.contains(seq)).collect();
        assert!(missing.is_empty(), "{last} is said to be durable, and the disk lacks {missing:?}");
    }

    /// Asks to be called when a line is durable.
    fn ask(&self, seq: u64, reach: Reach) {
        let called = Arc::new(Called::default());
        let is_so = self.log.call_when(seq, reach, &Waker::from(Arc::clone(&called)), &mut None);
        self.calls.lock().unwrap().push((called, is_so));
    }

    /// What has to be true when all threads are done.
    fn is_sound(&self) {
        let _ = self.log.close();
        for (called, is_so) in self.calls.lock().unwrap().iter() {
            assert_eq!(called.0.load(Ordering::SeqCst), u32::from(!is_so), "a call is made once, or answered at once");
        }
        let found = lines(&self.fs);
        let seqs: BTreeSet<u64> = found.iter().map(|(_, seq)| *seq).collect();
        assert_eq!(seqs.len(), found.len(), "a line stands twice: {found:?}");
        assert!(found.windows(2).all(|two| two[0].0 != two[1].0 || two[0].1 < two[1].1), "out of order: {found:?}");
        self.is_on_disk(self.log.durable_seq());
        let (disk, clock, lineage) = (self.fs.drop_caches(), ManualClock::new(0), [Ancestor::present(STORE)]);
        let others = [PathBuf::from(format!("{DIR}/other"))];
        let recovered = Recovery::new(&disk, &clock, Path::new(DIR), &lineage).also_in(&others).run().unwrap();
        assert!(recovered.start().next_seq > self.log.durable_seq());
    }
}

/// All lines, by file and place in it.
fn lines(fs: &SimFs) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for path in fs.files() {
        let bytes = fs.read_file(&path).unwrap();
        let texts = bytes.split(|byte| matches!(byte, b'\n' | 0)).filter(|text| !text.is_empty());
        found.extend(texts.filter_map(Line::parse).map(|line| (path.clone(), line.seq)));
    }
    found
}

/// Runs `act` with as many threads as there are numbers below `threads`, and looks at what they leave.
fn together(world: &Arc<World>, threads: usize, act: impl Fn(&World, usize) + Send + Sync + 'static) {
    let act = Arc::new(act);
    let run = |number| {
        let (world, act) = (Arc::clone(world), Arc::clone(&act));
        thread::spawn(move || act(&world, number))
    };
    let threads: Vec<_> = (0..threads).map(run).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    world.is_sound();
}

fn either() -> Reach {
    if thread_rng().gen_bool(0.5) { Reach::Written } else { Reach::Durable }
}

/// Runs a scenario under so many schedules, half of them such that few switches come at the worst of times.
fn explore(scenario: fn()) {
    if let Ok(schedule) = std::env::var("PERSIST_SCHEDULE") {
        return shuttle::replay(scenario, &schedule);
    }
    let number: usize = std::env::var("PERSIST_SCHEDULES").map_or(3_000, |number| number.parse().unwrap());
    let seed = std::env::var("PERSIST_SEED").map_or(1, |seed| seed.parse().unwrap());
    let config = || {
        let mut config = Config::new();
        config.stack_size = 256 * 1024;
        config
    };
    Runner::new(RandomScheduler::new_from_seed(seed, number / 2), config()).run(scenario);
    Runner::new(PctScheduler::new_from_seed(seed, 3, number - number / 2), config()).run(scenario);
}

#[test]
fn whoever_waits_for_a_line_is_woken_when_it_is_there() {
    explore(|| {
        together(&World::new(), 3, |world, number| {
            for _ in 0..2 {
                if let Some(seq) = world.push() {
                    let reach = if number == 2 { either() } else { Reach::Durable };
                    world.wait(seq, reach);
                }
            }
        });
    });
}

#[test]
fn more_wait_for_a_sync_than_one_turn_serves() {
    explore(|| {
        together(&World::new(), 4, |world, _| {
            if let Some(seq) = world.push() {
                world.wait(seq, Reach::Durable);
            }
        });
    });
}

#[test]
fn writes_and_syncs_beside_rotations_and_moves() {
    explore(|| {
        together(&World::new(), 3, |world, number| match number {
            0 => {
                let _ = world.log.rotate();
                if either() == Reach::Written {
                    let _ = world.log.move_to(Path::new("/store/other"));
                }
            }
            _ => {
                for _ in 0..2 {
                    if let Some(seq) = world.push() {
                        world.wait(seq, either());
                    }
                }
            }
        });
    });
}

#[test]
fn a_close_beside_writers_ends_them_all() {
    explore(|| {
        together(&World::new(), 3, |world, number| match number {
            0 => drop(world.log.close()),
            _ => {
                while let Some(seq) = world.push().filter(|seq| *seq < 5) {
                    world.wait(seq, either());
                }
            }
        });
    });
}

#[test]
fn a_failed_write_or_sync_reaches_everyone_who_waits() {
    explore(|| {
        let world = World::new();
        let op = if either() == Reach::Durable { Op::SyncData } else { Op::Write };
        world.fs.fault(Fault::nth(op, thread_rng().gen_range(1..6), What::Errno(errno::EIO)));
        together(&world, 3, |world, _| {
            for _ in 0..2 {
                if let Some(seq) = world.push() {
                    world.wait(seq, either());
                }
            }
        });
    });
}

#[test]
fn what_is_laid_out_ahead_comes_in_nobodys_way() {
    explore(|| {
        // Three lines use up more than half of a segment: then more is laid out, and the next segment.
        let world = World::with_lines_of(700, None);
        if either() == Reach::Written {
            world.fs.fault(Fault::nth(Op::SyncData, thread_rng().gen_range(1..8), What::Errno(errno::EIO)));
        }
        together(&world, 3, |world, number| match number {
            0 => {
                for _ in 0..3 {
                    world.log.work_ahead();
                }
                let _ = if either() == Reach::Written { world.log.close() } else { world.log.rotate() };
            }
            _ => {
                for _ in 0..3 {
                    if let Some(seq) = world.push() {
                        world.wait(seq, either());
                    }
                }
            }
        });
    });
}

#[test]
fn each_call_that_was_asked_for_is_made_once() {
    explore(|| {
        together(&World::new(), 3, |world, number| match number {
            0 => (1..4).for_each(|seq| {
                world.ask(seq, either());
            }),
            _ => {
                if let Some(seq) = world.push() {
                    world.ask(seq, Reach::Durable);
                    world.wait(seq, Reach::Durable);
                }
            }
        });
    });
}
