//! A closed store of a million records: opening it, exporting it, and what a record takes in memory.

use std::path::Path;
use std::time::{Duration, Instant};

use persist_dated::{DatedConfig, DatedStore};

use super::bench::{Bench, DATE, fill, never_flushed, unflushed};
use super::recovery::in_its_own_process;
use crate::Result;
use crate::drive::{Contender, Figures, in_turns};
use crate::flight::{self, Flight};
use crate::floor::file_of_duckdb::{Source, scan};
use crate::name::{Name, PERSIST};
use crate::report::Report;

const OPEN: &str = "open-1m";
const EXPORT: &str = "export-1m";
const MEMORY: &str = "memory-1m";
const SCAN: Name = Name::floor("bare scan");
const COPY: Name = Name::floor("bare COPY");
const TEXT: Name = Name::floor("key and data");
const CLOSED: &str = "closed";
const AIRPORTS: [&str; 4] = ["EWR", "LGA", "JFK", "BOS"];

/// Makes the closed store.
pub(super) fn prepare(bench: &Bench) -> Result<()> {
    in_its_own_process(bench, "close", &bench.folder(CLOSED)?).map(drop)
}

pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    if bench.wants(OPEN) || bench.wants(EXPORT) {
        let dir = bench.dir.join(CLOSED);
        if bench.wants(OPEN) {
            open(bench, report, &dir)?;
        }
        if bench.wants(EXPORT) {
            export(bench, report, &dir)?;
        }
        std::fs::remove_dir_all(&dir)?;
    }
    if bench.wants(MEMORY) {
        memory(bench, report)?;
    }
    Ok(())
}

fn open(bench: &Bench, report: &mut Report, dir: &Path) -> Result<()> {
    let again = |step: &'static str| {
        move || -> Result<Figures> { Ok(Figures::of_whole(in_its_own_process(bench, step, dir)?, bench.scale.records)) }
    };
    let contenders: Vec<Contender<'_>> = vec![(PERSIST, Box::new(again("open"))), (SCAN, Box::new(again("scan")))];
    report.add(OPEN, &in_turns(bench.scale.rounds, contenders)?);
    Ok(())
}

/// Four files, synced, against one that is not.
fn export(bench: &Bench, report: &mut Report, dir: &Path) -> Result<()> {
    // Two instances of DuckDB in one process must not share a file.
    let (copy, lake) = (bench.folder("export-copy")?.join("data.duckdb"), bench.folder("export-lake")?);
    std::fs::copy(dir.join(DATE).join("data.duckdb"), &copy)?;
    let store = DatedStore::open(DATE, DatedConfig::new(dir))?;
    let records = bench.scale.records;
    let ours = || -> Result<Figures> {
        let start = Instant::now();
        let exported = store.export_to(lake.join("ours"))?.map_or(0, |export| export.rows());
        let took = start.elapsed();
        if exported != records {
            return Err(format!("{exported} rows exported in place of {records}").into());
        }
        Ok(Figures::of_whole(took, records))
    };
    let source = Source::new(&copy)?;
    let bare = || -> Result<Figures> { Ok(Figures::of_whole(source.copy_out(&lake.join("bare.parquet"))?, records)) };
    // Neither is to pay for reading the file for the first time.
    let _ = (ours()?, bare()?);
    let contenders: Vec<Contender<'_>> = vec![(PERSIST, Box::new(ours)), (COPY, Box::new(bare))];
    report.add(EXPORT, &in_turns(bench.scale.rounds, contenders)?);
    store.close()?;
    Ok(())
}

/// What a process grows by for each record that waits to be flushed, beside the text of its key and data.
fn memory(bench: &Bench, report: &mut Report) -> Result<()> {
    let dir = bench.folder("memory")?;
    let bytes = in_its_own_process(bench, "memory", &dir)?.as_nanos() as f64;
    std::fs::remove_dir_all(&dir)?;
    let dir = bench.folder("text")?;
    let store = unflushed(&dir)?;
    let sample = bench.scale.records.min(1000);
    let (mut key, mut text) = (String::new(), 0);
    for n in 0..sample {
        flight::key(n, &mut key);
        text += key.len() + store.store(&key, &Flight::new(n))?.json().len();
    }
    store.close()?;
    std::fs::remove_dir_all(&dir)?;
    let records = bench.scale.records as f64;
    report.add_value(MEMORY, PERSIST, "bytes_per_record", bytes / records);
    report.add_value(MEMORY, TEXT, "bytes_per_record", text as f64 / sample as f64);
    Ok(())
}

/// What such a process does, and what it prints: nanoseconds, or bytes for `memory`.
pub(super) fn step(step: &str, dir: &Path, records: u64) -> Result<Option<u128>> {
    let start = Instant::now();
    let found = match step {
        "close" => {
            let store = DatedStore::open(DATE, never_flushed(dir).durability(persist_dated::Durability::Os))?;
            let mut key = String::new();
            for (n, airport) in (0..records).zip(AIRPORTS.iter().cycle()) {
                flight::key(n, &mut key);
                store.put(&key).process(airport).data(&Flight::new(n))?;
            }
            store.close()?;
            records
        }
        "open" => {
            let store = DatedStore::open(DATE, DatedConfig::new(dir))?;
            let took = start.elapsed();
            let found = store.len() as u64;
            store.close()?;
            return check(step, found, records, took);
        }
        "scan" => scan(&dir.join(DATE).join("data.duckdb"))?,
        "memory" => {
            let store = unflushed(dir)?;
            // The first write makes the log's buffers and DuckDB's connections.
            fill(&store, records..records + 1)?;
            let before = resident_bytes()?;
            fill(&store, 0..records)?;
            let grown = resident_bytes()?.saturating_sub(before);
            std::mem::forget(store);
            return Ok(Some(u128::from(grown)));
        }
        _ => return Ok(None),
    };
    check(step, found, records, start.elapsed())
}

fn check(step: &str, found: u64, records: u64, took: Duration) -> Result<Option<u128>> {
    if found != records {
        return Err(format!("{step}: {found} records in place of {records}").into());
    }
    Ok(Some(took.as_nanos()))
}

/// The memory of this process that is in use, where the system says so.
fn resident_bytes() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/self/status")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
