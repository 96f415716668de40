//! The loss of both databases and of the newest backup: the store is made again of an older backup and the kept logs, by
//! the steps that its error prints, and compared with what it was.

use std::fs;
use std::path::Path;

use persist_collection::{CollectionStore, ErrorKind};
use time::Date;

use crate::error::Error;
use crate::weather::compare::Comparison;
use crate::weather::copies::Copy;
use crate::weather::observation::Observation;
use crate::weather::writing::config;

const HISTORY: &str = "storage_history.duckdb";
const LATEST: &str = "storage_latest.duckdb";

/// Damages and rebuilds a store that is closed. `later` are the dates since the backup that stays.
pub(crate) fn damage_and_rebuild(
    dir: &Path,
    last: Date,
    later: &[(Date, &[Observation])],
    before: &Copy,
    compared: &mut Comparison,
) -> Result<(), Error> {
    for database in [HISTORY, LATEST] {
        let file = dir.join(database);
        fs::write(&file, "no database").map_err(|error| Error::io("cannot write", &file, error))?;
    }
    if !later.is_empty() {
        let backup = dir.join(last.to_string());
        for name in ["manifest.json", "storage_history.duckdb.backup", "storage_latest.duckdb.backup"] {
            remove(&backup.join(name))?;
        }
    }

    let Err(refusal) = CollectionStore::open(last, config(dir)) else {
        compared.texts("opening the damaged store", "Corrupt".to_owned(), "opens".to_owned());
        return Ok(());
    };
    compared.texts("opening the damaged store", format!("{:?}", ErrorKind::Corrupt), format!("{:?}", refusal.kind()));
    let steps = refusal.to_string();
    // Step 1.
    remove(&dir.join(HISTORY))?;
    let store = CollectionStore::open(last, config(dir))?;
    // Step 2. The step names the dates.
    let dates = steps.split_once("needs recovery (").and_then(|(_, rest)| rest.split_once(')')).unwrap_or_default().0;
    let mut rebuilt = 0;
    for date in dates.split(", ") {
        rebuilt += store.rebuild_history_from_wal(date)?;
    }
    let in_logs = later.iter().map(|(_, observations)| observations.len()).sum();
    compared.counts("history rows rebuilt of kept logs", in_logs, usize::try_from(rebuilt).unwrap_or(usize::MAX));
    // Step 3.
    let items = store.rebuild_latest_from_history()?;
    compared.counts("items rebuilt of that", compared.items, usize::try_from(items).unwrap_or(usize::MAX));

    compared.tables("rebuilt", &store)?;
    before.compare(&Copy::of(&store)?, "rebuilt", compared);
    compared.health("rebuilt", &store)?;
    store.close()?;
    Ok(())
}

fn remove(file: &Path) -> Result<(), Error> {
    fs::remove_file(file).map_err(|error| Error::io("cannot remove", file, error))
}
