//! Reading the log with nothing of recovery's care: each line read, its checksum compared, its envelope parsed, the
//! record put into a map, on all cores.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::{DefaultHashBuilder, HashMap};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::map::Entry;
use crate::Result;

const CRC_BYTES: usize = 18;
const SHARDS: usize = 64;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
    seq: u64,
}

type Shards = Vec<Mutex<HashMap<String, Arc<Entry>>>>;

/// Reads all segments in a folder and answers how many records they hold.
pub(crate) fn replay(dir: &Path) -> Result<u64> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            paths.push(path);
        }
    }
    let hasher = DefaultHashBuilder::default();
    let shards: Shards = (0..SHARDS).map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            read(&std::fs::read(path)?, &hasher, &shards)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<()> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        work()?;
        for other in others {
            other.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })?;
    let count = shards.iter().map(|shard| shard.lock().len() as u64).sum();
    // As the process that recovers goes on to serve, so does this one end: freeing is not part of it.
    std::mem::forget(shards);
    Ok(count)
}

fn read(bytes: &[u8], hasher: &DefaultHashBuilder, shards: &Shards) -> Result<()> {
    let mut rest = bytes;
    while let Some(length) = memchr::memchr(b'\n', rest) {
        let (line, after) = rest.split_at(length);
        rest = after.get(1..).unwrap_or_default();
        let Some((checked, checksum)) = line.split_last_chunk::<CRC_BYTES>() else { continue };
        let claimed = checksum.get(8..16).and_then(|digits| std::str::from_utf8(digits).ok());
        let claimed = claimed.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if claimed != Some(crc32fast::hash(checked)) {
            return Err("a checksum is wrong".into());
        }
        let envelope: Envelope<'_> = serde_json::from_slice(line)?;
        let entry = Arc::new(Entry { data: envelope.data.get().into(), seq: envelope.seq });
        let hash = std::hash::BuildHasher::hash_one(hasher, envelope.key.as_ref());
        let Some(shard) = shards.get(hash as usize % SHARDS) else { continue };
        let mut shard = shard.lock();
        match shard.get_mut(envelope.key.as_ref()) {
            Some(present) if present.seq > entry.seq => {}
            Some(present) => *present = entry,
            None => _ = shard.insert(envelope.key.into_owned(), entry),
        }
    }
    Ok(())
}
