//! What a store finds in its folder besides its log: locks, its identity, DuckDB's journal, backups.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use persist_core::lock::Lock;
use persist_core::{Backup, Column, Engine, ErrorKind, Location, Model, Options, Source};
use persist_test_utils::SimFs;
use tempfile::TempDir;

use crate::memory::{Uncounted, bounded};

/// Records that are told apart by their key alone.
#[derive(Debug)]
struct Plain;

impl Model for Plain {
    type Part = ();
    type Value = ();
    const PART_FIELDS: &'static [&'static str] = &[];
    const TABLE: &'static str = "storage";
    const COLUMNS: &'static [Column] =
        &[Column { name: "key", source: Source::Key }, Column { name: "data", source: Source::Data }];

    fn part_text(_: &(), _: usize) -> Option<&str> {
        None
    }

    fn part_from(_: &[Option<&str>]) {}
}

const STORE: &str = "00112233445566778899aabbccddeeff";

thread_local! {
    /// A real folder: locks are real files.
    static FOLDER: TempDir = tempfile::tempdir().unwrap();
}

fn real_folder() -> PathBuf {
    FOLDER.with(|folder| folder.path().to_owned())
}

/// Whatever is in a lock file, who holds it is told as far as it goes, and who does not is in nobody's way.
pub(crate) fn lock(input: &[u8]) {
    let path = real_folder().join("lock");
    let held = Lock::acquire(&path, "store").unwrap();
    std::fs::write(&path, input).unwrap();
    let error = bounded(input.len(), || Lock::acquire(&path, "other")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().len() < 4096, "the error repeats the file");
    drop(held);
    std::fs::write(&path, input).unwrap();
    let lock = bounded(input.len(), || Lock::acquire(&path, "next")).unwrap();
    let told = std::fs::read_to_string(&path).unwrap();
    assert!(told.starts_with(&format!("pid {} ", std::process::id())) && told.ends_with(", next\n"), "{told}");
    drop(lock);
}

/// A manifest says what a backup's files have to be, and none of a folder that has them not is believed.
pub(crate) fn manifest(input: &[u8]) {
    let fs = SimFs::new();
    fs.write_file("/backup/manifest.json", input);
    let mut options = Options::default();
    options.fs = Arc::new(Uncounted::new(&fs));
    let read = bounded(input.len(), || Engine::<Plain>::verify_backup(Path::new("/backup"), &options));
    let error = read.expect_err("there is no such file");
    assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Corrupt | ErrorKind::Io), "{error}");
    assert_eq!(fs.files(), [PathBuf::from("/backup/manifest.json")], "reading a backup changed something");
    if let Ok(backup) = serde_json::from_slice::<Backup>(input) {
        let written = serde_json::to_vec_pretty(&backup).unwrap();
        assert_eq!(serde_json::from_slice::<Backup>(&written).unwrap(), backup);
    }
}

/// A folder with any `store.json` is refused, without a database, and nothing is changed.
pub(crate) fn identity(input: &[u8]) {
    let dir = real_folder();
    let sim = SimFs::new();
    sim.write_file(dir.join("store.json"), input);
    let error = open(&dir, Uncounted::new(&sim), input.len());
    assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Corrupt), "{error}");
    assert_eq!(sim.read_file(dir.join("store.json")).as_deref(), Some(input));
    if error.to_string().contains("is missing") {
        // It would have been opened: what is written then has to be accepted at the next opening.
        let said: serde_json::Value = serde_json::from_slice(input).unwrap();
        let present = said["lineage"].as_array().and_then(|lineage| lineage.last()).expect("a lineage");
        assert!(present["store"] == said["id"] && present["last_seq"].is_null(), "{error}");
    }
}

fn identity_of(store: &str) -> String {
    format!(r#"{{"format":1,"id":"{store}","lineage":[{{"store":"{store}","last_seq":null}}]}}"#)
}

/// The journal of a checkpoint of DuckDB is put back, or passed over.
pub(crate) fn journal(input: &[u8]) {
    const MAGIC: usize = 16;
    const HEADERS: usize = 3 * 4096;
    let dir = real_folder();
    let sim = SimFs::new();
    let mut database = input.get(MAGIC..).unwrap_or_default().to_vec();
    database.resize(HEADERS + 4096, 7);
    sim.write_file(dir.join("store.json"), identity_of(STORE));
    sim.write_file(dir.join("data.duckdb"), &database);
    sim.write_file(dir.join("data.duckdb.journal"), input);
    // Put back or not, DuckDB does not get to see it: it reads real files alone.
    let fs = Uncounted::new(&sim).without_reading(dir.join("data.duckdb"));
    let error = open(&dir, fs, input.len());
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert_eq!(sim.read_file(dir.join("data.duckdb.journal")).as_deref(), Some(input));
}

fn open(dir: &Path, fs: Uncounted, bytes: usize) -> persist_core::Error {
    let database = dir.join("data.duckdb");
    let location = Location { dir: dir.to_owned(), log_folder: None, database, purpose: "fuzz".to_owned() };
    let mut options = Options::default();
    options.fs = Arc::new(fs);
    bounded(bytes, || Engine::<Plain>::open(&location, options)).expect_err("there is no such database")
}

/// Gives a journal the checksum of what stands there.
#[allow(clippy::ptr_arg)] // As the others, which may have to make room.
pub(crate) fn mend_journal(input: &mut Vec<u8>) {
    if let Some(checked) = input.len().checked_sub(4) {
        let crc = crc32fast::hash(&input[..checked]);
        input[checked..].copy_from_slice(&crc.to_le_bytes());
    }
}
