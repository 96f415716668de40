//! A model that keeps all writes: its history, its newest records, and reading into memory as they are asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use persist_core::request::{Put, Remove, RemoveKey};
use persist_core::{
    Column, DatabaseFile, Engine, Entry, ErrorKind, History, Location, Model, Options, Scalar, Source, Timestamp,
};
use persist_test_utils::{Rng, copy_as_crash_leaves_it};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::subscribe;

#[derive(Debug)]
struct Items;

impl Model for Items {
    type Part = (Box<str>, Box<str>);
    type Value = Option<Scalar>;
    const PART_FIELDS: &'static [&'static str] = &["collection_name", "item_name"];
    const TABLE: &'static str = "storage_latest";
    const HISTORY: Option<History> = Some(History {
        table: "storage_history",
        latest_file: "storage_latest.duckdb",
        loaded_by: 1,
        cure: |_| String::new(),
    });
    const COLUMNS: &'static [Column] = &[
        Column { name: "key", source: Source::Key },
        Column { name: "collection_name", source: Source::Part(0) },
        Column { name: "item_name", source: Source::Part(1) },
        Column { name: "data", source: Source::Data },
        Column { name: "value_int", source: Source::ValueInt },
        Column { name: "value_float", source: Source::ValueFloat },
        Column { name: "value_string", source: Source::ValueText },
        Column { name: "updated_at", source: Source::UpdatedAt },
        Column { name: "version", source: Source::Version },
    ];

    fn part_text((collection, item): &Self::Part, field: usize) -> Option<&str> {
        Some(if field == 0 { collection } else { item })
    }

    fn part_from(fields: &[Option<&str>]) -> Self::Part {
        let field = |n: usize| fields.get(n).copied().flatten().unwrap_or_default().into();
        (field(0), field(1))
    }
}

type Store = Engine<Items>;

fn options() -> Options {
    let mut options = Options::default();
    options.batch_size = 1_000_000;
    options.flush_interval = Duration::from_secs(3600);
    options
}

fn location(dir: &Path) -> Location {
    Location {
        dir: dir.to_owned(),
        log_folder: None,
        database: dir.join("storage_history.duckdb"),
        purpose: "items".to_owned(),
    }
}

fn open(dir: &Path) -> Store {
    Engine::open(&location(dir), options()).unwrap()
}

fn put(store: &Store, [key, collection, item]: [&str; 3], n: i64) -> u32 {
    let entry = Entry::new(key, (collection.into(), item.into()), json!({"n": n}).to_string());
    let value = match n % 4 {
        0 => None,
        1 => Some(Scalar::Int(n)),
        2 => Some(Scalar::Float(n as f64 + 0.5)),
        _ => Some(Scalar::Text(format!("text {n}").into())),
    };
    store.write(Put::new(entry.value(value)), None).unwrap().version()
}

/// Every id with its version and `n`, as memory has it once it is asked for.
fn in_memory(store: &Store, ids: impl IntoIterator<Item = (String, String, String)>) -> BTreeMap<String, (u32, i64)> {
    let mut found = BTreeMap::new();
    for (key, collection, item) in ids {
        store.load(&key, Some(&[Some(&collection)])).unwrap();
        if let Some(record) = store.get(&key, &[Some(&collection), Some(&item)]) {
            let n = record.field("n").unwrap().unwrap();
            let value = record.typed_value().clone();
            assert_eq!(value.is_none(), n % 4 == 0, "{value:?} for {n}");
            found.insert(format!("{key}/{collection}/{item}"), (record.version(), n));
        }
    }
    found
}

fn rows(store: &Store, sql: &str) -> Vec<Value> {
    store.query(sql).unwrap().iter().map(|row| Value::Array(row.to_vec())).collect()
}

/// All writes and removals, in order: the naive store.
#[derive(Default)]
struct Naive(Vec<(String, u32, Option<i64>)>);

impl Naive {
    fn add(&mut self, id: &str, n: Option<i64>) -> u32 {
        let version = 1 + self.0.iter().filter(|(other, ..)| other == id).count() as u32;
        self.0.push((id.to_owned(), version, n));
        version
    }

    fn latest(&self) -> BTreeMap<String, (u32, i64)> {
        let mut latest = BTreeMap::new();
        for (id, version, n) in &self.0 {
            match n {
                Some(n) => latest.insert(id.clone(), (*version, *n)),
                None => latest.remove(id),
            };
        }
        latest
    }
}

fn all_ids() -> impl Iterator<Item = (String, String, String)> {
    (0..3).flat_map(|key| {
        (0..3).flat_map(move |collection| {
            (0..3).map(move |item| (format!("k{key}"), format!("c{collection}"), format!("i{item}")))
        })
    })
}

fn check(store: &Store, naive: &Naive) {
    let latest = naive.latest();
    assert_eq!(in_memory(store, all_ids()), latest);
    let path = "key || '/' || collection_name || '/' || item_name";
    let found = rows(store, &format!("SELECT {path}, version, (data->>'n')::BIGINT FROM storage_latest ORDER BY ALL"));
    let wanted: Vec<Value> = latest.iter().map(|(id, (_, n))| json!([id, 1, n])).collect();
    assert_eq!(found, wanted, "the newest of each");
    let history = format!("SELECT {path}, version, (data->>'n')::BIGINT FROM storage_history ORDER BY persist_seq");
    let wanted: Vec<Value> = naive.0.iter().map(|(id, version, n)| json!([id, version, n])).collect();
    assert_eq!(rows(store, &history), wanted, "all writes");
    assert!(store.verify().unwrap().is_ok());
}

#[test]
fn history_and_newest_agree_with_a_naive_store_whatever_happens() {
    for seed in 1..=3 {
        let mut rng = Rng::new(seed);
        let mut naive = Naive::default();
        let mut dir: TempDir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        for n in 0..100 {
            let pick = |rng: &mut Rng, of: &str| format!("{of}{}", rng.below(3));
            let (key, collection, item) = (pick(&mut rng, "k"), pick(&mut rng, "c"), pick(&mut rng, "i"));
            let id = format!("{key}/{collection}/{item}");
            match rng.below(40) {
                0..=25 => {
                    assert_eq!(put(&store, [&key, &collection, &item], n), naive.add(&id, Some(n)), "seed {seed}")
                }
                26..=29 => {
                    let removed =
                        store.write(Remove::new(&key, (collection.as_str().into(), item.as_str().into())), None);
                    let there = naive.latest().contains_key(&id);
                    assert_eq!(removed.unwrap().is_some(), there);
                    if there {
                        naive.add(&id, None);
                    }
                }
                30 => {
                    let mut removed: Vec<(u64, String)> = Vec::new();
                    let before = store.stats().last_seq;
                    let gone = store.write(RemoveKey::new(&key), None).unwrap();
                    let wanted = naive.latest().keys().filter(|id| id.starts_with(&format!("{key}/"))).count();
                    assert_eq!(gone.len(), wanted);
                    assert_eq!(store.stats().last_seq, before + wanted as u64);
                    for row in rows(
                        &store,
                        &format!(
                            "SELECT persist_seq, key || '/' || collection_name || '/' || item_name \
                         FROM storage_history WHERE persist_seq > {before}"
                        ),
                    ) {
                        removed.push((row[0].as_u64().unwrap(), row[1].as_str().unwrap().to_owned()));
                    }
                    removed.sort();
                    for (_, id) in &removed {
                        naive.add(id, None);
                    }
                }
                31 | 32 => store.flush().unwrap(),
                33 => store.compact().unwrap(),
                34 => drop(rows(&store, "SELECT count(*) FROM storage_latest")),
                35 => store.load_all().unwrap(),
                36 | 37 => {
                    let next = tempfile::tempdir().unwrap();
                    copy_as_crash_leaves_it(dir.path(), next.path());
                    drop(store);
                    dir = next;
                    store = open(dir.path());
                }
                38 => {
                    store.close().unwrap();
                    store = open(dir.path());
                }
                _ => check(&store, &naive),
            }
        }
        check(&store, &naive);
        store.load_all().unwrap();
        assert_eq!(store.len(), naive.latest().len());
        store.compact().unwrap();
        assert_eq!(rows(&store, "SELECT count(*) FROM persist_meta"), [json!([1])], "a watermark for each flush stays");
        store.close().unwrap();
        check(&open(dir.path()), &naive);
    }
}

#[test]
fn a_collection_is_read_when_it_is_asked_for_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (n, (key, collection, item)) in all_ids().enumerate() {
        put(&store, [&key, &collection, &item], n as i64 + 1);
    }
    store.close().unwrap();
    let store = open(dir.path());
    assert_eq!(store.len(), 0);
    store.load("k1", Some(&[Some("c1"), Some("i2")])).unwrap();
    assert_eq!(store.len(), 3);
    assert_eq!(put(&store, ["k2", "c2", "i0"], 5), 2);
    assert_eq!(store.len(), 6);
    store.load("k0", None).unwrap();
    assert_eq!((store.len(), store.get_key("k0").len()), (15, 9));
    store.load_all().unwrap();
    assert_eq!(store.len(), 27);
}

#[test]
fn after_close_both_files_are_plain_tables() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, ["k", "c", "i"], 1);
    put(&store, ["k", "c", "i"], 2);
    store.close().unwrap();
    let read = |file: &str, sql: &str| -> Vec<(i32, Option<i64>, Option<f64>)> {
        let connection = duckdb::Connection::open(dir.path().join(file)).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let columns = "SELECT version, value_int, value_float FROM";
    let history = read("storage_history.duckdb", &format!("{columns} storage_history ORDER BY persist_seq"));
    assert_eq!(history, [(1, Some(1), None), (2, None, Some(2.5))]);
    assert_eq!(read("storage_latest.duckdb", &format!("{columns} storage_latest")), [(1, None, Some(2.5))]);
    let left: Vec<PathBuf> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!left.iter().any(|path| path.to_string_lossy().contains(".wal")), "{left:?}");
}

#[test]
fn newest_records_that_are_missing_or_of_another_time_are_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (history, latest) = (dir.path().join("storage_history.duckdb"), dir.path().join("storage_latest.duckdb"));
    let mut naive = Naive::default();
    let store = open(dir.path());
    for n in 1..=20 {
        put(&store, [&format!("k{}", n % 3), "c0", "i0"], n);
        naive.add(&format!("k{}/c0/i0", n % 3), Some(n));
    }
    store.write(Remove::new("k1", ("c0".into(), "i0".into())), None).unwrap();
    naive.add("k1/c0/i0", None);
    store.close().unwrap();
    let (earlier, earlier_note) = (dir.path().join("earlier"), std::fs::read(dir.path().join("store.json")).unwrap());
    std::fs::copy(&history, &earlier).unwrap();

    std::fs::remove_file(&latest).unwrap();
    let store = open(dir.path());
    check(&store, &naive);
    // The version of what was removed is in the history, too.
    assert_eq!(put(&store, ["k1", "c0", "i0"], 21), naive.add("k1/c0/i0", Some(21)));
    store.close().unwrap();

    // An older history beside newer records: what it lacks is in no file any more.
    std::fs::rename(&earlier, &history).unwrap();
    std::fs::write(dir.path().join("store.json"), earlier_note).unwrap();
    naive.0.pop();
    check(&open(dir.path()), &naive);
}

fn meddle(dir: &Path, file: &str, sql: &str) {
    duckdb::Connection::open(dir.join(file)).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn what_is_wrong_with_a_file_is_said_and_the_newest_records_are_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut naive = Naive::default();
    let store = open(dir.path());
    for n in 1..=20 {
        put(&store, [&format!("k{}", n % 3), "c0", "i0"], n);
        naive.add(&format!("k{}/c0/i0", n % 3), Some(n));
    }
    let sound = |store: &Store| {
        [DatabaseFile::Main, DatabaseFile::Latest].map(|file| store.check_health(file).unwrap().join("; "))
    };
    assert_eq!(sound(&store), ["", ""]);
    store.close().unwrap();
    let (history, latest) = ("storage_history.duckdb", "storage_latest.duckdb");
    meddle(dir.path(), latest, "UPDATE storage_latest SET persist_version = 9 WHERE key = 'k1'");
    meddle(dir.path(), latest, "INSERT INTO storage_latest FROM storage_latest WHERE key = 'k2'");
    let store = open(dir.path());
    let [main, newest] = sound(&store);
    assert_eq!(main, "");
    assert!(newest.contains("1 ids stand more than once") && newest.contains("2 items differ"), "{newest}");
    assert_eq!(store.rebuild_latest().unwrap(), 3);
    assert_eq!(sound(&store), ["", ""]);
    check(&store, &naive);
    store.close().unwrap();

    meddle(dir.path(), history, "DELETE FROM storage_history WHERE key = 'k1' AND version = 2");
    meddle(dir.path(), history, "INSERT INTO storage_history FROM storage_history WHERE persist_seq = 3");
    let [main, _] = sound(&open(dir.path()));
    assert!(
        main.contains("1 writes stand more than once") && main.contains("2 items have versions with a gap"),
        "{main}"
    );
}

#[test]
fn a_backup_has_both_files_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let backups = dir.path().join("backups");
    std::fs::create_dir(&backups).unwrap();
    std::fs::write(backups.join("other.txt"), "not a backup's").unwrap();
    let mut naive = Naive::default();
    let store = open(&dir.path().join("store"));
    for n in 1..=30 {
        put(&store, [&format!("k{}", n % 3), "c0", "i0"], n);
        naive.add(&format!("k{}/c0/i0", n % 3), Some(n));
        match n {
            10 => store.compact().unwrap(),
            20 => drop(store.write(Remove::new("k1", ("c0".into(), "i0".into())), None).unwrap()),
            _ => {}
        }
        if n == 20 {
            naive.add("k1/c0/i0", None);
        }
    }
    assert!(store.backup(&backups).is_err(), "it holds files");
    std::fs::remove_file(backups.join("other.txt")).unwrap();
    let backup = store.backup(&backups).unwrap();
    assert_eq!((backup.seq, backup.rows), (31, 3));
    let names: Vec<&str> = backup.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["storage_history.duckdb.backup", "storage_latest.duckdb.backup"]);
    put(&store, ["k0", "c0", "i0"], 99);
    drop(store);
    assert_eq!(Store::verify_backup(&backups, &options()).unwrap(), backup);

    let restored = dir.path().join("restored");
    Store::restore(&backups, &location(&restored), &options()).unwrap();
    let store = open(&restored);
    check(&store, &naive);
    assert_eq!(put(&store, ["k1", "c0", "i0"], 40), naive.add("k1/c0/i0", Some(40)));
    check(&store, &naive);

    let damaged = backups.join("storage_latest.duckdb.backup");
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[20_000] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let error = Store::verify_backup(&backups, &options()).unwrap_err().to_string();
    assert!(error.contains("storage_latest.duckdb.backup"), "{error}");
}

#[test]
fn a_model_that_keeps_the_newest_alone_tells_of_no_past() {
    let dir = tempfile::tempdir().unwrap();
    let store = subscribe::open(dir.path(), subscribe::quiet()).unwrap();
    let now = Timestamp::from_unix_micros(0);
    let refused = [store.history("k", &[]).map(drop), store.as_of(now).map(drop), store.as_of_written(now).map(drop)];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    }
}
