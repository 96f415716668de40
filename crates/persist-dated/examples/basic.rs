//! Stores 250 random records of several processes, reads them in each way, exports them to Parquet, restarts, and
//! verifies what is there.
//!
//! ```sh
//! cargo run -p persist-dated --example basic
//! ```
//!
//! A folder may be named behind `--`; else it is `target/example-basic`. What stands there from an earlier run is
//! removed.

#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use persist_dated::{DatedConfig, DatedStore, timestamp};
use persist_test_utils::{Rng, example_folder};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

const RECORDS: u64 = 250;
const PROCESSES: [Option<&str>; 4] = [Some("worker1"), Some("worker2"), Some("worker3"), None];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Task {
    name: String,
    progress: u64,
    load: f64,
    #[serde(with = "timestamp::moment")]
    begun: OffsetDateTime,
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = example_folder(std::env::args().nth(1), "basic")?;
    // An export of the store of an earlier run would not be replaced by one of this store.
    for folder in ["2025-01-15", "lake"] {
        let _ = fs::remove_dir_all(dir.join(folder));
    }
    let config = DatedConfig::new(&dir).batch_size(100).parquet(dir.join("lake"));

    let store = DatedStore::open("2025-01-15", config.clone())?;
    // What should be there: the newest task of each key and process.
    let mut expected = BTreeMap::new();
    let mut rng = Rng::new(20_250_115);
    for written in 1..=RECORDS {
        let key = format!("task_{:02}", rng.below(40));
        let process = PROCESSES.get(rng.index(PROCESSES.len())).copied().flatten();
        let begun = OffsetDateTime::from_unix_timestamp(1_736_899_200 + rng.below(86_400) as i64)?;
        let task =
            Task { name: "load".to_owned(), progress: rng.below(101), load: rng.below(1000) as f64 / 7.0, begun };
        let put = store.put(&key).status(if task.progress == 100 { "done" } else { "running" }).username("alice");
        match process {
            Some(name) => put.process(name).data(&task)?,
            None => put.data(&task)?,
        };
        expected.insert((key, process), task);
        if written % 50 == 0 {
            let stats = store.stats();
            println!(
                "{written} writes: {} records, {} not flushed yet, {} bytes in segment {} of the log",
                stats.cache_size, stats.pending_writes, stats.current_wal_size, stats.wal_sequence
            );
        }
    }

    store.flush()?;
    println!("flushed: {} not flushed", store.stats().pending_writes);

    let of_key = store.get_key("task_07");
    println!("task_07 has {} processes", of_key.len());
    for (process, record) in &of_key {
        let progress: Option<u64> = record.field("progress")?;
        println!("  {}: {} %, version {}", process.as_deref().unwrap_or("-"), progress.unwrap_or(0), record.version());
    }
    println!("{}", store.query("SELECT process_name, count(*) AS tasks FROM storage GROUP BY ALL ORDER BY ALL")?);
    store.close()?; // exports to Parquet too, since a root is configured
    println!("exported to {}", dir.join("lake").display());

    let store = DatedStore::open("2025-01-15", config)?;
    for ((key, process), task) in &expected {
        let record = store.get_key_process(key, *process).ok_or_else(|| format!("{key} of {process:?} is gone"))?;
        if record.to::<Task>()? != *task {
            return Err(format!("{key} of {process:?} is {}", record.json()).into());
        }
    }
    let verified = store.verify()?;
    if !verified.is_ok() || store.len() != expected.len() {
        return Err(format!("{} records of {}: {verified:?}", store.len(), expected.len()).into());
    }
    store.close()?;
    println!("restarted: all {} records are there, in memory and in DuckDB", expected.len());
    Ok(())
}
