//! Group commit with real threads.

use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use persist_core::clock::{Clock, ManualClock, SystemClock};
use persist_core::error::ErrorKind;
use persist_core::fs::{Disk, Fs};
use persist_core::wal::{Ancestor, Body, Log, LogOptions, LogStart, Marks, Reach, Recovery};
use persist_test_utils::{Fault, Op, SimFs, What, errno};

use super::driver::{DIR, STORE, recover, segments_of};

const THREADS: u64 = 8;
const LINES: u64 = 500;

fn line(thread: u64, line: u64) -> Body {
    Body::new(format!(r#"{{"thread":{thread},"line":{line}"#).into_bytes())
}

fn fields(body: &str) -> (u64, u64) {
    let (thread, line) = body.strip_prefix(r#"{"thread":"#).unwrap().split_once(r#","line":"#).unwrap();
    (thread.parse().unwrap(), line.parse().unwrap())
}

#[test]
fn threads_share_syncs_and_each_finds_its_lines_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::default());
    let (fs, time): (Arc<dyn Fs>, Arc<dyn Clock>) = (Arc::new(Disk), clock.clone());
    let log = Log::new(fs, time, dir.path(), STORE, segments_of(64 * 1024), LogStart::default());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let log = &log;
            scope.spawn(move || {
                for number in 0..LINES {
                    let body = line(thread, number);
                    let stamp = log.begin(body.line_bytes_at_most()).unwrap().push(body, Marks::default());
                    log.wait(stamp.seq, Reach::Durable).unwrap();
                    assert!(log.stats().durable_seq >= stamp.seq);
                }
            });
        }
    });
    let stats = log.stats();
    assert_eq!((stats.lines, stats.last_seq, stats.durable_seq), (4_000, 4_000, 4_000));
    assert!(stats.syncs < stats.lines / 2, "{stats:?}");
    assert!(stats.segments > 1, "{stats:?}");
    log.close().unwrap();
    let lineage = [Ancestor::present(STORE)];
    let recovered = Recovery::new(&Disk, clock.as_ref(), dir.path(), &lineage).run().unwrap();
    let mut next = [0; THREADS as usize];
    for line in recovered.lines(0..recovered.len()) {
        let (thread, number) = fields(line.body());
        assert_eq!(number, next[thread as usize]);
        next[thread as usize] += 1;
    }
    assert_eq!(next, [LINES; THREADS as usize]);
}

/// Each thread writes one line, so that none of them is woken by what another does next.
#[test]
fn all_who_wait_for_one_sync_are_woken_by_it() {
    for _ in 0..50 {
        let fs = SimFs::new();
        fs.make_dir(DIR);
        let clock = Arc::new(ManualClock::new(0));
        let log = super::driver::open(&fs, &clock, LogOptions::default(), LogStart::default());
        let (log, barrier) = (Arc::new(log), Arc::new(Barrier::new(THREADS as usize)));
        let (done, all_done) = std::sync::mpsc::channel();
        for thread in 0..THREADS {
            let (log, barrier, done) = (Arc::clone(&log), Arc::clone(&barrier), done.clone());
            std::thread::spawn(move || {
                barrier.wait();
                let body = line(thread, 0);
                let stamp = log.begin(body.line_bytes_at_most()).unwrap().push(body, Marks::default());
                done.send(log.wait(stamp.seq, Reach::Durable))
            });
        }
        for _ in 0..THREADS {
            all_done
                .recv_timeout(Duration::from_secs(20))
                .expect("a thread sleeps though its line is durable")
                .unwrap();
        }
    }
}

/// A thread that rotates finds lines in the group that came while it wrote: they belong to the next segment.
#[test]
fn rotations_amid_writes_lose_no_line_and_hang_nobody() {
    let fs = SimFs::new();
    fs.make_dir(DIR);
    let clock = Arc::new(ManualClock::new(0));
    let log = super::driver::open(&fs, &clock, LogOptions::default(), LogStart::default());
    let (done, all_done) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (log, done) = (&log, done.clone());
            scope.spawn(move || {
                for number in 0..2_000 {
                    let body = line(thread, number);
                    let stamp = log.begin(body.line_bytes_at_most()).unwrap().push(body, Marks::default());
                    if number % 7 == thread {
                        log.rotate().unwrap();
                        assert!(log.stats().durable_seq >= stamp.seq);
                    } else if number % 3 == 0 {
                        log.wait(stamp.seq, Reach::Written).unwrap();
                    }
                }
                drop(done);
            });
        }
        drop(done);
        if all_done.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            log.poison("somebody hangs");
        }
    });
    log.close().unwrap();
    assert_eq!(recover(&fs.drop_caches(), &clock, 0).unwrap().len(), 8_000);
}

#[test]
fn poison_reaches_every_waiter() {
    // In a large segment the 40th write is one of lines; in small ones the fourth such sync closes a segment.
    for (op, nth, bytes) in [(Op::SyncData, 40, 1 << 20), (Op::Write, 40, 1 << 20), (Op::SyncAll, 4, 4096)] {
        let fs = SimFs::new();
        fs.make_dir(DIR);
        let clock = Arc::new(ManualClock::new(0));
        let log = super::driver::open(&fs, &clock, segments_of(bytes), LogStart::default());
        fs.fault(Fault::nth(op, nth, What::Errno(errno::EIO)));
        let acknowledged: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let log = &log;
                    scope.spawn(move || {
                        let mut acknowledged = 0;
                        for number in 0..20_000 {
                            let body = line(thread, number);
                            let begun = log.begin(body.line_bytes_at_most());
                            let done = begun.map(|mut append| append.push(body, Marks::default()).seq);
                            match done.and_then(|seq| log.wait(seq, Reach::Durable).map(|()| seq)) {
                                Ok(seq) => acknowledged = seq,
                                Err(error) => {
                                    assert_eq!(error.kind(), ErrorKind::Poisoned);
                                    break;
                                }
                            }
                        }
                        acknowledged
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(log.refusal().unwrap().kind(), ErrorKind::Poisoned);
        let last = acknowledged.into_iter().max().unwrap();
        assert!(recover(&fs.drop_caches(), &clock, 0).unwrap().len() as u64 >= last);
    }
}

/// A file system that calls this when a file is synced, before anybody is told.
struct Watched(SimFs, Arc<dyn Fn() + Send + Sync>);

struct WatchedFile(Box<dyn persist_core::fs::File>, Arc<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Debug for WatchedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl persist_core::fs::File for WatchedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> std::io::Result<usize> {
        self.0.write_at(offset, buf)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        let done = self.0.sync_data();
        (self.1)();
        done
    }
    fn sync_all(&self) -> std::io::Result<()> {
        self.0.sync_all()
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
}

impl Fs for Watched {
    fn open(&self, path: &Path, access: persist_core::fs::Access) -> std::io::Result<Box<dyn persist_core::fs::File>> {
        Ok(Box::new(WatchedFile(self.0.open(path, access)?, Arc::clone(&self.1))))
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> std::io::Result<()> {
        self.0.remove_file(path)
    }
    fn create_dir_all(&self, path: &Path) -> std::io::Result<()> {
        self.0.create_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> std::io::Result<()> {
        self.0.sync_dir(path)
    }
    fn list(&self, dir: &Path) -> std::io::Result<Vec<String>> {
        self.0.list(dir)
    }
    fn list_folders(&self, dir: &Path) -> std::io::Result<Vec<String>> {
        self.0.list_folders(dir)
    }
    fn remove_dir(&self, path: &Path) -> std::io::Result<()> {
        self.0.remove_dir(path)
    }
    fn exists(&self, path: &Path) -> std::io::Result<bool> {
        self.0.exists(path)
    }
}

fn watched(fs: &SimFs, on_sync: impl Fn() + Send + Sync + 'static) -> Log {
    let (fs, clock) = (Arc::new(Watched(fs.clone(), Arc::new(on_sync))), Arc::new(ManualClock::new(0)));
    Log::new(fs, clock, Path::new(DIR), STORE, LogOptions::default(), LogStart::default())
}

fn push(log: &Log, thread: u64, number: u64) -> u64 {
    let body = line(thread, number);
    log.begin(body.line_bytes_at_most()).unwrap().push(body, Marks::default()).seq
}

/// Writes lines until more is to be laid out, and answers the last `seq`.
fn write_until_it_wants_room(log: &Log) -> u64 {
    let mut asked = None;
    loop {
        let body = line(0, 0);
        let mut append = log.begin(body.line_bytes_at_most()).unwrap();
        let seq = append.push(body, Marks::default()).seq;
        if append.wants_work_ahead() {
            asked = Some(seq);
        }
        drop(append);
        log.wait(seq, Reach::Written).unwrap();
        // It asks by what a line may take at most.
        if asked.is_some_and(|asked| seq > asked + 10) {
            return seq;
        }
    }
}

#[test]
fn lines_are_written_while_another_thread_syncs_and_its_sync_does_not_count_for_them() {
    let fs = SimFs::new();
    fs.make_dir(DIR);
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    let log = watched(&fs, move || {
        begun.send(()).unwrap();
        may_go.lock().unwrap().recv_timeout(Duration::from_secs(10)).expect("the sync holds up a writer");
    });
    let log_of = &log;
    std::thread::scope(|scope| {
        let first = push(&log, 0, 0);
        let waiter = scope.spawn(move || log_of.wait(first, Reach::Durable));
        has_begun.recv().unwrap();
        for number in 1..=3 {
            let seq = push(&log, 0, number);
            log.wait(seq, Reach::Written).unwrap();
        }
        assert_eq!(recover(&fs.drop_caches(), &ManualClock::new(0), 0).unwrap().len(), 1);
        // Another, who waits for the next sync, with a line that is not written yet.
        let last = push(&log, 0, 4);
        let next = scope.spawn(move || log_of.wait(last, Reach::Durable));
        go.send(()).unwrap();
        waiter.join().unwrap().unwrap();
        assert_eq!(log.durable_seq(), first, "a line that was written during a sync was taken for synced");
        has_begun.recv().unwrap();
        go.send(()).unwrap();
        next.join().unwrap().unwrap();
    });
    assert_eq!(recover(&fs.drop_caches(), &ManualClock::new(0), 0).unwrap().len(), 5);
}

/// The system tells of a sync that failed once, to one of those who sync the file: the next is told that all is well.
#[test]
fn who_lays_out_a_segment_and_fails_to_sync_it_fails_those_whose_lines_are_in_it() {
    let fs = SimFs::new();
    fs.make_dir(DIR);
    let armed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let (may_go, is_armed) = (std::sync::Mutex::new(may_go), Arc::clone(&armed));
    let log = watched(&fs, move || {
        if is_armed.swap(false, std::sync::atomic::Ordering::SeqCst) {
            begun.send(()).unwrap();
            may_go.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap();
        }
    });
    let last = write_until_it_wants_room(&log);
    log.wait(last, Reach::Durable).unwrap();
    let seq = push(&log, 0, last);
    log.wait(seq, Reach::Written).unwrap();
    let syncs = fs.trace().iter().filter(|(_, op, _)| *op == Op::SyncData).count() as u64;
    fs.fault(Fault::nth(Op::SyncData, syncs + 1, What::Errno(errno::EIO)));
    armed.store(true, std::sync::atomic::Ordering::SeqCst);
    let log = &log;
    let is_acknowledged = std::thread::scope(|scope| {
        scope.spawn(move || log.work_ahead());
        // Its sync has failed, and nobody knows it yet.
        has_begun.recv_timeout(Duration::from_secs(10)).unwrap();
        let waiter = scope.spawn(move || log.wait(seq, Reach::Durable).is_ok());
        std::thread::sleep(Duration::from_millis(50));
        go.send(()).unwrap();
        waiter.join().unwrap()
    });
    assert!(!is_acknowledged && log.refusal().is_some());
    assert_eq!(recover(&fs.drop_caches(), &ManualClock::new(0), 0).unwrap().len() as u64, last);
}

#[test]
fn what_is_laid_out_ahead_makes_durable_what_is_written() {
    let fs = SimFs::new();
    fs.make_dir(DIR);
    let log = super::driver::open(&fs, &Arc::new(ManualClock::new(0)), LogOptions::default(), LogStart::default());
    let seq = write_until_it_wants_room(&log);
    assert_eq!(log.durable_seq(), 0);
    assert!(!log.work_ahead(), "there is more room than is used");
    assert_eq!(log.durable_seq(), seq);
}

#[test]
fn a_panic_while_the_log_is_laid_out_poisons_it_and_hangs_nobody() {
    let fs = SimFs::new();
    fs.make_dir(DIR);
    let armed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_armed = Arc::clone(&armed);
    let log = watched(&fs, move || assert!(!is_armed.load(std::sync::atomic::Ordering::SeqCst), "as planned"));
    write_until_it_wants_room(&log);
    armed.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| log.work_ahead())).is_err());
    assert_eq!(log.rotate().unwrap_err().kind(), ErrorKind::Poisoned);
    assert!(log.begin(100).is_err());
}

/// A call that comes between the write and the sync of a thread would wait for that sync.
#[test]
fn who_is_called_when_a_line_is_written_may_wait_until_it_is_durable() {
    struct Waits(Arc<Log>, u64, std::sync::mpsc::Sender<bool>);
    impl std::task::Wake for Waits {
        fn wake(self: Arc<Self>) {
            let _ = self.2.send(self.0.wait(self.1, Reach::Durable).is_ok());
        }
    }
    let fs = SimFs::new();
    fs.make_dir(DIR);
    let log = Arc::new(watched(&fs, || {}));
    let seq = push(&log, 0, 0);
    let (done, outcome) = std::sync::mpsc::channel();
    let waker = Arc::new(Waits(Arc::clone(&log), seq, done)).into();
    let mut call = None;
    assert!(!log.call_when(seq, Reach::Written, &waker, &mut call));
    let other = Arc::clone(&log);
    std::thread::spawn(move || other.wait(seq, Reach::Durable));
    assert_eq!(outcome.recv_timeout(Duration::from_secs(10)), Ok(true));
}

#[test]
fn a_leader_that_panics_poisons_the_log_and_hangs_nobody() {
    let fs = SimFs::new();
    fs.make_dir(DIR);
    let log = Arc::new(watched(&fs, || {
        std::thread::sleep(Duration::from_millis(50));
        panic!("as planned");
    }));
    let (done, outcomes) = std::sync::mpsc::channel();
    for thread in 0..4 {
        let (log, done) = (Arc::clone(&log), done.clone());
        std::thread::spawn(move || {
            let body = line(thread, 0);
            let stamp = log.begin(body.line_bytes_at_most()).map(|mut append| append.push(body, Marks::default()));
            let outcome = stamp.and_then(|stamp| log.wait(stamp.seq, Reach::Durable));
            done.send(outcome.map_err(|error| error.kind())).unwrap();
        });
    }
    drop(done);
    for _ in 0..3 {
        let outcome = outcomes.recv_timeout(Duration::from_secs(10)).expect("a waiter hangs");
        assert_eq!(outcome, Err(ErrorKind::Poisoned));
    }
}
