//! A key-value store as the tests see it that run on every store.

use std::path::Path;
use std::sync::Arc;

use persist_kv::{Batch, KvConfig, KvStore, Put, Record, Result, Timestamp};
use persist_test_utils::oracle::Id;
use persist_test_utils::subject::Row;
use persist_test_utils::{Settings, configured, subject};
use serde_json::{Map, Value};

subject! {
    /// A key-value store, its database beside the folder of its log.
    KvSubject(KvStore<Kv>) of persist_kv {
        const NAME: &'static str = "kv";
        const PER_KEY: u64 = 1;
        const HAS_SPECIALS: bool = false;
        const HAS_COLLECTIONS: bool = false;

        fn open(dir: &Path, _: u8, settings: &Settings) -> Result<Self> {
            KvStore::open(dir.join("data.duckdb"), config(dir, settings)).map(Self)
        }

        fn restore(backup: &Path, dir: &Path, _: u8, settings: &Settings) -> Result<u64> {
            KvStore::restore(backup, dir.join("data.duckdb"), config(dir, settings)).map(|backup| backup.seq)
        }

        fn verify_backup(backup: &Path, settings: &Settings) -> Result<u64> {
            KvStore::verify_backup(backup, &config(backup, settings)).map(|backup| backup.seq)
        }

        fn id(key: &str, _: u64) -> Id {
            (key.to_owned(), Vec::new())
        }

        fn data(_: &Id, fields: Map<String, Value>) -> Value {
            Value::Object(fields)
        }

        fn table(&self) -> Result<Vec<Row>> {
            let rows = self.0.query("SELECT key, version, data FROM storage ORDER BY key")?;
            Ok(rows.iter().map(in_sql).collect())
        }

        fn forget_removed(&self) -> Result<Option<usize>> {
            self.0.forget_removed(Timestamp::parse("2999-01-01").unwrap()).map(Some)
        }
    }
}

fn in_sql(row: &[Value]) -> Row {
    let id = (row[0].as_str().unwrap().to_owned(), Vec::new());
    (id, row[1].as_u64().unwrap() as u32, serde_json::from_str(row[2].as_str().unwrap()).unwrap())
}

fn config(dir: &Path, settings: &Settings) -> KvConfig {
    configured!(KvConfig::new(dir.join("storage")), settings)
}

fn address<'a, T>(put: Put<'a, T>, _: &Id, _: &Value) -> Put<'a, T> {
    put
}

fn find(store: &KvStore, id: &Id) -> Result<Option<Arc<Record>>> {
    Ok(store.get(&id.0))
}

fn records(store: &KvStore, prefix: &str) -> Result<Vec<Arc<Record>>> {
    Ok(store.iter_with_prefix(prefix).collect())
}

fn keys(store: &KvStore, prefix: &str) -> Result<Vec<String>> {
    Ok(store.keys_with_prefix(prefix).collect())
}

fn remove(store: &KvStore, id: &Id, version: Option<u32>) -> Result<Option<Arc<Record>>> {
    version.map_or_else(|| store.remove(&id.0), |version| store.remove_if_version(&id.0, version))
}

fn add_removal(batch: &mut Batch<'_>, id: &Id, version: Option<u32>) {
    match version {
        Some(version) => batch.remove_if_version(&id.0, version),
        None => batch.remove(&id.0),
    }
}

/// A key has one record.
fn remove_all(store: &KvStore, key: &str, _: Option<Option<&str>>) -> Result<Vec<Arc<Record>>> {
    Ok(store.remove(key)?.into_iter().collect())
}

fn add_removal_of_all(batch: &mut Batch<'_>, key: &str, _: Option<Option<&str>>) {
    batch.remove(key);
}

fn id_of(key: &str, _: &()) -> Id {
    (key.to_owned(), Vec::new())
}

fn row_of(record: &Record) -> Result<Row> {
    Ok((id_of(record.key(), record.part()), record.version(), record.to()?))
}

fn more_problems(_: &KvStore) -> Result<Vec<String>> {
    Ok(Vec::new())
}
