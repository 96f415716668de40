//! A checkpoint that is cut off within its writes over blocks in use: put back before the file is opened again.

use std::fs;

use tempfile::TempDir;

use super::super::journal::journal;
use super::*;

const BLOCK: usize = 256 * 1024;
const FIRST_BLOCK: usize = 3 * 4096;

/// A database with one checkpoint and further flushes, and the bytes of its file before and after the next checkpoint.
struct Cut {
    _dir: TempDir,
    path: PathBuf,
    before: Vec<u8>,
    after: Vec<u8>,
    journal: Vec<u8>,
    first: BTreeMap<Id, (String, u32)>,
    second: BTreeMap<Id, (String, u32)>,
}

impl Cut {
    fn new() -> Self {
        let (dir, database, mut appender) = new_database();
        let path = dir.path().join("data.duckdb");
        let records: Vec<_> = (1..=3000).map(|seq| numbered(seq, seq)).collect();
        appender.append(&records[..2000], 2000, AT).unwrap();
        assert!(database.checkpoint(&Disk).unwrap());
        // Further, small ones: from now on the metadata is written over in place.
        for seq in 2001..=2005 {
            appender.append(&records[seq - 1..seq], seq as u64, AT).unwrap();
            assert!(database.checkpoint(&Disk).unwrap());
        }
        let first = loaded(&database);
        appender.append(&records[2005..], 3000, AT).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(database.checkpoint(&Disk).unwrap());
        let second = loaded(&database);
        let (after, journal) = (fs::read(&path).unwrap(), fs::read(journal(&path)).unwrap());
        drop((appender, database));
        Self { _dir: dir, path, before, after, journal, first, second }
    }

    /// Opens what is left when the checkpoint has written this much of the file and no more.
    fn open(&self, bytes: &[u8]) -> BTreeMap<Id, (String, u32)> {
        fs::write(&self.path, bytes).unwrap();
        fs::write(journal(&self.path), &self.journal).unwrap();
        for log in crate::duck::own_logs(&self.path) {
            let _ = fs::remove_file(log);
        }
        loaded(&reopen(&self.path))
    }

    /// The file with its blocks as after the checkpoint up to `until`, its headers as before.
    fn torn(&self, until: usize) -> Vec<u8> {
        let mut bytes = self.after.clone();
        let end = until.min(self.before.len());
        bytes[end..self.before.len()].copy_from_slice(&self.before[end..]);
        bytes[..FIRST_BLOCK].copy_from_slice(&self.before[..FIRST_BLOCK]);
        bytes
    }
}

#[test]
fn a_checkpoint_cut_off_anywhere_is_as_if_it_had_not_begun() {
    let cut = Cut::new();
    let overwritten = (0..cut.before.len() / BLOCK).filter(|block| {
        let range = FIRST_BLOCK + block * BLOCK..(FIRST_BLOCK + (block + 1) * BLOCK).min(cut.before.len());
        cut.before[range.clone()] != cut.after[range]
    });
    let overwritten: Vec<usize> = overwritten.collect();
    assert!(!overwritten.is_empty(), "no block was written over: the test shows nothing");
    let mut refused = 0;
    for block in overwritten {
        let start = FIRST_BLOCK + block * BLOCK;
        for until in [start + 8, start + 512, start + 4096, start + BLOCK / 2, start + BLOCK - 4096, start + BLOCK] {
            let torn = cut.torn(until);
            assert_eq!(cut.open(&torn), cut.first, "block {block}, cut at {until}");
            // Without the journal DuckDB refuses it, somewhere: that is what it is for.
            fs::write(&cut.path, &torn).unwrap();
            fs::remove_file(journal(&cut.path)).unwrap();
            refused +=
                usize::from(Database::open(&Disk, &cut.path, &Table::of::<Dated>(ExtraSchema::default())).is_err());
        }
    }
    assert!(refused > 0, "DuckDB opens every torn file: the journal is not needed any more");
}

#[test]
fn a_checkpoint_that_ended_is_not_put_back() {
    let cut = Cut::new();
    assert_eq!(cut.open(&cut.after), cut.second);
    assert_eq!(cut.open(&cut.before), cut.first);
}

#[test]
fn a_journal_that_is_torn_or_of_another_file_is_passed_over() {
    let mut cut = Cut::new();
    let whole = std::mem::take(&mut cut.journal);
    for end in [0, 10, 5000, whole.len() - 1] {
        cut.journal = whole[..end].to_vec();
        assert_eq!(cut.open(&cut.after), cut.second);
    }
    cut.journal.clone_from(&whole);
    cut.journal[20_000] ^= 1;
    assert_eq!(cut.open(&cut.before), cut.first);
    // Of another checkpoint of the file.
    fs::write(&cut.path, &cut.after).unwrap();
    let database = reopen(&cut.path);
    assert!(database.checkpoint(&Disk).unwrap() && database.checkpoint(&Disk).unwrap());
    drop(database);
    let later = fs::read(&cut.path).unwrap();
    cut.journal = whole;
    assert_eq!(cut.open(&later), cut.second);
    assert_eq!(fs::read(&cut.path).unwrap()[FIRST_BLOCK..], later[FIRST_BLOCK..]);
}

#[test]
fn a_closed_file_has_no_journal() {
    let (dir, database, appender) = new_database();
    let path = dir.path().join("data.duckdb");
    assert!(database.checkpoint(&Disk).unwrap());
    assert!(journal(&path).exists());
    drop(appender);
    database.close(&Disk).unwrap();
    assert!(!journal(&path).exists());
}
