//! Every way in which the sectors of groups that were never synced may be on the disk or not.

use std::cell::Cell;
use std::path::PathBuf;

use persist_core::wal::Reach;
use persist_test_utils::{Rng, SimFs};

use super::check;
use super::driver::{DIR, Driver, Oracle, Sizes, body, recover, segments, segments_of};
use crate::replay::seeds;

const SECTOR: usize = 512;
/// More sectors than this have too many subsets.
const MOST_SECTORS: usize = 9;

/// Two groups that were written and not synced, one state of the file after each, in a segment of which `durable`
/// groups were synced.
fn groups(seed: u64, durable: u64) -> (Driver, PathBuf, [Vec<u8>; 3]) {
    let mut rng = Rng::new(seed);
    let mut driver = Driver::with(seed, segments_of(64 * 1024), Sizes::Mixed);
    let mut write = |driver: &mut Driver, lines: u64, most: usize| {
        let texts = (0..lines).map(|name| body(name, rng.index(most), &mut rng)).collect();
        driver.push(texts).unwrap();
    };
    write(&mut driver, 2, 600);
    driver.sync().unwrap();
    driver.log.rotate().unwrap();
    for _ in 0..durable {
        write(&mut driver, 2, 300);
        driver.sync().unwrap();
    }
    if durable == 0 {
        // The segment is there, its first line is not.
        drop(driver.log.begin(1).unwrap());
    }
    let path = segments(&driver.fs).last().unwrap().0.clone();
    let mut states = vec![driver.fs.read_file(&path).unwrap()];
    for (lines, most) in [(4, 400), (3, 500)] {
        write(&mut driver, lines, most);
        driver.log.wait(driver.log.last_seq(), Reach::Written).unwrap();
        states.push(driver.fs.read_file(&path).unwrap());
    }
    (driver, path, states.try_into().unwrap())
}

/// Recovers from each; answers how many there were.
fn every_subset(seed: u64, durable: u64, fill: u8) -> usize {
    let (driver, path, states) = groups(seed, durable);
    // What the disk may have of each sector that changed: the states it went through.
    let mut sectors: Vec<(usize, Vec<&[u8]>)> = Vec::new();
    let lengths = [0, 1, 2].map(|state| states[state].len());
    assert_eq!(lengths, [lengths[0]; 3], "laid out ahead");
    for start in (0..lengths[0]).step_by(SECTOR) {
        let mut versions: Vec<&[u8]> =
            states.iter().map(|state| &state[start..(start + SECTOR).min(state.len())]).collect();
        versions.dedup();
        if versions.len() > 1 {
            sectors.push((start, versions));
        }
    }
    if sectors.len() > MOST_SECTORS {
        return 0;
    }
    let images: usize = sectors.iter().map(|(_, versions)| versions.len()).product();
    for image in 0..images {
        let mut bytes = states[2].clone();
        let mut choice = image;
        for (start, versions) in &sectors {
            let version = versions[choice % versions.len()];
            choice /= versions.len();
            bytes[*start..start + version.len()].copy_from_slice(version);
        }
        if fill != b'\n' {
            // As where the length of a file made it to the disk and its bytes did not.
            let newline = |at: usize| bytes[at] == b'\n';
            let holes: Vec<usize> = (1..bytes.len()).filter(|at| newline(*at) && newline(at - 1)).collect();
            holes.into_iter().for_each(|at| bytes[at] = fill);
        }
        recovers(&driver, &path, bytes);
    }
    images
}

fn recovers(driver: &Driver, path: &PathBuf, bytes: Vec<u8>) {
    let fs = SimFs::new();
    for (other, bytes) in segments(&driver.fs) {
        fs.write_file(other, bytes);
    }
    fs.write_file(path, bytes);
    let before = segments(&fs);
    let oracle = Oracle { written: driver.oracle.durable, ..driver.oracle.clone() };
    let recovered = recover(&fs, &driver.clock, 0).unwrap_or_else(|error| panic!("{error}\n{}", check::show(&before)));
    check::against(&oracle, &recovered, &before);
    check::is_tidy(&fs, &recovered);
}

#[test]
fn any_sectors_of_unsynced_groups_may_be_missing() {
    let images = Cell::new(0);
    seeds("any_sectors_of_unsynced_groups", 0..30, |seed| {
        images.set(images.get() + every_subset(seed, 2, b'\n'));
    });
    assert!(images.get() > 100, "{images:?}");
}

#[test]
fn any_sectors_of_the_first_groups_of_a_segment_may_be_missing() {
    let images = Cell::new(0);
    seeds("any_sectors_of_the_first_groups", 0..30, |seed| {
        images.set(images.get() + every_subset(seed, 0, b'\n'));
    });
    assert!(images.get() > 100, "{images:?}");
}

#[test]
fn missing_sectors_may_read_as_zeros_or_ones() {
    seeds("missing_sectors_may_read_as_zeros", 0..20, |seed| {
        every_subset(seed, seed % 3, if seed % 2 == 0 { 0 } else { 0xFF });
    });
}

/// The first line lost, one in the middle, the last: with the good lines after a hole left out, reported and kept.
#[test]
fn the_lines_after_a_hole_are_left_out_reported_and_kept() {
    for lost in 0..5_u64 {
        let mut driver = Driver::with(lost, segments_of(64 * 1024), Sizes::Mixed);
        driver.push(vec![r#"{"key":"durable""#.to_owned()]).unwrap();
        driver.sync().unwrap();
        let durable = driver.log.stats().segment_bytes as usize;
        let texts = (0..5).map(|line| format!(r#"{{"key":"{line}","data":"{}""#, "x".repeat(1_500))).collect();
        driver.push_each(texts).unwrap();
        driver.log.wait(6, Reach::Written).unwrap();
        let path = segments(&driver.fs)[0].0.clone();
        let mut bytes = driver.fs.read_file(&path).unwrap();
        let starts: Vec<usize> = check::pieces(&bytes[durable..]).map(|(start, _)| durable + start).collect();
        let hole = (starts[lost as usize] + 200).next_multiple_of(SECTOR);
        bytes[hole..hole + SECTOR].fill(b'\n');
        let end = bytes.iter().rposition(|byte| *byte != b'\n').unwrap() + 2;
        let fs = SimFs::new();
        fs.write_file(&path, &bytes);
        let recovered = recover(&fs, &driver.clock, 0).unwrap();
        assert_eq!(recovered.len() as u64, 1 + lost);
        let report = recovered.report();
        let [stretch] = report.left_out.as_slice() else { panic!("{report}") };
        let start = starts[lost as usize];
        assert_eq!((stretch.offset as usize, stretch.bytes as usize), (start, end - start), "{report}");
        assert_eq!(stretch.line as u64, 2 + lost);
        assert_eq!(stretch.kept_as, Some(PathBuf::from(format!("{DIR}/wal_000001.jsonl.torn"))));
        assert_eq!(fs.read_file(stretch.kept_as.as_ref().unwrap()).unwrap(), bytes[start..end]);
    }
}
