//! How far flushes, merges and checkpoints have come, as the store tells it.

use std::ops::DerefMut;
use std::time::Duration;

use crate::sync::Mutex;

/// The figures, shared by all threads.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Figures>);

impl Progress {
    /// Where a store begins.
    pub fn new(figures: Figures) -> Self {
        Self(Mutex::new(figures))
    }

    /// The figures, to be read or changed; to be held for a few instructions.
    pub fn lock(&self) -> impl DerefMut<Target = Figures> + '_ {
        self.0.lock()
    }
}

/// What only the engine's threads change.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Up to this `seq` everything is committed in the database.
    pub watermark: u64,
    /// Up to this `seq` everything is in its main file for certain.
    pub checkpointed: u64,
    /// The rows of the main table.
    pub base_rows: u64,
    /// The rows that wait for a merge.
    pub delta_rows: u64,
    /// Rows that were flushed since the opening.
    pub flushed_rows: u64,
    /// Rows that were merged since the opening.
    pub merged_rows: u64,
    /// Rows of the main table that merges wrote once more since the opening.
    pub rewritten_rows: u64,
    /// The last `seq` in the newest usable backup in the log's folders.
    pub newest_backup: Option<u64>,
    /// How long the last flush took.
    pub last_flush: Option<Duration>,
    /// Why it failed, if it did.
    pub last_flush_error: Option<String>,
    /// Why the last checkpoint that was due failed, if it did.
    pub last_maintenance_error: Option<String>,
}
