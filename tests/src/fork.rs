//! A process that is forked while its store is open: the child can do no harm, and the parent goes on.

use std::fs;
use std::path::Path;

use fork::{Fork, fork, waitpid};
use persist_dated::{DatedConfig, DatedStore, Durability, ErrorKind};
use serde_json::json;

const DATE: &str = "2025-01-15";
/// What the child has to say, beside the store's folder.
const SAID: &str = "said";

/// The process that forks. It must not have other threads than the store's.
///
/// # Errors
/// The first promise that was broken.
pub fn process(dir: &Path) -> Result<(), String> {
    let open = || DatedStore::open(DATE, DatedConfig::new(dir)).map_err(|error| error.to_string());
    let put = |store: &DatedStore, n: u64, durability| {
        store
            .put(&format!("k{n}"))
            .durability(durability)
            .data(&json!({"n": n}))
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let store = open()?;
    (0..100).try_for_each(|n| put(&store, n, Durability::Sync))?;
    // Written by the parent, and not yet known to be durable by whoever comes after the fork.
    put(&store, 100, Durability::Os)?;
    let child = match fork().map_err(|error| format!("cannot fork: {error}"))? {
        Fork::Child => {
            let said = in_child(store).err().unwrap_or_default();
            let _ = fs::write(dir.join(SAID), said);
            // Nothing of the process is this one's to tear down.
            std::process::abort()
        }
        Fork::Parent(child) => child,
    };
    (101..200).try_for_each(|n| put(&store, n, Durability::Sync))?;
    waitpid(child).map_err(|error| format!("cannot wait for the child: {error}"))?;
    let said = fs::read_to_string(dir.join(SAID)).map_err(|error| format!("the child said nothing: {error}"))?;
    if !said.is_empty() {
        return Err(format!("in the child: {said}"));
    }
    match DatedStore::open(DATE, DatedConfig::new(dir)) {
        Err(error) if error.kind() == ErrorKind::Locked => {}
        other => return Err(format!("the child took the lock with it: {other:?}")),
    }
    (200..300).try_for_each(|n| put(&store, n, Durability::Sync))?;
    // As a kill would leave it: what counts is in the log.
    let copy = dir.join("copy");
    persist_test_utils::copy_as_crash_leaves_it(&dir.join(DATE), &copy.join(DATE));
    store.close().map_err(|error| error.to_string())?;
    for dir in [dir, &copy] {
        let store = DatedStore::open(DATE, DatedConfig::new(dir)).map_err(|error| error.to_string())?;
        let missing: Vec<u64> = (0..300).filter(|n| store.get_key_process(&format!("k{n}"), None).is_none()).collect();
        if store.len() != 300 || !missing.is_empty() {
            return Err(format!("{} records in {}; missing: {missing:?}", store.len(), dir.display()));
        }
    }
    Ok(())
}

/// What the child does to a store that is not its own.
fn in_child(store: DatedStore) -> Result<(), String> {
    let must_be_refused = |what: &str, done: persist_dated::Result<()>| match done {
        Err(error) if error.kind() == ErrorKind::Poisoned => Ok(()),
        other => Err(format!("{what}: {other:?}")),
    };
    if store.get_key_process("k0", None).is_none() {
        return Err("a read found nothing".to_owned());
    }
    let ticket = store.put("child").submit(&json!({})).map_err(|error| format!("submit: {error}"))?;
    if !ticket.is_done() {
        return Err("a ticket is never done".to_owned());
    }
    must_be_refused("a ticket", ticket.wait().map(drop))?;
    for durability in [Durability::Os, Durability::Sync] {
        let put = store.put("child").durability(durability).data(&json!({"text": "x".repeat(1_000)}));
        must_be_refused("a write", put.map(drop))?;
    }
    must_be_refused("sync", store.sync())?;
    must_be_refused("flush", store.flush())?;
    must_be_refused("compact", store.compact())?;
    must_be_refused("close", store.close())
}
