//! Each rule that [`super`] tells, shown over many seeds: what must not happen never does, what may happen does.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use persist_core::fs::{self, Access, File, Fs};

use super::SimFs;

mod bytes;
mod faults;
mod names;
mod worlds;

const SEEDS: u64 = 400;

fn p(path: &str) -> &Path {
    Path::new(path)
}

/// Creates a file with a durable name and these bytes, unsynced.
fn create(fs: &SimFs, path: &str, bytes: &[u8]) -> Box<dyn File> {
    let file = fs.open(p(path), Access::CreateNew).unwrap();
    fs::sync_dir_of(fs, p(path)).unwrap();
    fs::write_all_at(file.as_ref(), 0, bytes).unwrap();
    file
}

/// A file whose name and bytes are durable.
fn durable(fs: &SimFs, path: &str, bytes: &[u8]) -> Box<dyn File> {
    let file = create(fs, path, bytes);
    file.sync_all().unwrap();
    file
}

/// What a file holds after each of many power cuts.
fn cuts(fs: &SimFs, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..SEEDS).map(|seed| fs.power_cut(seed).read_file(path)).collect()
}

/// The names of all files after each of many power cuts, and how often each set was seen.
fn names(fs: &SimFs) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    for seed in 0..SEEDS {
        let files = fs.power_cut(seed).files();
        let files: Vec<&str> = files.iter().filter_map(|path| path.to_str()).collect();
        *seen.entry(files.join(" ")).or_default() += 1;
    }
    seen
}

fn name_sets(fs: &SimFs) -> Vec<String> {
    names(fs).into_keys().collect()
}

fn code<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}
