//! The newest items of a collection store: loading them, keeping them up to date, backing up, and opening after a crash.

use std::path::Path;
use std::time::{Duration, Instant};

use duckdb::{AccessMode, Config, Connection};
use persist_collection::CollectionStore;

use super::bench::{Bench, DATE};
use super::collection::{ITEMS, build, key, load, load_all, loaded, never_flushed, put_all, unflushed};
use super::recovery::in_its_own_process;
use super::table::copy_folder;
use crate::Result;
use crate::drive::{Contender, Figures, in_turns};
use crate::floor::replay::replay;
use crate::name::{Name, PERSIST};
use crate::report::Report;

const BARE: Name = Name::floor("bare query");
const COPY: Name = Name::floor("file copy");
const REPLAY: Name = Name::floor("bare replay");
/// How often an item was written to the table of the newest while the store grew.
const REWRITES: Name = PERSIST.variant("rewrites of an item");
const HISTORY: &str = "storage_history.duckdb";
const LATEST: &str = "storage_latest.duckdb";
/// What has changed before a load is timed, and before an opening.
const CHANGES: u64 = 1000;

/// Loads of collections of 100 items, each of one that is not in memory, out of so many items of which some have changed
/// since all were put in order; and the query of it alone.
pub(super) fn lazy_load(bench: &Bench, report: &mut Report, name: &str, items: u64) -> Result<()> {
    if !bench.wants(name) {
        return Ok(());
    }
    let dir = bench.folder("lazy")?;
    let rewrites = build(bench, &dir, items)?;
    // Neither backups nor the reading of all files at opening have a part in a load.
    let open = || CollectionStore::open(DATE, never_flushed(&dir).backups(false).check_at_open(false));
    let store = open()?;
    put_all(&store, scattered(items, CHANGES, 0))?;
    store.close()?;
    // Two instances of DuckDB in one process must not share a file.
    let copy = dir.join("copy.duckdb");
    std::fs::copy(dir.join(LATEST), &copy)?;
    let bare = Connection::open_with_flags(&copy, Config::default().access_mode(AccessMode::ReadOnly)?)?;
    let store = open()?;
    let collections = items / ITEMS;
    let loads = (collections / (bench.scale.rounds as u64 + 1)).clamp(1, 300);
    let mut next = 0;
    let ours = || {
        timed(loads, |_| {
            next += 1;
            load(&store, next * 7919 % collections)
        })
    };
    let floor = || timed(loads, |n| query(&bare, (n + 13) * 7919 % collections));
    let contenders: Vec<Contender<'_>> = vec![(PERSIST, Box::new(ours)), (BARE, Box::new(floor))];
    report.add(name, &in_turns(bench.scale.rounds, contenders)?);
    report.add_value(name, REWRITES, "count", rewrites);
    store.close()?;
    Ok(std::fs::remove_dir_all(&dir)?)
}

/// Bringing the table of the newest items up to date, after so many of them have changed. Figures are changes per second.
pub(super) fn refresh(bench: &Bench, report: &mut Report, name: &str, items: u64, changes: u64) -> Result<()> {
    if !bench.wants(name) {
        return Ok(());
    }
    let changes = changes.min(items / 10);
    let dir = bench.folder("refresh")?;
    build(bench, &dir, items)?;
    let store = loaded(&dir)?;
    let table = crate::floor::appender::Table::new(&dir.join("floor.duckdb"), items)?;
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for n in 0..bench.scale.flushes as u64 {
        put_all(&store, scattered(items, changes, n))?;
        store.flush()?;
        let start = Instant::now();
        store.refresh_latest()?;
        ours.push(start.elapsed());
        let batch = crate::floor::appender::batch(0..changes)?;
        let start = Instant::now();
        table.append(batch)?;
        table.checkpoint()?;
        floor.push(start.elapsed());
    }
    let of = |each: &[Duration]| vec![Figures::of_each(each, changes)];
    report.add(name, &[(PERSIST, of(&ours)), (APPENDED, of(&floor))]);
    store.close()?;
    Ok(std::fs::remove_dir_all(&dir)?)
}

const APPENDED: Name = Name::floor("append, checkpoint");

/// A backup beside copying and syncing the two files. Figures are items per second.
pub(super) fn backup(bench: &Bench, report: &mut Report) -> Result<()> {
    const NAME: &str = "coll-backup-1m";
    if !bench.wants(NAME) {
        return Ok(());
    }
    let (dir, copies) = (bench.folder("backup")?, bench.folder("backup-copies")?);
    let items = bench.scale.records;
    build(bench, &dir, items)?;
    for file in [HISTORY, LATEST] {
        std::fs::copy(dir.join(file), copies.join(file))?;
    }
    let store = unflushed(&dir)?;
    let once = |work: &dyn Fn(&Path) -> Result<()>| -> Result<Figures> {
        let to = bench.folder("backup-made")?;
        let start = Instant::now();
        work(&to)?;
        Ok(Figures::of_whole(start.elapsed(), items))
    };
    let ours = || once(&|to| Ok(store.backup(to).map(drop)?));
    let copied = || {
        once(&|to| {
            for file in [HISTORY, LATEST] {
                std::fs::copy(copies.join(file), to.join(file))?;
                std::fs::File::open(to.join(file))?.sync_all()?;
            }
            Ok(())
        })
    };
    let contenders: Vec<Contender<'_>> = vec![(PERSIST, Box::new(ours)), (COPY, Box::new(copied))];
    report.add(NAME, &in_turns(bench.scale.rounds, contenders)?);
    store.close()?;
    std::fs::remove_dir_all(&copies)?;
    Ok(std::fs::remove_dir_all(&dir)?)
}

/// Opening a store of so many items whose process was killed with 1,000 writes that DuckDB does not have.
pub(super) fn recover(bench: &Bench, report: &mut Report, name: &str, items: u64) -> Result<()> {
    if !bench.wants(name) {
        return Ok(());
    }
    let crashed = bench.folder("coll-crashed")?;
    build(bench, &crashed, items)?;
    in_its_own_process(bench, "coll-crash", &crashed)?;
    let again = |step: &'static str| {
        let crashed = crashed.clone();
        move || -> Result<Figures> {
            let copy = bench.folder("coll-recovery")?;
            copy_folder(&crashed, &copy)?;
            let took = in_its_own_process(bench, step, &copy)?;
            Ok(Figures::of_whole(took, CHANGES))
        }
    };
    let contenders: Vec<Contender<'_>> =
        vec![(PERSIST, Box::new(again("coll-recover"))), (REPLAY, Box::new(again("coll-replay")))];
    report.add(name, &in_turns(bench.scale.rounds, contenders)?);
    Ok(std::fs::remove_dir_all(&crashed)?)
}

/// What such a process does, and what it prints: nanoseconds.
pub(super) fn step(step: &str, dir: &Path) -> Result<Option<u128>> {
    let start = Instant::now();
    match step {
        "coll-crash" => {
            let store = unflushed(dir)?;
            let items = load_all(&store)?;
            put_all(&store, scattered(items, CHANGES, 1))?;
            store.sync()?;
            std::mem::forget(store);
        }
        "coll-recover" => std::mem::forget(unflushed(dir)?),
        "coll-replay" => drop(replay(&dir.join(DATE))?),
        _ => return Ok(None),
    }
    Ok(Some(start.elapsed().as_nanos()))
}

/// So many numbers of items, as many to each part of the table.
fn scattered(items: u64, changes: u64, from: u64) -> impl Iterator<Item = u64> {
    let changes = changes.min(items).max(1);
    let step = (items / changes).max(1);
    (0..changes).map(move |n| (n * step + from * 31 % step) % items)
}

fn timed(count: u64, mut operation: impl FnMut(u64) -> Result<()>) -> Result<Figures> {
    let mut each = Vec::new();
    for n in 0..count {
        let start = Instant::now();
        operation(n)?;
        each.push(start.elapsed());
    }
    Ok(Figures::of_each(&each, 1))
}

/// What a store has to ask DuckDB for.
fn query(connection: &Connection, collection: u64) -> Result<()> {
    let key = key(collection);
    let hash: u64 = connection.query_row("SELECT md5_number_lower(?::VARCHAR)", [&key], |row| row.get(0))?;
    let mut statement = connection.prepare(&format!(
        "SELECT key, collection_name, item_name, data, value_int, value_float, value_string, updated_at, \
         persist_version FROM storage_latest WHERE key = ? AND collection_name = 'form' AND persist_hash = {hash}"
    ))?;
    let rows: usize = statement.query_arrow([&key])?.map(|batch| batch.num_rows()).sum();
    if rows as u64 == ITEMS { Ok(()) } else { Err(format!("{key} has {rows} rows").into()) }
}
