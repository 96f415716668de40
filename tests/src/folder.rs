//! Folders for cases.

use std::path::Path;

use tempfile::TempDir;

/// A file system in memory, where Linux has one.
const MEMORY: &str = "/dev/shm";

/// A folder of no disk, if there is such a file system: for cases whose crash is a copy of the folder, or which crash nothing.
/// What a sync takes on a disk would be a third of their time, and nothing of what they show rests on it.
pub(crate) fn in_memory() -> Result<TempDir, String> {
    let place = Path::new(MEMORY);
    let in_memory = if place.is_dir() { TempDir::new_in(place).ok() } else { None };
    in_memory.map_or_else(on_disk, Ok)
}

/// A folder where the system has such: for processes that are killed while the disk takes its time.
pub(crate) fn on_disk() -> Result<TempDir, String> {
    tempfile::tempdir().map_err(|error| error.to_string())
}
