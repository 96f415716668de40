//! One line of the log: the caller's fields, then ours, and at the very end a checksum at a fixed place.
//!
//! ```text
//! {"key":"k","data":{"n":1},"at":"2025-01-15T10:30:00+00:00","version":1,"synced":41,"seq":42,"crc":"1b2c3d4e"}
//! └── body: the caller's ──┘└── tail: ours, in this order ────────────────────────────┘└ CRC-32 of all before ┘
//! ```
//!
//! The body is everything up to the tail, without the closing brace. A line is plain JSON, so other tools read it; we
//! read only lines whose checksum is right, and so may take the tail's form for granted.

use crc32fast::Hasher;

use super::name::SegmentId;
use super::reader::Place;
use crate::planted::planted;
use crate::timestamp::Timestamp;

/// `,"crc":"xxxxxxxx"}`
const CRC_BYTES: usize = 18;
/// No line is shorter than this.
pub(super) const MIN_BYTES: usize = 60;
/// No tail is longer than this.
pub(super) const TAIL_MAX_BYTES: usize = 320;
const REMOVE: &[u8] = br#","op":"remove""#;
const LOST: &str = r#"{"op":"lost","from":"#;

/// What whoever writes a line says of it besides its body. The log keeps it in the line's tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Marks {
    /// How often the record's id has been written, this write included.
    pub version: Option<u32>,
    /// The line removes the record.
    pub is_removal: bool,
    /// The line's place in a batch, which recovery replays whole or not at all.
    pub batch: Option<BatchPlace>,
}

impl Marks {
    /// The marks of a line that writes a record for the `version`th time.
    pub fn version(version: u32) -> Self {
        Self { version: Some(version), ..Self::default() }
    }

    /// The line removes the record.
    #[must_use]
    pub fn removal(mut self, is_removal: bool) -> Self {
        self.is_removal = is_removal;
        self
    }

    /// The line is one of a batch.
    #[must_use]
    pub fn batch(mut self, place: Option<BatchPlace>) -> Self {
        self.batch = place;
        self
    }
}

/// The place of a line in a batch: `number` of `of`, from 1. The lines of a batch follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPlace {
    /// From 1 to `of`.
    pub number: u32,
    /// How many lines the batch has.
    pub of: u32,
}

impl BatchPlace {
    fn parse(text: &str) -> Option<Self> {
        let (number, of) = text.split_once('/')?;
        let place = Self { number: number.parse().ok()?, of: of.parse().ok()? };
        (1..=place.of).contains(&place.number).then_some(place)
    }
}

/// What this log adds to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tail<'a> {
    /// When the line was written, in microseconds since 1970-01-01 UTC.
    pub(super) at: i64,
    /// What its writer said.
    pub(super) marks: Marks,
    /// In the first line of a group: the highest `seq` that was durable before the group was written.
    pub(super) synced: Option<u64>,
    /// In the first line of a segment: the id of the store, and the segment's own number.
    pub(super) segment: Option<(&'a str, SegmentId)>,
    /// The line's place in the log.
    pub(super) seq: u64,
}

/// Appends the tail to `line`, which holds the body; `checksum` has seen the body and nothing else.
pub(super) fn finish(line: &mut Vec<u8>, mut checksum: Hasher, tail: &Tail<'_>) {
    let tail_start = line.len();
    line.extend_from_slice(b",\"at\":\"");
    Timestamp::from_unix_micros(tail.at).write(line);
    line.push(b'"');
    if let Some(version) = tail.marks.version {
        number(line, b",\"version\":", u64::from(version));
    }
    if tail.marks.is_removal {
        line.extend_from_slice(REMOVE);
    }
    if let Some(batch) = tail.marks.batch {
        number(line, b",\"batch\":\"", u64::from(batch.number));
        number(line, b"/", u64::from(batch.of));
        line.push(b'"');
    }
    if let Some(synced) = tail.synced {
        number(line, b",\"synced\":", synced);
    }
    if let Some((store, segment)) = tail.segment {
        line.extend_from_slice(b",\"store\":\"");
        line.extend_from_slice(store.as_bytes());
        line.push(b'"');
        number(line, b",\"segment\":", segment.0);
    }
    number(line, b",\"seq\":", tail.seq);
    debug_assert!(line.len() - tail_start + CRC_BYTES < TAIL_MAX_BYTES);
    checksum.update(line.get(tail_start..).unwrap_or_default());
    line.extend_from_slice(b",\"crc\":\"");
    let checksum = checksum.finalize();
    for shift in (0..8).rev() {
        let digit = (checksum >> (shift * 4)) & 0xf;
        line.push(char::from_digit(digit, 16).map_or(b'0', |digit| digit as u8));
    }
    line.extend_from_slice(b"\"}\n");
}

/// The body of a line that stands for the records `from..=to`, which were lost to damage.
pub(super) fn lost_body(from: u64, to: u64) -> String {
    format!(r#"{LOST}{from},"to":{to}"#)
}

fn number(line: &mut Vec<u8>, name: &[u8], mut value: u64) {
    line.extend_from_slice(name);
    let mut digits = [0_u8; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    line.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// A line whose checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    text: &'a str,
    body_bytes: usize,
    /// The line's place in the log.
    pub seq: u64,
    /// When it was written, in microseconds since 1970-01-01 UTC.
    pub at: i64,
    /// What its writer said of it.
    pub marks: Marks,
    /// In the first line of a group: the highest `seq` that was durable before the group was written.
    pub synced: Option<u64>,
    /// In the first line of a segment: the id of the store that wrote it. Not among the lines that recovery hands out.
    pub store: Option<&'a str>,
    /// In a line that bridges damage: the first of the `seq`s that were lost; the line's own is the last.
    pub lost_from: Option<u64>,
}

impl<'a> Line<'a> {
    /// Reads a line, without its newline. `None` where the checksum is wrong or the form is not ours.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let checked = bytes.len().checked_sub(CRC_BYTES)?;
        let (checked, checksum) = bytes.split_at_checked(checked)?;
        let digits = checksum.strip_prefix(b",\"crc\":\"")?.strip_suffix(b"\"}")?;
        let claimed = digits.iter().try_fold(0_u32, |sum, digit| {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            Some((sum << 4) | u32::from(value))
        })?;
        if crc32fast::hash(checked) != claimed && !planted("no-checksum") {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        // A quote inside a JSON string is escaped, so the last unescaped `,"at":"` starts the tail.
        let window_start = bytes.len().saturating_sub(TAIL_MAX_BYTES);
        let window = bytes.get(window_start..)?;
        // By its rarest letter: a general search of text from its end took 7 % of a recovery.
        let at = memchr::memrchr_iter(b'a', window)
            .find(|a| window.get(a.saturating_sub(2)..).is_some_and(|found| found.starts_with(b",\"at\":\"")))?;
        let body_bytes = window_start + at.checked_sub(2)?;
        let mut tail = Fields(text.get(body_bytes..text.len() - CRC_BYTES)?);
        let at = Timestamp::parse(tail.text("at")?)?.unix_micros();
        let version = tail.number("version").map(u32::try_from).transpose().ok()?;
        let is_removal = match tail.text("op") {
            None => false,
            Some("remove") => true,
            Some(_) => return None,
        };
        let batch = match tail.text("batch") {
            None => None,
            Some(place) => Some(BatchPlace::parse(place)?),
        };
        let marks = Marks { version, is_removal, batch };
        let synced = tail.number("synced");
        let store = tail.text("store");
        tail.number("segment");
        let seq = tail.number("seq").filter(|seq| *seq < u64::MAX)?;
        if !tail.0.is_empty() {
            return None;
        }
        let lost_from = match text.strip_prefix(LOST) {
            None => None,
            Some(rest) => match leading_number(rest)? {
                (from, _) if from <= seq => Some(from),
                _ => return None,
            },
        };
        Some(Self { text, body_bytes, seq, at, marks, synced, store, lost_from })
    }

    /// The line at a place, without its newline, which [`Line::parse`] read before.
    pub(super) fn checked(bytes: &'a [u8], place: &Place) -> Option<Self> {
        Some(Self {
            text: std::str::from_utf8(bytes).ok()?,
            body_bytes: place.body_bytes,
            seq: place.seq,
            at: place.at,
            marks: place.marks,
            synced: place.synced,
            store: None,
            lost_from: place.is_bridge.then_some(place.from),
        })
    }

    /// The whole line: a JSON object.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The caller's part of the line: a JSON object without its closing brace.
    pub fn body(&self) -> &'a str {
        self.text.get(..self.body_bytes).unwrap_or_default()
    }

    /// Whether both lines say the same of the same record, wherever in a segment they stand.
    pub(super) fn same_record(&self, other: &Self) -> bool {
        self.seq == other.seq && self.at == other.at && self.marks == other.marks && self.body() == other.body()
    }

    /// The tail this line has anywhere but at the start of a group or segment.
    pub(super) fn tail(&self) -> Tail<'static> {
        Tail { at: self.at, marks: self.marks, synced: None, segment: None, seq: self.seq }
    }
}

/// The `seq` that a text ends with as a line does, whatever its checksum says.
pub(super) fn claimed_seq(text: &[u8]) -> Option<u64> {
    let (text, checksum) = text.split_at_checked(text.len().checked_sub(CRC_BYTES)?)?;
    if !checksum.starts_with(b",\"crc\":\"") || !checksum.ends_with(b"\"}") {
        return None;
    }
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (text, digits) = text.split_at_checked(text.len() - digits)?;
    text.ends_with(b",\"seq\":").then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

/// The fields of a tail that are still to be read.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn named(&self, name: &str) -> Option<&'a str> {
        self.0.strip_prefix(",\"")?.strip_prefix(name)?.strip_prefix("\":")
    }

    fn text(&mut self, name: &str) -> Option<&'a str> {
        let (text, rest) = self.named(name)?.strip_prefix('"')?.split_once('"')?;
        // None of ours is escaped: to another reader of JSON the line would say something else.
        if text.bytes().any(|byte| byte == b'\\' || byte < b' ') {
            return None;
        }
        self.0 = rest;
        Some(text)
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        let (number, rest) = leading_number(self.named(name)?)?;
        self.0 = rest;
        Some(number)
    }
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(body: &str, tail: &Tail<'_>) -> Vec<u8> {
        let mut line = body.as_bytes().to_vec();
        let mut checksum = Hasher::new();
        checksum.update(body.as_bytes());
        finish(&mut line, checksum, tail);
        assert_eq!(line.pop(), Some(b'\n'));
        line
    }

    const FULL: Tail<'static> = Tail {
        at: 1_736_937_000_123_456,
        marks: Marks { version: Some(3), is_removal: true, batch: Some(BatchPlace { number: 2, of: 10 }) },
        synced: Some(41),
        segment: Some(("00ff", SegmentId(7))),
        seq: 42,
    };

    #[test]
    fn a_line_is_json_with_our_fields_last_and_reads_back() {
        let body = r#"{"key":"a,\"at\":\"b","data":{"at":"x","seq":1}"#;
        let bytes = encode(body, &FULL);
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.contains(r#","seq":42,"crc":""#), "{text}");
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["at"], "2025-01-15T10:30:00.123456+00:00");
        assert_eq!((&json["version"], &json["segment"], &json["synced"]), (&3.into(), &7.into(), &41.into()));
        let line = Line::parse(&bytes).unwrap();
        assert_eq!(line.body(), body);
        assert_eq!((line.seq, line.at, line.marks), (42, FULL.at, FULL.marks));
        assert_eq!((&json["op"], &json["batch"]), (&"remove".into(), &"2/10".into()));
        assert_eq!((line.synced, line.store, line.lost_from), (Some(41), Some("00ff"), None));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let bytes = encode(r#"{"key":"k","data":{}"#, &FULL);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Line::parse(&damaged), None, "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert_eq!(Line::parse(&bytes[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_bridge_over_damage_says_what_it_spans() {
        let bytes = encode(&lost_body(12, 15), &Tail { at: 0, seq: 15, ..Tail::default() });
        let line = Line::parse(&bytes).unwrap();
        assert_eq!((line.lost_from, line.seq), (Some(12), 15));
    }

    #[test]
    fn the_largest_tail_fits_its_bound() {
        let id = "f".repeat(32);
        let tail = Tail {
            at: 253_402_300_799_999_999,
            marks: Marks {
                version: Some(u32::MAX),
                is_removal: true,
                batch: Some(BatchPlace { number: u32::MAX, of: u32::MAX }),
            },
            synced: Some(u64::MAX),
            segment: Some((&id, SegmentId(u64::MAX))),
            seq: u64::MAX,
        };
        let bytes = encode("{\"key\":\"k\"", &tail);
        assert!(bytes.len() - 10 < TAIL_MAX_BYTES, "{}", bytes.len());
        assert_eq!(Line::parse(&bytes), None, "there is no seq for the next line");
        let bytes = encode("{\"key\":\"k\"", &Tail { seq: u64::MAX - 1, ..tail });
        assert_eq!(Line::parse(&bytes).unwrap().seq, u64::MAX - 1);
    }

    #[test]
    fn the_lines_in_the_description_of_the_format_are_lines() {
        let text = include_str!("../../../../docs/format.md");
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("{\"key\"")).collect();
        let seqs: Vec<_> = lines.iter().map(|line| Line::parse(line.as_bytes()).map(|line| line.seq)).collect();
        assert_eq!(seqs, [Some(1), Some(2), Some(3)]);
    }
}
