//! Segments that are kept for subscribers, and reading lines back from the disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use persist_core::fs::Fs;
use persist_core::wal::{Ancestor, Archive, Log, Recovered, Recovery, RecoveryPolicy};
use persist_test_utils::{Fault, SimFs, What, errno};

use super::driver::{Crash, DIR, Driver, Sizes, lineage, open, recover, segments_of};

/// A log of so many lines in small segments. All are durable, and up to the answered `seq` in closed segments.
fn log_of(lines: u64) -> (Driver, u64) {
    let mut driver = Driver::with(7, segments_of(4096), Sizes::Mixed);
    for _ in 0..lines {
        let body = driver.body();
        driver.push(vec![body]).unwrap();
        driver.sync().unwrap();
        driver.clock.advance(Duration::from_secs(1));
    }
    let closed = driver.log.closed_segments();
    assert!(closed.len() > 4);
    (driver, closed[closed.len() - 2].last_seq)
}

/// All lines that can be read back from `seq` on, and their text.
fn read_back(log: &Log, mut seq: u64) -> BTreeMap<u64, String> {
    let mut found = BTreeMap::new();
    while let Some(segment) = log.segment_from(seq) {
        let mut lines = log.read_back(&segment, seq, segment.last_seq).unwrap();
        while let Some(next) = lines.next_seq() {
            let line = lines.take_line().unwrap();
            assert_eq!((line.seq, next >= seq), (next, true));
            found.insert(next, line.body().to_owned());
        }
        seq = segment.last_seq + 1;
    }
    found
}

fn known(driver: &Driver, from: u64) -> BTreeMap<u64, String> {
    let lines = driver.oracle.lines.range(from..=driver.oracle.durable);
    lines.map(|(seq, line)| (*seq, line.body.clone())).collect()
}

fn kept_files(fs: &SimFs) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs.files().into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "gz"));
    paths.map(|path| (path.clone(), fs.read_file(&path).unwrap())).collect()
}

fn log_after(driver: &Driver, fs: &SimFs, recovered: &Recovered) -> Log {
    open(fs, &driver.clock, driver.options, recovered.start())
}

#[test]
fn what_is_durable_can_be_read_back_from_closed_kept_and_written_segments_and_nothing_else() {
    let (mut driver, covered) = log_of(60);
    let body = driver.body();
    driver.push(vec![body]).unwrap();
    driver.log.wait(u64::MAX, persist_core::wal::Reach::Written).unwrap();
    assert_eq!(read_back(&driver.log, 1), known(&driver, 1), "without the line that is only written");
    assert_eq!(driver.log.oldest_seq(), Some(1));
    driver.log.keep_up_to(covered).unwrap();
    assert_eq!(driver.log.kept_segments().last().unwrap().last_seq, covered);
    for from in 1..=driver.oracle.durable {
        assert_eq!(read_back(&driver.log, from), known(&driver, from));
    }
    let oldest = driver.log.kept_segments().remove(0);
    driver.log.remove_kept(u64::MAX, oldest.last_at).unwrap();
    let after = driver.log.oldest_seq().unwrap();
    assert!(after > oldest.last_seq);
    assert_eq!(read_back(&driver.log, 1), known(&driver, after));
}

#[test]
fn a_segment_that_is_renamed_or_removed_while_it_is_looked_for_is_found_or_empty() {
    let (driver, covered) = log_of(60);
    let segment = driver.log.segment_from(1).unwrap();
    driver.log.keep_up_to(covered).unwrap();
    let mut lines = driver.log.read_back(&segment, 1, segment.last_seq).unwrap();
    assert_eq!(lines.take_line().unwrap().seq, 1);
    driver.log.remove_kept(u64::MAX, i64::MAX).unwrap();
    assert_eq!(lines.take_line().unwrap().seq, 2, "what was read stays");
    assert!(driver.log.read_back(&segment, 1, segment.last_seq).unwrap().take_line().is_none());
}

#[test]
fn recovery_knows_kept_segments_again_and_leaves_them_as_they_are_under_every_policy() {
    let (driver, covered) = log_of(60);
    driver.log.keep_up_to(covered).unwrap();
    let (kept, files) = (driver.log.kept_segments(), kept_files(&driver.fs));
    assert!(kept.len() > 3 && files.len() == kept.len());
    for policy in [RecoveryPolicy::Strict, RecoveryPolicy::Salvage, RecoveryPolicy::TruncateTail] {
        for is_damaged in [false, true] {
            if is_damaged && policy == RecoveryPolicy::Strict {
                continue;
            }
            let fs = driver.fs.kill();
            if is_damaged {
                let path = driver.log.closed_segments().remove(0).path;
                let mut bytes = fs.read_file(&path).unwrap();
                bytes[40] ^= 1;
                fs.write_file(&path, bytes);
            }
            let lineage = lineage();
            let recovery = Recovery::new(&fs, &*driver.clock, Path::new(DIR), &lineage).watermark(covered);
            let recovered = recovery.policy(policy).run().unwrap();
            assert_eq!(recovered.report().is_damaged(), is_damaged);
            assert_eq!(kept_files(&fs), files);
            assert_eq!(recovered.start().kept, kept);
            let log = log_after(&driver, &fs, &recovered);
            let mut expected = known(&driver, 1);
            if is_damaged {
                let left = read_back(&log, covered + 1);
                expected.retain(|seq, _| *seq <= covered || left.contains_key(seq));
            }
            assert_eq!(read_back(&log, 1), expected);
        }
    }
}

#[test]
fn damage_to_a_kept_segment_keeps_no_store_from_opening_and_only_its_lines_are_missing() {
    let (driver, covered) = log_of(60);
    driver.log.keep_up_to(covered).unwrap();
    let kept = driver.log.kept_segments();
    for (at, segment) in kept.iter().enumerate() {
        for place in [0.05, 0.5, 0.9, 1.0] {
            let fs = driver.fs.kill();
            let mut bytes = fs.read_file(&segment.path).unwrap();
            let offset = ((bytes.len() - 1) as f64 * place) as usize;
            bytes[offset] ^= 4;
            fs.write_file(&segment.path, bytes);
            let recovered = recover(&fs, &driver.clock, covered).unwrap();
            let (found, known) = (read_back(&log_after(&driver, &fs, &recovered), 1), known(&driver, 1));
            assert!(found.iter().all(|(seq, body)| known.get(seq) == Some(body)));
            let missing: Vec<u64> = known.into_keys().filter(|seq| !found.contains_key(seq)).collect();
            assert!(
                missing.iter().all(|seq| (segment.first_seq..=segment.last_seq).contains(seq)),
                "{at}: {missing:?}"
            );
            // Without its header nothing says whose a segment is; the last bytes are a checksum of those before.
            let hits = [(0.05, segment.last_seq + 1 - segment.first_seq), (1.0, 0)];
            for (_, lines) in hits.into_iter().filter(|(hit, _)| *hit == place) {
                assert_eq!(missing.len() as u64, lines, "{at} {place}");
            }
        }
    }
}

#[test]
fn a_kept_segment_that_cannot_be_read_keeps_no_store_from_opening() {
    let (driver, covered) = log_of(60);
    driver.log.keep_up_to(covered).unwrap();
    let kept = driver.log.kept_segments();
    let fs = driver.fs.kill();
    recover(&fs, &driver.clock, covered).unwrap();
    let of_kept = fs.trace().into_iter().filter(|(_, _, path)| kept.iter().any(|segment| segment.path == *path));
    let of_kept: Vec<u64> = of_kept.map(|(n, ..)| n).collect();
    assert!(of_kept.len() > kept.len());
    for n in of_kept {
        let fs = driver.fs.kill();
        fs.fault(Fault::at(n, What::Errno(errno::EIO)));
        let recovered = recover(&fs, &driver.clock, covered).unwrap();
        assert_eq!(recovered.start().kept.len(), kept.len() - 1);
        assert_eq!(kept_files(&fs).len(), kept.len());
    }
}

#[test]
fn kept_segments_of_another_store_or_beyond_the_watermark_are_left_alone() {
    let (driver, covered) = log_of(60);
    driver.log.keep_up_to(covered).unwrap();
    let files = kept_files(&driver.fs);
    let fs = driver.fs.kill();
    for path in fs.files().into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")) {
        fs.remove_file(&path).unwrap();
    }
    let before = driver.log.kept_segments()[0].last_seq;
    let recovered = recover(&fs, &driver.clock, before).unwrap();
    assert_eq!(recovered.start().kept, driver.log.kept_segments()[..1]);
    let lineage = [persist_core::wal::Ancestor::present("another")];
    let recovered = Recovery::new(&fs, &*driver.clock, Path::new(DIR), &lineage).watermark(covered).run().unwrap();
    assert_eq!(recovered.start().kept, []);
    assert_eq!(kept_files(&fs), files);
    assert!(recovered.start().next_segment.0 > 4, "their numbers are taken");
}

#[test]
fn a_crash_at_any_operation_of_keeping_and_removing_leaves_each_line_once() {
    let run = |fault: Option<Fault>| {
        let (driver, covered) = log_of(40);
        let (before, oldest) = (driver.fs.operations(), driver.log.closed_segments()[1].last_at);
        fault.into_iter().for_each(|fault| driver.fs.fault(fault));
        let done = driver.log.keep_up_to(covered).and_then(|()| driver.log.remove_kept(u64::MAX, oldest));
        (driver, covered, before, done.is_ok())
    };
    let (driver, _, before, is_done) = run(None);
    assert!(is_done);
    let removed_at_most = driver.log.kept_segments()[0].first_seq;
    for n in before + 1..=driver.fs.operations() {
        for what in [What::Stop, What::StopAfter] {
            let (driver, covered, ..) = run(Some(Fault::at(n, what)));
            for crash in [Crash::Kill, Crash::DropCaches, Crash::Cut(n)] {
                let fs = crash.of(&driver.fs);
                let recovered = recover(&fs, &driver.clock, covered).unwrap();
                let log = log_after(&driver, &fs, &recovered);
                let expected = known(&driver, removed_at_most);
                let found = read_back(&log, 1);
                assert!(expected.iter().all(|(seq, body)| found.get(seq) == Some(body)), "{n} {what:?} {crash:?}");
                log.keep_up_to(covered).unwrap();
                assert_eq!(read_back(&log, 1), found);
            }
        }
    }
}

#[test]
fn an_archive_has_every_line_of_the_lineage_kept_or_not_and_none_beyond_its_bound() {
    let (driver, covered) = log_of(60);
    driver.log.keep_up_to(covered).unwrap();
    let (fs, all) = (driver.fs.kill(), known(&driver, 1));
    let mut ancestor = lineage().remove(0);
    for bound in [None, Some(covered / 2), Some(covered + 3)] {
        ancestor.last_seq = bound;
        let lineage = [ancestor.clone(), Ancestor::present("another")];
        let archive = Archive::open(&fs, &[PathBuf::from(DIR)], &lineage).unwrap();
        let mut found = BTreeMap::new();
        for segment in archive.segments() {
            let mut lines = archive.read(segment).unwrap();
            let mut last = 0;
            while let Some(line) = lines.take_line() {
                (last, _) = (line.seq, found.insert(line.seq, line.body().to_owned()));
            }
            assert_eq!((last, segment.is_kept), (segment.last_seq, segment.last_seq <= covered), "{segment:?}");
        }
        let wanted: BTreeMap<_, _> =
            all.clone().into_iter().filter(|(seq, _)| bound.is_none_or(|b| *seq <= b)).collect();
        assert_eq!(found, wanted, "{bound:?}");
    }
    let strangers = [Ancestor::present("another")];
    assert!(Archive::open(&fs, &[PathBuf::from(DIR)], &strangers).unwrap().segments().is_empty());
}
