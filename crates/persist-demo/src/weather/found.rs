//! What an open store answers, and what DuckDB finds by itself in the files of a closed one: to the same questions.

use std::path::Path;

use duckdb::Connection;
use persist_collection::CollectionStore;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::weather::expected::{Measure, Measures, Row};

const COLUMNS: &str = "key AS airport, collection_name AS collection, item_name AS measure, version, value_int, \
     value_float, value_string, data->>'unit' AS unit, epoch_us(timestamp) AS micros";

/// Something that answers SQL over `storage_history` and `storage_latest`.
pub(crate) trait Ask {
    /// The rows of a SELECT, as values of a type with fields named as its columns.
    fn ask<T: DeserializeOwned>(&self, sql: &str) -> Result<Vec<T>, Error>;

    /// The rows of `storage_history`, by item and version.
    fn history_rows(&self) -> Result<Vec<Row>, Error> {
        self.ask(&format!("SELECT {COLUMNS} FROM storage_history ORDER BY key, item_name, version"))
    }

    /// The rows of `storage_latest`, by item.
    fn latest_rows(&self) -> Result<Vec<Row>, Error> {
        self.ask(&format!("SELECT {COLUMNS} FROM storage_latest ORDER BY key, item_name"))
    }

    /// Of how many items the versions in `storage_history` go from 1 up without a gap.
    fn items_without_gap(&self) -> Result<usize, Error> {
        let items: Vec<serde::de::IgnoredAny> = self.ask(
            "SELECT key FROM storage_history GROUP BY key, collection_name, item_name \
             HAVING min(version) = 1 AND max(version) = count(*) AND count(DISTINCT version) = count(*)",
        )?;
        Ok(items.len())
    }

    /// The figures of each item over its history.
    fn measures(&self) -> Result<Measures, Error> {
        #[derive(Deserialize)]
        struct Item {
            airport: String,
            measure: String,
            #[serde(flatten)]
            figures: Measure,
        }
        let value = "coalesce(value_float, value_int)";
        let items: Vec<Item> = self.ask(&format!(
            "SELECT key AS airport, item_name AS measure, count({value}) AS hours, min({value}) AS lowest, \
             max({value}) AS highest, sum(round({value} * 100)::BIGINT)::BIGINT AS hundredths \
             FROM storage_history GROUP BY ALL"
        ))?;
        let mut measures = Measures::new();
        for item in items {
            measures.entry(item.airport).or_default().insert(item.measure, item.figures);
        }
        Ok(measures)
    }
}

impl Ask for CollectionStore {
    fn ask<T: DeserializeOwned>(&self, sql: &str) -> Result<Vec<T>, Error> {
        Ok(self.query(sql)?.to()?)
    }
}

/// The DuckDB files of a closed store, opened by DuckDB itself and read-only: what somebody without persist sees.
#[derive(Debug)]
pub(crate) struct Files(Connection);

impl Files {
    pub(crate) fn open(store: &Path) -> Result<Self, Error> {
        let connection = Connection::open_in_memory()?;
        for table in ["storage_history", "storage_latest"] {
            let file = store.join(format!("{table}.duckdb")).display().to_string().replace('\'', "''");
            connection.execute_batch(&format!(
                "ATTACH '{file}' AS file_{table} (READ_ONLY); CREATE VIEW {table} AS FROM file_{table}.{table}"
            ))?;
        }
        Ok(Self(connection))
    }
}

impl Ask for Files {
    fn ask<T: DeserializeOwned>(&self, sql: &str) -> Result<Vec<T>, Error> {
        let mut statement = self.0.prepare(&format!("SELECT to_json(row)::VARCHAR FROM ({sql}) AS row"))?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| Ok(serde_json::from_str(&row?)?)).collect()
    }
}
