//! Whole segments: recovered under each policy, written on, and recovered again.
//!
//! An input is up to three files, with [`BETWEEN`] between them. Lines before the first that begin with `#watermark ` or
//! `#ancestor ` say from which `seq` on the log is needed, and up to which one the lines are an ancestor's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use persist_core::ErrorKind;
use persist_core::clock::ManualClock;
use persist_core::fs::Fs;
use persist_core::wal::{
    Ancestor, Body, Line, Log, LogOptions, Marks, Reach, Recovered, Recovery, RecoveryPolicy, SegmentId,
};
use persist_test_utils::SimFs;

use crate::memory::{Uncounted, bounded};

pub(crate) const DIR: &str = "/store";
const BETWEEN: &[u8] = b"\x1e\n";
const MOST: usize = 3;

/// What an input says.
#[derive(Debug)]
struct Case {
    watermark: u64,
    lineage: Vec<Ancestor>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Case {
    fn of(mut input: &[u8]) -> Self {
        let (mut watermark, mut bound) = (0, None);
        while let Some(line) = input.strip_prefix(b"#") {
            let (line, rest) = line.split_at(line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len()));
            input = rest.strip_prefix(b"\n").unwrap_or(rest);
            let Some((name, number)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' ')) else {
                break;
            };
            match (name, number.parse::<u64>()) {
                ("watermark", Ok(number)) => watermark = number.min(1 << 62),
                ("ancestor", Ok(number)) => bound = Some(number),
                _ => break,
            }
        }
        let mut files = Vec::new();
        while files.len() < MOST && !input.is_empty() {
            let end = input.windows(BETWEEN.len()).position(|window| window == BETWEEN).unwrap_or(input.len());
            let name = SegmentId(files.len() as u64 + 1).to_string();
            files.push((Path::new(DIR).join(name), input[..end].to_vec()));
            input = input.get(end + BETWEEN.len()..).unwrap_or_default();
        }
        let store = files.iter().flat_map(|(_, bytes)| pieces(bytes)).find_map(|(_, text)| Line::parse(text)?.store);
        let mut present = Ancestor::present(store.unwrap_or("00ff"));
        let mut lineage = Vec::new();
        if bound.is_some() {
            present.last_seq = bound;
            lineage.push(present);
            present = Ancestor::present("feed");
        }
        lineage.push(present);
        Self { watermark, lineage, files }
    }

    fn bytes(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.files.iter().flat_map(|(_, bytes)| pieces(bytes)).filter_map(|(_, text)| Line::parse(text))
    }
}

/// Recovery answers, or refuses and changes nothing; what it leaves out is in its report; and the log goes on after it.
pub(crate) fn run(input: &[u8]) {
    let case = Case::of(input);
    for policy in [RecoveryPolicy::Strict, RecoveryPolicy::Salvage, RecoveryPolicy::TruncateTail] {
        let fs = SimFs::new();
        fs.make_dir(DIR);
        for (path, bytes) in &case.files {
            fs.write_file(path, bytes);
        }
        let (clock, uncounted) = (ManualClock::new(0), Uncounted::new(&fs));
        let recovery = Recovery::new(&uncounted, &clock, Path::new(DIR), &case.lineage);
        let recovery = recovery.watermark(case.watermark).policy(policy);
        match bounded(case.bytes(), || recovery.run()) {
            Ok(recovered) => {
                is_complete(&case, &recovered);
                go_on(&fs, &case.lineage, case.watermark, &recovered);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                let message = error.to_string();
                let is_hopeless =
                    message.contains("belongs to another store") || message.contains("with other contents");
                assert!(policy == RecoveryPolicy::Strict || is_hopeless, "{policy:?}: {message}");
                assert!(message.len() < 1024, "the error repeats the log");
                assert_eq!(contents(&fs), case.files, "a log that is refused is left as it was");
            }
        }
    }
}

/// Each `seq` is given once, in order, or told to be lost; each byte is in a line that counts, or is told to be left out.
fn is_complete(case: &Case, recovered: &Recovered) {
    let report = recovered.report();
    let given: Vec<(u64, &str)> = recovered.lines(0..recovered.len()).map(|line| (line.seq, line.body())).collect();
    assert!(given.is_sorted_by(|one, next| one.0 < next.0), "the lines are out of order: {report}");
    assert!(given.first().is_none_or(|(first, _)| *first > case.watermark));
    assert_eq!(report.records, given.len() as u64);
    let known: BTreeSet<(u64, &str)> = case.lines().map(|line| (line.seq, line.body())).collect();
    for line in &given {
        assert!(known.contains(line), "seq {} was never written", line.0);
    }

    let mut covered: Vec<(u64, u64)> = given.iter().map(|(seq, _)| (*seq, *seq)).collect();
    covered.extend(&report.lost);
    let bridges: Vec<(u64, u64)> = case.lines().filter_map(|line| Some((line.lost_from?, line.seq))).collect();
    covered.extend(&bridges);
    covered.sort_unstable();
    let next = recovered.start().next_seq;
    let mut from = case.watermark + 1;
    for (first, last) in covered {
        if first <= from && from < next {
            from = from.max(last.saturating_add(1));
        }
    }
    assert!(from >= next, "of seq {from}, before the next, {next}, nothing is said: {report}");

    let counts: BTreeSet<u64> = given.iter().map(|(seq, _)| *seq).collect();
    for (path, bytes) in &case.files {
        let mut newest = 0;
        for (start, text) in pieces(bytes) {
            let line = Line::parse(text).filter(|line| line.seq > newest);
            // A line that an earlier recovery has noted as lost, and that is there again, was told of then.
            let noted = |seq| bridges.iter().any(|(from, to)| (*from..=*to).contains(&seq));
            let counted =
                line.filter(|line| line.seq <= case.watermark || counts.contains(&line.seq) || noted(line.seq));
            if let Some(line) = line {
                newest = line.seq;
            }
            let (start, end) = (start as u64, (start + text.len()) as u64);
            let mut stretches = report.left_out.iter().filter(|stretch| stretch.file == *path);
            assert!(
                counted.is_some() || stretches.any(|left| left.offset <= start && end <= left.offset + left.bytes),
                "{start}..{end} of {} is left out and not reported: {report}",
                path.display()
            );
        }
    }
}

/// A line can be written after a recovery, and all is recovered again, strictly, from what the disk has.
pub(crate) fn go_on(fs: &SimFs, lineage: &[Ancestor], watermark: u64, recovered: &Recovered) {
    let store = &lineage.last().unwrap().store;
    let shared: Arc<dyn Fs> = Arc::new(fs.clone());
    let clock = Arc::new(ManualClock::new(0));
    let log = Log::new(shared, clock, Path::new(DIR), store, LogOptions::default(), recovered.start());
    let body = Body::new(br#"{"key":"after"#.to_vec());
    if recovered.start().next_seq > u64::MAX / 2 {
        // A line that somebody forged took the numbers away: the log can be read, and says why no more.
        assert_eq!(log.begin(body.line_bytes_at_most()).unwrap_err().kind(), ErrorKind::Corrupt);
        return;
    }
    let stamp = log.begin(body.line_bytes_at_most()).unwrap().push(body, Marks::default());
    assert_eq!(stamp.seq, recovered.start().next_seq);
    log.wait(stamp.seq, Reach::Durable).unwrap();
    for disk in [fs.drop_caches(), fs.kill()] {
        let clock = ManualClock::new(0);
        let again = Recovery::new(&disk, &clock, Path::new(DIR), lineage).watermark(watermark).run();
        let again = again.unwrap_or_else(|error| panic!("what recovery left is refused: {error}"));
        let mut lines: Vec<_> = again.lines(0..again.len()).map(|line| (line.seq, line.body().to_owned())).collect();
        assert_eq!(lines.pop(), Some((stamp.seq, r#"{"key":"after"#.to_owned())), "{}", again.report());
        assert!(
            lines
                .iter()
                .map(|(seq, body)| (*seq, body.as_str()))
                .eq(recovered.lines(0..recovered.len()).map(|line| (line.seq, line.body())))
        );
        assert!(!again.report().is_damaged(), "{}", again.report());
    }
}

fn contents(fs: &SimFs) -> Vec<(PathBuf, Vec<u8>)> {
    fs.files().into_iter().map(|path| (path.clone(), fs.read_file(path).unwrap())).collect()
}

/// What stands between fill.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    bytes.split(|byte| matches!(byte, b'\n' | 0 | 0xFF)).filter_map(move |text| {
        let start = at;
        at += text.len() + 1;
        (!text.is_empty()).then_some((start, text))
    })
}
