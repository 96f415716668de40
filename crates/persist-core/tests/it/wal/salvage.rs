//! What the lenient policies make of damage.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use persist_core::error::ErrorKind;
use persist_core::wal::{BatchPlace, Cause, Line, Marks, Recovered, Recovery, RecoveryPolicy};
use persist_test_utils::{Fault, Rng, SimFs, What};

use super::check;
use super::driver::{Crash, DIR, Driver, Sizes, files, lineage, recover, segments, segments_of};
use crate::replay::seeds;

/// A log of durable lines in several segments, and its image with damage in the older ones.
fn damaged(seed: u64) -> (Driver, SimFs) {
    let mut rng = Rng::new(seed);
    let mut driver = Driver::with(seed, segments_of(4 * 1024), Sizes::Mixed);
    while driver.log.closed_segments().len() < 5 {
        let texts = (0..1 + rng.below(3)).map(|_| driver.body()).collect();
        driver.push(texts).unwrap();
        driver.sync().unwrap();
    }
    if rng.chance(1, 3) {
        driver.oracle.watermark = rng.below(driver.oracle.durable / 2);
    }
    let image = driver.fs.kill();
    let closed = driver.log.closed_segments();
    for _ in 0..1 + rng.below(3) {
        let path = &rng.pick(&closed[..4]).path;
        let Some(mut bytes) = image.read_file(path).filter(|bytes| !bytes.is_empty()) else { continue };
        match rng.below(6) {
            0 => {
                persist_core::fs::Fs::remove_file(&image, path).unwrap();
                continue;
            }
            1 => bytes.truncate(rng.index(bytes.len())),
            2 => {
                let start = rng.index(bytes.len());
                let end = (start + rng.index(2_000)).min(bytes.len());
                bytes[start..end].fill(*rng.pick(&[0, 0xFF, b'\n', b'x']));
            }
            _ => {
                let at = rng.index(bytes.len());
                bytes[at] ^= 1 << rng.below(8);
            }
        }
        image.write_file(path, bytes);
    }
    // What two segments without a good line held cannot be told: that is damage, also below the watermark.
    let holds_none = |bytes: &[u8]| check::pieces(bytes).all(|(_, text)| Line::parse(text).is_none());
    if segments(&image).iter().filter(|(_, bytes)| holds_none(bytes)).count() > 1 {
        return damaged(seed + 1_000_000);
    }
    persist_core::fs::Fs::sync_dir(&image, Path::new(DIR)).unwrap();
    (driver, image.kill())
}

fn run(fs: &SimFs, driver: &Driver, policy: RecoveryPolicy) -> persist_core::Result<Recovered> {
    let lineage = lineage();
    let recovery = Recovery::new(fs, driver.clock.as_ref(), Path::new(DIR), &lineage);
    recovery.watermark(driver.oracle.watermark).policy(policy).run()
}

/// The `seq`s after the watermark that can still be read, with all of their batch.
fn intact(fs: &SimFs, watermark: u64) -> BTreeSet<u64> {
    let segments = segments(fs);
    let lines = segments.iter().flat_map(|(_, bytes)| check::pieces(bytes)).filter_map(|(_, text)| Line::parse(text));
    let batches: BTreeMap<u64, _> =
        lines.map(|line| (line.seq, line.marks.batch)).filter(|(seq, _)| *seq > watermark).collect();
    let is_whole = |seq: u64, batch: Option<BatchPlace>| {
        let Some(place) = batch else { return true };
        let before = seq - u64::from(place.number);
        (before.max(watermark) + 1..=before + u64::from(place.of)).all(|seq| batches.contains_key(&seq))
    };
    batches.iter().filter(|(seq, batch)| is_whole(**seq, **batch)).map(|(seq, _)| *seq).collect()
}

fn seqs(recovered: &Recovered) -> BTreeSet<u64> {
    check::lines(recovered).into_iter().map(|(seq, _)| seq).collect()
}

/// The stretches of `seq`s that are missing between `watermark` and the last.
fn missing(intact: &BTreeSet<u64>, watermark: u64) -> Vec<(u64, u64)> {
    let mut missing = Vec::new();
    let mut last = watermark;
    for seq in intact {
        if *seq > last + 1 {
            missing.push((last + 1, seq - 1));
        }
        last = *seq;
    }
    missing
}

fn has_the_right_contents(driver: &Driver, recovered: &Recovered) {
    for (seq, known) in check::lines(recovered) {
        assert_eq!(driver.oracle.lines[&seq], known);
    }
}

#[test]
fn salvage_takes_every_good_line_and_notes_what_was_lost() {
    let found = std::cell::Cell::new(0);
    seeds("salvage_takes_every_good_line", 0..400, |seed| {
        let (mut driver, image) = damaged(seed);
        let watermark = driver.oracle.watermark;
        let good = intact(&image, watermark);
        let lost = missing(&good, watermark);
        let before = segments(&image);
        match run(&image.kill(), &driver, RecoveryPolicy::Strict) {
            Ok(recovered) => assert!(lost.is_empty() && seqs(&recovered) == good, "{lost:?}"),
            Err(error) => assert!(error.kind() == ErrorKind::Corrupt && !lost.is_empty(), "{error} {lost:?}"),
        }
        let recovered = run(&image, &driver, RecoveryPolicy::Salvage).unwrap();
        let report = recovered.report();
        assert_eq!(seqs(&recovered), good, "{report}");
        assert_eq!(report.lost, lost);
        assert_eq!(report.records, good.len() as u64);
        assert_eq!(report.is_damaged(), !lost.is_empty(), "{report}");
        has_the_right_contents(&driver, &recovered);
        check::all_reported(&before, |seq| seq <= watermark || good.contains(&seq), report);
        for stretch in report.left_out.iter().filter(|stretch| stretch.cause == Cause::Damaged) {
            let kept = image.read_file(stretch.kept_as.as_ref().unwrap()).unwrap();
            assert!(before.iter().any(|(path, bytes)| *path == stretch.file && *bytes == kept), "{report}");
        }
        driver.fs = image;
        // Strict from here on, and from a disk that lost its cache.
        for crash in [Crash::Kill, Crash::DropCaches, Crash::Cut(seed)] {
            let image = driver.branch(crash, seed).fs;
            for _ in 0..2 {
                let again = recover(&image, &driver.clock, watermark).unwrap();
                assert_eq!(seqs(&again), good);
                assert_eq!(again.report().records, good.len() as u64);
                assert!(!again.report().is_damaged());
                assert_eq!(again.start().next_seq, good.last().unwrap() + 1);
            }
        }
        found.set(found.get() + u64::from(!lost.is_empty()));
    });
    assert!(found.get() > 0);
}

#[test]
fn a_salvaged_log_goes_on() {
    seeds("a_salvaged_log_goes_on", 0..200, |seed| {
        let (mut driver, image) = damaged(seed);
        let recovered = run(&image, &driver, RecoveryPolicy::Salvage).unwrap();
        let good = seqs(&recovered);
        let mut log = super::driver::open(&image, &driver.clock, driver.options, recovered.start());
        for generation in 0..3 {
            let text = driver.body();
            let body = persist_core::wal::Body::new(text.into_bytes());
            let stamp = log.begin(body.line_bytes_at_most()).unwrap().push(body, Marks::default());
            assert_eq!(stamp.seq, good.last().unwrap() + 1 + generation);
            log.sync().unwrap();
            let disk = image.drop_caches();
            let again = recover(&disk, &driver.clock, driver.oracle.watermark).unwrap();
            assert_eq!(again.report().records, good.len() as u64 + generation + 1);
            let again = recover(&image, &driver.clock, driver.oracle.watermark).unwrap();
            log = super::driver::open(&image, &driver.clock, driver.options, again.start());
        }
    });
}

#[test]
fn truncation_takes_what_stands_before_the_first_damage() {
    seeds("truncation_takes_what_stands_before", 0..300, |seed| {
        let (driver, image) = damaged(seed);
        let watermark = driver.oracle.watermark;
        let good = intact(&image, watermark);
        let before = segments(&image);
        let last = (watermark + 1..).find(|seq| !good.contains(seq)).unwrap() - 1;
        let recovered = run(&image, &driver, RecoveryPolicy::TruncateTail).unwrap();
        assert_eq!(seqs(&recovered), (watermark + 1..=last).collect());
        assert_eq!(recovered.start().next_seq, last + 1);
        has_the_right_contents(&driver, &recovered);
        check::all_reported(&before, |seq| seq <= last, recovered.report());
        for image in [image.drop_caches(), image] {
            let again = recover(&image, &driver.clock, watermark).unwrap();
            assert_eq!(again.start().next_seq, last + 1);
            assert!(!again.report().is_damaged());
        }
    });
}

#[test]
fn a_salvage_that_is_interrupted_ends_the_same_when_started_over() {
    seeds("a_salvage_that_is_interrupted", 0..25, |seed| {
        let (driver, image) = damaged(seed);
        let watermark = driver.oracle.watermark;
        let good = intact(&image, watermark);
        let whole = image.kill();
        run(&whole, &driver, RecoveryPolicy::Salvage).unwrap();
        let kept = |fs: &SimFs| -> Vec<_> {
            let broken = |path: &Path| path.extension().is_some_and(|extension| extension == "broken");
            files(fs).into_iter().filter(|(path, _)| broken(path)).collect()
        };
        for m in 1..=whole.operations() {
            let interrupted = image.kill();
            interrupted.fault(Fault::at(m, What::Stop));
            run(&interrupted, &driver, RecoveryPolicy::Salvage).unwrap_err();
            for crash in [Crash::Kill, Crash::DropCaches, Crash::Cut(seed ^ m)] {
                let fs = crash.of(&interrupted);
                let again = run(&fs, &driver, RecoveryPolicy::Salvage).unwrap();
                assert_eq!(seqs(&again), good);
                has_the_right_contents(&driver, &again);
                let disk = fs.drop_caches();
                assert_eq!(kept(&disk), kept(&whole), "a damaged segment was not kept, at operation {m}");
                assert_eq!(seqs(&recover(&disk, &driver.clock, watermark).unwrap()), good);
            }
        }
    });
}

#[test]
fn a_torn_tail_is_cut_alike_under_each_policy() {
    seeds("a_torn_tail_is_cut_alike", 0..300, |seed| {
        let mut driver = Driver::with(seed, segments_of(8 * 1024), Sizes::Mixed);
        driver.run(20);
        driver.crash(Crash::Cut(seed));
        let strict = run(&driver.fs.kill(), &driver, RecoveryPolicy::Strict).unwrap();
        for policy in [RecoveryPolicy::Salvage, RecoveryPolicy::TruncateTail] {
            let fs = driver.fs.kill();
            let lenient = run(&fs, &driver, policy).unwrap();
            assert_eq!(check::lines(&lenient), check::lines(&strict));
            assert_eq!(lenient.report(), strict.report());
            check::is_tidy(&fs, &lenient);
        }
    });
}
