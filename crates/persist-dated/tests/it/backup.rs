//! Backups of stores that are open and written, and stores made of backups.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use persist_core::{Column, Engine, Location, Model, Options, Source};
use persist_dated::{Backup, DatedConfig, DatedStore, Durability, ErrorKind};
use persist_test_utils::{FlakyDisk, copy_as_crash_leaves_it};
use serde_json::{Value, json};

use crate::quiet;

const DATE: &str = "2025-01-15";

/// Version and data by key.
type State = BTreeMap<String, (u32, String)>;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self, name: &str) -> DatedConfig {
        quiet(&self.dir(name))
    }

    fn open(&self, name: &str) -> DatedStore {
        DatedStore::open(DATE, self.config(name)).unwrap()
    }

    fn verify(&self, name: &str) -> persist_dated::Result<Backup> {
        DatedStore::verify_backup(self.dir(name), &self.config("any"))
    }

    fn restore(&self, backup: &str, to: &str) -> persist_dated::Result<Backup> {
        DatedStore::restore(self.dir(backup), DATE, self.config(to))
    }

    /// A live store of these keys, and a backup of it.
    fn backed_up(&self, keys: &[&str]) -> (DatedStore, Backup) {
        let store = self.open("live");
        keys.iter().for_each(|key| drop(store.store(key, &json!({"k": key})).unwrap()));
        let backup = store.backup(self.dir("backup")).unwrap();
        (store, backup)
    }
}

/// What memory has, and SQL has to agree.
fn state(store: &DatedStore) -> State {
    let rows = store.query("SELECT key, version, data FROM storage").unwrap();
    let state: State = rows
        .iter()
        .map(|row| {
            (
                row[0].as_str().unwrap().to_owned(),
                (row[1].as_u64().unwrap() as u32, row[2].as_str().unwrap().to_owned()),
            )
        })
        .collect();
    assert!(store.verify().unwrap().is_ok());
    assert_eq!((store.len(), rows.len()), (state.len(), state.len()));
    state
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_backup_beside_eight_writers_is_the_state_at_its_seq_and_lacks_nothing_acknowledged_before() {
    let place = Place::new();
    // Flushes, merges and checkpoints go on meanwhile.
    let config = place.config("live").batch_size(100).max_wal_records(500);
    let store = DatedStore::open(DATE, config.clone()).unwrap();
    let (done, reached) = (AtomicBool::new(false), AtomicU64::new(0));
    let log = Mutex::new(Vec::new());
    let mut backups = Vec::new();
    thread::scope(|scope| {
        for writer in 0..8 {
            let (store, done, reached, log) = (&store, &done, &reached, &log);
            scope.spawn(move || {
                let mut written = Vec::new();
                for n in 0.. {
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                    let key = format!("k{writer}-{}", n % 37);
                    // Of a writer that relaxes, acknowledged writes count as well.
                    let durability = if writer == 7 { Durability::Os } else { Durability::Sync };
                    let record = store.put(&key).durability(durability).data(&json!({"n": n})).unwrap();
                    reached.fetch_max(record.seq().unwrap(), Ordering::SeqCst);
                    written.push((record.seq().unwrap(), key, record.version(), record.json().to_owned()));
                }
                log.lock().unwrap().extend(written);
            });
        }
        let (store, done) = (&store, &done);
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                store.compact().unwrap();
            }
        });
        for n in 0..6 {
            thread::sleep(std::time::Duration::from_millis(60));
            let before = reached.load(Ordering::SeqCst);
            let backup = store.backup(place.dir(&format!("backup{n}")));
            // An assertion that fails must not leave the writers running.
            let fails = backup.as_ref().map_or(true, |backup| backup.seq < before);
            done.fetch_or(fails, Ordering::SeqCst);
            let backup = backup.unwrap();
            assert!(backup.seq >= before, "acknowledged up to {before}, backed up {}", backup.seq);
            backups.push(backup);
        }
        done.store(true, Ordering::SeqCst);
    });
    let mut log = log.into_inner().unwrap();
    log.sort();
    assert!(backups.windows(2).all(|pair| pair[0].seq < pair[1].seq), "nothing was written meanwhile");
    for (n, backup) in backups.iter().enumerate() {
        let (name, to) = (format!("backup{n}"), format!("restored{n}"));
        assert_eq!(place.verify(&name).unwrap(), *backup);
        let mut expected = State::new();
        for (_, key, version, data) in log.iter().take_while(|(seq, ..)| *seq <= backup.seq) {
            expected.insert(key.clone(), (*version, data.clone()));
        }
        assert_eq!(backup.rows, expected.len() as u64);
        assert_eq!(place.restore(&name, &to).unwrap(), *backup);
        let restored = place.open(&to);
        assert_eq!(state(&restored), expected, "backup {n} at {}", backup.seq);
        assert_eq!(restored.store("next", &json!({})).unwrap().seq(), Some(backup.seq + 1));
        restored.close().unwrap();
    }
    // The live store goes on as if nothing had been.
    let last = log.last().unwrap().0;
    assert_eq!(store.store("next", &json!({})).unwrap().seq(), Some(last + 1));
    store.compact().unwrap();
    assert_eq!(store.stats().checkpointed_seq, last + 1);
    let live = state(&store);
    store.close().unwrap();
    assert!(!place.dir("live").join(DATE).join("data.duckdb.wal").exists());
    assert_eq!(state(&DatedStore::open(DATE, config).unwrap()), live);
}

#[test]
fn a_backup_is_a_plain_database_and_a_manifest() {
    let place = Place::new();
    let (store, backup) = place.backed_up(&["a", "b", "a"]);
    assert_eq!(names(&backup.dir), ["data.duckdb", "manifest.json"]);
    let manifest: Value = serde_json::from_slice(&fs::read(backup.dir.join("manifest.json")).unwrap()).unwrap();
    let live: Value =
        serde_json::from_slice(&fs::read(place.dir("live").join(DATE).join("store.json")).unwrap()).unwrap();
    assert_eq!((&manifest["store"], &manifest["lineage"]), (&live["id"], &live["lineage"]));
    assert_eq!((&manifest["seq"], &manifest["rows"], &manifest["format"]), (&json!(3), &json!(2), &json!(1)));
    assert_eq!(manifest["purpose"], "dated store of 2025-01-15");
    assert_eq!(manifest["files"][0]["name"], "data.duckdb");
    assert_eq!(manifest["files"][0]["bytes"], fs::metadata(backup.dir.join("data.duckdb")).unwrap().len());
    // Nothing waits for a merge: the table itself is the whole.
    place.restore("backup", "restored").unwrap();
    let stats = place.open("restored").stats();
    assert_eq!((stats.base_rows, stats.delta_rows), (2, 0));
    drop(store);
    let other = Place::new();
    let config = quiet(&other.dir("x")).db_path(backup.dir.join("data.duckdb"));
    assert_eq!(
        DatedStore::open("2025-01-16", config).unwrap_err().kind(),
        ErrorKind::Config,
        "it is nobody's to write"
    );
}

#[test]
fn an_idle_and_an_empty_store_are_backed_up_and_restored() {
    let place = Place::new();
    let (store, backup) = place.backed_up(&[]);
    assert_eq!((backup.seq, backup.rows), (0, 0));
    place.restore("backup", "restored").unwrap();
    let restored = place.open("restored");
    assert!(restored.is_empty());
    assert_eq!(restored.store("k", &json!({})).unwrap().seq(), Some(1));
    store.store("k", &json!({})).unwrap();
    store.close().unwrap();

    let store = place.open("live");
    for n in 0..2 {
        let backup = store.backup(place.dir(&format!("idle{n}"))).unwrap();
        assert_eq!((backup.seq, backup.rows), (1, 1));
        assert_eq!(place.verify(&format!("idle{n}")).unwrap(), backup);
    }
}

#[test]
fn a_restored_store_counts_on_and_can_be_backed_up_and_restored_itself() {
    let place = Place::new();
    let (first, backup) = place.backed_up(&["a", "a", "b"]);
    place.restore("backup", "second").unwrap();
    let second = place.open("second");
    let record = second.store("a", &json!({"by": "second"})).unwrap();
    assert_eq!((record.seq(), record.version()), (Some(4), 3));
    let again = second.backup(place.dir("again")).unwrap();
    assert_eq!((again.seq, again.rows), (4, 2));
    assert_ne!(again.store, backup.store);
    let expected = state(&second);
    second.close().unwrap();
    assert_eq!(state(&place.open("second")), expected, "its own records are under its own id");

    place.restore("again", "third").unwrap();
    let third = place.open("third");
    assert_eq!(state(&third), expected);
    assert_eq!(third.store("a", &json!({})).unwrap().version(), 4);
    third.close().unwrap();
    let json = fs::read(place.dir("third").join(DATE).join("store.json")).unwrap();
    let identity: Value = serde_json::from_slice(&json).unwrap();
    let bounds: Vec<&Value> = identity["lineage"].as_array().unwrap().iter().map(|entry| &entry["last_seq"]).collect();
    assert_eq!(bounds, [&json!(3), &json!(4), &Value::Null]);
    drop(first);
}

#[test]
fn what_a_restored_store_wrote_survives_a_crash() {
    let place = Place::new();
    let (_first, _) = place.backed_up(&["a", "b"]);
    place.restore("backup", "second").unwrap();
    let second = place.open("second");
    second.store("a", &json!({"n": 1})).unwrap();
    second.store("c", &json!({"n": 2})).unwrap();
    copy_as_crash_leaves_it(&place.dir("second"), &place.dir("dead"));
    let recovered = place.open("dead");
    assert_eq!(recovered.recovery().records, 2);
    assert_eq!(state(&recovered), state(&second));
}

#[test]
fn what_the_original_wrote_after_the_backup_does_not_come_into_the_restored_store() {
    let place = Place::new();
    let (store, _) = place.backed_up(&["a", "b"]);
    store.store("a", &json!({"late": true})).unwrap();
    store.store("late", &json!({})).unwrap();
    // As a crash leaves it: the log has the records 1 to 4, or 3 and 4.
    copy_as_crash_leaves_it(&place.dir("live"), &place.dir("dead"));
    for with_own_writes in [false, true] {
        let name = format!("restored-{with_own_writes}");
        place.restore("backup", &name).unwrap();
        let restored = place.open(&name);
        if with_own_writes {
            restored.store("own", &json!({})).unwrap();
        }
        let expected = state(&restored);
        copy_as_crash_leaves_it(&place.dir(&name), &place.dir(&format!("{name}-dead")));
        let folder = place.dir(&format!("{name}-dead")).join(DATE);
        let from = place.dir("dead").join(DATE);
        let segments = names(&from).into_iter().filter(|file| file.ends_with(".jsonl"));
        let copied =
            segments.map(|file| fs::copy(from.join(&file), folder.join(format!("wal_9{}", &file[5..]))).unwrap());
        assert!(copied.count() > 0);
        let opened = place.open(&format!("{name}-dead"));
        assert_eq!(state(&opened), expected);
        assert!(opened.get_key("late").is_empty());
        let next = opened.store("next", &json!({})).unwrap().seq();
        assert_eq!(next, Some(3 + u64::from(with_own_writes)));
    }
}

#[test]
fn folders_with_files_are_refused_and_stay_as_they_are() {
    let place = Place::new();
    let (store, backup) = place.backed_up(&["a"]);
    let before = fs::read(backup.dir.join("data.duckdb")).unwrap();
    store.store("b", &json!({})).unwrap();
    let error = store.backup(&backup.dir).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(backup.dir.to_str().unwrap()), "{error}");
    assert_eq!(fs::read(backup.dir.join("data.duckdb")).unwrap(), before);
    assert_eq!(place.verify("backup").unwrap(), backup);

    let error = place.restore("backup", "live").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    store.close().unwrap();
    let error = place.restore("backup", "live").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert_eq!(place.open("live").len(), 2);
    for name in ["notes.txt", "wal_000001.jsonl", "store.json", "data.duckdb", "data.duckdb.wal"] {
        let folder = place.dir(name).join(DATE);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), "x").unwrap();
        let error = place.restore("backup", name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(folder.join(name).to_str().unwrap()), "{error}");
        assert_eq!(fs::read(folder.join(name)).unwrap(), b"x");
    }
    let error = DatedStore::restore(&backup.dir, "2025-01-16", place.config("other")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("2025-01-15") && error.to_string().contains("2025-01-16"), "{error}");
    DatedStore::restore(&backup.dir, DATE, place.config("elsewhere").db_path(place.dir("my.duckdb"))).unwrap();
    let elsewhere = DatedStore::open(DATE, place.config("elsewhere").db_path(place.dir("my.duckdb"))).unwrap();
    assert_eq!(elsewhere.len(), 1);
}

#[test]
fn a_damaged_backup_is_refused_and_the_file_named() {
    let place = Place::new();
    let (_store, backup) = place.backed_up(&["a", "b"]);
    let length = fs::metadata(backup.dir.join("data.duckdb")).unwrap().len() as usize;
    let refused = |kind: ErrorKind, file: &str, damage: &dyn Fn(&Path)| {
        let other = Place::new();
        copy_as_crash_leaves_it(&backup.dir, &other.dir("backup"));
        damage(&other.dir("backup"));
        for error in [other.verify("backup").unwrap_err(), other.restore("backup", "to").unwrap_err()] {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(other.dir(&format!("backup{file}")).to_str().unwrap()), "{error}");
        }
        assert!(other.open("to").is_empty(), "what could not be restored leaves nothing");
    };
    for at in [0, 9, 4096, 8200, 12_345, length / 2, length - 1] {
        refused(ErrorKind::Corrupt, "/data.duckdb", &|dir| flip(&dir.join("data.duckdb"), at));
    }
    for rest in [0, 4096, length - 1] {
        refused(ErrorKind::Corrupt, "/data.duckdb", &|dir| {
            let bytes = fs::read(dir.join("data.duckdb")).unwrap();
            fs::write(dir.join("data.duckdb"), &bytes[..rest]).unwrap();
        });
    }
    refused(ErrorKind::Io, "/data.duckdb", &|dir| fs::remove_file(dir.join("data.duckdb")).unwrap());
    refused(ErrorKind::Config, "", &|dir| fs::remove_file(dir.join("manifest.json")).unwrap());
    refused(ErrorKind::Corrupt, "/manifest.json", &|dir| fs::write(dir.join("manifest.json"), "{ torn").unwrap());
    let edit = |name: &'static str, value: Value| {
        move |dir: &Path| {
            let path = dir.join("manifest.json");
            let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let field = manifest.pointer_mut(name).unwrap();
            assert_ne!(*field, value);
            *field = value.clone();
            fs::write(path, manifest.to_string()).unwrap();
        }
    };
    for (name, value) in [
        ("/seq", json!(1)),
        ("/rows", json!(3)),
        ("/files", json!([])),
        ("/files/0/bytes", json!(4096)),
        ("/files/0/crc", json!("00000000")),
    ] {
        refused(ErrorKind::Corrupt, "/data.duckdb", &edit(name, value));
    }
    let strangers = json!([{"store": "s", "last_seq": null}]);
    refused(ErrorKind::Corrupt, "/manifest.json", &edit("/lineage", strangers));
    refused(ErrorKind::Corrupt, "/manifest.json", &edit("/lineage", json!([])));
    refused(ErrorKind::Config, "/manifest.json", &edit("/format", json!(2)));
    for elsewhere in ["../data.duckdb", "/etc/hostname", "a/b", "..", ""] {
        refused(ErrorKind::Corrupt, "/manifest.json", &edit("/files/0/name", json!(elsewhere)));
    }
    assert_eq!(place.verify("backup").unwrap(), backup);
    fs::write(backup.dir.join("data.duckdb.wal"), "x").unwrap();
    assert_eq!(place.verify("backup").unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A model with other columns.
#[derive(Debug)]
struct Seats;

impl Model for Seats {
    type Part = ();
    type Value = ();
    const PART_FIELDS: &'static [&'static str] = &[];
    const TABLE: &'static str = "seats";
    const COLUMNS: &'static [Column] =
        &[Column { name: "seat", source: Source::Key }, Column { name: "data", source: Source::Data }];

    fn part_text((): &(), _: usize) -> Option<&str> {
        None
    }

    fn part_from(_: &[Option<&str>]) {}
}

#[test]
fn a_backup_of_another_model_is_a_schema_error() {
    let place = Place::new();
    let (_store, backup) = place.backed_up(&["a"]);
    let dir = place.dir("seats");
    // Of the same purpose, so that the columns tell.
    let purpose = backup.purpose.clone();
    let location = Location { database: dir.join("data.duckdb"), dir, log_folder: None, purpose };
    let options = Options::default();
    let error = Engine::<Seats>::verify_backup(&backup.dir, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema, "{error}");
    let error = Engine::<Seats>::restore(&backup.dir, &location, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema, "{error}");
    assert!(!location.database.exists());
}

/// How a run meets its trouble: one operation fails, or all do from there on, as if the process had ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    Fails,
    Stops,
}

/// A disk whose operation number `at` is in trouble, of those on paths that contain `on`.
fn troubled(on: &'static str, at: u64, how: Trouble) -> (FlakyDisk, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let disk = FlakyDisk::new(move |_, path| {
        if !path.to_str().unwrap().contains(on) {
            return Ok(());
        }
        let n = counted.fetch_add(1, Ordering::SeqCst);
        if n == at || (how == Trouble::Stops && n > at) { Err(std::io::Error::other("no")) } else { Ok(()) }
    });
    (disk, count)
}

#[test]
fn a_backup_that_fails_or_stops_at_any_file_operation_leaves_the_old_one_and_none_or_a_whole_one() {
    for how in [Trouble::Fails, Trouble::Stops] {
        let mut whole = 0;
        for at in 0.. {
            let place = Place::new();
            let (disk, count) = troubled("new-backup", at, how);
            let config = place.config("live").fs(Arc::new(disk));
            let store = DatedStore::open(DATE, config).unwrap();
            store.store("a", &json!({})).unwrap();
            let old = store.backup(place.dir("old-one")).unwrap();
            store.store("b", &json!({})).unwrap();
            let made = store.backup(place.dir("new-backup"));
            assert_eq!(place.verify("old-one").unwrap(), old);
            if made.is_ok() {
                assert_eq!(count.load(Ordering::SeqCst), at, "an error was passed over");
                assert!(at > 6, "only {at} operations");
                assert!(whole > 0, "the last operation makes the manifest's name durable");
                break;
            }
            assert_eq!(made.unwrap_err().kind(), ErrorKind::Io);
            if place.dir("new-backup").join("manifest.json").exists() {
                assert_eq!(place.verify("new-backup").unwrap().seq, 2);
                place.restore("new-backup", "restored").unwrap();
                assert_eq!(place.open("restored").len(), 2);
                whole += 1;
            } else {
                assert_eq!(place.verify("new-backup").unwrap_err().kind(), ErrorKind::Config);
                let left = names(&place.dir("new-backup"));
                // Once all is there, aside, nothing is taken back.
                let is_committed = left.len() == 2 && left.iter().any(|name| name == "manifest.json.new");
                assert!(how == Trouble::Stops || left.is_empty() || is_committed, "{left:?}");
            }
            // The store goes on, and so do backups.
            store.store("c", &json!({})).unwrap();
            assert_eq!(store.backup(place.dir("third")).unwrap().rows, 3);
            store.compact().unwrap();
            store.close().unwrap();
        }
    }
}

#[test]
fn a_restore_that_fails_or_stops_at_any_file_operation_can_be_started_over_or_is_finished_by_opening() {
    let place = Place::new();
    let (_store, backup) = place.backed_up(&["a", "b"]);
    for how in [Trouble::Fails, Trouble::Stops] {
        let mut finished = 0;
        for at in 0.. {
            let to = Place::new();
            let (disk, count) = troubled("restored", at, how);
            let config = to.config("restored").fs(Arc::new(disk));
            if DatedStore::restore(&backup.dir, DATE, config).is_ok() {
                assert_eq!(count.load(Ordering::SeqCst), at, "an error was passed over");
                assert!(at > 8 && finished > 0, "{at} operations, {finished} with the database in place");
                break;
            }
            match DatedStore::restore(&backup.dir, DATE, to.config("restored")) {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
                    assert!(to.dir("restored").join(DATE).join("data.duckdb").exists());
                    finished += 1;
                }
            }
            let store = to.open("restored");
            assert_eq!(store.store("a", &json!({})).unwrap().seq(), Some(3), "{how:?} {at}");
            assert_eq!(state(&store).len(), 2);
        }
    }
    assert_eq!(place.verify("backup").unwrap(), backup);
}
