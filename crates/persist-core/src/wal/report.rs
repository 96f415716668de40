//! What recovery found and did, for the operator.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What recovery does about damage. A torn tail, which every crash may leave, is cut under each policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RecoveryPolicy {
    /// Refuses to open, with an error that names the file, the line and the offset. Nothing is changed.
    #[default]
    Strict,
    /// Takes every good line, before and after the damage, and notes in the log which were lost.
    Salvage,
    /// Takes what stands before the first damage and leaves out everything after it.
    TruncateTail,
}

/// What recovery found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Segments that were read.
    pub segments: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// Everything up to this `seq` was in DuckDB already.
    pub watermark: u64,
    /// Records that were replayed.
    pub records: u64,
    /// Records that were passed over, because they are at or below the watermark or stand in two segments.
    pub skipped: u64,
    /// Every stretch that was left out.
    pub left_out: Vec<LeftOut>,
    /// The `seq`s that were lost to damage, first and last; they are noted in the log.
    pub lost: Vec<(u64, u64)>,
    /// Of a folder of the Python original that was taken over: rows of its database that an id had besides its newest.
    pub doubled: u64,
    /// The records that could not be kept as they were, each with its place and what was changed: of such a folder, and of a
    /// table database those that gave way to a later one, as what removed them was lost.
    pub changed: Vec<String>,
    /// How long reading and checking took.
    pub elapsed: Duration,
}

impl RecoveryReport {
    /// The bytes in all stretches that were left out.
    pub fn bytes_left_out(&self) -> u64 {
        self.left_out.iter().map(|stretch| stretch.bytes).sum()
    }

    #[cfg(feature = "duckdb")]
    /// Adds what a takeover found before the log was recovered.
    pub(crate) fn add_takeover(&mut self, mut takeover: Self) {
        self.segments += takeover.segments;
        self.bytes += takeover.bytes;
        self.records += takeover.records;
        self.doubled += takeover.doubled;
        self.left_out.append(&mut takeover.left_out);
        self.changed.append(&mut takeover.changed);
    }

    /// Whether anything was damaged, beyond the torn tail that any crash may leave.
    pub fn is_damaged(&self) -> bool {
        !self.lost.is_empty() || self.left_out.iter().any(|stretch| stretch.cause == Cause::Damaged)
    }
}

/// A stretch of a segment that recovery left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The segment.
    pub file: PathBuf,
    /// The line, from 1, blank ones counted.
    pub line: usize,
    /// Where the stretch starts, in bytes.
    pub offset: u64,
    /// Its length in bytes, without the fill after it.
    pub bytes: u64,
    /// Why it was left out.
    pub cause: Cause,
    /// Where its bytes are kept; `None` where they are superfluous, and go with the segment when their time comes.
    pub kept_as: Option<PathBuf>,
}

/// Why recovery left something out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The end of the log, written while the machine stopped. No acknowledged durable record is in it, unless the very
    /// last group was damaged in a way that looks like a tear.
    Torn,
    /// It was whole once.
    Damaged,
    /// Nothing in it was needed: a flush had its records already, they stand elsewhere too, or they were written under
    /// an ancestor's id after this store went its own way.
    Superfluous,
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} records replayed after seq {}, {} passed over, from {} segments ({} bytes) in {:?}",
            self.records, self.watermark, self.skipped, self.segments, self.bytes, self.elapsed
        )?;
        for (from, to) in &self.lost {
            write!(f, "; lost: seq {from} to {to}")?;
        }
        for stretch in &self.left_out {
            write!(
                f,
                "; left out: {} bytes at offset {} (line {}) of {} ({:?})",
                stretch.bytes,
                stretch.offset,
                stretch.line,
                stretch.file.display(),
                stretch.cause
            )?;
        }
        if self.doubled > 0 {
            write!(f, "; {} older rows of doubled ids passed over", self.doubled)?;
        }
        for change in &self.changed {
            write!(f, "; changed: {change}")?;
        }
        Ok(())
    }
}
