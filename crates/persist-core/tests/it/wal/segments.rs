//! Segments that are missing, doubled, swapped, another's, blank, half removed; watermarks anywhere.

use persist_core::error::ErrorKind;
use persist_core::fs::Fs;
use persist_core::wal::{Ancestor, Cause, Recovery, RecoveryPolicy};
use persist_test_utils::SimFs;

use super::check;
use super::driver::{
    Crash, DIR, Driver, STORE, Sizes, clock, files, line, path, recover, segment, segments, segments_of,
};
use crate::replay::seeds;

/// Eight segments of two groups of two lines each.
fn eight() -> SimFs {
    let fs = SimFs::new();
    for number in 1..=8 {
        let first = (number - 1) * 4 + 1;
        fs.write_file(path(number), segment(number, &[&[first, first + 1], &[first + 2, first + 3]]));
    }
    fs
}

fn seqs(fs: &SimFs, watermark: u64) -> Vec<u64> {
    let recovered = recover(fs, &clock(), watermark).unwrap();
    check::lines(&recovered).into_iter().map(|(seq, _)| seq).collect()
}

#[test]
fn a_missing_segment_is_found_and_what_a_flush_has_may_be_missing() {
    for missing in 1..=8_u64 {
        let fs = eight();
        fs.remove_file(&path(missing)).unwrap();
        let before = files(&fs);
        let outcome = recover(&fs.kill(), &clock(), 0);
        if missing == 8 {
            // Nothing tells of the newest segment but itself.
            assert_eq!(outcome.unwrap().len(), 28);
            continue;
        }
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let first = (missing - 1) * 4 + 1;
        let message = error.to_string();
        assert!(message.contains(&format!("seq {first} is missing")), "{message}");
        assert!(message.contains(path(missing + 1).to_str().unwrap()) && message.contains("offset 0"), "{message}");
        assert_eq!(files(&fs), before);
        assert_eq!(seqs(&fs, missing * 4), (missing * 4 + 1..=32).collect::<Vec<_>>());
        assert!(recover(&eight_without(missing), &clock(), missing * 4 - 1).is_err());
    }
}

fn eight_without(missing: u64) -> SimFs {
    let fs = eight();
    fs.remove_file(&path(missing)).unwrap();
    fs
}

#[test]
fn two_segments_may_be_swapped_and_any_may_be_doubled() {
    for one in 1..=8 {
        for other in one + 1..=8 {
            let fs = eight();
            let (a, b) = (fs.read_file(path(one)).unwrap(), fs.read_file(path(other)).unwrap());
            fs.write_file(path(one), b);
            fs.write_file(path(other), a);
            assert_eq!(seqs(&fs, 0), (1..=32).collect::<Vec<_>>());
        }
        for double in [9, 1_000_000] {
            let fs = eight();
            fs.write_file(path(double), fs.read_file(path(one)).unwrap());
            assert_eq!(seqs(&fs, 0), (1..=32).collect::<Vec<_>>());
            assert_eq!(seqs(&fs.drop_caches(), 0), (1..=32).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_doubled_segment_with_a_torn_tail_is_torn_twice() {
    let fs = eight();
    let mut torn = fs.read_file(path(8)).unwrap();
    torn.truncate(torn.len() - 30);
    fs.write_file(path(8), &torn);
    fs.write_file(path(9), &torn);
    let recovered = recover(&fs, &clock(), 0).unwrap();
    assert_eq!((recovered.len(), recovered.report().left_out.len()), (31, 2), "{}", recovered.report());
}

#[test]
fn a_copy_that_says_something_else_is_damage() {
    let fs = eight();
    let mut other = segment(9, &[&[30]]);
    other.truncate(0);
    other.extend_from_slice(line(30, Some(29), Some((STORE, 9)), "forged").as_bytes());
    fs.write_file(path(9), other);
    let error = recover(&fs, &clock(), 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("seq 30"), "{error}");
}

#[test]
fn another_stores_segment_is_refused_and_its_store_named() {
    for at in 1..=9 {
        let fs = eight();
        let foreign = line(33, Some(32), Some(("beef", at)), "theirs");
        fs.write_file(path(at), foreign);
        let before = files(&fs);
        let error = recover(&fs, &clock(), 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let message = error.to_string();
        assert!(message.contains("beef") && message.contains(path(at).to_str().unwrap()), "{message}");
        assert_eq!(files(&fs), before);
    }
}

#[test]
fn an_ancestors_lines_count_up_to_where_the_lineages_part() {
    let lineage = [Ancestor::present("old"), Ancestor::present(STORE)];
    let mut lineage = lineage;
    lineage[0].last_seq = Some(3);
    let fs = SimFs::new();
    let mut old = Vec::new();
    for seq in 1..=5_u64 {
        let header = (seq == 1).then_some(("old", 1));
        old.extend_from_slice(line(seq, Some(seq - 1), header, "old").as_bytes());
        old.push(b'\n');
    }
    fs.write_file(path(1), &old);
    fs.write_file(path(2), segment(2, &[&[4, 5, 6]]));
    for _ in 0..2 {
        let clock = clock();
        let recovered = Recovery::new(&fs, clock.as_ref(), DIR.as_ref(), &lineage).run().unwrap();
        let keys: Vec<String> = check::lines(&recovered).into_iter().map(|(_, known)| known.body).collect();
        let own = (4..=6).map(|seq| format!(r#"{{"key":"key{seq}""#));
        let expected: Vec<String> = (0..3).map(|_| r#"{"key":"old""#.to_owned()).chain(own).collect();
        assert_eq!(keys, expected);
        let report = recovered.report();
        assert_eq!(report.left_out.len(), 1, "{report}");
        assert_eq!(report.left_out[0].cause, Cause::Superfluous);
        assert_eq!(fs.read_file(path(1)).unwrap(), old, "what another lineage wrote stays");
    }
    // Without its first line a segment may be any ancestor's, so its lines count no further than all agree.
    let first_line = old.iter().position(|byte| *byte == b'\n').unwrap();
    let mut headless = old.clone();
    headless[..first_line].fill(b'x');
    fs.write_file(path(1), headless);
    let clock = clock();
    let recovered = Recovery::new(&fs, clock.as_ref(), DIR.as_ref(), &lineage).watermark(1).run().unwrap();
    assert_eq!(recovered.len(), 5);
    assert!(check::lines(&recovered).iter().skip(2).all(|(_, known)| known.body.contains("key\":\"key")));
}

#[test]
fn a_restored_store_whose_segment_lost_its_first_line_is_refused_or_salvaged_and_loses_no_other() {
    let mut lineage = [Ancestor::present("old"), Ancestor::present(STORE)];
    lineage[0].last_seq = Some(3);
    let whole = segment(2, &[&[4, 5], &[6, 7], &[8]]);
    let first_line = whole.iter().position(|byte| *byte == b'\n').unwrap();
    for bit in 0..first_line as u64 * 8 {
        let recover = |policy| {
            let (fs, clock) = (SimFs::new(), clock());
            fs.write_file(path(2), &whole);
            fs.flip_bit(path(2), bit);
            let recovery = Recovery::new(&fs, clock.as_ref(), DIR.as_ref(), &lineage).watermark(3);
            recovery.policy(policy).run().map(|recovered| check::lines(&recovered))
        };
        let refused = recover(RecoveryPolicy::Strict).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "bit {bit}: {refused}");
        let salvaged = recover(RecoveryPolicy::Salvage).unwrap();
        let seqs: Vec<u64> = salvaged.into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(seqs, [5, 6, 7, 8], "bit {bit}");
    }
}

#[test]
fn a_watermark_may_be_anywhere() {
    for watermark in 0..40 {
        let fs = eight();
        let mut torn = fs.read_file(path(8)).unwrap();
        torn.truncate(torn.len() - 30);
        fs.write_file(path(8), torn);
        let recovered = recover(&fs, &clock(), watermark).unwrap();
        assert_eq!(recovered.len() as u64, 31_u64.saturating_sub(watermark));
        assert_eq!(recovered.start().next_seq, watermark.max(31) + 1);
        check::is_tidy(&fs, &recovered);
        // What a flush has may be unreadable, too.
        if watermark >= 6 {
            let fs = eight();
            fs.flip_bit(path(2), 80);
            let recovered = recover(&fs, &clock(), watermark).unwrap();
            assert_eq!(recovered.len() as u64, 32_u64.saturating_sub(watermark));
            assert_eq!(recovered.report().left_out[0].cause, Cause::Superfluous);
        }
    }
}

#[test]
fn a_log_goes_on_after_a_watermark_above_all_its_lines() {
    let mut driver = Driver::with(1, segments_of(8 * 1024), Sizes::Mixed);
    driver.run(20);
    driver.sync().unwrap();
    for generation in 1..4 {
        driver.oracle.watermark = driver.oracle.durable + 1_000 * generation;
        driver.crash(Crash::Cut(generation));
        assert!(driver.recover());
        driver.run(15);
    }
    driver.crash(Crash::Kill);
    assert!(driver.recover());
}

#[test]
fn blank_segments_and_what_an_interrupted_recovery_wrote_aside_are_tidied_away() {
    let fs = eight();
    for (number, bytes) in [(9, vec![b'\n'; 4096]), (10, Vec::new()), (11, vec![0; 700]), (12, vec![0xFF; 9])] {
        fs.write_file(path(number), bytes);
    }
    for name in ["wal_000009.jsonl.tmp", "wal_000008.jsonl.torn.tmp", "wal_000013.jsonl.tmp"] {
        fs.write_file(format!("{DIR}/{name}"), b"{\"half\":");
    }
    for name in ["status.json.tmp", "wal_000007.jsonl.torn", "wal_000020.jsonl.broken", "notes.txt"] {
        fs.write_file(format!("{DIR}/{name}"), b"not ours to touch");
    }
    let recovered = recover(&fs, &clock(), 0).unwrap();
    assert_eq!(recovered.len(), 32);
    check::is_tidy_but(&fs, &recovered, &["status.json.tmp"]);
    for name in ["status.json.tmp", "wal_000007.jsonl.torn", "wal_000020.jsonl.broken", "notes.txt"] {
        assert_eq!(fs.read_file(format!("{DIR}/{name}")).unwrap(), b"not ours to touch");
    }
    assert_eq!(recovered.start().next_segment.0, 22, "numbers go on past any kept file");
}

#[test]
fn nothing_is_written_anew_where_all_is_proven() {
    let fs = eight();
    // The last group is not: nothing says that it was synced.
    assert_eq!(seqs(&fs, 0).len(), 32);
    assert_eq!(segments(&fs).len(), 9);
    let fs = eight();
    assert_eq!(seqs(&fs, 32).len(), 0);
    assert_eq!(segments(&fs).len(), 8);
}

/// The names of segments that are being removed come back in any selection.
#[test]
fn segments_may_have_been_removed_in_any_order() {
    seeds("segments_may_have_been_removed", 0..4, |seed| {
        let mut driver = Driver::with(seed, segments_of(2 * 1024), Sizes::Mixed);
        while driver.log.closed_segments().len() < 7 {
            let text = driver.body();
            driver.push(vec![text]).unwrap();
            driver.sync().unwrap();
        }
        let closed = driver.log.closed_segments();
        driver.oracle.watermark = closed[5].last_seq;
        for gone in 0..1_u32 << 6 {
            let mut image = driver.branch(Crash::Kill, seed);
            for (at, segment) in closed.iter().enumerate().filter(|(at, _)| gone & (1 << at) != 0) {
                assert!(at < 6);
                image.fs.remove_file(&segment.path).unwrap();
            }
            image.crash(Crash::DropCaches);
            assert!(image.recover());
            let mut image = driver.branch(Crash::Kill, seed);
            for (_, segment) in closed.iter().enumerate().filter(|(at, _)| gone & (1 << at) != 0) {
                image.fs.remove_file(&segment.path).unwrap();
            }
            image.crash(Crash::Kill);
            assert!(image.recover());
        }
        driver.log.remove_up_to(driver.oracle.watermark).unwrap();
        let left: Vec<_> = segments(&driver.fs.drop_caches()).into_iter().map(|(path, _)| path).collect();
        assert_eq!(left.len(), 2, "the removals are durable: {left:?}");
        assert!(left.contains(&closed[6].path));
        assert!(driver.log.remove_up_to(closed[6].last_seq - 1).unwrap() == 0, "a record in it is not yet flushed");
    });
}

#[test]
fn untrusted_numbers_do_not_panic() {
    for (seq, key) in [(u64::MAX, "k"), (0, "k"), (u64::MAX - 1, "k")] {
        for policy in [RecoveryPolicy::Strict, RecoveryPolicy::Salvage, RecoveryPolicy::TruncateTail] {
            for watermark in [0, 5, u64::MAX - 1, u64::MAX] {
                let fs = SimFs::new();
                let mut bytes = segment(1, &[&[1, 2]]);
                bytes.extend_from_slice(line(seq, Some(u64::MAX), None, key).as_bytes());
                fs.write_file(path(1), bytes);
                let (clock, lineage) = (clock(), super::driver::lineage());
                let recovery = Recovery::new(&fs, clock.as_ref(), DIR.as_ref(), &lineage);
                let _ = recovery.watermark(watermark).policy(policy).run();
            }
        }
    }
    for (from, to) in [(0, 1), (9, 3), (1, u64::MAX), (u64::MAX, u64::MAX), (3, 2)] {
        let text = format!(r#"{{"op":"lost","from":{from},"to":{to},"at":"2025-01-15T10:30:00+00:00","seq":{to}"#);
        let crc = crc32fast::hash(text.as_bytes());
        for policy in [RecoveryPolicy::Strict, RecoveryPolicy::Salvage, RecoveryPolicy::TruncateTail] {
            let fs = SimFs::new();
            fs.write_file(path(1), segment(1, &[&[1, 2]]));
            fs.write_file(path(2), format!("{text},\"crc\":\"{crc:08x}\"}}\n"));
            let (clock, lineage) = (clock(), super::driver::lineage());
            let _ = Recovery::new(&fs, clock.as_ref(), DIR.as_ref(), &lineage).policy(policy).run();
        }
    }
}

/// So a sync of lines finds a file that does not grow, and a hole in them reads as fill.
#[test]
fn a_segment_is_laid_out_and_durable_before_it_takes_a_line() {
    let mut driver = Driver::with(1, segments_of(1 << 20), Sizes::Mixed);
    let mut laid_out = 0;
    for name in 0..12 {
        let text = super::driver::body(name, 60_000, &mut driver.rng);
        driver.push(vec![text]).unwrap();
        let path = &segments(&driver.fs)[0].0.clone();
        let (cached, durable) = (driver.fs.read_file(path).unwrap(), driver.fs.drop_caches().read_file(path).unwrap());
        assert_eq!(cached.len(), durable.len());
        assert!(cached.len() >= laid_out);
        laid_out = cached.len();
        let lines: usize = check::pieces(&durable).map(|(_, text)| text.len() + 1).sum();
        assert!(lines + 60_000 <= laid_out, "there was space before the line had its seq");
        assert!(durable[lines..].iter().all(|byte| *byte == b'\n'));
        driver.sync().unwrap();
    }
    assert!(laid_out > 512 * 1024);
    driver.log.rotate().unwrap();
    let (path, bytes) = segments(&driver.fs.drop_caches()).remove(0);
    assert!(bytes.ends_with(b"}\n") && !bytes.ends_with(b"\n\n"), "{} is cut to its length", path.display());
}
