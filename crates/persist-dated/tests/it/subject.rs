//! A dated store as the tests see it that run on every store. A record's data has the process name and the timestamp.

use std::path::Path;
use std::sync::Arc;

use persist_dated::{Batch, DatedConfig, DatedStore, IntoTimestamp, Put, Record, Result};
use persist_test_utils::oracle::Id;
use persist_test_utils::subject::Row;
use persist_test_utils::{Settings, configured, subject};
use serde_json::{Map, Value, json};

const DATE: &str = "2025-01-15";

subject! {
    /// A dated store, always of one date.
    DatedSubject(DatedStore<Dated>) of persist_dated {
        const NAME: &'static str = "dated";
        const PER_KEY: u64 = 3;
        const HAS_SPECIALS: bool = true;
        const HAS_COLLECTIONS: bool = false;

        fn open(dir: &Path, _: u8, settings: &Settings) -> Result<Self> {
            DatedStore::open(DATE, config(dir, settings)).map(Self)
        }

        fn restore(backup: &Path, dir: &Path, _: u8, settings: &Settings) -> Result<u64> {
            DatedStore::restore(backup, DATE, config(dir, settings)).map(|backup| backup.seq)
        }

        fn verify_backup(backup: &Path, settings: &Settings) -> Result<u64> {
            DatedStore::verify_backup(backup, &config(backup, settings)).map(|backup| backup.seq)
        }

        fn id(key: &str, n: u64) -> Id {
            (key.to_owned(), vec![n.checked_sub(1).map(|n| format!("p{n}"))])
        }

        fn data(id: &Id, mut fields: Map<String, Value>) -> Value {
            fields.insert("process_name".to_owned(), json!(id.1[0]));
            fields.entry("timestamp").or_insert(json!("2025-01-15T00:00:00+00:00"));
            Value::Object(fields)
        }

        fn table(&self) -> Result<Vec<Row>> {
            let rows = self.0.query("SELECT key, process_name, version, data FROM storage")?;
            let mut rows: Vec<Row> = rows.iter().map(in_sql).collect();
            rows.sort_by(|one, other| one.0.cmp(&other.0));
            Ok(rows)
        }

        fn export(&self, root: &Path) -> Result<Option<u64>> {
            Ok(Some(self.0.export_to(root)?.map_or(0, |export| export.rows())))
        }

        fn exported(&self, root: &Path) -> Result<u64> {
            let files = root.join("*/*/data.parquet").to_str().unwrap().replace('\'', "''");
            // Of every column, so that all of each file is read.
            let sql = format!("SELECT count(*) AS n, max(hash(file)) AS all_of_it FROM read_parquet('{files}') file");
            Ok(self.0.query(&sql)?.get(0, "n").and_then(Value::as_u64).unwrap())
        }

        fn forget_removed(&self) -> Result<Option<usize>> {
            self.0.forget_removed("2999-01-01".into_timestamp()?).map(Some)
        }
    }
}

fn in_sql(row: &[Value]) -> Row {
    let id = (row[0].as_str().unwrap().to_owned(), vec![row[1].as_str().map(str::to_owned)]);
    (id, row[2].as_u64().unwrap() as u32, serde_json::from_str(row[3].as_str().unwrap()).unwrap())
}

fn config(dir: &Path, settings: &Settings) -> DatedConfig {
    configured!(DatedConfig::new(dir), settings)
}

fn address<'a, T>(put: Put<'a, T>, id: &'a Id, _: &Value) -> Put<'a, T> {
    if let Some(process) = &id.1[0] { put.process(process) } else { put.no_process() }
}

fn find(store: &DatedStore, id: &Id) -> Result<Option<Arc<Record>>> {
    Ok(store.get_key_process(&id.0, id.1[0].as_deref()))
}

fn records(store: &DatedStore, prefix: &str) -> Result<Vec<Arc<Record>>> {
    Ok(store.iter_with_prefix(prefix).collect())
}

fn keys(store: &DatedStore, prefix: &str) -> Result<Vec<String>> {
    Ok(store.keys_with_prefix(prefix).collect())
}

fn remove(store: &DatedStore, id: &Id, version: Option<u32>) -> Result<Option<Arc<Record>>> {
    let process = id.1[0].as_deref();
    version.map_or_else(|| store.remove(&id.0, process), |version| store.remove_if_version(&id.0, process, version))
}

fn add_removal(batch: &mut Batch<'_>, id: &Id, version: Option<u32>) {
    match version {
        Some(version) => batch.remove_if_version(&id.0, id.1[0].as_deref(), version),
        None => batch.remove(&id.0, id.1[0].as_deref()),
    }
}

fn remove_all(store: &DatedStore, key: &str, within: Option<Option<&str>>) -> Result<Vec<Arc<Record>>> {
    assert!(within.is_none(), "it has no collections");
    store.remove_key(key)
}

fn add_removal_of_all(batch: &mut Batch<'_>, key: &str, within: Option<Option<&str>>) {
    assert!(within.is_none(), "it has no collections");
    batch.remove_key(key);
}

fn id_of(key: &str, process: &Option<Box<str>>) -> Id {
    (key.to_owned(), vec![process.as_deref().map(str::to_owned)])
}

fn row_of(record: &Record) -> Result<Row> {
    Ok((id_of(record.key(), record.part()), record.version(), record.to()?))
}

fn more_problems(_: &DatedStore) -> Result<Vec<String>> {
    Ok(Vec::new())
}
