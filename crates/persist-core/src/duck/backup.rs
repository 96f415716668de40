//! A copy of a database in use, and what a copy becomes: a plain file of its own, or another store's database.
//!
//! The file of a database in use is reached through its own instance alone: if anything else opened and closed it,
//! DuckDB's lock on it would be gone.

use std::path::Path;

use duckdb::{Connection, params};

use super::database::{Database, plain};
use super::failure::{failed, is_refused_checkpoint};
use super::schema::quote;
use crate::error::{Error, ErrorKind, Result};

impl Database {
    /// Copies everything committed so far into new files, each as of one moment, while flushes, merges and queries go on:
    /// the newest records before the history, which then has all that they have.
    ///
    /// `name` is what a new file is called within this instance meanwhile; no other may have it.
    ///
    /// # Errors
    /// [`Database`](ErrorKind::Database); this very instance may be invalid then. What there is of the new files stays.
    pub(crate) fn copy_to(&self, path: &Path, name: &str) -> Result<()> {
        let files = self.table.files(path);
        let mut copies = self.catalogs().into_iter().zip(&files).rev();
        copies.try_for_each(|(catalog, path)| self.copy_file(catalog, path, name))
    }

    fn copy_file(&self, catalog: &str, path: &Path, name: &str) -> Result<()> {
        let path = plain(path)?;
        let Some(text) = path.to_str() else {
            return Err(Error::config(format!("{} is not Unicode, which DuckDB can't take here", path.display())));
        };
        let name = quote(name);
        let connection = self.connect()?;
        let failed = |error| failed("cannot copy the database to", &path, error);
        connection.execute_batch(&format!("ATTACH '{}' AS {name}", text.replace('\'', "''"))).map_err(failed)?;
        let copied = copy_into(&connection, catalog, &name);
        if copied.is_err() {
            // There may be no transaction any more.
            let _ = connection.execute_batch("ROLLBACK");
        }
        let detached = connection.execute_batch(&format!("DETACH {name}"));
        copied.and(detached).map_err(failed)
    }

    /// Makes the database another store's, at the watermark that it has.
    ///
    /// # Errors
    /// [`Database`](ErrorKind::Database): nothing has changed.
    pub(crate) fn hand_over(&self, store_id: &str) -> Result<()> {
        let connection = self.connect()?;
        let meta = self.meta();
        let change = || -> duckdb::Result<()> {
            connection.execute_batch("BEGIN TRANSACTION")?;
            let newest = format!(
                "INSERT INTO {meta} SELECT ?, watermark, \"at\" FROM {meta} ORDER BY watermark DESC, rowid DESC LIMIT 1"
            );
            connection.execute(&newest, params![store_id])?;
            connection.execute(&format!("DELETE FROM {meta} WHERE store IS DISTINCT FROM ?"), params![store_id])?;
            connection.execute_batch("COMMIT")
        };
        change().map_err(|error| failed("cannot give a new owner to", &self.path, error))?;
        // The newest records are whose the history is.
        self.merge().map(drop)
    }

    /// Reads every row, and answers how many ids there are.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) for a damaged file, or an id that the base holds more than once.
    pub(crate) fn check_rows(&self) -> Result<u64> {
        self.read_history()?;
        let state = self.state()?;
        let mut read = 0;
        self.load(&mut |_| {
            read += 1;
            Ok(())
        })?;
        let corrupt = |what: String| Err(Error::new(ErrorKind::Corrupt, format!("{} {what}", self.path.display())));
        let counted = state.base_rows + state.delta_rows + self.count_removed()?;
        if read != counted {
            return corrupt(format!("counts {counted} rows and has {read}"));
        }
        match self.count_duplicates()? {
            0 => self.count_ids(),
            twice => corrupt(format!("holds {twice} ids more than once")),
        }
    }

    fn count_removed(&self) -> Result<u64> {
        self.count(&self.removed())
    }

    fn count_ids(&self) -> Result<u64> {
        let connection = self.connect()?;
        let delta = self.delta(&connection).map_err(|error| failed("cannot count the rows of", &self.path, error))?;
        self.count(&format!("({})", self.table.current(&self.base(), &delta)))
    }

    fn count(&self, table: &str) -> Result<u64> {
        let counted = self.connect()?.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
        counted.map_err(|error| failed("cannot count the rows of", &self.path, error))
    }
}

/// DuckDB runs COPY FROM DATABASE as two statements, tables and then rows. In a transaction both see one moment.
fn copy_into(connection: &Connection, catalog: &str, name: &str) -> duckdb::Result<()> {
    connection.execute_batch("BEGIN TRANSACTION")?;
    connection.execute_batch(&format!("COPY FROM DATABASE {catalog} TO {name}"))?;
    connection.execute_batch("COMMIT")?;
    match connection.execute_batch(&format!("CHECKPOINT {name}")) {
        // A query that lists all databases may be looking at it: the copy then keeps its log until it is opened.
        Err(error) if is_refused_checkpoint(&error) => Ok(()),
        done => done,
    }
}
