//! Crashes in the middle of its work, recovers, and makes both databases anew.
//!
//! ```sh
//! cargo run -p persist-collection --example collection-crash -- 1    # stores 24 records and aborts
//! cargo run -p persist-collection --example collection-crash -- 2    # recovers them, verifies, closes with a backup
//! cargo run -p persist-collection --example collection-crash -- 3    # makes storage_latest anew, and then both files
//! ```
//!
//! A folder may be named behind the stage; else it is `target/example-collection-crash`. Stage 1 removes the store of an
//! earlier run.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::path::Path;

use persist_collection::{CollectionConfig, CollectionStore, DatabaseFile, IntoValue};
use persist_test_utils::example_folder;
use serde_json::{Value, json};

const DATE: &str = "2025-12-24";

/// Key, collection, item and value of a record.
type Item = (String, &'static str, String, Value);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let stage = args.next();
    let base = example_folder(args.next(), "collection-crash")?.join("storage");
    match stage.as_deref() {
        Some("1") => write_and_crash(&base),
        Some("2") => recover(&base),
        Some("3") => rebuild(&base),
        _ => Err("which stage? 1 writes and crashes, 2 recovers, 3 rebuilds".into()),
    }
}

/// Three profiles of three items, ten seats, a form of five fields.
fn items() -> Vec<Item> {
    let people = [("ada", 36, 1.65), ("grace", 85, 1.68), ("linus", 55, 1.78)];
    let profiles = people.iter().flat_map(|(name, age, height)| {
        let items = [("name", json!(name)), ("age", json!(age)), ("height", json!(height))];
        items.map(|(item, value)| (format!("user_{name}"), "personal_info", item.to_owned(), value))
    });
    let seats = (1..=10).map(|seat| ("classroom".to_owned(), "room_a", format!("seat_{seat}"), json!(seat)));
    let fields = [
        ("name", json!("John")),
        ("age", json!(32)),
        ("weight", json!(71.5)),
        ("subscribe", json!(1)),
        ("note", json!(null)),
    ];
    let form = fields.map(|(item, value)| ("form".to_owned(), "user_input", item.to_owned(), value));
    profiles.chain(seats).chain(form).collect()
}

fn write_and_crash(base: &Path) -> Result<(), Box<dyn Error>> {
    let _ = fs::remove_dir_all(base);
    let store = CollectionStore::open(DATE, CollectionConfig::new(base))?;
    for (n, (key, collection, item, value)) in items().into_iter().enumerate() {
        store.put(&key).collection(collection).item(&item).value(value).data(&json!({"number": n}))?;
    }
    let stats = store.stats();
    println!("{} records are acknowledged, {} not flushed; aborting", stats.last_seq, stats.pending_writes);
    std::process::abort();
}

fn recover(base: &Path) -> Result<(), Box<dyn Error>> {
    let store = CollectionStore::open(DATE, CollectionConfig::new(base))?;
    println!("{}", store.recovery());
    verify(&store)?;
    store.close()?;
    for entry in fs::read_dir(base.join(DATE))? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("wal_") {
            return Err(format!("{} is left in {DATE}", name.display()).into());
        }
    }
    let backup = CollectionStore::verify_backup(base.join(DATE), &CollectionConfig::new(base))?;
    if backup.seq != 24 {
        return Err(format!("the backup is of record {}", backup.seq).into());
    }
    println!("all 24 records recovered and verified, closed, no log left, in a backup");
    Ok(())
}

fn rebuild(base: &Path) -> Result<(), Box<dyn Error>> {
    let store = CollectionStore::open(DATE, CollectionConfig::new(base))?;
    println!("{} items made anew of the history", store.rebuild_latest_from_history()?);
    verify(&store)?;
    store.close()?;

    // As if the history were damaged: the steps that its error would say.
    fs::remove_file(base.join("storage_history.duckdb"))?;
    let store = CollectionStore::open(DATE, CollectionConfig::new(base))?;
    let from_log = store.rebuild_history_from_wal(DATE)?;
    let items = store.rebuild_latest_from_history()?;
    println!("the history made anew of the backup and {from_log} records of the log, with {items} items");
    verify(&store)?;
    store.close()?;
    println!("all 24 records are there, in memory and in both databases");
    Ok(())
}

/// Whether all items are there, with their values and types, and both databases are sound.
fn verify(store: &CollectionStore) -> Result<(), Box<dyn Error>> {
    for (n, (key, collection, item, value)) in items().into_iter().enumerate() {
        let id = format!("{item} of {key}/{collection}");
        let record = store.get_item(&key, collection, &item)?.ok_or_else(|| format!("{id} is lost"))?;
        if *record.typed_value() != value.into_value()? || record.field::<usize>("number")? != Some(n) {
            return Err(format!("{id} is {:?} {}", record.typed_value(), record.json()).into());
        }
    }
    for (file, table) in [(DatabaseFile::Main, "storage_history"), (DatabaseFile::Latest, "storage_latest")] {
        let problems = store.check_database_health(file)?;
        let count = store.query(&format!("SELECT count(*) AS n FROM {table}"))?;
        if !problems.is_empty() || count.get(0, "n") != Some(&json!(items().len())) {
            return Err(format!("{table} has other rows: {count} {problems:?}").into());
        }
    }
    let verified = store.verify()?;
    if verified.is_ok() { Ok(()) } else { Err(format!("memory and DuckDB differ: {verified:?}").into()) }
}
