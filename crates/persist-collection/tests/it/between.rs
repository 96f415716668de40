//! A crash at any moment of what brings writes into the two databases: between the commits of history and latest, between
//! their checkpoints, before the log goes. Whatever is opened then, latest is caught up before anything is served.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use persist_collection::{CollectionStore, DatabaseFile, Durability};
use persist_test_utils::oracle::{Call, Oracle};
use persist_test_utils::{FlakyDisk, Settings, Subject, copy_as_crash_leaves_it};
use serde_json::{Map, json};

use crate::subject::CollectionSubject;
use crate::{DATE, files, quiet, rows};

/// Copies a store as a crash would leave it, from when it is told to: before each file is made or removed, which is between
/// all that DuckDB does.
#[derive(Debug, Clone, Default)]
struct Crashes(Arc<Mutex<Option<State>>>);

#[derive(Debug)]
struct State {
    store: PathBuf,
    /// Each copy, and the operation that came next.
    copies: Vec<(tempfile::TempDir, String)>,
}

impl Crashes {
    fn disk(&self) -> Arc<FlakyDisk> {
        let crashes = self.clone();
        Arc::new(FlakyDisk::new(move |operation, path| {
            let mut state = crashes.0.lock().unwrap();
            if let Some(state) = state.as_mut().filter(|_| ["create", "remove"].contains(&operation)) {
                let copy = tempfile::tempdir().unwrap();
                copy_as_crash_leaves_it(&state.store, copy.path());
                let next = format!("{operation} {}", path.strip_prefix(&state.store).unwrap().display());
                state.copies.push((copy, next));
            }
            Ok(())
        }))
    }

    fn begin(&self, store: &Path) {
        *self.0.lock().unwrap() = Some(State { store: store.to_owned(), copies: Vec::new() });
    }

    fn end(&self) -> Vec<(tempfile::TempDir, String)> {
        self.0.lock().unwrap().take().unwrap().copies
    }
}

/// Puts, removes and puts again, some of it merged before: so that latest has rows to add, to replace and to remove.
fn write(store: &CollectionSubject, oracle: &mut Oracle, from: u64) {
    for n in from..from + 24 {
        let id = CollectionSubject::id(&format!("k{}", n % 3), n % 5);
        let call = match n % 6 {
            5 => Call::Remove(id, None),
            _ => {
                let fields = Map::from_iter([("n".to_owned(), json!(n))]);
                Call::Put(id.clone(), CollectionSubject::data(&id, fields), None)
            }
        };
        assert_eq!(store.perform(&call, Durability::Sync).unwrap(), oracle.call(&call));
    }
}

/// The `seq` up to which a file has all, as of its last checkpoint.
fn applied(dir: &Path, file: &str) -> u64 {
    let aside = tempfile::tempdir().unwrap();
    // Without DuckDB's own log, which an opening does not read either.
    let copy = aside.path().join(file);
    std::fs::copy(dir.join(file), &copy).unwrap();
    let database = duckdb::Connection::open(copy).unwrap();
    database.query_row("SELECT coalesce(max(watermark), 0) FROM persist_meta", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_crash_between_the_two_databases_costs_nothing_and_latest_is_caught_up_at_opening() {
    let dir = tempfile::tempdir().unwrap();
    let (crashes, mut oracle) = (Crashes::default(), Oracle::new());
    let settings = Settings { fs: crashes.disk(), max_wal_records: 10, ..Settings::default() };
    let store = CollectionSubject::open(dir.path(), 24, &settings).unwrap();
    write(&store, &mut oracle, 0);
    store.compact().unwrap();
    write(&store, &mut oracle, 24);

    crashes.begin(dir.path());
    store.flush().unwrap();
    // The keeper is at its checkpoint. When the log is gone, what latest lacks is in the history alone.
    let start = Instant::now();
    while files(&dir.path().join(DATE)).iter().any(|name| name.ends_with(".jsonl")) {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", files(&dir.path().join(DATE)));
        std::thread::sleep(Duration::from_millis(2));
    }
    let behind = tempfile::tempdir().unwrap();
    copy_as_crash_leaves_it(dir.path(), behind.path());
    store.compact().unwrap();
    store.close().unwrap();
    let mut copies = crashes.end();
    copies.push((behind, "nothing: all is flushed".to_owned()));

    let wanted: Vec<_> = oracle.rows().map(|(id, version, data)| (id.clone(), version, data.clone())).collect();
    let (mut seen, mut next) = (BTreeSet::new(), BTreeSet::new());
    for (copy, operation) in &copies {
        let dir = copy.path();
        // No copy was made while DuckDB itself was at a checkpoint.
        seen.insert(applied(dir, "storage_history.duckdb").cmp(&applied(dir, "storage_latest.duckdb")));
        next.insert(operation.as_str());
        let store = CollectionStore::open(DATE, quiet(dir)).unwrap_or_else(|error| panic!("{operation}: {error}"));
        let stats = store.stats();
        assert_eq!((stats.modified_records, stats.base_rows), (0, wanted.len() as u64), "before {operation}");
        for file in [DatabaseFile::Main, DatabaseFile::Latest] {
            assert_eq!(store.check_database_health(file).unwrap(), Vec::<String>::new(), "before {operation}");
        }
        // What is loaded comes from the table of the newest items alone.
        let store = CollectionSubject(store);
        assert_eq!(store.rows("").unwrap(), wanted, "before {operation}");
        assert_eq!(store.table().unwrap(), wanted, "before {operation}");
        let history = store.history().unwrap().unwrap();
        assert!(history.iter().map(|write| write.seq).eq(1..=oracle.writes()), "before {operation}");
        let once = "SELECT count(*) FROM storage_history GROUP BY persist_seq HAVING count(*) > 1";
        assert!(rows(&store.0, once).is_empty());
    }
    assert_eq!(seen, BTreeSet::from([Ordering::Equal, Ordering::Greater]), "the history was never ahead");
    for point in [
        "create storage_history.duckdb.journal.tmp",
        "create storage_latest.duckdb.journal.tmp",
        "remove 2025-12-24/wal_000004.jsonl",
    ] {
        assert!(next.contains(point), "no crash before {point}, only before {next:?}");
    }
}
