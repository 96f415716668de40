//! A collection store as the tests see it that run on every store. The member `value` of a record's data is its typed
//! value as well, and is read back as that.

use std::path::Path;
use std::sync::Arc;

use persist_collection::{
    Batch, CollectionConfig, CollectionStore, DatabaseFile, ErrorKind, ItemName, Put, Record, Result, Scalar, Timestamp,
};
use persist_test_utils::oracle::{Changed, Id};
use persist_test_utils::subject::{Row, Told};
use persist_test_utils::{Settings, configured, subject};
use serde_json::{Map, Value, json};

/// The newest records, with the versions that the history counts.
const TABLE: &str = "
    SELECT l.key, l.collection_name, l.item_name, h.version, 0, l.data, l.value_int, l.value_float, l.value_string
    FROM storage_latest l JOIN
        (SELECT key, collection_name, item_name, max(version) AS version FROM storage_history GROUP BY ALL) h
    USING (key, collection_name, item_name)
    ORDER BY 1, 2, 3";
const HISTORY: &str = "
    SELECT key, collection_name, item_name, version, persist_op, data, value_int, value_float, value_string, persist_seq,
        updated_at
    FROM storage_history ORDER BY persist_seq";

subject! {
    /// A collection store.
    CollectionSubject(CollectionStore<Collection>) of persist_collection {
        const NAME: &'static str = "collection";
        const PER_KEY: u64 = 6;
        const HAS_SPECIALS: bool = true;
        const HAS_COLLECTIONS: bool = true;

        fn open(dir: &Path, day: u8, settings: &Settings) -> Result<Self> {
            CollectionStore::open(date(day).as_str(), config(dir, settings)).map(Self)
        }

        fn restore(backup: &Path, dir: &Path, day: u8, settings: &Settings) -> Result<u64> {
            CollectionStore::restore(backup, date(day).as_str(), config(dir, settings)).map(|backup| backup.seq)
        }

        fn verify_backup(backup: &Path, settings: &Settings) -> Result<u64> {
            CollectionStore::verify_backup(backup, &config(backup, settings)).map(|backup| backup.seq)
        }

        fn id(key: &str, n: u64) -> Id {
            let collection = if n < 2 { String::new() } else { format!("c{}", n / 2) };
            (key.to_owned(), vec![Some(collection), Some(format!("i{}", n % 2))])
        }

        /// The typed value changes its type with the number that the data have.
        fn data(_: &Id, mut fields: Map<String, Value>) -> Value {
            let number = ["n", "action"].iter().find_map(|name| fields.get(*name)?.as_u64());
            fields.entry("value").or_insert(number.map_or(Value::Null, |n| match n % 5 {
                0 => json!(n),
                1 => json!(n as f64 / 8.0),
                2 => json!(format!("text {n}")),
                3 => json!(i64::MIN + n as i64),
                _ => Value::Null,
            }));
            fields.entry("timestamp").or_insert(json!("2025-01-15T00:00:00+00:00"));
            Value::Object(fields)
        }

        fn table(&self) -> Result<Vec<Row>> {
            let count = self.0.query("SELECT count(*) FROM storage_latest")?;
            let rows: Vec<Row> = self.0.query(TABLE)?.iter().filter_map(|row| Some((id(row), version(row), data(row)?))).collect();
            assert_eq!(count.iter().next().and_then(|row| row[0].as_u64()), Some(rows.len() as u64), "not all have a history");
            Ok(rows)
        }

        fn history(&self) -> Result<Option<Vec<Told>>> {
            Ok(Some(self.0.query(HISTORY)?.iter().map(write).collect()))
        }

        fn history_of(&self, id: &Id) -> Result<Option<Vec<Told>>> {
            let (collection, item) = names(id);
            let history = self.0.history(&id.0, collection, item)?;
            history.iter().map(Self::told).collect::<Result<_>>().map(Some)
        }

        fn as_of(&self, moment: Timestamp, written: bool) -> Result<Option<Vec<Row>>> {
            let records = if written { self.0.as_of_written(moment)? } else { self.0.as_of(moment)? };
            records.iter().map(|record| row_of(record)).collect::<Result<_>>().map(Some)
        }

        fn lose_history(dir: &Path, day: u8, settings: &Settings, by_hand: bool) -> Result<Option<Self>> {
            std::fs::remove_file(dir.join("storage_history.duckdb")).unwrap();
            if !by_hand {
                let report = CollectionStore::repair(config(dir, settings))?;
                assert!(!report.history.is_empty() && report.lost.is_empty(), "{report:?}");
                return Self::open(dir, day, settings).map(Some);
            }
            let store = Self::open(dir, day, settings)?;
            assert_eq!(store.0.get_key("k").unwrap_err().kind(), ErrorKind::Corrupt);
            for day in 1..=28 {
                if dir.join(date(day)).is_dir() {
                    store.0.rebuild_history_from_wal(date(day).as_str())?;
                }
            }
            store.0.rebuild_latest_from_history()?;
            Ok(Some(store))
        }

        fn restore_to(
            from: &Path,
            moment: Timestamp,
            dir: &Path,
            day: u8,
            settings: &Settings,
        ) -> Result<Option<u64>> {
            let config = config(dir, settings);
            CollectionStore::restore_to(from, moment, date(day).as_str(), config).map(|restored| Some(restored.seq))
        }

        fn rebuild_latest(&self) -> Result<Option<u64>> {
            self.0.rebuild_latest_from_history().map(Some)
        }

        fn roll_to(&self, day: u8) -> Result<()> {
            self.0.roll_to(date(day).as_str())
        }
    }
}

fn id(row: &[Value]) -> Id {
    let text = |at: usize| row[at].as_str().map(str::to_owned);
    (text(0).unwrap(), vec![text(1), text(2)])
}

fn version(row: &[Value]) -> u32 {
    row[3].as_u64().unwrap() as u32
}

/// With the typed value that the columns have; none for a removal.
fn data(row: &[Value]) -> Option<Value> {
    let mut data: Value = serde_json::from_str(row[5].as_str()?).unwrap();
    data["value"] = row[6..9].iter().find(|value| !value.is_null()).cloned().unwrap_or_default();
    Some(data)
}

fn write(row: &[Value]) -> Told {
    let is_removal = row[4] != 0;
    let changed = if is_removal { Changed::Removed } else { Changed::Put }(id(row), version(row));
    let at = Timestamp::parse(row[10].as_str().unwrap()).unwrap();
    Told { seq: row[9].as_u64().unwrap(), changed, data: data(row).filter(|_| !is_removal), at }
}

fn date(day: u8) -> String {
    format!("2025-12-{day:02}")
}

fn config(dir: &Path, settings: &Settings) -> CollectionConfig {
    configured!(CollectionConfig::new(dir), settings).backups(settings.backups)
}

/// Collection and item.
fn names(id: &Id) -> (&str, &str) {
    (id.1[0].as_deref().unwrap_or_default(), id.1[1].as_deref().unwrap_or_default())
}

fn address<'a, T>(put: Put<'a, T>, id: &'a Id, data: &Value) -> Put<'a, T> {
    let (collection, item) = names(id);
    put.collection(collection).item(item).value(data.get("value"))
}

fn find(store: &CollectionStore, id: &Id) -> Result<Option<Arc<Record>>> {
    let (collection, item) = names(id);
    store.get_item(&id.0, collection, item)
}

fn records(store: &CollectionStore, prefix: &str) -> Result<Vec<Arc<Record>>> {
    Ok(store.iter_with_prefix(prefix)?.collect())
}

fn keys(store: &CollectionStore, prefix: &str) -> Result<Vec<String>> {
    Ok(store.keys_with_prefix(prefix)?.collect())
}

fn remove(store: &CollectionStore, id: &Id, version: Option<u32>) -> Result<Option<Arc<Record>>> {
    let (collection, item) = names(id);
    match version {
        Some(version) => store.remove_item_if_version(&id.0, collection, item, version),
        None => store.remove_item(&id.0, collection, item),
    }
}

fn add_removal(batch: &mut Batch<'_>, id: &Id, version: Option<u32>) {
    let (collection, item) = names(id);
    match version {
        Some(version) => batch.remove_item_if_version(&id.0, collection, item, version),
        None => batch.remove_item(&id.0, collection, item),
    }
}

fn remove_all(store: &CollectionStore, key: &str, within: Option<Option<&str>>) -> Result<Vec<Arc<Record>>> {
    match within {
        Some(collection) => store.remove_collection(key, collection.unwrap_or_default()),
        None => store.remove_key(key),
    }
}

fn add_removal_of_all(batch: &mut Batch<'_>, key: &str, within: Option<Option<&str>>) {
    match within {
        Some(collection) => batch.remove_collection(key, collection.unwrap_or_default()),
        None => batch.remove_key(key),
    }
}

fn id_of(key: &str, name: &ItemName) -> Id {
    (key.to_owned(), vec![Some(name.collection().to_owned()), Some(name.item().to_owned())])
}

fn row_of(record: &Record) -> Result<Row> {
    let mut data: Value = record.to()?;
    data["value"] = match record.typed_value() {
        Some(Scalar::Int(value)) => json!(value),
        Some(Scalar::Float(value)) => json!(value),
        Some(Scalar::Text(value)) => json!(value),
        None => Value::Null,
    };
    Ok((id_of(record.key(), record.part()), record.version(), data))
}

fn more_problems(store: &CollectionStore) -> Result<Vec<String>> {
    let files = [DatabaseFile::Main, DatabaseFile::Latest];
    let problems = files.into_iter().map(|file| store.check_database_health(file)).collect::<Result<Vec<_>>>()?;
    Ok(problems.concat())
}
