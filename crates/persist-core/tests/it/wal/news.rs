//! Calls when the log is durable up to a `seq`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use persist_core::wal::Reach;
use persist_test_utils::{Fault, Op, What, errno};

use super::driver::{Driver, Sizes, small_segments};

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A log with so many lines, none durable.
fn log_of(lines: usize) -> Driver {
    let mut driver = Driver::with(1, small_segments(), Sizes::Mixed);
    for _ in 0..lines {
        let body = driver.body();
        driver.push(vec![body]).unwrap();
    }
    driver
}

#[test]
fn only_those_are_called_whose_lines_are_durable_and_each_once() {
    let mut driver = log_of(2);
    let bells: [Arc<Bell>; 3] = Default::default();
    let mut calls = [None; 3];
    for (at, bell) in bells.iter().enumerate() {
        let waker = Waker::from(Arc::clone(bell));
        assert!(!driver.log.call_when(at as u64 + 1, Reach::Durable, &waker, &mut calls[at]));
    }
    let rung = || bells.each_ref().map(|bell| bell.rung());
    driver.log.wait(2, Reach::Written).unwrap();
    assert_eq!(rung(), [0, 0, 0], "written is not durable");
    driver.log.wait(1, Reach::Durable).unwrap();
    assert_eq!(rung(), [1, 1, 0], "one sync made both durable");
    let body = driver.body();
    driver.push(vec![body]).unwrap();
    driver.log.rotate().unwrap();
    assert_eq!(rung(), [1, 1, 1]);
    driver.log.sync().unwrap();
    assert_eq!(rung(), [1, 1, 1]);
    assert!(
        driver.log.call_when(3, Reach::Durable, &Waker::from(Arc::clone(&bells[0])), &mut None),
        "it is so already"
    );
}

#[test]
fn one_turn_calls_those_who_asked_for_written_lines_and_those_who_asked_for_durable_ones() {
    let driver = log_of(1);
    let bells: [Arc<Bell>; 2] = Default::default();
    for (bell, reach) in bells.iter().zip([Reach::Written, Reach::Durable]) {
        assert!(!driver.log.call_when(1, reach, &Waker::from(Arc::clone(bell)), &mut None));
    }
    driver.log.wait(1, Reach::Durable).unwrap();
    assert_eq!(bells.each_ref().map(|bell| bell.rung()), [1, 1]);
}

#[test]
fn a_call_that_panics_keeps_nobody_else_from_being_called() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("planted: the owner of this call is broken");
        }
    }
    let mut driver = log_of(1);
    let bell = Arc::new(Bell::default());
    for waker in [Waker::from(Arc::new(Panics)), Waker::from(Arc::clone(&bell))] {
        driver.log.call_when(1, Reach::Durable, &waker, &mut None);
    }
    driver.log.wait(1, Reach::Durable).unwrap();
    assert_eq!(bell.rung(), 1);
    let body = driver.body();
    driver.push(vec![body]).unwrap();
    driver.log.sync().unwrap();
}

#[test]
fn a_call_that_is_asked_for_again_or_forgotten_is_not_made_for_the_earlier_asking() {
    let driver = log_of(1);
    let bells: [Arc<Bell>; 3] = Default::default();
    let [first, second, third] = bells.each_ref().map(|bell| Waker::from(Arc::clone(bell)));
    let mut call = None;
    driver.log.call_when(1, Reach::Durable, &first, &mut call);
    driver.log.call_when(1, Reach::Durable, &second, &mut call);
    let mut forgotten = None;
    driver.log.call_when(1, Reach::Durable, &third, &mut forgotten);
    driver.log.forget(forgotten.unwrap());
    driver.log.sync().unwrap();
    assert_eq!(bells.each_ref().map(|bell| bell.rung()), [0, 1, 0]);
}

#[test]
fn the_end_of_a_log_calls_all_and_says_why() {
    let end = |end: &dyn Fn(&Driver)| {
        let driver = log_of(1);
        driver.log.sync().unwrap();
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let mut call = None;
        assert!(!driver.log.call_when(5, Reach::Durable, &waker, &mut call));
        assert!(driver.log.durable().1.is_none());
        end(&driver);
        assert_eq!(bell.rung(), 1);
        assert!(driver.log.call_when(5, Reach::Durable, &waker, &mut call));
        let (durable, why) = driver.log.durable();
        assert_eq!(durable, 1);
        format!("{:?}", why.unwrap().kind())
    };
    assert_eq!(end(&|driver| driver.log.close().unwrap()), "Closed");
    assert_eq!(end(&|driver| driver.log.poison("planted")), "Poisoned");
    let failed_sync = |driver: &Driver| {
        let mut append = driver.log.begin(100).unwrap();
        append.push(persist_core::wal::Body::new(b"{\"key\":\"k\"".to_vec()), persist_core::wal::Marks::default());
        drop(append);
        let next = driver.fs.operations() + 1;
        driver.fs.fault(Fault::at_on(next, What::Errno(errno::EIO)));
        driver.log.sync().unwrap_err();
        assert!(driver.fs.trace().iter().any(|(_, op, _)| *op == Op::Write));
    };
    assert_eq!(end(&failed_sync), "Poisoned");
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn whoever_waits_for_calls_beside_many_writers_hears_of_every_line() {
    const LINES: u64 = 4_000;
    let driver = log_of(0);
    let log = &driver.log;
    thread::scope(|scope| {
        for listener in 0..3 {
            scope.spawn(move || {
                let waker = Waker::from(Arc::new(Unpark(thread::current())));
                let mut call = None;
                for seq in (1..=LINES).skip(listener).step_by(3) {
                    let start = Instant::now();
                    while !log.call_when(seq, Reach::Durable, &waker, &mut call) {
                        thread::park_timeout(Duration::from_secs(20));
                        assert!(start.elapsed() < Duration::from_secs(20), "nobody called for {seq}");
                    }
                }
            });
        }
        for _ in 0..4 {
            scope.spawn(move || {
                for _ in 0..LINES / 4 {
                    let body = persist_core::wal::Body::new(b"{\"key\":\"k\"".to_vec());
                    let stamp =
                        log.begin(body.line_bytes_at_most()).unwrap().push(body, persist_core::wal::Marks::default());
                    log.wait(stamp.seq, Reach::Durable).unwrap();
                }
            });
        }
    });
}
