//! Copies of the store: a backup restored elsewhere, the newest items made anew; compared row for row.

use std::path::Path;

use persist_collection::CollectionStore;
use serde_json::Value;

use crate::error::Error;
use crate::weather::compare::{Comparison, agreeing};
use crate::weather::writing::config;

/// All columns of both tables.
#[derive(Debug, PartialEq)]
pub(crate) struct Copy {
    history: Vec<Vec<Value>>,
    latest: Vec<Vec<Value>>,
}

impl Copy {
    pub(crate) fn of(store: &CollectionStore) -> Result<Self, Error> {
        let rows =
            |sql| -> Result<Vec<Vec<Value>>, Error> { Ok(store.query(sql)?.iter().map(<[_]>::to_vec).collect()) };
        Ok(Self {
            history: rows("SELECT * FROM storage_history ORDER BY persist_seq")?,
            latest: rows("SELECT * FROM storage_latest ORDER BY key, collection_name, item_name")?,
        })
    }

    /// Compares another copy with this one.
    pub(crate) fn compare(&self, other: &Self, whose: &str, with: &mut Comparison) {
        for (table, expected, found) in
            [("history", &self.history, &other.history), ("latest", &self.latest, &other.latest)]
        {
            let name = format!("{table} rows {whose}");
            with.counts(&name, expected.len(), found.len());
            with.counts(format_args!("{name}, the same in all columns"), expected.len(), agreeing(expected, found));
        }
    }
}

/// Backs up a store in use, and makes another of the backup.
pub(crate) fn back_up_and_restore(
    store: &CollectionStore,
    folder: &Path,
    compared: &mut Comparison,
) -> Result<(), Error> {
    let backup = store.backup(folder.join("backup"))?;
    let config = config(&folder.join("restored"));
    CollectionStore::restore(&backup.dir, store.date(), config.clone())?;
    let restored = CollectionStore::open(store.date(), config)?;
    Copy::of(store)?.compare(&Copy::of(&restored)?, "restored from the backup", compared);
    restored.close()?;
    Ok(())
}

/// Makes the newest items anew of the history.
pub(crate) fn rebuild_latest(store: &CollectionStore, items: usize, compared: &mut Comparison) -> Result<(), Error> {
    let before = Copy::of(store)?;
    let rebuilt = store.rebuild_latest_from_history()?;
    compared.counts("items made anew of the history", items, usize::try_from(rebuilt).unwrap_or(usize::MAX));
    before.compare(&Copy::of(store)?, "after that", compared);
    Ok(())
}
