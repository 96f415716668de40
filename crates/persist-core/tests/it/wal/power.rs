//! Seeded histories of many generations: power cuts, kills, interrupted recoveries, over and over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use persist_core::clock::ManualClock;
use persist_core::wal::{BatchPlace, Body, Log, LogStart, Reach};
use persist_test_utils::{Fault, Rng, SimFs, What};

use super::check;
use super::driver::{Crash, DIR, Driver, Known, Oracle, Sizes, body, marks, open, recover, segments, segments_of};
use crate::replay::seeds;

#[test]
fn twenty_thousand_power_cuts_lose_nothing_acknowledged() {
    seeds("twenty_thousand_power_cuts", 0..20_000, |seed| {
        let mut dice = Rng::new(seed);
        let bytes = *dice.pick(&[2 * 1024, 8 * 1024, 8 * 1024, 64 * 1024]);
        let mut options = segments_of(bytes);
        options.max_segment_records = dice.chance(1, 4).then(|| 1 + dice.below(9));
        let mut driver = if dice.chance(1, 3) {
            Driver::in_folders(seed, options, Sizes::Mixed)
        } else {
            Driver::with(seed, options, Sizes::Mixed)
        };
        for _ in 0..3 + dice.below(2) {
            if dice.chance(2, 3) {
                let at = 1 + dice.below(60);
                let what = match dice.below(4) {
                    0 => What::Stop,
                    1 => What::StopAfter,
                    _ => What::ShortThenStop(dice.index(2_000)),
                };
                driver.fs.fault(Fault::at(at, what));
            }
            driver.run(3 + dice.below(20));
            let crash = driver.any_crash();
            driver.crash(if dice.chance(3, 4) { Crash::Cut(dice.next_u64()) } else { crash });
            while dice.chance(1, 3) {
                driver.fs.fault(Fault::at(1 + dice.below(20), *dice.pick(&[What::Stop, What::StopAfter])));
                if driver.recover() {
                    driver.fs.clear_faults();
                    driver.run(dice.below(3));
                }
                let crash = driver.any_crash();
                driver.crash(crash);
            }
            driver.fs.clear_faults();
            assert!(driver.recover());
        }
    });
}

/// What four threads were promised.
#[derive(Default)]
struct Promises {
    lines: BTreeMap<u64, Known>,
    durable: u64,
}

fn write(log: &Log, promises: &Mutex<Promises>, stop: &AtomicBool, seed: u64) {
    let mut rng = Rng::new(seed);
    for name in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let of = *rng.pick(&[1, 1, 1, 2, 5]);
        let texts: Vec<String> =
            (0..of).map(|number| body(seed * 1_000_000 + name * 10 + number, rng.index(1_600), &mut rng)).collect();
        let lines: Vec<Body> = texts.iter().map(|text| Body::new(text.clone().into_bytes())).collect();
        let Ok(mut append) = log.begin(lines.iter().map(Body::line_bytes_at_most).sum()) else { return };
        let mut last = 0;
        for (number, (line, body)) in (1..).zip(lines.into_iter().zip(texts)) {
            let marks = marks(&mut rng).batch((of > 1).then_some(BatchPlace { number, of: of as u32 }));
            let stamp = append.push(line, marks);
            // Before the log is let go: nobody can have written the line yet.
            promises.lock().lines.insert(stamp.seq, Known { body, marks, at: stamp.at });
            last = stamp.seq;
        }
        drop(append);
        let reach = *rng.pick(&[Reach::Durable, Reach::Durable, Reach::Written]);
        if rng.chance(1, 20) {
            log.rotate().unwrap();
        }
        if log.wait(last, reach).is_err() {
            return;
        }
        if reach == Reach::Durable {
            let mut promises = promises.lock();
            promises.durable = promises.durable.max(last);
        }
    }
}

#[test]
fn power_cuts_under_four_threads_lose_nothing_acknowledged() {
    seeds("power_cuts_under_four_threads", 0..40, |seed| {
        let mut fs = SimFs::new();
        fs.make_dir(DIR);
        let clock = Arc::new(ManualClock::new(0));
        let (mut start, mut oracle) = (LogStart::default(), Oracle::default());
        for generation in 0..3 {
            let log = open(&fs, &clock, segments_of(8 * 1024), start);
            let promises = Mutex::new(Promises { lines: oracle.lines.clone(), durable: oracle.durable });
            let stop = AtomicBool::new(false);
            let images = std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (log, promises, stop) = (&log, &promises, &stop);
                    scope.spawn(move || write(log, promises, stop, seed * 100 + generation * 10 + thread));
                }
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        log.work_ahead();
                        std::thread::yield_now();
                    }
                });
                let mut images = Vec::new();
                let mut watermark = oracle.watermark;
                for cut in 0..6 {
                    let wanted = oracle.durable + 25 * (cut + 1);
                    let deadline = Instant::now() + Duration::from_secs(60);
                    while promises.lock().durable < wanted {
                        if Instant::now() > deadline {
                            log.poison("so that nobody hangs");
                            panic!("nothing is written any more");
                        }
                        std::thread::yield_now();
                    }
                    // Promises made before the cut bind; lines pushed after it may be on the disk or not.
                    let durable = promises.lock().durable;
                    let image = if cut % 3 == 2 { fs.drop_caches() } else { fs.power_cut(seed ^ cut) };
                    images.push((image, durable, watermark));
                    if cut == 3 {
                        watermark = log.stats().durable_seq;
                        log.remove_up_to(watermark).unwrap();
                    }
                }
                stop.store(true, Ordering::Relaxed);
                images
            });
            let lines = promises.into_inner().lines;
            let last = images.len() - 1;
            for (at, (image, durable, watermark)) in images.into_iter().enumerate() {
                let books = Oracle { lines: lines.clone(), durable, written: durable, watermark };
                let before = segments(&image);
                let recovered = recover(&image, &clock, watermark)
                    .unwrap_or_else(|error| panic!("{error}\n{}", check::show(&before)));
                check::against(&books, &recovered, &before);
                check::is_tidy(&image, &recovered);
                if at == last {
                    oracle = books;
                    oracle.durable = recovered.start().next_seq - 1;
                    oracle.lines.split_off(&recovered.start().next_seq);
                    fs = image;
                    break;
                }
            }
            start = recover(&fs, &clock, oracle.watermark).unwrap().start();
        }
    });
}
