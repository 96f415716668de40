//! What must be true of every recovery from a state that a crash may leave.

use std::collections::BTreeMap;
use std::path::PathBuf;

use persist_core::wal::{BatchPlace, Cause, Line, Recovered, RecoveryReport, SegmentId};

use super::driver::{Driver, Known, Oracle, recover, segments};
use persist_test_utils::SimFs;

/// The lines that were given back.
pub(crate) fn lines(recovered: &Recovered) -> Vec<(u64, Known)> {
    let known = |line: Line<'_>| (line.seq, Known { body: line.body().to_owned(), marks: line.marks, at: line.at });
    recovered.lines(0..recovered.len()).map(known).collect()
}

/// Holds what was given back against what was taken and promised. `before` is what the segments held.
pub(crate) fn against(oracle: &Oracle, recovered: &Recovered, before: &[(PathBuf, Vec<u8>)]) {
    let report = recovered.report();
    let mut last = oracle.watermark;
    for (seq, known) in lines(recovered) {
        assert_eq!(seq, last + 1, "a line is missing or doubled\n{report}\n{}", show(before));
        let taken = oracle.lines.get(&seq).unwrap_or_else(|| panic!("seq {seq} was never taken\n{report}"));
        assert_eq!(&known, taken, "seq {seq}\n{report}");
        last = seq;
    }
    let promised = oracle.durable.max(oracle.written);
    assert!(last >= promised, "seq {promised} was acknowledged, {last} is the last\n{report}\n{}", show(before));
    assert_eq!(last, intact(before, oracle.watermark), "what is there without a gap\n{report}\n{}", show(before));
    assert_eq!(recovered.start().next_seq, last + 1);
    assert_eq!(report.records, recovered.len() as u64);
    assert_eq!(report.watermark, oracle.watermark);
    assert_eq!(report.segments, before.len());
    assert_eq!(report.bytes, before.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
    assert!(!report.is_damaged(), "{report}");
    all_reported(before, |seq| seq <= last, report);
}

/// Every byte that is neither fill nor a line that counts is in the report.
pub(crate) fn all_reported(before: &[(PathBuf, Vec<u8>)], counts: impl Fn(u64) -> bool, report: &RecoveryReport) {
    for (path, bytes) in before {
        let mut newest = 0;
        for (start, text) in pieces(bytes) {
            if let Some(line) = Line::parse(text).filter(|line| counts(line.seq) && line.seq > newest) {
                newest = line.seq;
                continue;
            }
            let (start, end) = (start as u64, (start + text.len()) as u64);
            let mut stretches = report.left_out.iter().filter(|stretch| stretch.file == *path);
            assert!(
                stretches.any(|stretch| stretch.offset <= start && end <= stretch.offset + stretch.bytes),
                "{start}..{end} of {} was left out and is not reported\n{report}",
                path.display()
            );
        }
    }
}

/// The last `seq` that is there with all before it and all of its batch, from the watermark on, by a reading that knows
/// no other rule.
fn intact(before: &[(PathBuf, Vec<u8>)], watermark: u64) -> u64 {
    let all = before.iter().flat_map(|(_, bytes)| pieces(bytes)).filter_map(|(_, text)| Line::parse(text));
    let batches: BTreeMap<u64, Option<BatchPlace>> = all.map(|line| (line.seq, line.marks.batch)).collect();
    let last = (watermark + 1..).find(|seq| !batches.contains_key(seq)).unwrap() - 1;
    end_of_whole(batches.get(&last).copied().flatten(), last).max(watermark)
}

/// Where a log that ends with the line `last` ends when its batches are whole.
pub(crate) fn end_of_whole(batch: Option<BatchPlace>, last: u64) -> u64 {
    batch.filter(|place| place.number < place.of).map_or(last, |place| last - u64::from(place.number))
}

/// What stands between fill.
pub(crate) fn pieces(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    bytes.split(|byte| matches!(byte, b'\n' | 0 | 0xFF)).filter_map(move |text| {
        let start = at;
        at += text.len() + 1;
        (!text.is_empty()).then_some((start, text))
    })
}

/// The log's idea of its segments is what is on the disk; nothing unfinished lies about; what was torn is kept.
pub(crate) fn is_tidy(fs: &SimFs, recovered: &Recovered) {
    is_tidy_but(fs, recovered, &[]);
}

/// The same, in a folder where others keep these files.
pub(crate) fn is_tidy_but(fs: &SimFs, recovered: &Recovered, others: &[&str]) {
    let start = recovered.start();
    let mut listed: Vec<PathBuf> = start.closed.iter().map(|segment| segment.path.clone()).collect();
    listed.sort();
    assert_eq!(listed, segments(fs).into_iter().map(|(path, _)| path).collect::<Vec<_>>());
    for path in fs.files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(!name.ends_with(".tmp") || others.contains(&name), "{name} was left behind");
        assert!(
            SegmentId::of_any(name).is_none_or(|id| id < start.next_segment),
            "{name} and {:?}",
            start.next_segment
        );
    }
    for segment in &start.closed {
        let bytes = fs.read_file(&segment.path).unwrap();
        let last = pieces(&bytes).map(|(_, text)| Line::parse(text).expect("a line").seq).max();
        assert_eq!(last, Some(segment.last_seq), "{}", segment.path.display());
    }
    for stretch in recovered.report().left_out.iter().filter(|stretch| stretch.cause == Cause::Torn) {
        let kept = fs.read_file(stretch.kept_as.as_ref().unwrap()).expect("a torn tail is kept");
        assert_eq!(kept.len() as u64, stretch.bytes);
    }
}

/// Whatever was given back is on the disk, cached pages or not, and comes back the same.
pub(crate) fn is_durable(driver: &Driver, recovered: &Recovered) {
    let disk = driver.fs.drop_caches();
    let again = recover(&disk, &driver.clock, driver.oracle.watermark)
        .unwrap_or_else(|error| panic!("{error}\n{}", show(&segments(&driver.fs.drop_caches()))));
    assert_eq!(lines(&again), lines(recovered), "recovery vouched for cached pages");
    assert_eq!(again.start().next_seq, recovered.start().next_seq);
    assert_eq!(again.report().bytes_left_out(), 0, "{}", again.report());
}

/// The segments, told in short.
pub(crate) fn show(segments: &[(PathBuf, Vec<u8>)]) -> String {
    let mut shown = String::new();
    for (path, bytes) in segments {
        shown += &format!("{} ({} bytes):", path.display(), bytes.len());
        for (start, text) in pieces(bytes) {
            let end = start + text.len();
            shown += &match Line::parse(text) {
                Some(line) => match line.synced {
                    Some(synced) => format!(" {start}..{end}=seq {} after {synced}", line.seq),
                    None => format!(" {start}..{end}=seq {}", line.seq),
                },
                None => format!(" {start}..{end}=?"),
            };
        }
        shown.push('\n');
    }
    shown
}
