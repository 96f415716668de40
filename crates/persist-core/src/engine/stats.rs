//! The figures of a store.

use std::time::Duration;

use serde::Serialize;

/// The figures of a store at one moment.
///
/// The first seven are those of the specifications, under their names.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Records in memory.
    pub cache_size: usize,
    /// Writes that are not flushed into DuckDB yet.
    pub pending_writes: usize,
    /// Bytes in the segment of the log that takes lines now.
    pub current_wal_size: u64,
    /// Lines in that segment.
    pub current_wal_count: u64,
    /// Segments on the disk.
    pub wal_files_count: usize,
    /// The number of the segment that takes lines now.
    pub wal_sequence: u64,
    /// Writes that the main table itself does not have yet: not flushed, or not merged.
    pub modified_records: u64,

    /// Ids that were removed and whose version is remembered, until they are forgotten.
    pub removed_ids: usize,
    /// Bytes that wait to be flushed, roughly.
    pub unflushed_bytes: u64,
    /// How long the oldest unflushed write has been waiting.
    pub unflushed_age: Option<Duration>,
    /// How long the last flush took.
    pub last_flush: Option<Duration>,
    /// Why the last flush failed, until one succeeds.
    pub last_flush_error: Option<String>,
    /// Why the last merge or checkpoint that was due failed, until one succeeds. The log and memory keep what no checkpoint
    /// covers meanwhile, up to some bound; beyond it writes are [`Busy`](crate::ErrorKind::Busy).
    pub last_maintenance_error: Option<String>,
    /// The `seq` of the newest write.
    pub last_seq: u64,
    /// The highest `seq` that is known to be durable in the log.
    pub durable_seq: u64,
    /// Everything up to this `seq` is committed in DuckDB.
    pub watermark: u64,
    /// Everything up to this `seq` is in DuckDB's main file for certain; the log before it is not needed any more.
    pub checkpointed_seq: u64,
    /// Flushed segments of the log that are kept all the same, for subscribers or because no backup has them.
    pub kept_segments: usize,
    /// Bytes of those on the disk.
    pub kept_bytes: u64,
    /// The `seq` of the newest record in the newest backup that the store has made by itself, where it does so.
    pub newest_backup_seq: Option<u64>,
    /// Rows in the main table. Those that a query took out because newer ones hide them count until the next merge.
    pub base_rows: u64,
    /// Rows that were flushed and not merged into the main table yet; likewise.
    pub delta_rows: u64,
    /// Rows that flushes have appended since the store was opened.
    pub flushed_rows: u64,
    /// Rows that merges have moved into the main table since the store was opened.
    pub merged_rows: u64,
    /// Rows of the main table that those merges wrote once more, to keep them in order.
    pub rewritten_rows: u64,
    /// Writes since the store was opened.
    pub writes: u64,
    /// Syncs of the log since the store was opened.
    pub syncs: u64,
    /// Why the store takes no more writes, if it does not.
    pub refuses_writes: Option<String>,
}
