//! What is a tear and what is damage, case by case.

use persist_core::error::ErrorKind;
use persist_core::wal::Cause;
use persist_test_utils::SimFs;

use super::check;
use super::driver::{STORE, clock, line, path, recover, segment};

const SECTOR: usize = 512;

/// A line of some 700 bytes, which covers a sector's border.
fn long(seq: u64, synced: Option<u64>) -> String {
    line(seq, synced, (seq == 1).then_some((STORE, 1)), &"x".repeat(600)) + "\n"
}

fn joined(lines: &[String]) -> Vec<u8> {
    let mut bytes = lines.concat().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(4096), b'\n');
    bytes
}

/// Where line `number`, from 0, starts.
fn start(lines: &[String], number: usize) -> usize {
    lines[..number].iter().map(String::len).sum()
}

/// How many lines are given back, or where the damage is.
fn outcome(segments: &[(u64, &[u8])]) -> Result<usize, String> {
    let fs = SimFs::new();
    for (number, bytes) in segments {
        fs.write_file(path(*number), bytes);
    }
    match recover(&fs, &clock(), 0) {
        Ok(recovered) => {
            assert!(recovered.report().left_out.iter().all(|stretch| stretch.cause == Cause::Torn));
            check::is_tidy(&fs, &recovered);
            Ok(recovered.len())
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            Err(error.to_string())
        }
    }
}

fn is_located(outcome: &Result<usize, String>, number: u64, line: usize, offset: usize) {
    let message = outcome.as_ref().unwrap_err();
    let expected = format!("{} is damaged at line {line}, offset {offset}:", path(number).display());
    assert!(message.starts_with(&expected), "{message}, not {expected}");
}

/// Four lines, the last three in one group that was never synced.
fn group() -> Vec<String> {
    vec![long(1, Some(0)), long(2, Some(1)), long(3, None), long(4, None)]
}

#[test]
fn a_line_that_breaks_off_anywhere_is_torn() {
    let lines = group();
    for length in 1..lines[3].len() - 1 {
        let mut bytes = joined(&lines[..3]);
        let end = start(&lines, 3);
        bytes[end..end + length].copy_from_slice(&lines[3].as_bytes()[..length]);
        assert_eq!(outcome(&[(1, &bytes)]), Ok(3), "broken off after {length} bytes");
    }
}

#[test]
fn the_last_line_whole_and_wrong_is_damage() {
    let lines = group();
    let mut bytes = joined(&lines);
    bytes[start(&lines, 3) + 40] ^= 1;
    is_located(&outcome(&[(1, &bytes)]), 1, 4, start(&lines, 3));
    // Also where something broke off after it: the first bad line tells.
    let mut bytes = joined(&[lines.clone(), vec![long(5, None)[..300].to_owned()]].concat());
    bytes[start(&lines, 3) + 40] ^= 1;
    is_located(&outcome(&[(1, &bytes)]), 1, 4, start(&lines, 3));
    // Also where its first byte is what is wrong.
    let mut bytes = joined(&lines);
    bytes[start(&lines, 3)] ^= 1;
    is_located(&outcome(&[(1, &bytes)]), 1, 4, start(&lines, 3));
}

#[test]
fn a_wrong_line_that_ends_with_its_sector_may_have_lost_the_next_one() {
    let mut lines = group();
    let end = start(&lines, 4) - 1;
    let more = "x".repeat(600 + end.next_multiple_of(SECTOR) - end);
    lines[3] = line(4, None, None, &more) + "\n";
    assert_eq!((start(&lines, 4) - 1) % SECTOR, 0);
    let mut bytes = joined(&lines);
    bytes[start(&lines, 3) + 40] ^= 1;
    assert_eq!(outcome(&[(1, &bytes)]), Ok(3));
}

#[test]
fn a_hole_in_an_unsynced_group_is_a_tear_and_the_lines_after_it_go() {
    let lines = group();
    let hole = start(&lines, 2).next_multiple_of(SECTOR);
    for fill in [b'\n', 0, 0xFF] {
        let mut bytes = joined(&lines);
        bytes[hole..hole + SECTOR].fill(fill);
        assert_eq!(outcome(&[(1, &bytes)]), Ok(2));
    }
}

#[test]
fn a_hole_is_damage_where_a_later_group_says_that_it_was_synced() {
    let mut lines = group();
    lines.push(long(5, Some(4)));
    let hole = start(&lines, 2).next_multiple_of(SECTOR);
    let mut bytes = joined(&lines);
    bytes[hole..hole + SECTOR].fill(b'\n');
    is_located(&outcome(&[(1, &bytes)]), 1, 3, start(&lines, 2));
    // The later group may know less: its own sync came after this one's write.
    lines[4] = long(5, Some(1));
    let mut bytes = joined(&lines);
    bytes[hole..hole + SECTOR].fill(b'\n');
    assert_eq!(outcome(&[(1, &bytes)]), Ok(2));
}

#[test]
fn a_hole_is_damage_where_a_later_segment_has_a_byte() {
    let lines = group();
    let hole = start(&lines, 2).next_multiple_of(SECTOR);
    let mut bytes = joined(&lines);
    bytes[hole..hole + SECTOR].fill(b'\n');
    is_located(&outcome(&[(1, &bytes), (2, &segment(2, &[&[5]]))]), 1, 3, start(&lines, 2));
    is_located(&outcome(&[(1, &bytes), (2, b"{\"torn")]), 1, 3, start(&lines, 2));
    assert_eq!(outcome(&[(1, &bytes), (2, &[b'\n'; 4096])]), Ok(2), "a blank one has none");
    // The hole at the end, with nothing readable after it.
    let mut bytes = joined(&lines);
    bytes[hole..].fill(b'\n');
    assert_eq!(outcome(&[(1, &bytes)]), Ok(2));
    is_located(&outcome(&[(1, &bytes), (2, &segment(2, &[&[5]]))]), 1, 3, start(&lines, 2));
    is_located(&outcome(&[(1, &bytes), (2, b"{\"torn")]), 1, 3, start(&lines, 2));
}

#[test]
fn a_wrong_line_without_a_hole_is_damage_though_nothing_says_it_was_synced() {
    let lines = group();
    for number in 1..4 {
        let mut bytes = joined(&lines);
        bytes[start(&lines, number) + 100] ^= 4;
        is_located(&outcome(&[(1, &bytes)]), 1, number + 1, start(&lines, number));
    }
}

#[test]
fn a_line_that_is_not_there_at_all_is_damage() {
    let mut lines = group();
    lines.remove(2);
    is_located(&outcome(&[(1, &joined(&lines))]), 1, 3, start(&lines, 2));
}

#[test]
fn the_first_group_of_a_segment_may_be_torn_but_not_the_end_of_the_one_before() {
    let older = segment(1, &[&[1, 2]]);
    let newer: Vec<String> =
        vec![line(3, Some(2), Some((STORE, 2)), &"x".repeat(900)) + "\n", long(4, None), long(5, None)];
    for lost in [0, SECTOR, 2 * SECTOR] {
        let mut bytes = joined(&newer);
        bytes[lost..lost + SECTOR].fill(b'\n');
        let kept = if lost < start(&newer, 1) { 2 } else { 3 };
        assert_eq!(outcome(&[(1, &older), (2, &bytes)]), Ok(kept), "{lost}");
    }
    let mut bytes = joined(&newer);
    bytes[..SECTOR].fill(b'\n');
    let mut wrong = older.clone();
    let end = wrong.len();
    wrong[end - 60] ^= 1;
    let second = older.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    is_located(&outcome(&[(1, &wrong), (2, &bytes)]), 1, 2, second);
    wrong.truncate(end - 50);
    is_located(&outcome(&[(1, &wrong), (2, &bytes)]), 1, 2, second);
    // More after the last line than it should have: nothing is missing of what counts, but the segment was closed.
    let mut more = older.clone();
    more.extend_from_slice(b"{\"key\":\"and then");
    is_located(&outcome(&[(1, &more), (2, &bytes)]), 1, 3, end);
}

#[test]
fn a_write_that_broke_off_inside_a_sector_is_a_tear_though_the_next_sector_came() {
    let lines = group();
    let border = start(&lines, 2).next_multiple_of(SECTOR);
    for missing in 1..border - start(&lines, 2) {
        let mut bytes = joined(&lines);
        bytes[border - missing..border].fill(b'\n');
        assert_eq!(outcome(&[(1, &bytes)]), Ok(2), "{missing} bytes before the border");
    }
    // A hole that begins nowhere and ends nowhere is no tear.
    let mut bytes = joined(&lines);
    bytes[border - 20..border - 10].fill(b'\n');
    is_located(&outcome(&[(1, &bytes)]), 1, 3, start(&lines, 2));
}

#[test]
fn a_line_may_end_exactly_with_a_sector() {
    let mut lines = group();
    let end = start(&lines, 2);
    lines[1] = line(2, Some(1), None, &"x".repeat(600 + end.next_multiple_of(SECTOR) - end)) + "\n";
    assert_eq!(start(&lines, 2) % SECTOR, 0);
    let mut bytes = joined(&lines);
    bytes[start(&lines, 1) + 50] ^= 1;
    is_located(&outcome(&[(1, &bytes)]), 1, 2, start(&lines, 1));
}

#[test]
fn lines_older_than_those_before_them_are_what_the_disk_held_earlier() {
    let older = segment(1, &[&[1, 2, 3], &[4, 5, 6]]);
    let mut newer = segment(2, &[&[7, 8]]);
    // A line in the middle of which the old bytes begin, then whole old lines, then half a one.
    newer.extend_from_slice(&older[50..older.len() - 40]);
    assert_eq!(outcome(&[(1, &older), (2, &newer)]), Ok(8));
    newer.truncate(newer.len() - older.len() + 150);
    assert_eq!(outcome(&[(1, &older), (2, &newer)]), Ok(8));
    // Old lines that start and end where lines should.
    let mut newer = segment(2, &[&[7, 8]]);
    newer.extend_from_slice(&older);
    assert_eq!(outcome(&[(1, &older), (2, &newer)]), Ok(8));
    // In the middle of newer ones they cannot be.
    newer.extend_from_slice(line(10, Some(9), None, "x").as_bytes());
    assert!(outcome(&[(1, &older), (2, &newer)]).is_err());
}

#[test]
fn lines_in_another_order_are_damage() {
    let lines = [line(1, Some(0), Some((STORE, 1)), "a"), line(3, Some(2), None, "c"), line(2, Some(1), None, "b")];
    assert!(outcome(&[(1, (lines.join("\n") + "\n").as_bytes())]).is_err());
}

/// Recovery was interrupted after it had put its copy in place, and the machine lost power: of the old segment, whose
/// lines were never synced, now also some of those are missing that the copy has.
#[test]
fn an_old_segment_may_lose_more_than_it_had_lost_when_it_was_copied() {
    let lines: Vec<String> = (1..=6).map(|seq| long(seq, (seq <= 2).then(|| seq - 1))).collect();
    let copy: Vec<String> = vec![line(2, Some(1), Some((STORE, 2)), &"x".repeat(600)) + "\n", long(3, None)];
    let hole = start(&lines, 3).next_multiple_of(SECTOR);
    for lost in [hole, start(&lines, 2).next_multiple_of(SECTOR), start(&lines, 1).next_multiple_of(SECTOR)] {
        let mut bytes = joined(&lines);
        bytes[lost..hole + SECTOR].fill(b'\n');
        assert_eq!(outcome(&[(1, &bytes), (2, copy.concat().as_bytes())]), Ok(3));
        bytes[hole..].fill(b'\n');
        assert_eq!(outcome(&[(1, &bytes), (2, copy.concat().as_bytes())]), Ok(3));
    }
}
