//! Bits flipped, bytes cut, other bytes after the tail: found and located, or reported as torn; never wrong data.

use std::cell::Cell;
use std::path::PathBuf;

use persist_core::error::ErrorKind;
use persist_core::wal::{BatchPlace, Body, Cause, Line, LogStart};
use persist_test_utils::{Rng, SimFs};

use super::check;
use super::driver::{
    DIR, Driver, Sizes, body, clock, files, look, marks, open, path, recover, segments, segments_of, small_segments,
};
use crate::replay::seeds;

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stands {
    path: PathBuf,
    number: usize,
    start: usize,
    end: usize,
    seq: u64,
    batch: Option<BatchPlace>,
    text: String,
}

/// Segments of so many bytes, full of lines in groups that were all synced, `total` bytes of them, some of the groups
/// batches; and where each line stands, and how many lines the last group has.
fn log(seed: u64, max_segment: u64, total: usize) -> (SimFs, Vec<Stands>, usize) {
    let (fs, mut rng, clock) = (SimFs::new(), Rng::new(seed), clock());
    fs.make_dir(DIR);
    let log = open(&fs, &clock, segments_of(max_segment), LogStart::default());
    let (mut written, mut last_group) = (0, 0);
    while written < total {
        last_group = 1 + rng.index(4);
        let is_batch = rng.coin();
        let bodies: Vec<Body> = (0..last_group)
            .map(|name| {
                let bytes = rng.index(500);
                Body::new(body(name as u64, bytes, &mut rng).into_bytes())
            })
            .collect();
        let mut append = log.begin(bodies.iter().map(Body::line_bytes_at_most).sum()).unwrap();
        for (number, body) in (1..).zip(bodies) {
            let place = BatchPlace { number, of: last_group as u32 };
            append.push(body, marks(&mut rng).batch(is_batch.then_some(place)));
        }
        drop(append);
        log.sync().unwrap();
        written =
            segments(&fs).iter().flat_map(|(_, bytes)| check::pieces(bytes)).map(|(_, text)| text.len() + 1).sum();
    }
    let mut lines = Vec::new();
    for (path, bytes) in segments(&fs) {
        for (number, (start, text)) in (1..).zip(check::pieces(&bytes)) {
            let Line { seq, marks, .. } = Line::parse(text).unwrap();
            let text = String::from_utf8(text.to_vec()).unwrap();
            let end = start + text.len() + 1;
            lines.push(Stands { path: path.clone(), number, start, end, seq, batch: marks.batch, text });
        }
    }
    (fs, lines, last_group)
}

/// Of the first so many lines, those that are no part of a batch that goes on.
fn whole(lines: &[Stands], first: usize) -> usize {
    let last = first.checked_sub(1).map(|last| &lines[last]);
    last.map_or(0, |last| check::end_of_whole(last.batch, first as u64) as usize)
}

/// What was given back is the first lines, to the byte.
fn is_prefix(recovered: &persist_core::wal::Recovered, lines: &[Stands]) -> usize {
    let given: Vec<(u64, String)> =
        recovered.lines(0..recovered.len()).map(|line| (line.seq, line.body().to_owned())).collect();
    for ((seq, body), stands) in given.iter().zip(lines) {
        assert_eq!(*seq, stands.seq);
        assert!(stands.text.starts_with(body.as_str()));
    }
    given.len()
}

#[test]
fn every_flipped_bit_is_found_and_located_or_reported_as_torn_in_the_last_group() {
    let every = std::env::var("PERSIST_EVERY").map_or(1, |every| every.parse().unwrap());
    seeds("every_flipped_bit_is_found", 0..1, |seed| {
        let (fs, lines, last_group) = log(seed, 16 * 1024, 24 * 1024);
        let paths = segments(&fs);
        assert_eq!(paths.len(), 2, "one closed, one that takes lines");
        let first_of_last_group = lines[lines.len() - last_group].seq;
        let (mut located, mut torn) = (0, 0);
        for (path, bytes) in &paths {
            for bit in (seed % every..bytes.len() as u64 * 8).step_by(every as usize) {
                let image = fs.kill();
                image.flip_bit(path, bit);
                let byte = (bit / 8) as usize;
                let hit = lines.iter().find(|line| line.path == *path && (line.start..line.end).contains(&byte));
                match (recover(&image, &clock(), 0), hit) {
                    (Err(error), Some(hit)) => {
                        assert_eq!(error.kind(), ErrorKind::Corrupt);
                        let expected =
                            format!("{} is damaged at line {}, offset {}:", path.display(), hit.number, hit.start);
                        let message = error.to_string();
                        assert!(message.starts_with(&expected), "bit {bit}: {message}, not {expected}");
                        located += 1;
                    }
                    (Ok(recovered), hit) => {
                        let given = is_prefix(&recovered, &lines);
                        match hit {
                            Some(hit) => {
                                assert!(hit.seq >= first_of_last_group, "bit {bit} of {}: {hit:?}", path.display());
                                assert_eq!(given, whole(&lines, hit.seq as usize - 1));
                            }
                            None => assert_eq!(given, lines.len()),
                        }
                        let [stretch] = recovered.report().left_out.as_slice() else { panic!("bit {bit}") };
                        assert_eq!(stretch.cause, Cause::Torn);
                        assert!(stretch.offset <= byte as u64 && (byte as u64) < stretch.offset + stretch.bytes);
                        torn += 1;
                    }
                    (Err(error), None) => panic!("bit {bit} of fill: {error}"),
                }
            }
        }
        assert!(located > torn * 2, "{located} located, {torn} torn");
    });
}

#[test]
fn strict_recovery_of_a_damaged_log_changes_nothing() {
    seeds("strict_recovery_of_a_damaged_log", 0..200, |seed| {
        let mut rng = Rng::new(seed);
        let (fs, lines, _) = log(seed % 5, 4 * 1024, 16 * 1024);
        fs.write_file(format!("{DIR}/wal_000099.jsonl.tmp"), b"x");
        let hit = &lines[rng.index(lines.len() - 5)];
        fs.flip_bit(&hit.path, rng.range(hit.start as u64..hit.end as u64) * 8);
        let (before, image) = (files(&fs), fs.kill());
        assert_eq!(recover(&image, &clock(), 0).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(files(&image), before);
        assert_eq!(files(&image.drop_caches()), before);
    });
}

#[test]
fn a_look_at_a_log_finds_what_a_recovery_does_and_changes_nothing() {
    let (torn, damaged) = (Cell::new(0), Cell::new(0));
    seeds("a_look_at_a_log", 0..600, |seed| {
        let mut driver = Driver::with(seed, small_segments(), Sizes::Mixed);
        driver.run(40);
        let crash = driver.any_crash();
        driver.crash(crash);
        let segments = segments(&driver.fs);
        if let Some((path, bytes)) = segments.first().filter(|(_, bytes)| seed % 3 == 0 && !bytes.is_empty()) {
            driver.fs.flip_bit(path, driver.rng.below(bytes.len() as u64 * 8));
        }
        let before = files(&driver.fs);
        let looked = look(&driver.fs, &driver.clock, driver.oracle.watermark);
        assert!(files(&driver.fs) == before, "a look changed something");
        let run = recover(&driver.fs, &driver.clock, driver.oracle.watermark);
        match (looked, run) {
            (Ok(mut looked), Ok(run)) => {
                let mut run = run.report().clone();
                let is_torn = run.left_out.iter().any(|stretch| stretch.cause == Cause::Torn);
                torn.set(torn.get() + usize::from(is_torn));
                assert!(looked.left_out.iter().all(|stretch| stretch.kept_as.is_none()), "{looked}");
                run.left_out.iter_mut().for_each(|stretch| stretch.kept_as = None);
                (looked.elapsed, run.elapsed) = Default::default();
                assert_eq!(looked, run);
            }
            (Err(looked), Err(run)) => {
                damaged.set(damaged.get() + 1);
                assert_eq!((looked.kind(), looked.to_string()), (run.kind(), run.to_string()));
            }
            (looked, run) => panic!("{looked:?}, and then {run:?}"),
        }
    });
    let found = (torn.get(), damaged.get());
    let is_replay = std::env::var("PERSIST_SEED").is_ok() || std::env::var("PERSIST_SEEDS").is_ok();
    assert!(is_replay || found.0 > 10 && found.1 > 10, "torn and damaged: {found:?}");
}

#[test]
fn a_segment_cut_at_any_byte_gives_its_whole_lines() {
    let (clock, (fs, lines, _)) = (clock(), log(7, 1 << 20, 64 * 1024));
    let bytes = segments(&fs).remove(0).1;
    let end = lines.last().unwrap().end;
    for cut in 0..=end {
        let image = SimFs::new();
        image.write_file(path(1), &bytes[..cut]);
        let recovered = recover(&image, &clock, 0).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let whole = whole(&lines, lines.iter().take_while(|line| line.end <= cut + 1).count());
        assert_eq!((recovered.len(), recovered.start().next_seq), (whole, whole as u64 + 1), "cut at {cut}");
        let rest = cut.saturating_sub(whole.checked_sub(1).map_or(0, |last| lines[last].end));
        assert_eq!(recovered.report().bytes_left_out(), rest as u64, "cut at {cut}");
        if cut % 64 == 0 {
            is_prefix(&recovered, &lines);
        }
    }
}

#[test]
fn zeros_ones_and_old_bytes_after_the_tail_are_left_out() {
    seeds("zeros_ones_and_old_bytes", 0..20_000, |seed| {
        thread_local! {
            static LOG: (SimFs, Vec<Stands>, usize) = log(3, 16 * 1024, 24 * 1024);
        }
        LOG.with(|(fs, lines, _)| {
            let mut rng = Rng::new(seed);
            let (old, new) = (&segments(fs)[0], &segments(fs)[1]);
            let end = lines.last().unwrap().end;
            let cut = (seed as usize * 7) % end;
            let length = rng.index(3_000);
            let after = match seed % 3 {
                0 => vec![0; length],
                1 => vec![0xFF; length],
                _ => old.1.iter().skip(cut).take(length).copied().collect(),
            };
            let mut bytes = new.1[..cut].to_vec();
            bytes.extend_from_slice(&after);
            if rng.coin() && bytes.len() < new.1.len() {
                bytes.resize(new.1.len(), b'\n');
            }
            let image = fs.kill();
            image.write_file(&new.0, bytes);
            let before = segments(&image);
            let watermark = lines.iter().filter(|line| line.path == old.0).count() as u64;
            let recovered = recover(&image, &clock(), watermark)
                .unwrap_or_else(|error| panic!("cut at {cut}: {error}\n{}", check::show(&before)));
            // A line may have lost its newline to fill; what else comes there is a part of it.
            let ends = before[1].1.get(cut).is_none_or(|byte| matches!(byte, b'\n' | 0 | 0xFF));
            let own = |line: &&Stands| line.path == old.0 || line.end <= cut + usize::from(ends);
            let whole = whole(lines, lines.iter().filter(own).count()) as u64;
            assert_eq!(recovered.start().next_seq, whole + 1, "cut at {cut}");
            assert_eq!(recovered.len() as u64, whole - watermark);
            check::all_reported(&before, |seq| seq <= whole, recovered.report());
            let again = recover(&image.drop_caches(), &clock(), watermark).unwrap();
            assert_eq!(again.start().next_seq, whole + 1);
            // Old lines in a segment that has none of its own stay there: they are good, and were needed elsewhere.
            let mut left_out = again.report().left_out.iter();
            assert!(left_out.all(|stretch| stretch.cause == Cause::Superfluous), "{}", again.report());
        });
    });
}
