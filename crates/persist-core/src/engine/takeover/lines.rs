//! The original's segments: one JSON object a line, without `seq` and `crc`, in the order of files and lines.

use std::path::Path;

use super::mend::{Changes, Members, strict};
use crate::data::unescape;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, Fs};
use crate::keys;
use crate::timestamp::Timestamp;
use crate::wal::{Cause, LeftOut, RecoveryPolicy, RecoveryReport, SegmentId};

/// A write as a line says it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) key: String,
    /// The fields of the part, in the model's order.
    pub(super) part: Vec<Option<String>>,
    /// Python's JSON, made strict.
    pub(super) data: String,
    pub(super) username: Option<String>,
    pub(super) timestamp: Option<Timestamp>,
}

/// Reads the segments of a folder into `each`, with the place of the line. What was changed in it is reported.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) with file, line and offset under the strict policy, for a line that is broken and not
/// the log's last; [`Config`](ErrorKind::Config) for a log of persist; what `each` answers.
pub(super) fn read(
    fs: &dyn Fs,
    dir: &Path,
    segments: &[SegmentId],
    parts: &[&str],
    policy: RecoveryPolicy,
    report: &mut RecoveryReport,
    each: &mut dyn FnMut(Written, &str, &mut Changes) -> Result<()>,
) -> Result<()> {
    let mut cut = false;
    for (n, segment) in segments.iter().enumerate() {
        let file = dir.join(segment.to_string());
        let bytes = fs::read(fs, &file).map_err(|error| Error::io("cannot read", &file, error))?;
        report.segments += 1;
        report.bytes += bytes.len() as u64;
        let last_segment = n + 1 == segments.len();
        let end = bytes.iter().rposition(|byte| !is_fill(*byte)).map_or(0, |last| last + 1);
        let mut offset = 0;
        for (line, text) in bytes.get(..end).unwrap_or_default().split(|byte| *byte == b'\n').enumerate() {
            let (start, line) = (offset, line + 1);
            offset += text.len() + 1;
            if text.iter().all(|byte| is_fill(*byte)) {
                continue;
            }
            let place = format!("{}, line {line}", file.display());
            let mut changes = Changes::default();
            let written = if cut { None } else { parse(text, parts, &place, &mut changes)? };
            if let Some(written) = written {
                report.records += 1;
                each(written, &place, &mut changes)?;
                changes.report(&place, report);
                continue;
            }
            let torn = !cut && last_segment && offset > end;
            match policy {
                _ if torn => {}
                RecoveryPolicy::Strict => {
                    let message = format!("{place}, offset {start}, is no line that the Python original writes");
                    return Err(Error::new(ErrorKind::Corrupt, message));
                }
                RecoveryPolicy::Salvage => {}
                RecoveryPolicy::TruncateTail => cut = true,
            }
            report.left_out.push(LeftOut {
                file: file.clone(),
                line,
                offset: start as u64,
                bytes: text.len() as u64,
                cause: if torn { Cause::Torn } else { Cause::Damaged },
                kept_as: Some(super::steps::kept(&file)),
            });
        }
    }
    Ok(())
}

/// What may stand between lines, or in place of bytes that a power cut kept off the disk.
fn is_fill(byte: u8) -> bool {
    byte == 0 || byte.is_ascii_whitespace()
}

/// `None` for a line that is broken.
fn parse(line: &[u8], parts: &[&str], place: &str, changes: &mut Changes) -> Result<Option<Written>> {
    let Ok(text) = std::str::from_utf8(line) else { return Ok(None) };
    let text = strict(text.trim(), changes);
    let Some(members) = Members::of(&text) else { return Ok(None) };
    if members.get("crc").is_some() && members.get("seq").is_some() {
        let message =
            format!("{place} is of a log of persist, but its folder has no store.json and another's database");
        return Err(Error::config(message));
    }
    let field = |name: &str| members.get(name).map(plain_text);
    let (Some(key), Some(data)) = (field("key"), members.get("data").filter(|data| data.starts_with('{'))) else {
        return Ok(None);
    };
    Ok(Some(Written {
        key,
        part: parts.iter().map(|name| field(name)).collect(),
        data: data.to_owned(),
        username: field(keys::USERNAME),
        timestamp: field(keys::TIMESTAMP).and_then(|text| Timestamp::parse(&text)),
    }))
}

/// What a value says as text, as DuckDB casts it for the original: 7 becomes "7".
fn plain_text(value: &str) -> String {
    unescape(value).map_or_else(|| value.to_owned(), |text| text.into_owned())
}
