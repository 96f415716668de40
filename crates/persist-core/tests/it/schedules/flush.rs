//! The protocol of watermark, checkpoint, segment removal and compaction: the store's own decisions, over the simulated
//! disk and a database of numbers, while threads write, flush, checkpoint, read, crash and back up.
//!
//! Looked at again and again: what a crash at this moment would leave. Recovered with the watermark of the database's file,
//! the log and that file have each durable record, each once.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use persist_core::clock::ManualClock;
use persist_core::error::{ErrorKind, Result};
use persist_core::protocol::{Base as _, Figures, Handle, Pending, Place as _, Progress, Protocol, Room, Waiting};
use persist_core::wal::{Ancestor, BatchPlace, Body, Log, LogOptions, LogStart, Marks, Reach, Recovery};
use persist_test_utils::{Fault, Op, SimFs, What, errno};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::AtomicU64;
use shuttle::thread;

use super::base::{Content, File, Instance, Row};
use super::{Chance, DIR, STORE, Yielding, either, explore};

/// What a thread of a scenario does.
type Act = fn(&Store);

/// A store without its threads.
#[derive(Debug)]
struct Store {
    fs: SimFs,
    disk: Yielding,
    log: Log,
    pending: Pending<Row>,
    file: File,
    database: Handle<File>,
    figures: Progress,
    backed_up: AtomicU64,
    /// Of the thread that flushes; who else wants a flush has it done by taking its place.
    appender: Mutex<Option<Instance>>,
    /// So many threads still write.
    writing: AtomicU64,
}

impl Store {
    /// With two lines to a segment, and a database that fails so often.
    fn new(failures: u32) -> Arc<Self> {
        let fs = SimFs::new();
        fs.make_dir(DIR);
        let mut options = LogOptions::default();
        options.max_segment_bytes = 4096;
        options.max_segment_records = Some(2);
        let disk = Yielding(fs.clone(), Chance::default());
        let (clock, shared) = (Arc::new(ManualClock::new(0)), Arc::new(disk.clone()));
        let file = File::default();
        let database = Handle::new(file.clone(), file.open().unwrap());
        file.fail(failures);
        Arc::new(Self {
            log: Log::new(shared, clock, Path::new(DIR), STORE, options, LogStart::default()),
            fs,
            disk,
            pending: Pending::new(VecDeque::new(), VecDeque::new(), Room { unflushed: 350, held: u64::MAX }),
            file,
            database,
            figures: Progress::new(Figures::default()),
            backed_up: AtomicU64::new(u64::MAX),
            appender: Mutex::new(None),
            writing: AtomicU64::new(0),
        })
    }

    fn protocol(&self) -> Protocol<'_, Row, File> {
        Protocol {
            log: &self.log,
            pending: &self.pending,
            database: &self.database,
            figures: &self.figures,
            backed_up: &self.backed_up,
            fs: &self.disk,
            keeps_log: false,
            batch_records: 3,
        }
    }

    /// Writes a step of one or two records, and waits for it.
    fn write(&self) {
        let of = thread_rng().gen_range(1..=2);
        let body = Body::new(br#"{"key":"k"#.to_vec());
        let Ok(mut append) = self.log.begin(of as usize * body.line_bytes_at_most()) else { return };
        let mut seqs = Vec::new();
        for number in 1..=of {
            let mut marks = Marks::default();
            marks.batch = (of > 1).then_some(BatchPlace { number, of });
            seqs.push(append.push(body.clone(), marks).seq);
        }
        let last = seqs[seqs.len() - 1];
        let rows: Vec<_> = seqs.into_iter().map(|seq| Arc::new(Row { seq, batch_ends: last })).collect();
        self.pending.push(&rows, usize::MAX, u64::MAX);
        drop(append);
        if let Err(error) = self.log.wait(last, either()) {
            assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
        }
    }

    /// Flushes as the thread does that flushes, and opens a lost database again.
    fn flush(&self, seq: u64) -> Result<()> {
        let mut appender = self.appender.lock().unwrap();
        self.protocol().flush(&mut appender, seq).map(drop)
    }

    /// What that thread does when it is told that the database may be lost.
    fn look_after(&self) {
        let mut appender = self.appender.lock().unwrap();
        if self.database.get().and_then(|base| base.reached()).is_err() {
            let _ = self.protocol().reopen(&mut appender);
        }
    }

    /// What the thread does that checkpoints.
    fn tidy(&self) {
        let merged = if either() == Reach::Written { self.protocol().merge().map(drop) } else { Ok(()) };
        let mut done = merged;
        if self.protocol().has_superfluous_segments() {
            done = done.and(self.protocol().checkpoint().map(drop));
            self.crash();
        }
        if done.is_err_and(|error| Instance::is_lost(&error)) {
            self.look_after();
        }
    }

    /// A crash now, with or without a power cut, leaves all that was durable.
    fn crash(&self) {
        let floor = self.backed_up.load(Ordering::SeqCst);
        let (durable, checkpointed) = (self.log.durable_seq(), self.figures.lock().checkpointed);
        // Nobody goes on in between.
        let content = self.file.content();
        let disk = if thread_rng().gen_bool(0.5) { self.fs.kill() } else { self.fs.drop_caches() };
        assert!(checkpointed <= content.watermark(), "{checkpointed} is no checkpoint of {content:?}");
        has_each_once(&disk, &content, durable);
        let (older, noted) = self.file.older();
        assert!(noted <= content.watermark(), "{noted} is noted of {content:?}");
        if let Some(older) = older {
            is_refused_or_whole(&disk, &older, noted, durable);
        }
        if floor < durable {
            let oldest = self.log.oldest_seq();
            assert!(oldest.is_some_and(|oldest| oldest <= floor + 1), "{oldest:?} is after the backup of {floor}");
        }
    }

    /// A reader that has everything flushed finds all that was written before.
    fn read(&self) {
        let last = self.log.last_seq();
        if let Ok(base) = self.protocol().flushed_into(|| self.flush(last)) {
            let rows = base.content().rows();
            assert!(rows.len() as u64 >= last, "of {last} a reader finds {rows:?}");
        }
    }

    /// When all threads are done and nothing fails any more, a flush and a checkpoint cover everything.
    fn is_sound(&self) {
        self.crash();
        self.file.fail(0);
        self.look_after();
        let last = self.log.last_seq();
        let flushed = self.flush(last);
        let last = if flushed.is_ok() { last } else { self.log.durable_seq() };
        let granted = self.protocol().checkpoint_base().unwrap();
        assert_eq!(granted.is_some(), true);
        assert_eq!(self.file.content().rows(), (1..=last).collect::<Vec<_>>());
        if flushed.is_ok() {
            assert_eq!(self.pending.waiting(), Waiting { records: 0, bytes: 0, oldest: None });
            assert_eq!(self.pending.oldest(), None);
        }
        self.crash();
    }
}

/// What is recovered of this disk with a database of this content has each record up to `durable` once.
fn has_each_once(disk: &SimFs, content: &Content, durable: u64) {
    let (clock, lineage) = (ManualClock::new(0), [Ancestor::present(STORE)]);
    let recovery = Recovery::new(disk, &clock, Path::new(DIR), &lineage).watermark(content.watermark()).run();
    let recovered = recovery.unwrap_or_else(|error| panic!("with {content:?}: {error}"));
    let mut found = content.rows();
    found.extend(recovered.lines(0..recovered.len()).map(|line| line.seq));
    let wanted: Vec<u64> = (1..=found.len() as u64).collect();
    assert!(found == wanted && found.len() as u64 >= durable, "of {durable} there are {found:?}, with {content:?}");
}

/// With what the database's file had some time before, either recovery says so, or the note does, or nothing is missing.
fn is_refused_or_whole(disk: &SimFs, older: &Content, noted: u64, durable: u64) {
    let (clock, lineage) = (ManualClock::new(0), [Ancestor::present(STORE)]);
    let recovery = Recovery::new(disk, &clock, Path::new(DIR), &lineage).watermark(older.watermark()).run();
    let Some(recovered) = recovery.ok().filter(|_| older.watermark() >= noted) else { return };
    let there = older.rows().len() + recovered.len();
    assert!(there as u64 >= durable, "of {durable} there are {there} with the older {older:?}, and {noted} is noted");
}

/// Runs these as threads, and looks at what they leave.
fn together(store: &Arc<Store>, writers: &[Act], others: &[Act]) {
    store.writing.store(writers.len() as u64, Ordering::SeqCst);
    let run = |act: &Act| {
        let (store, act) = (Arc::clone(store), *act);
        thread::spawn(move || act(&store))
    };
    let threads: Vec<_> = writers.iter().chain(others).map(run).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    store.is_sound();
}

fn writes(store: &Store) {
    (0..3).for_each(|_| store.write());
    store.writing.fetch_sub(1, Ordering::SeqCst);
}

/// As [`writes`], while there is room for more to be flushed.
fn waits(store: &Store) {
    for _ in 0..3 {
        store.pending.wait_for_room(std::time::Duration::MAX).unwrap();
        store.write();
    }
    store.writing.fetch_sub(1, Ordering::SeqCst);
}

/// As long as there are writers.
fn flushes(store: &Store) {
    while store.writing.load(Ordering::SeqCst) > 0 {
        store.look_after();
        // What fails is tried again.
        let _ = store.flush(store.log.last_seq());
        thread::yield_now();
    }
}

/// As long as there are writers.
fn tidies(store: &Store) {
    while store.writing.load(Ordering::SeqCst) > 0 {
        store.tidy();
        thread::yield_now();
    }
}

fn crashes(store: &Store) {
    while store.writing.load(Ordering::SeqCst) > 0 {
        if thread_rng().gen_bool(0.05) {
            store.crash();
        }
        thread::yield_now();
    }
}

/// The database gets lost while nobody asks anything of it.
fn loses(store: &Store) {
    while store.writing.load(Ordering::SeqCst) > 0 {
        if thread_rng().gen_bool(0.05)
            && let Ok(base) = store.database.get()
        {
            base.lose();
        }
        thread::yield_now();
    }
}

fn reads(store: &Store) {
    (0..2).for_each(|_| store.read());
}

#[test]
fn a_crash_at_any_moment_of_flushes_checkpoints_and_removals_leaves_each_record_once() {
    explore(|| together(&Store::new(0), &[writes, writes], &[flushes, tidies, crashes]));
}

#[test]
fn a_database_that_fails_and_is_opened_again_loses_and_doubles_nothing() {
    explore(|| together(&Store::new(thread_rng().gen_range(1..5)), &[writes], &[flushes, tidies, crashes, loses]));
}

#[test]
fn a_reader_finds_what_was_flushed_for_it_whatever_becomes_of_the_database() {
    explore(|| together(&Store::new(thread_rng().gen_range(1..4)), &[writes], &[tidies, reads, reads, loses]));
}

#[test]
fn a_log_that_fails_is_flushed_as_far_as_it_is_durable() {
    explore(|| {
        let store = Store::new(thread_rng().gen_range(0..3));
        let op = if either() == Reach::Durable { Op::SyncData } else { Op::Write };
        store.fs.fault(Fault::nth(op, thread_rng().gen_range(1..8), What::Errno(errno::EIO)));
        together(&store, &[writes, writes], &[flushes, tidies]);
    });
}

#[test]
fn segments_stay_that_no_backup_has() {
    fn backs_up(store: &Store) {
        for _ in 0..2 {
            // It has what a checkpoint has.
            store.backed_up.store(store.file.content().watermark(), Ordering::SeqCst);
            store.crash();
        }
    }
    explore(|| {
        let store = Store::new(0);
        store.backed_up.store(0, Ordering::SeqCst);
        together(&store, &[writes], &[flushes, tidies, backs_up]);
    });
}

#[test]
fn writers_who_wait_for_room_are_woken_by_the_flush_that_makes_it() {
    explore(|| together(&Store::new(0), &[waits, waits], &[flushes]));
}
