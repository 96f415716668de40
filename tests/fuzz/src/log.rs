//! Lines of the log, the names of its files, and segments that are kept.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use persist_core::clock::ManualClock;
use persist_core::wal::{Ancestor, Archive, Line, Log, LogOptions, Recovery, SegmentId};
use persist_core::{ErrorKind, Timestamp};
use persist_test_utils::SimFs;

use crate::memory::{Uncounted, bounded};
use crate::segment::{DIR, go_on};

const CRC: &[u8] = b",\"crc\":\"";
const CRC_BYTES: usize = 18;

/// A line is what JSON makes of it, and reads back the same.
pub(crate) fn line(input: &[u8]) {
    let Some(line) = bounded(input.len(), || Line::parse(input)) else { return };
    assert_eq!(line.text().as_bytes(), input);
    assert!(input.starts_with(line.body().as_bytes()));
    assert_eq!(Line::parse(line.text().as_bytes()), Some(line));
    assert!(line.lost_from.is_none_or(|from| from <= line.seq), "lost from {:?} to {}", line.lost_from, line.seq);
    if let Some(place) = line.marks.batch {
        assert!((1..=place.of).contains(&place.number));
    }
    // A body that is JSON makes the line JSON, with our fields at its end: another reader finds what we find.
    let body = serde_json::from_str::<serde_json::Value>(&format!("{}}}", line.body()));
    if body.is_ok_and(|body| body.is_object()) {
        let json: serde_json::Value = serde_json::from_slice(input).expect("a line whose body is JSON is JSON");
        assert_eq!(json["seq"].as_u64(), Some(line.seq));
        assert_eq!(json["at"].as_str().and_then(Timestamp::parse).map(|at| at.unix_micros()), Some(line.at));
        assert_eq!(json["synced"].as_u64().filter(|_| line.synced.is_some()), line.synced);
    }
}

/// Gives each line the checksum of what stands there.
#[allow(clippy::ptr_arg)] // As the others, which may have to make room.
pub(crate) fn mend_lines(input: &mut Vec<u8>) {
    let mut start = 0;
    while start < input.len() {
        let end = input[start..].iter().position(|byte| *byte == b'\n').map_or(input.len(), |at| start + at);
        if end - start > CRC_BYTES && input[end - CRC_BYTES..].starts_with(CRC) {
            let checked = end - CRC_BYTES;
            let crc = format!("{:08x}", crc32fast::hash(&input[start..checked]));
            input[checked + CRC.len()..end - 2].copy_from_slice(crc.as_bytes());
        }
        start = end + 1;
    }
}

/// A file of any name in a log's folder keeps nobody from writing and recovering.
pub(crate) fn name(input: &[u8]) {
    let Ok(name) = std::str::from_utf8(input) else { return };
    let parsed = bounded(name.len(), || SegmentId::parse(name));
    if let Some(id) = parsed {
        assert_eq!(id.to_string(), name);
        assert_eq!(SegmentId::of_any(name), parsed);
    }
    if let Some(id) = SegmentId::of_any(name) {
        assert!(name.starts_with(&id.to_string()));
    }
    if name.is_empty() || name.len() > 200 || name.contains(['/', '\0']) || matches!(name, "." | "..") {
        return;
    }
    // A store that goes on past the largest number it accepts is refused at its next opening: only a file that somebody has
    // named with care brings it there, and it takes as many segments as are left.
    if SegmentId::of_any(name).is_some_and(|id| (u64::MAX / 2 - 1_000..u64::MAX / 2).contains(&id.0)) {
        return;
    }
    let (fs, clock) = (SimFs::new(), ManualClock::new(0));
    fs.make_dir(DIR);
    fs.write_file(Path::new(DIR).join(name), b"");
    let lineage = [Ancestor::present("00ff")];
    match Recovery::new(&fs, &clock, Path::new(DIR), &lineage).run() {
        Ok(recovered) => go_on(&fs, &lineage, 0, &recovered),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(SegmentId::of_any(name).is_some_and(|id| id.0 >= u64::MAX / 2), "{error}");
        }
    }
}

/// A kept segment gives lines that are good, or none, and keeps no store from opening.
pub(crate) fn kept(input: &[u8]) {
    let says = says(input);
    let store =
        says.as_ref().and_then(|says| says["store"].as_str()).filter(|id| is_plain(id)).unwrap_or("00ff").to_owned();
    let sim = SimFs::new();
    sim.write_file(Path::new(DIR).join("wal_000001.jsonl.gz"), input);
    let fs = Uncounted::new(&sim);
    let (folders, lineage) = ([PathBuf::from(DIR)], [Ancestor::present(&store)]);
    // Of a segment that is compressed, so many bytes are expected as its header says.
    let bytes = says.as_ref().and_then(|says| says["bytes"].as_u64()).unwrap_or(0).min(1 << 30) as usize;
    bounded(input.len() + bytes, || {
        let archive = Archive::open(&fs, &folders, &lineage).expect("no file operation failed");
        for segment in archive.segments() {
            let mut lines = archive.read(segment).expect("no file operation failed");
            let mut last = 0;
            while let Some(line) = lines.take_line() {
                assert!(line.seq > last, "seq {} after {last}", line.seq);
                last = line.seq;
            }
        }
    });
    let clock = ManualClock::new(0);
    let recovery = Recovery::new(&fs, &clock, Path::new(DIR), &lineage).watermark(1 << 40);
    let recovered = bounded(input.len(), || recovery.run()).expect("a kept segment keeps no store from opening");
    let log = Log::new(
        std::sync::Arc::new(fs.clone()),
        std::sync::Arc::new(ManualClock::new(0)),
        Path::new(DIR),
        &store,
        LogOptions::default(),
        recovered.start(),
    );
    for segment in log.kept_segments() {
        let mut lines = bounded(input.len() + bytes, || log.read_back(&segment, 2, 1 << 40)).unwrap();
        while let Some(line) = lines.take_line() {
            assert!((2..=1 << 40).contains(&line.seq));
        }
    }
    assert!(log.remove_kept(1 << 40, i64::MAX).is_ok());
    go_on(&sim, &lineage, 1 << 40, &recovered);
}

/// Whether a store may have this id: others are refused when it is opened.
fn is_plain(id: &str) -> bool {
    id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What the header of a compressed segment says.
fn says(input: &[u8]) -> Option<serde_json::Value> {
    let mut decoder = GzDecoder::new(input);
    let _ = decoder.read(&mut [0]);
    serde_json::from_slice(decoder.header()?.comment()?).ok()
}

/// Gives the header of a compressed segment the checksum of what it says.
pub(crate) fn mend_header(input: &mut Vec<u8>) {
    let Some(mut says) = says(input).filter(serde_json::Value::is_object) else { return };
    let old = says.to_string();
    let Some(at) = input.windows(old.len()).position(|window| window == old.as_bytes()) else { return };
    let field = |name: &str| match &says[name] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let fields = ["store", "first_seq", "last_seq", "last_at", "bytes"];
    let checked: Vec<String> = fields.into_iter().filter(|name| !says[name].is_null()).map(field).collect();
    let checked = checked.join(" ");
    says["crc"] = crc32fast::hash(checked.as_bytes()).into();
    input.splice(at..at + old.len(), says.to_string().into_bytes());
}
