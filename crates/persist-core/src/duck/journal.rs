//! What a checkpoint of DuckDB writes over, kept beside until the checkpoint is done.
//!
//! DuckDB keeps what its last checkpoint needs, with one exception: a block of metadata, 256 KiB in 64 parts, is written
//! again in place when one of its free parts is filled. If the process is killed or the power fails within that write,
//! the parts in use are still the old ones, but the block's checksum is wrong, and the file can't be opened any more.
//! (Seen in the kill test.) So before a checkpoint these blocks are copied into `{path}.journal`.
//! If the checkpoint was not finished, which the file's headers tell, they are put back before the file is opened.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::{Access, File, Fs, is_there, read, read_range, remove_if_there, replace, suffixed, write_all_at};

const MAGIC: &[u8; 16] = b"persist journal1";
const HEADER_BYTES: usize = 4096;
/// One header of the file, and two of the database, of which the one with the higher count holds.
const HEADERS_BYTES: u64 = 3 * HEADER_BYTES as u64;
/// Where a database's header has its count, and the size of blocks: after a checksum, each of 8 bytes.
const COUNT_AT: usize = 8;
const BLOCK_BYTES_AT: usize = 40;
/// DuckDB has blocks from 16 KiB to 256 KiB.
const MAX_BLOCK_BYTES: u64 = 1 << 20;

/// The journal of a database file.
pub(super) fn journal(path: &Path) -> PathBuf {
    suffixed(path, ".journal")
}

/// Whether a checkpoint was begun since the file was last closed.
pub(super) fn is_begun(fs: &dyn Fs, path: &Path) -> Result<bool> {
    is_there(fs, &journal(path))
}

/// Removes the journal of a file that is closed, with nothing under way.
pub(crate) fn remove_journal(fs: &dyn Fs, path: &Path) -> Result<()> {
    remove_if_there(fs, &journal(path))
}

/// Copies these blocks of a database file into its journal, durably. `file` was opened before DuckDB opened it, and is
/// closed after: closing any other would take DuckDB's lock away.
///
/// # Errors
/// [`Io`](crate::ErrorKind::Io): there is no new journal, and a checkpoint is not to begin.
pub(super) fn write(fs: &dyn Fs, path: &Path, file: &dyn File, blocks: &[u64]) -> Result<()> {
    let failed = |error| Error::io("cannot read", path, error);
    let headers = read_range(file, 0, HEADERS_BYTES).map_err(failed)?;
    let size = Headers(&headers).block_bytes();
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&headers);
    for block in blocks {
        bytes.extend_from_slice(&block.to_le_bytes());
        bytes.extend_from_slice(&read_range(file, place(*block, size), size).map_err(failed)?);
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    replace(fs, &journal(path), &bytes)
}

/// Puts back what a checkpoint has written over that was not finished. Answers whether there was one. The file is closed.
///
/// # Errors
/// [`Io`](crate::ErrorKind::Io): start over.
pub(super) fn roll_back_checkpoint(fs: &dyn Fs, path: &Path) -> Result<bool> {
    let journal = journal(path);
    if !is_there(fs, &journal)? || !is_there(fs, path)? {
        return Ok(false);
    }
    let bytes = read(fs, &journal).map_err(|error| Error::io("cannot read", &journal, error))?;
    let Some((kept, blocks)) = parse(&bytes) else {
        tracing::warn!(journal = %journal.display(), "the journal is not whole and is passed over");
        return Ok(false);
    };
    let failed = |error| Error::io("cannot put back", path, error);
    let file = fs.open(path, Access::Write).map_err(failed)?;
    let present = read_range(file.as_ref(), 0, HEADERS_BYTES).map_err(failed)?;
    if !Headers(kept).is_unfinished(&Headers(&present)) {
        return Ok(false);
    }
    let size = Headers(kept).block_bytes();
    for block in blocks.chunks_exact(8 + size as usize) {
        let (number, text) = block.split_at(8);
        write_all_at(file.as_ref(), place(number_at(number, 0), size), text).map_err(failed)?;
    }
    write_all_at(file.as_ref(), 0, kept).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    tracing::info!(database = %path.display(), "put back what an unfinished checkpoint had written over");
    Ok(true)
}

/// The headers and the blocks of a journal that is whole.
fn parse(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bytes, crc) = bytes.split_last_chunk::<4>()?;
    let blocks = bytes.strip_prefix(MAGIC).filter(|_| crc32fast::hash(bytes) == u32::from_le_bytes(*crc))?;
    let (headers, blocks) = blocks.split_at_checked(HEADERS_BYTES as usize)?;
    let size = Headers(headers).block_bytes();
    ((1..=MAX_BLOCK_BYTES).contains(&size) && blocks.len().is_multiple_of(8 + size as usize))
        .then_some((headers, blocks))
}

/// The headers of a database file.
struct Headers<'a>(&'a [u8]);

impl Headers<'_> {
    /// One of the two that take turns.
    fn database(&self, turn: usize) -> &[u8] {
        self.0.get((turn + 1) * HEADER_BYTES..(turn + 2) * HEADER_BYTES).unwrap_or_default()
    }

    fn count(&self, turn: usize) -> u64 {
        number_at(self.database(turn), COUNT_AT)
    }

    /// Which of the two holds.
    fn present(&self) -> usize {
        usize::from(self.count(1) > self.count(0))
    }

    fn block_bytes(&self) -> u64 {
        number_at(self.database(self.present()), BLOCK_BYTES_AT).min(MAX_BLOCK_BYTES + 1)
    }

    /// Whether the checkpoint that began with these headers has not come to its end, which is a header with the next
    /// count in place of the one that does not hold. Headers that have become others are those of another file.
    fn is_unfinished(&self, now: &Self) -> bool {
        let holds = self.present();
        let same =
            self.0.get(..HEADER_BYTES) == now.0.get(..HEADER_BYTES) && self.database(holds) == now.database(holds);
        same && now.count(1 - holds) != self.count(holds) + 1
    }
}

/// Where a block stands. A journal that names one where no file reaches is none of ours, and what it names is not there.
fn place(block: u64, block_bytes: u64) -> u64 {
    block.saturating_mul(block_bytes).saturating_add(HEADERS_BYTES)
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
