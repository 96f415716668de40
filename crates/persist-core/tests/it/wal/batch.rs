//! Batches in segments that are cut, torn, holed and damaged: each is given back whole or not at all.

use std::collections::BTreeMap;
use std::path::Path;

use persist_core::error::ErrorKind;
use persist_core::wal::{Cause, Reach, Recovered, Recovery, RecoveryPolicy};
use persist_test_utils::{Rng, SimFs};

use super::check::{self, lines};
use super::driver::{Crash, DIR, Driver, Known, Sizes, body, clock, lineage, path, recover, segments, segments_of};
use crate::replay::seeds;

const SECTOR: usize = 512;

/// What was taken together: its first and last `seq`, and where its lines begin and end.
#[derive(Debug, Clone)]
struct Unit {
    first: u64,
    last: u64,
    start: usize,
    end: usize,
}

impl Unit {
    fn is_batch(&self) -> bool {
        self.last > self.first
    }
}

/// One segment of batches of 1 to 9 lines and of single ones between, writes and removals: some groups have several.
/// Everything is durable, or all but the last group.
struct Full {
    driver: Driver,
    bytes: Vec<u8>,
    units: Vec<Unit>,
    /// The first unit of the last group.
    last_group: usize,
}

fn full(seed: u64, total: usize, is_durable: bool) -> Full {
    let mut driver = Driver::with(seed, segments_of(1 << 20), Sizes::Mixed);
    let mut rng = Rng::new(seed);
    let (mut sizes, mut last_group, mut written) = (Vec::new(), 0, 0);
    while written < total {
        last_group = sizes.len();
        for _ in 0..1 + rng.below(3) {
            let size = if rng.chance(1, 3) { 1 } else { 1 + rng.below(9) };
            let texts = (0..size).map(|line| body(line, rng.index(300), &mut rng)).collect();
            if size == 1 && rng.coin() { driver.push_each(texts) } else { driver.push_batch(texts) }.unwrap();
            sizes.push(size);
        }
        driver.log.wait(driver.log.last_seq(), Reach::Written).unwrap();
        written = driver.log.stats().segment_bytes as usize;
        if is_durable || written < total {
            driver.sync().unwrap();
        }
    }
    let mut bytes = segments(&driver.fs).remove(0).1;
    let places: Vec<(usize, usize)> =
        check::pieces(&bytes).map(|(start, text)| (start, start + text.len() + 1)).collect();
    // Less of what is laid out after them, so that the test is quick.
    bytes.truncate(places.last().unwrap().1.next_multiple_of(4 * SECTOR));
    let mut units: Vec<Unit> = Vec::new();
    for size in sizes {
        let first = units.last().map_or(0, |unit| unit.last) + 1;
        let last = first + size - 1;
        units.push(Unit { first, last, start: places[first as usize - 1].0, end: places[last as usize - 1].1 });
    }
    Full { driver, bytes, units, last_group }
}

impl Full {
    fn end(&self) -> usize {
        self.units.last().unwrap().end
    }

    /// The units that are whole when the segment ends at this byte: of the last newline nothing depends.
    fn whole(&self, cut: usize) -> &[Unit] {
        &self.units[..self.units.iter().take_while(|unit| unit.end <= cut + 1).count()]
    }

    /// What was given back is these units, to the byte, and no line of another.
    fn is(&self, recovered: &Recovered, units: &[Unit], what: &dyn std::fmt::Display) {
        let taken = &self.driver.oracle.lines;
        let wanted: BTreeMap<u64, &Known> =
            units.iter().flat_map(|unit| unit.first..=unit.last).map(|seq| (seq, &taken[&seq])).collect();
        let given = lines(recovered);
        let seqs = || given.iter().map(|(seq, _)| seq).collect::<Vec<_>>();
        let is_equal = given.iter().map(|(seq, known)| (*seq, known)).eq(wanted);
        assert!(is_equal, "{what}: {:?}\n{}", seqs(), recovered.report());
    }
}

fn image(bytes: &[u8]) -> SimFs {
    let fs = SimFs::new();
    fs.write_file(path(1), bytes);
    fs
}

fn run(fs: &SimFs, policy: RecoveryPolicy) -> persist_core::Result<Recovered> {
    let (lineage, clock) = (lineage(), clock());
    Recovery::new(fs, clock.as_ref(), Path::new(DIR), &lineage).policy(policy).run()
}

#[test]
fn a_segment_cut_at_any_byte_gives_whole_batches_and_reports_every_other_byte() {
    let (full, clock) = (full(11, 20 * 1024, true), clock());
    assert!(full.units.iter().filter(|unit| unit.last - unit.first > 5).count() > 3);
    for cut in 0..=full.end() {
        let mut after: Vec<Vec<u8>> = vec![Vec::new()];
        // A sector of fill, to the end of the one that the cut is in, or nothing up to where the segment was laid out.
        if cut % 8 == 0 {
            after.extend([vec![0; SECTOR], vec![0xFF; SECTOR - cut % SECTOR], vec![b'\n'; full.bytes.len() - cut]]);
        }
        for fill in after {
            let what = format!("cut at {cut}, then {} bytes of {:?}", fill.len(), fill.first());
            let fs = image(&[&full.bytes[..cut], &fill].concat());
            let before = segments(&fs);
            let recovered = recover(&fs, &clock, 0).unwrap_or_else(|error| panic!("{what}: {error}"));
            let whole = full.whole(cut);
            full.is(&recovered, whole, &what);
            let (last, end) = whole.last().map_or((0, 0), |unit| (unit.last, unit.end));
            assert_eq!(recovered.start().next_seq, last + 1, "{what}");
            let report = recovered.report();
            // The stretch runs to the newline after it.
            let rest = cut.saturating_sub(end)
                + usize::from(cut > end && full.bytes[cut - 1] != b'\n' && fill.starts_with(b"\n"));
            assert_eq!(report.bytes_left_out(), rest as u64, "{what}: {report}");
            assert!(!report.is_damaged(), "{what}: {report}");
            check::all_reported(&before, |seq| seq <= last, report);
            if cut % 64 == 0 {
                check::is_tidy(&fs, &recovered);
                let again = recover(&fs.drop_caches(), &clock, 0).unwrap();
                assert_eq!((lines(&again), again.report().bytes_left_out()), (lines(&recovered), 0), "{what}");
            }
        }
    }
}

/// The whole group is on the disk but for one sector, or for any selection of them.
#[test]
fn a_batch_with_a_hole_is_left_out_and_what_comes_after_it_too() {
    let holed = std::cell::Cell::new(0);
    seeds("a_batch_with_a_hole", 0..150, |seed| {
        let full = full(seed, 3 * 1024, false);
        let group = full.units[full.last_group].start;
        let sectors: Vec<usize> = (group / SECTOR..full.end().div_ceil(SECTOR)).collect();
        let mut rng = Rng::new(seed);
        let some: Vec<usize> = sectors.iter().copied().filter(|_| rng.chance(1, 3)).collect();
        let each = sectors.iter().map(|sector| vec![*sector]);
        for (missing, fill) in each.chain([some]).zip([b'\n', 0, 0xFF].into_iter().cycle()) {
            let mut bytes = full.bytes.clone();
            for sector in &missing {
                // What was synced before stays, whatever becomes of the rest of its sector.
                let start = (sector * SECTOR).max(group);
                bytes[start..(sector + 1) * SECTOR].fill(fill);
            }
            let fs = image(&bytes);
            let before = segments(&fs);
            let recovered = recover(&fs, &full.driver.clock, 0)
                .unwrap_or_else(|error| panic!("{missing:?}: {error}\n{}", check::show(&before)));
            check::against(&full.driver.oracle, &recovered, &before);
            check::is_tidy(&fs, &recovered);
            let last = recovered.start().next_seq - 1;
            let units = &full.units[..full.units.iter().take_while(|unit| unit.last <= last).count()];
            full.is(&recovered, units, &format!("without sectors {missing:?}"));
            let cut_within = full.units.iter().any(|unit| {
                let within = |sector: &usize| (unit.start + 1..unit.end).contains(&(sector * SECTOR));
                unit.is_batch() && missing.iter().any(within)
            });
            holed.set(holed.get() + usize::from(cut_within));
        }
    });
    assert!(holed.get() > 300, "{holed:?}");
}

#[test]
fn a_bit_flipped_in_a_batch_loses_all_of_it_and_nothing_else() {
    let (mut refused, mut torn, mut at_the_end) = (0, 0, 0);
    let full = full(5, 6 * 1024, true);
    let last_unit = full.units.last().unwrap();
    for bit in (0..full.end() * 8).step_by(37) {
        let byte = bit / 8;
        let mut bytes = full.bytes.clone();
        bytes[byte] ^= 1 << (bit % 8);
        // Without the newline between them two lines are none.
        let is_hit = |unit: &&Unit| unit.start <= byte + 1 && byte < unit.end;
        let hit: Vec<&Unit> = full.units.iter().filter(is_hit).collect();
        let (first, last) = (hit[0], hit[hit.len() - 1]);
        let what = format!("bit {bit}, in {hit:?}");
        let before: Vec<Unit> = full.units.iter().filter(|unit| unit.last < first.first).cloned().collect();
        let others: Vec<Unit> = full.units.iter().filter(|unit| !is_hit(unit)).cloned().collect();
        let fs = image(&bytes);
        let salvaged = run(&fs, RecoveryPolicy::Salvage).unwrap();
        let report = salvaged.report();
        let given: Vec<u64> = lines(&salvaged).into_iter().map(|(seq, _)| seq).collect();
        check::all_reported(&[(path(1), bytes.clone())], |seq| given.contains(&seq), report);
        let Err(error) = run(&image(&bytes), RecoveryPolicy::Strict).map(|strict| {
            // It looks like a tear of the last group: the batch and what comes after it are cut. Or it was the very last
            // newline, and nobody needs that.
            let is_newline = byte == full.end() - 1 && given.len() as u64 == last_unit.last;
            assert!(first.start >= full.units[full.last_group].start, "{what} was not found");
            let units = if is_newline { &full.units } else { &before };
            full.is(&strict, units, &what);
            full.is(&salvaged, units, &what);
            torn += 1;
        }) else {
            continue;
        };
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        full.is(&salvaged, &others, &what);
        assert!(report.is_damaged(), "{what}: {report}");
        for stretch in &report.left_out {
            assert_eq!(stretch.cause, Cause::Damaged, "{what}: {report}");
            assert_eq!(fs.read_file(stretch.kept_as.as_ref().unwrap()).unwrap(), bytes, "{what}: {report}");
        }
        if report.lost.is_empty() {
            // What the last line was nothing tells, so that the batch ends with it.
            assert_eq!((last.last, salvaged.start().next_seq), (last_unit.last, first.first), "{what}: {report}");
            at_the_end += 1;
        } else {
            assert_eq!(report.lost, [(first.first, last.last)], "{what}");
            refused += 1;
        }
        full.is(&run(&image(&bytes), RecoveryPolicy::TruncateTail).unwrap(), &before, &what);
        // From here on it is a good log, on the disk as in memory.
        for fs in [fs.drop_caches(), fs] {
            full.is(&run(&fs, RecoveryPolicy::Strict).unwrap(), &others, &what);
        }
    }
    assert!(refused > 1_000 && torn > 2 && at_the_end > 10, "{refused} {torn} {at_the_end}");
}

/// The beginning of a batch stands before the watermark: that is no loss, the rest is taken as it is.
#[test]
fn a_watermark_within_a_batch_leaves_its_rest() {
    let full = full(3, 4 * 1024, true);
    let batch = full.units.iter().max_by_key(|unit| unit.last - unit.first).unwrap();
    assert!(batch.last - batch.first > 3);
    for watermark in batch.first..batch.last {
        let recovered = recover(&image(&full.bytes), &full.driver.clock, watermark).unwrap();
        assert_eq!(lines(&recovered).first().unwrap().0, watermark + 1);
        assert_eq!(recovered.start().next_seq, full.units.last().unwrap().last + 1);
    }
}

#[test]
fn a_batch_larger_than_a_segment_has_one_of_its_own() {
    let mut driver = Driver::with(1, segments_of(4 * 1024), Sizes::Mixed);
    for size in [1, 300, 2, 40] {
        let texts = (0..size).map(|line| body(line, 200, &mut driver.rng)).collect();
        driver.push_batch(texts).unwrap();
        driver.sync().unwrap();
    }
    for (path, bytes) in segments(&driver.fs) {
        let batches: Vec<_> = check::pieces(&bytes)
            .map(|(_, text)| persist_core::wal::Line::parse(text).unwrap().marks.batch.unwrap())
            .collect();
        assert_eq!(batches.first().map(|place| place.number), Some(1), "{}", path.display());
        assert!(batches.last().is_some_and(|place| place.number == place.of), "{}", path.display());
    }
    driver.crash(Crash::DropCaches);
    assert!(driver.recover());
    assert_eq!(driver.oracle.durable, 343);
}
