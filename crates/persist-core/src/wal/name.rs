//! The names of segments: `wal_000001.jsonl`, `wal_000002.jsonl`, …
//!
//! Only this file builds or parses one. A name has at least six digits and no more zeros in front than that needs, so
//! that a name and its number are one and the same. A segment that is kept although a checkpoint covers it, and that
//! recovery does not read any more, is compressed: `wal_000001.jsonl.gz`.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::fs::suffixed;

const KEPT: &str = ".gz";

/// How the segments of a log are called: by default `wal_000001.jsonl` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentNames {
    prefix: &'static str,
    suffix: &'static str,
    newest: Option<&'static str>,
}

impl Default for SegmentNames {
    fn default() -> Self {
        Self::numbered("wal_", ".jsonl")
    }
}

impl SegmentNames {
    /// Names of a prefix, a number of at least six digits, and a suffix.
    pub const fn numbered(prefix: &'static str, suffix: &'static str) -> Self {
        Self { prefix, suffix, newest: None }
    }

    /// The segment that takes lines has this name as long as it does, and stays so when the log is closed; when another
    /// follows it, it gets its number.
    #[must_use]
    pub const fn newest(mut self, name: &'static str) -> Self {
        self.newest = Some(name);
        self
    }

    /// The name of a segment that has its number.
    pub(super) fn file(&self, id: SegmentId) -> String {
        format!("{}{:06}{}", self.prefix, id.0, self.suffix)
    }

    pub(super) fn newest_file(&self) -> Option<&'static str> {
        self.newest
    }

    /// The number of the segment that a file of this name is, or `None` where the name is no segment's.
    pub(super) fn parse(&self, name: &str) -> Option<SegmentId> {
        let id = SegmentId(name.strip_prefix(self.prefix)?.strip_suffix(self.suffix)?.parse().ok()?);
        (self.file(id) == name).then_some(id)
    }

    /// The number in the name of a segment or of what is kept of one.
    pub(super) fn of_any(&self, name: &str) -> Option<SegmentId> {
        let end = name.find(self.suffix)? + self.suffix.len();
        self.parse(name.get(..end)?)
    }

    /// Whether this is the name of a segment or of what is kept of one.
    pub(super) fn is_any(&self, name: &str) -> bool {
        let of_newest = self.newest.and_then(|newest| name.strip_prefix(newest));
        of_newest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) || self.of_any(name).is_some()
    }

    /// Whether this is the name of a segment that is only kept.
    pub(super) fn is_kept(&self, name: &str) -> bool {
        name.strip_suffix(KEPT).is_some_and(|segment| self.parse(segment).is_some())
    }
}

/// The path of a segment once it is only kept.
pub(super) fn kept(segment: &Path) -> PathBuf {
    suffixed(segment, KEPT)
}

/// Whether this is the name of what a segment that is only kept is called, whatever the names of its log.
pub(super) fn is_kept(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(KEPT.as_bytes())
}

/// Whether this is the name of what recovery has set aside of a segment.
#[cfg(feature = "duckdb")]
pub(crate) fn is_left_out(name: &str) -> bool {
    let segment = name.strip_suffix(".torn").or_else(|| name.strip_suffix(".broken"));
    segment.is_some_and(|segment| SegmentId::parse(segment).is_some())
}

/// The number of a segment. Numbers go on past all that are in the log's folders, and past what is kept of one; where there
/// is none, they start again at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u64);

impl SegmentId {
    /// The number of the segment that a file of this name is, by the usual names, or `None` where the name is no
    /// segment's.
    pub fn parse(name: &str) -> Option<Self> {
        SegmentNames::default().parse(name)
    }

    /// The number in the name of a segment or of what is kept of one (`wal_000004.jsonl.torn`): a new segment's number
    /// goes on past all of these.
    pub fn of_any(name: &str) -> Option<Self> {
        SegmentNames::default().of_any(name)
    }

    /// Whether numbers can go on after this one for as long as a store lives. A file whose number is larger has got its
    /// name from somebody else.
    pub(super) fn is_followed(self) -> bool {
        self.0 < u64::MAX / 2
    }

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&SegmentNames::default().file(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_a_name_and_back() {
        for number in [0, 1, 42, 999_999, 1_000_000, u64::MAX] {
            let id = SegmentId(number);
            assert_eq!(SegmentId::parse(&id.to_string()), Some(id));
        }
        assert_eq!(SegmentId(7).to_string(), "wal_000007.jsonl");
    }

    #[test]
    fn other_names_are_no_segments() {
        for name in ["wal_7.jsonl", "wal_+00007.jsonl", "wal_0000007.jsonl", "wal_.jsonl", "wal_000007.json", "x"] {
            assert_eq!(SegmentId::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_kept_segment_is_known_by_its_name_and_is_no_segment_of_the_log() {
        let path = kept(Path::new("/store/wal_000007.jsonl"));
        assert_eq!(path, Path::new("/store/wal_000007.jsonl.gz"));
        let names = SegmentNames::default();
        assert!(names.is_kept("wal_000007.jsonl.gz") && SegmentId::parse("wal_000007.jsonl.gz").is_none());
        assert_eq!(SegmentId::of_any("wal_000007.jsonl.gz"), Some(SegmentId(7)));
        assert!(["wal_000007.jsonl", "wal_7.jsonl.gz", "data.duckdb.gz"].iter().all(|name| !names.is_kept(name)));
    }

    #[test]
    fn a_log_may_name_its_segments_otherwise() {
        let names = SegmentNames::numbered("transaction.", ".log").newest("transaction.log");
        assert_eq!(names.file(SegmentId(7)), "transaction.000007.log");
        assert_eq!(names.parse("transaction.000007.log"), Some(SegmentId(7)));
        assert_eq!(names.of_any("transaction.000007.log.torn"), Some(SegmentId(7)));
        let ours =
            ["transaction.log", "transaction.log.tmp", "transaction.000007.log", "transaction.000007.log.broken"];
        assert!(ours.iter().all(|name| names.is_any(name)));
        let others = ["transaction.20260122_203117.log", "transaction.logs", "wal_000007.jsonl", "transaction"];
        assert!(others.iter().all(|name| !names.is_any(name)));
    }

    #[test]
    fn what_recovery_sets_aside_is_known_by_its_name() {
        assert!(is_left_out("wal_000007.jsonl.torn") && is_left_out("wal_000007.jsonl.broken"));
        assert!(["wal_000007.jsonl", "wal_7.jsonl.torn", "notes.torn"].iter().all(|name| !is_left_out(name)));
    }

    #[test]
    fn what_is_kept_of_a_segment_counts_for_its_number() {
        assert_eq!(SegmentId::of_any("wal_000007.jsonl.torn"), Some(SegmentId(7)));
        assert_eq!(SegmentId::of_any("wal_000007.jsonl"), Some(SegmentId(7)));
        assert_eq!(SegmentId::of_any("data.duckdb"), None);
    }
}
