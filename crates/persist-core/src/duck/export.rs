//! The table as Parquet files, one for each value of a column.

use std::path::{Path, PathBuf};

use duckdb::Connection;

use super::database::Database;
use super::failure::failed;
use super::query::has_rows;
use super::schema::quote;
use crate::error::{Error, Result};

/// So many files are open at once. DuckDB closes a file when there would be more, and begins another for the same value
/// later; so never are more values written by one statement.
const FILES_AT_ONCE: usize = 256;

/// The rows of a value that a thread gathers before it writes them: a row group of a file. DuckDB would gather four times
/// as many, which takes memory and a fifth more of the time.
const ROW_GROUP: usize = 122_880;

/// The number of a file's value, as DuckDB names the folder by it; no column of a table begins like this.
const NUMBER: &str = "persist_leaf";

/// One Parquet file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The value of the column that is the same in all rows of this file; `None` is NULL.
    pub value: Option<String>,
    /// How many rows the file has.
    pub rows: u64,
    /// The file.
    pub path: PathBuf,
}

impl Database {
    /// Writes one Parquet file for each value of the column `by`, below `dir`; see
    /// [`Engine::export`](crate::Engine::export).
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database), [`Config`](crate::ErrorKind::Config) for a path that is not Unicode.
    pub(crate) fn export(&self, by: &str, dir: &Path) -> Result<Vec<Leaf>> {
        let to = dir
            .to_str()
            .ok_or_else(|| Error::config(format!("{} is not Unicode: DuckDB can't write there", dir.display())))?;
        let _cores = self.cores.all();
        let connection = self.connect()?;
        self.export_on(&connection, by, dir, to).map_err(|error| failed("cannot export", &self.path, error))
    }

    fn export_on(&self, connection: &Connection, by: &str, dir: &Path, to: &str) -> duckdb::Result<Vec<Leaf>> {
        connection.execute_batch(&format!(
            "SET partitioned_write_max_open_files = {FILES_AT_ONCE}; SET partitioned_write_flush_threshold = {ROW_GROUP}"
        ))?;
        // One transaction: the values and the files are of one moment.
        connection.execute_batch("BEGIN TRANSACTION READ ONLY")?;
        let delta = self.delta(connection)?;
        let current = if has_rows(connection, &delta)? {
            self.table.current(&self.base(), &delta)
        } else {
            format!("FROM {}", self.base())
        };
        let value = quote(by);
        let values = format!("SELECT {value} AS value, count(*) AS rows FROM ({current}) GROUP BY ALL");
        let numbered = format!(
            "SELECT value, rows, row_number() OVER (ORDER BY value NULLS FIRST) - 1 AS {NUMBER} FROM ({values})"
        );
        let mut statement = connection.prepare(&format!("FROM ({numbered}) ORDER BY {NUMBER}"))?;
        let leaves = statement
            .query_map([], |row| {
                let number: usize = row.get(2)?;
                let folder = dir.join((number / FILES_AT_ONCE).to_string()).join(format!("{NUMBER}={number}"));
                Ok(Leaf { value: row.get(0)?, rows: row.get(1)?, path: folder.join("data_0.tmp") })
            })?
            .collect::<duckdb::Result<Vec<_>>>()?;
        for from in (0..leaves.len()).step_by(FILES_AT_ONCE) {
            connection.execute_batch(&format!(
                "COPY (SELECT rows.* EXCLUDE ({value}), {NUMBER} FROM ({current}) rows JOIN ({numbered}) numbered \
                 ON rows.{value} IS NOT DISTINCT FROM numbered.value \
                 WHERE {NUMBER} BETWEEN {from} AND {last}) \
                 TO '{to}/{group}' (FORMAT parquet, PARTITION_BY ({NUMBER}), FILE_EXTENSION 'tmp')",
                last = from + FILES_AT_ONCE - 1,
                to = to.replace('\'', "''"),
                group = from / FILES_AT_ONCE,
            ))?;
        }
        Ok(leaves)
    }
}
