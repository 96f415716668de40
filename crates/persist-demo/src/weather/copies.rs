//! Copies of the store: a backup restored elsewhere, the store as it stood earlier, the newest items made anew; compared
//! row for row.

use std::path::Path;

use persist_collection::CollectionStore;
use serde_json::Value;
use time::OffsetDateTime;

use crate::error::Error;
use crate::weather::compare::{Comparison, agreeing};
use crate::weather::expected;
use crate::weather::found::Ask;
use crate::weather::observation::Observation;
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
            let same = agreeing(expected, found);
            with.counts(format_args!("{table} rows {whose}, as they were"), expected.len(), same);
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
    let config = config(&folder.join("restored")).backups(false);
    CollectionStore::restore(&backup.dir, store.date(), config.clone())?;
    let restored = CollectionStore::open(store.date(), config)?;
    Copy::of(store)?.compare(&Copy::of(&restored)?, "restored from the backup", compared);
    restored.close()?;
    Ok(())
}

/// Makes another store of the one in use, as it stood at a moment, when it had the first observations and no others.
pub(crate) fn restore_to(
    store: &CollectionStore,
    dir: &Path,
    moment: OffsetDateTime,
    first: &[Observation],
    folder: &Path,
    compared: &mut Comparison,
) -> Result<(), Error> {
    let config = config(&folder.join("earlier")).backups(false);
    CollectionStore::restore_to(dir, moment, store.date(), config.clone())?;
    let restored = CollectionStore::open(store.date(), config)?;
    let rows = restored.history_rows()?;
    let name = format!("history rows before {}", store.date());
    compared.counts(&name, first.len(), rows.len());
    compared.counts(format_args!("{name}, as in the CSV"), first.len(), agreeing(&expected::history(first), &rows));
    restored.close()?;
    Ok(())
}

/// Makes the newest items anew of the history.
pub(crate) fn rebuild_latest(store: &CollectionStore, compared: &mut Comparison) -> Result<(), Error> {
    let before = Copy::of(store)?;
    let rebuilt = store.rebuild_latest_from_history()?;
    compared.counts("items made anew of the history", compared.items, usize::try_from(rebuilt).unwrap_or(usize::MAX));
    before.compare(&Copy::of(store)?, "after that", compared);
    Ok(())
}
