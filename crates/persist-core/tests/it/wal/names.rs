//! A log whose segments are not called as usual: the one that takes lines has a name of its own.

use std::path::Path;
use std::sync::Arc;

use persist_core::clock::ManualClock;
use persist_core::wal::{
    Ancestor, Archive, Body, Log, LogOptions, Marks, Reach, Recovered, Recovery, SegmentNames, Stamp,
};
use persist_core::{ErrorKind, Result};
use persist_test_utils::{Fault, Rng, SimFs, What};

use crate::replay::seeds;

const DIR: &str = "/store/wal";
const NAMES: SegmentNames = SegmentNames::numbered("transaction.", ".log").newest("transaction.log");

fn open(fs: &SimFs, bytes: u64) -> Result<(Log, Recovered)> {
    let (clock, lineage) = (Arc::new(ManualClock::new(0)), [Ancestor::present("id")]);
    let recovered = Recovery::new(fs, clock.as_ref(), Path::new(DIR), &lineage).names(NAMES).run()?;
    let mut options = LogOptions::default();
    (options.names, options.max_segment_bytes) = (NAMES, bytes);
    Ok((Log::new(Arc::new(fs.clone()), clock, Path::new(DIR), "id", options, recovered.start()), recovered))
}

fn push(log: &Log, number: u64) -> Result<Stamp> {
    let body = Body::new(format!(r#"{{"n":{number},"fill":"{}""#, "x".repeat(300)).into_bytes());
    let stamp = log.begin(body.line_bytes_at_most())?.push(body, Marks::default());
    log.wait(stamp.seq, Reach::Durable)?;
    Ok(stamp)
}

fn files(fs: &SimFs) -> Vec<String> {
    use persist_core::fs::Fs;
    fs.list(Path::new(DIR)).unwrap()
}

#[test]
fn the_segment_that_takes_lines_has_its_own_name_and_its_number_when_another_follows() {
    let fs = SimFs::new();
    let (log, _) = open(&fs, 1 << 20).unwrap();
    push(&log, 1).unwrap();
    assert_eq!(files(&fs), ["transaction.log"]);
    log.rotate().unwrap();
    assert_eq!(files(&fs), ["transaction.000001.log"]);
    push(&log, 2).unwrap();
    assert_eq!(files(&fs), ["transaction.000001.log", "transaction.log"]);
    let paths: Vec<_> = log.closed_segments().into_iter().map(|segment| segment.path).collect();
    assert_eq!(paths, [Path::new(DIR).join("transaction.000001.log")]);

    // All lines are found by who reads the log as it lies there.
    let lineage = [Ancestor::present("id")];
    let archive = Archive::open_named(&fs, &[DIR.into()], &lineage, NAMES).unwrap();
    let seqs: Vec<_> = archive.segments().iter().map(|segment| (segment.first_seq, segment.last_seq)).collect();
    assert_eq!(seqs, [(1, 1), (2, 2)]);

    // Closed, the newest keeps the name; the next opening gives it its number.
    log.close().unwrap();
    assert_eq!(files(&fs), ["transaction.000001.log", "transaction.log"]);
    let (log, recovered) = open(&fs, 1 << 20).unwrap();
    assert_eq!(recovered.len(), 2);
    push(&log, 3).unwrap();
    // What was not proven to be on the disk was copied.
    assert!(files(&fs).contains(&"transaction.log".to_owned()), "{:?}", files(&fs));
    assert!(log.remove_up_to(2).unwrap() > 0);
    assert_eq!(files(&fs), ["transaction.log"]);
    drop(log);
    assert_eq!(open(&fs, 1 << 20).unwrap_err().kind(), ErrorKind::Corrupt, "1 and 2 are gone, and nobody said so");
}

#[test]
fn power_cuts_around_every_step_lose_nothing_acknowledged() {
    seeds("power_cuts_around_every_step", 0..600, |seed| {
        let mut dice = Rng::new(seed);
        let mut fs = SimFs::new();
        let mut acknowledged = 0;
        for _ in 0..4 {
            if dice.chance(3, 4) {
                fs.fault(Fault::at(1 + dice.below(70), *dice.pick(&[What::Stop, What::StopAfter])));
            }
            if let Ok((log, recovered)) = open(&fs, 2048) {
                let found: Vec<u64> = recovered.lines(0..recovered.len()).map(|line| line.seq).collect();
                assert!(found.len() as u64 >= acknowledged && found.iter().copied().eq(1..=found.len() as u64));
                for _ in 0..dice.below(12) {
                    let Ok(stamp) = push(&log, dice.below(9)) else { break };
                    acknowledged = stamp.seq;
                    if dice.chance(1, 6) && log.rotate().is_err() {
                        break;
                    }
                }
                if dice.chance(1, 4) {
                    let _ = log.close();
                }
            }
            fs = if dice.chance(3, 4) { fs.power_cut(dice.next_u64()) } else { fs.kill() };
        }
        let (_, recovered) = open(&fs, 2048).unwrap();
        assert!(recovered.len() as u64 >= acknowledged, "{} of {acknowledged}", recovered.len());
    });
}
