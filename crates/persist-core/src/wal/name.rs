//! The names of segments: `wal_000001.jsonl`, `wal_000002.jsonl`, …
//!
//! Only this file builds or parses one. A name has at least six digits and no more zeros in front than that needs, so
//! that a name and its number are one and the same. A segment that is kept although a checkpoint covers it, and that
//! recovery does not read any more, is compressed: `wal_000001.jsonl.gz`.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::fs::suffixed;

const PREFIX: &str = "wal_";
const SUFFIX: &str = ".jsonl";
const KEPT: &str = ".gz";

/// The path of a segment once it is only kept.
pub(super) fn kept(segment: &Path) -> PathBuf {
    suffixed(segment, KEPT)
}

/// Whether this is the name of a segment that is only kept.
pub(super) fn is_kept(name: &str) -> bool {
    name.strip_suffix(KEPT).is_some_and(|segment| SegmentId::parse(segment).is_some())
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
    /// The number of the segment that a file of this name is, or `None` where the name is no segment's.
    pub fn parse(name: &str) -> Option<Self> {
        let id = Self(name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()?);
        (id.to_string() == name).then_some(id)
    }

    /// The number in the name of a segment or of what is kept of one (`wal_000004.jsonl.torn`): a new segment's number
    /// goes on past all of these.
    pub fn of_any(name: &str) -> Option<Self> {
        let end = name.find(SUFFIX)? + SUFFIX.len();
        Self::parse(name.get(..end)?)
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
        write!(f, "{PREFIX}{:06}{SUFFIX}", self.0)
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
        assert!(is_kept("wal_000007.jsonl.gz") && SegmentId::parse("wal_000007.jsonl.gz").is_none());
        assert_eq!(SegmentId::of_any("wal_000007.jsonl.gz"), Some(SegmentId(7)));
        assert!(!is_kept("wal_000007.jsonl") && !is_kept("wal_7.jsonl.gz") && !is_kept("data.duckdb.gz"));
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
