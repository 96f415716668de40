//! Crashes in the middle of its work, and recovers.
//!
//! ```sh
//! cargo run -p persist-dated --example crash -- 1    # stores nine records and aborts
//! cargo run -p persist-dated --example crash -- 2    # recovers them, verifies, closes
//! ```
//!
//! A folder may be named behind the stage; else it is `target/example-crash`. Stage 1 removes what stands there from an
//! earlier run.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::path::Path;

use persist_dated::{DatedConfig, DatedStore};
use persist_test_utils::example_folder;
use serde_json::json;

const KEYS: [&str; 3] = ["extract", "transform", "load"];
const PROCESSES: [&str; 3] = ["worker1", "worker2", "worker3"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let stage = args.next();
    let dir = example_folder(args.next(), "crash")?;
    match stage.as_deref() {
        Some("1") => write_and_crash(&dir),
        Some("2") => recover(&dir),
        _ => Err("which stage? 1 writes and crashes, 2 recovers".into()),
    }
}

/// The number that is stored under a key by a process, and what all of them are.
fn records() -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    let ids = KEYS.into_iter().flat_map(|key| PROCESSES.map(|process| (key, process)));
    ids.zip(1..).map(|((key, process), number)| (key, process, number))
}

fn write_and_crash(dir: &Path) -> Result<(), Box<dyn Error>> {
    let _ = fs::remove_dir_all(dir.join("2025-01-15"));
    let store = DatedStore::open("2025-01-15", DatedConfig::new(dir))?;
    for (key, process, number) in records() {
        store.put(key).process(process).data(&json!({"number": number, "status": "running"}))?;
    }
    println!("{} records are acknowledged, {} not flushed; aborting", store.len(), store.stats().pending_writes);
    std::process::abort();
}

fn recover(dir: &Path) -> Result<(), Box<dyn Error>> {
    let store = DatedStore::open("2025-01-15", DatedConfig::new(dir))?;
    println!("{}", store.recovery());
    for (key, process, number) in records() {
        let record = store.get_key_process(key, Some(process)).ok_or_else(|| format!("{key} of {process} is lost"))?;
        if record.field::<u64>("number")? != Some(number) {
            return Err(format!("{key} of {process} is {}", record.json()).into());
        }
    }
    let verified = store.verify()?;
    if !verified.is_ok() || verified.rows != 9 {
        return Err(format!("memory and DuckDB differ: {verified:?}").into());
    }
    let folder = store.dir().to_owned();
    store.close()?;
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("wal_") {
            return Err(format!("{} is left in {}", name.display(), folder.display()).into());
        }
    }
    println!("all nine records recovered and verified, closed, no log left");
    Ok(())
}
