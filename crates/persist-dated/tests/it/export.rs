//! The export: what two independent readers find in it, what is replaced, and what a failure or crash leaves.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use persist_dated::{DatedStore, ErrorKind};
use persist_test_utils::{FlakyDisk, hostile_texts};
use serde_json::{Value, json};

use crate::{open, quiet};

const DATE: &str = "2025-01-15";

/// Process names with all that a path, SQL or a reader could trip over; `None` is none.
fn hostile() -> Vec<Option<String>> {
    let names = [
        "",
        " ",
        "a b",
        "a/b",
        "/",
        "..",
        "../../etc/passwd",
        ".",
        "%",
        "%2F",
        "100%",
        "a=b",
        "=",
        "process_name=x",
        "'",
        "''",
        "\"",
        "'; DROP TABLE storage; --",
        "\\",
        "C:\\x",
        "a\nb",
        "a\0b",
        "\t",
        "*",
        "?",
        "[a]",
        "{a}",
        "#",
        "é",
        "e\u{301}",
        "日本語",
        "🎂",
        "a.parquet",
        "data_0.tmp",
        "null",
        "NULL",
        "None",
        "12",
        "007",
        "1e5",
        "true",
        "2025-01-15",
        "nan",
        "__HIVE_DEFAULT_PARTITION__x",
        "~",
        "CON",
        "a:b",
        "<>|",
        "\u{feff}",
        "\u{202e}abc",
    ];
    let long = "x".repeat(242);
    [None].into_iter().chain(names.iter().map(|name| Some((*name).to_owned()))).chain([Some(long)]).collect()
}

/// What the `parquet` crate finds below a root: `(process folder, date folder, key, version)`, sorted. Everything that
/// ends in `.parquet` counts, wherever it is.
fn read(root: &Path) -> Vec<(String, String, String, i32)> {
    let mut rows = Vec::new();
    for path in parquet_files(root) {
        let folders: Vec<_> = path.strip_prefix(root).unwrap().iter().map(|name| name.to_str().unwrap()).collect();
        let [process, date, "data.parquet"] = folders[..] else { panic!("{} is in no partition", path.display()) };
        for batch in ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap().build().unwrap()
        {
            let batch = batch.unwrap();
            let keys = batch.column_by_name("key").unwrap().as_string::<i32>();
            let versions = batch.column_by_name("version").unwrap().as_primitive::<Int32Type>();
            for (key, version) in keys.iter().zip(versions) {
                rows.push((process.to_owned(), date.to_owned(), key.unwrap().to_owned(), version.unwrap()));
            }
        }
    }
    rows.sort();
    rows
}

fn parquet_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(parquet_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn put(store: &DatedStore, key: &str, process: Option<&str>, n: i64) {
    let put = store.put(key);
    let put = match process {
        Some(process) => put.process(process),
        None => put.no_process(),
    };
    put.data(&json!({"n": n})).unwrap();
}

#[test]
fn hostile_process_names_round_trip_through_two_readers_and_stay_inside_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("it's a lake");
    let store = open(dir.path());
    for (n, process) in hostile().iter().enumerate() {
        put(&store, &format!("k{n:03}"), process.as_deref(), n as i64);
    }
    let export = store.export_to(&root).unwrap().unwrap();
    assert_eq!((export.path(), export.rows(), export.files().len()), (root.as_path(), 52, 52));
    let mut expected: Vec<Option<String>> = hostile();
    expected.sort();
    let listed: Vec<_> = export.files().iter().map(|file| file.process_name.clone()).collect();
    assert_eq!(listed, expected);

    // The parquet crate, by the manifest's paths.
    let manifest: Value =
        serde_json::from_slice(&fs::read(root.join("_persist_export-2025-01-15.json")).unwrap()).unwrap();
    assert_eq!((&manifest["rows"], &manifest["date"]), (&json!(52), &json!(DATE)));
    let mut on_disk = parquet_files(&root);
    for (file, listed) in export.files().iter().zip(manifest["files"].as_array().unwrap()) {
        assert_eq!(&serde_json::to_value(file).unwrap(), listed);
        let path = root.join(&file.path);
        assert_eq!(fs::metadata(&path).unwrap().len(), file.bytes);
        let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows() as u64, file.rows);
        on_disk.retain(|found| *found != path);
    }
    assert_eq!(on_disk, Vec::<PathBuf>::new());

    // DuckDB, which takes partitions apart itself.
    let pattern = format!("{}/**/*.parquet", root.to_str().unwrap().replace('\'', "''"));
    let sql = format!(
        "SELECT key, process_name, date FROM read_parquet('{pattern}', hive_partitioning = true, \
         hive_types_autocast = false) ORDER BY key"
    );
    let rows = store.query(&sql).unwrap();
    let found: Vec<Value> = rows.iter().map(|row| json!(row)).collect();
    let wanted: Vec<Value> =
        hostile().iter().enumerate().map(|(n, process)| json!([format!("k{n:03}"), process, DATE])).collect();
    assert_eq!(found, wanted);
    assert_eq!(names_in(dir.path()), [DATE, "it's a lake"]);
}

#[test]
fn five_hundred_hostile_texts_are_keys_processes_users_statuses_and_columns() {
    let dir = tempfile::tempdir().unwrap();
    let mut texts = hostile_texts(21, 501);
    // Refused as a process.
    texts.retain(|text| text != "__HIVE_DEFAULT_PARTITION__");
    texts.truncate(500);
    // A column's name has no NUL, and none differs from another by its case alone.
    let mut columns: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.contains('\0')).collect();
    columns.sort_by_key(|name| name.to_ascii_lowercase());
    columns.dedup_by_key(|name| name.to_ascii_lowercase());
    columns.truncate(250);
    let config = || quiet(dir.path()).extra_schema(columns.iter().map(|name| (*name, "string")));
    let store = DatedStore::open(DATE, config()).unwrap();
    for (n, text) in texts.iter().enumerate() {
        let put = store.put(text).process(text).username(text).status(text).durability(persist_dated::Durability::Os);
        let data = match columns.get(n) {
            Some(column) => json!({(*column): text}),
            None => json!({}),
        };
        put.data(&data).unwrap();
    }
    let check = |store: &DatedStore, from: &str| {
        let sql = format!("SELECT * FROM {from} ORDER BY key");
        let rows = store.query(&sql).unwrap();
        assert_eq!(rows.len(), 500);
        for (n, text) in texts.iter().enumerate() {
            for column in ["key", "process_name", "username", "status"] {
                assert_eq!(rows.get(n, column), Some(&json!(text)), "{column}");
            }
            if let Some(column) = columns.get(n) {
                assert_eq!(rows.get(n, column), Some(&json!(text)), "{column:?}");
            }
        }
    };
    let lake = dir.path().join("lake");
    store.export_to(&lake).unwrap();
    check(&store, "storage");
    let all = format!("{}/**/*.parquet", lake.display());
    check(&store, &format!("read_parquet('{all}', hive_partitioning = true, hive_types_autocast = false)"));
    let mut keys: Vec<String> = read(&lake).into_iter().map(|(.., key, _)| key).collect();
    keys.sort();
    assert_eq!(keys, texts);
    assert_eq!(names_in(dir.path()), [DATE, "lake"]);
    store.close().unwrap();
    let store = DatedStore::open(DATE, config()).unwrap();
    check(&store, "storage");
    for text in &texts {
        assert_eq!(store.get_key_process(text, Some(text)).unwrap().username().as_deref(), Some(text.as_str()));
        assert_eq!(store.get_key(text).len(), 1);
    }
}

#[test]
fn names_that_could_be_no_folder_are_refused_at_the_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for name in ["__HIVE_DEFAULT_PARTITION__".to_owned(), "x".repeat(243), "é".repeat(41)] {
        let error = store.put("k").process(&name).data(&json!({})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().starts_with("process_name: "), "{error}");
        assert_eq!(store.store("k", &json!({"process_name": name})).unwrap_err().kind(), ErrorKind::Input);
    }
    assert!(store.is_empty());
    put(&store, "k", Some(&"é".repeat(40)), 1);
    assert!(store.export_to(dir.path().join("lake")).unwrap().is_some());
}

#[test]
fn every_column_is_exported_but_the_two_of_the_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let config = quiet(dir.path()).extra_schema([("price", "float64"), ("n", "int64"), ("day", "date32")]);
    let store = DatedStore::open(DATE, config).unwrap();
    let data = json!({"status": "late", "status_int": 7, "username": "ada", "price": 1.5, "n": 3, "day": "2024-02-29"});
    store.put("a").process("p").timestamp("2025-01-15T10:30:00+02:00").data(&data).unwrap();
    store.put("b").process("p").data(&json!({})).unwrap();
    store.compact().unwrap();
    store.put("b").process("p").data(&json!({"n": 4})).unwrap();
    let export = store.export_to(dir.path().join("lake")).unwrap().unwrap();
    assert_eq!(export.files().len(), 1);
    let path = dir.path().join("lake").join(&export.files()[0].path);
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap();
    let names: Vec<_> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    let expected =
        ["key", "data", "timestamp", "status", "status_int", "username", "updated_at", "version", "price", "n", "day"];
    assert_eq!(names, expected);
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let n = batch.column_by_name("n").unwrap().as_primitive::<Int64Type>();
    assert_eq!((n.values().iter().sum::<i64>(), batch.num_rows()), (7, 2), "the newest of each record, once");

    let sql = format!("SELECT * EXCLUDE (updated_at, data) FROM '{}' WHERE key = 'a'", path.display());
    let rows = store.query(&sql).unwrap();
    let row = rows.iter().next().unwrap();
    assert_eq!(
        row[..9],
        [
            json!("a"),
            json!("2025-01-15T08:30:00+00:00"),
            json!("late"),
            json!(7),
            json!("ada"),
            json!(1),
            json!(1.5),
            json!(3),
            json!("2024-02-29")
        ]
    );
}

#[test]
fn the_root_is_given_or_configured_and_close_exports_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = store.export().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("parquet"), "{error}");
    let lake = dir.path().join("lake");
    assert_eq!(store.export_to(&lake).unwrap(), None, "there is nothing to export");
    assert_eq!(parquet_files(&lake), Vec::<PathBuf>::new());
    put(&store, "k", Some("p"), 1);
    store.close().unwrap();
    assert_eq!(read(&lake), [], "nothing is configured");

    let store = DatedStore::open(DATE, quiet(dir.path()).parquet(&lake)).unwrap();
    assert_eq!(store.export().unwrap().unwrap().rows(), 1);
    put(&store, "l", Some("q"), 1);
    store.close().unwrap();
    assert_eq!(read(&lake).iter().map(|row| row.2.as_str()).collect::<Vec<_>>(), ["k", "l"]);
    assert_eq!(names_in(&lake), ["_persist_export-2025-01-15.json", "process_name=p", "process_name=q"]);
}

#[test]
fn exporting_again_replaces_that_dates_files_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let other = DatedStore::open("2025-01-16", quiet(dir.path())).unwrap();
    put(&other, "other", Some("p"), 1);
    put(&other, "other", Some("gone"), 1);
    other.export_to(&lake).unwrap();

    // What the former export has for `gone` is superfluous then.
    let store = open(dir.path());
    put(&store, "former", Some("gone"), 1);
    put(&store, "former", Some("p"), 1);
    store.export_to(&lake).unwrap();
    store.remove("former", Some("gone")).unwrap();
    store.remove("former", Some("p")).unwrap();
    put(&store, "k", Some("p"), 1);
    store.export_to(&lake).unwrap();
    put(&store, "k", Some("p"), 2);
    store.export_to(&lake).unwrap();
    let row = |process: &str, date: &str, key: &str, version| {
        (format!("process_name={process}"), format!("date={date}"), key.to_owned(), version)
    };
    let expected = [row("gone", "2025-01-16", "other", 1), row("p", DATE, "k", 2), row("p", "2025-01-16", "other", 1)];
    assert_eq!(read(&lake), expected);
}

#[test]
fn an_export_that_may_be_all_there_is_of_another_store_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, config) = (dir.path().join("lake"), quiet(dir.path()));
    let store = DatedStore::open(DATE, config.clone()).unwrap();
    put(&store, "k", Some("p"), 1);
    let backup = store.backup(dir.path().join("backup")).unwrap();
    store.export_to(&lake).unwrap();
    let restored = || {
        fs::remove_dir_all(dir.path().join(DATE)).unwrap();
        DatedStore::restore(&backup.dir, DATE, config.clone()).unwrap();
        DatedStore::open(DATE, config.clone()).unwrap()
    };
    let refused = |store: &DatedStore| {
        let before = (names_in(&lake), read(&lake));
        let error = store.export_to(&lake).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("_persist_export-2025-01-15.json"), "{error}");
        assert_eq!((names_in(&lake), read(&lake)), before);
    };
    // What was restored has all that is in the export.
    store.close().unwrap();
    let store = restored();
    put(&store, "l", Some("p"), 1);
    store.export_to(&lake).unwrap();
    store.close().unwrap();
    // Restored once more, it lacks what was written after the backup, and so does a date that was made again.
    let store = restored();
    refused(&store);
    store.close().unwrap();
    fs::remove_dir_all(dir.path().join(DATE)).unwrap();
    let store = DatedStore::open(DATE, config.parquet(&lake)).unwrap();
    refused(&store);
    // Of an export that does not say whose it is, nothing is known.
    let manifest = lake.join("_persist_export-2025-01-15.json");
    fs::write(&manifest, r#"{"format": 1, "date": "2025-01-15", "seq": 0, "rows": 0, "files": []}"#).unwrap();
    refused(&store);
    assert_eq!(store.close().unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn anothers_files_in_a_folder_of_the_date_are_refused_before_anything_changes() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let folder = lake.join("process_name=p/date=2025-01-15");
    fs::create_dir_all(&folder).unwrap();
    let other = folder.join("0a1b-0.parquet");
    fs::write(&other, "PAR1").unwrap();
    let store = open(dir.path());
    put(&store, "k", Some("a"), 1);
    put(&store, "k", Some("p"), 1);
    let error = store.export_to(&lake).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(other.to_str().unwrap()), "{error}");
    assert_eq!((parquet_files(&lake), names_in(&lake)), (vec![other], vec!["process_name=p".to_owned()]));
}

#[test]
fn many_dates_and_many_processes_export_into_one_root_at_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    std::thread::scope(|scope| {
        for day in 10..16 {
            let (dir, lake) = (dir.path(), &lake);
            scope.spawn(move || {
                let store = DatedStore::open(format!("2025-01-{day}").as_str(), quiet(dir).parquet(lake)).unwrap();
                // More processes than files are written at once.
                for n in 0..if day == 10 { 300 } else { 20 } {
                    let durability = persist_dated::Durability::Os;
                    let process = format!("p{n}");
                    store.put("k").process(&process).durability(durability).data(&json!({"n": n})).unwrap();
                }
                store.export().unwrap();
                store.close().unwrap();
            });
        }
    });
    let mut dates = BTreeMap::<String, usize>::new();
    for (_, date, ..) in read(&lake) {
        *dates.entry(date).or_default() += 1;
    }
    let expected = (10..16).map(|day| (format!("date=2025-01-{day}"), if day == 10 { 300 } else { 20 }));
    assert!(dates.into_iter().eq(expected));
    assert!(names_in(&lake).iter().all(|name| !name.starts_with('.')), "nothing is left over");
}

#[test]
fn writes_go_on_while_an_export_shows_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let store = DatedStore::open(DATE, quiet(dir.path()).batch_size(50)).unwrap();
    std::thread::scope(|scope| {
        // Both records of a pair are written one after the other, so that no moment has them two versions apart.
        scope.spawn(|| {
            for n in 0..400 {
                put(&store, "a", Some("p"), n);
                put(&store, "b", Some("q"), n);
            }
        });
        for round in 0..5 {
            let lake = dir.path().join(format!("lake{round}"));
            store.export_to(&lake).unwrap();
            let versions: Vec<i32> = if lake.exists() { read(&lake).iter().map(|row| row.3).collect() } else { vec![] };
            let (a, b) = (versions.first().copied().unwrap_or(0), versions.get(1).copied().unwrap_or(0));
            assert!(a == b || a == b + 1, "{versions:?}");
        }
    });
}

/// A root with an export of one record, and a store with another state for it: changed, new and vanished processes.
fn before_and_after(dir: &Path) {
    let store = open(dir);
    for process in ["changed", "vanished"] {
        put(&store, "old", Some(process), 1);
    }
    store.export_to(dir.join("lake")).unwrap();
    for process in ["changed", "vanished"] {
        store.remove("old", Some(process)).unwrap();
    }
    for process in ["changed", "new"] {
        put(&store, "new", Some(process), 1);
    }
    store.close().unwrap();
}

#[test]
fn each_file_operation_may_be_the_last_and_readers_see_whole_files_old_or_new() {
    let whole =
        |key: &str, process: &str| (format!("process_name={process}"), format!("date={DATE}"), key.to_owned(), 1);
    let new = [whole("new", "changed"), whole("new", "new")];
    let mut failures = 0;
    for last in 0.. {
        let dir = tempfile::tempdir().unwrap();
        before_and_after(dir.path());
        let (lake, calls) = (dir.path().join("lake"), Arc::new(AtomicUsize::new(0)));
        let (root, counted) = (lake.clone(), Arc::clone(&calls));
        // From the chosen operation on nothing in the lake succeeds any more, as after a crash.
        let disk = FlakyDisk::new(move |_, path| {
            let crashed = path.starts_with(&root) && counted.fetch_add(1, Ordering::Relaxed) >= last;
            if crashed { Err(io::Error::other("crashed")) } else { Ok(()) }
        });
        let store = DatedStore::open(DATE, quiet(dir.path()).parquet(&lake).fs(Arc::new(disk))).unwrap();
        let exported = store.export();
        for row in read(&lake) {
            let old = [whole("old", "changed"), whole("old", "vanished")];
            assert!(old.contains(&row) || new.contains(&row), "{row:?}");
        }
        let done = exported.is_ok();
        if done {
            assert_eq!(read(&lake), new);
            // The automatic export makes as many calls again.
            assert!(store.close().is_err(), "a failed export is said");
        } else {
            failures += 1;
            assert_eq!(exported.unwrap_err().kind(), ErrorKind::Io);
            assert_eq!(store.close().unwrap_err().kind(), ErrorKind::Io);
        }
        // The data is safe and the lock is free, and the next export makes all of it right.
        let store = open(dir.path());
        assert_eq!(store.len(), 2);
        store.export_to(&lake).unwrap();
        assert_eq!(read(&lake), new);
        assert!(names_in(&lake).iter().all(|name| !name.starts_with('.')), "what was left over is gone");
        if done {
            break;
        }
    }
    assert!(failures > 10, "{failures}");
}
