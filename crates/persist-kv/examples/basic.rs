//! Stores 250 random records with statistics on the way, flushes, dies without closing, restarts, and verifies.
//!
//! ```sh
//! cargo run -p persist-kv --example kv-basic
//! ```
//!
//! A folder may be named behind `--`; else it is `target/example-kv`. The store stands in a folder `users` there, which is
//! removed first.

#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use persist_kv::{KvConfig, KvStore};
use persist_test_utils::{Rng, example_folder};
use serde::{Deserialize, Serialize};

/// What this program is called with to be the process that dies.
const WRITE: &str = "--write";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    score: u64,
    balance: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    match (args.next(), args.next()) {
        (Some(write), Some(dir)) if write == WRITE => write_and_die(Path::new(&dir)),
        (given, _) => demo(&example_folder(given, "kv")?),
    }
}

fn demo(dir: &Path) -> Result<(), Box<dyn Error>> {
    let dir = dir.join("users");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir)?;
    // A core dump would land in the working folder.
    let dir = dir.canonicalize()?;
    let died = Command::new(std::env::current_exe()?).arg(WRITE).arg(&dir).current_dir(&dir).status()?;
    if died.success() {
        return Err("the process that writes did not die".into());
    }

    let store = open(&dir)?;
    println!("restarted: {}", store.recovery());
    let expected: BTreeMap<String, User> = records().collect();
    for (key, user) in &expected {
        let record = store.get(key).ok_or_else(|| format!("{key} is lost"))?;
        if record.to::<User>()? != *user {
            return Err(format!("{key} is {}", record.json()).into());
        }
    }
    let verified = store.verify()?;
    if !verified.is_ok() || store.len() != expected.len() {
        return Err(format!("{} records of {}: {verified:?}", store.len(), expected.len()).into());
    }
    println!("{}", store.query("SELECT key, version, data FROM storage ORDER BY version DESC, key LIMIT 3")?);
    store.close()?;
    println!("all {} records are there, in memory and in DuckDB", expected.len());
    Ok(())
}

fn open(dir: &Path) -> persist_kv::Result<KvStore> {
    KvStore::open(dir.join("data.duckdb"), KvConfig::new(dir.join("storage")).batch_size(100))
}

/// What is stored, the same in both processes: some keys come again.
fn records() -> impl Iterator<Item = (String, User)> {
    let mut rng = Rng::new(20_250_115);
    let mut user = move || {
        let name = format!("User {}", rng.below(1000));
        let user = User { name, score: rng.below(101), balance: rng.below(100_000) as f64 / 7.0 };
        (format!("user_{:03}", rng.below(150)), user)
    };
    (0..250).map(move |_| user())
}

fn write_and_die(dir: &Path) -> Result<(), Box<dyn Error>> {
    let store = open(dir)?;
    for (written, (key, user)) in (1..).zip(records()) {
        store.store(&key, &user)?;
        if written % 50 == 0 {
            let stats = store.stats();
            println!(
                "{written} writes: {} records, {} not flushed; log: {} files, segment {} with {} lines and {} bytes",
                stats.cache_size,
                stats.pending_writes,
                stats.wal_files_count,
                stats.wal_sequence,
                stats.current_wal_count,
                stats.current_wal_size
            );
        }
        if written == 225 {
            store.flush()?;
            println!("flushed: {} not flushed", store.stats().pending_writes);
        }
    }
    println!("{} records are acknowledged, {} not flushed; aborting", store.len(), store.stats().pending_writes);
    std::process::abort();
}
