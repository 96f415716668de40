//! What a copy of a database is asked, and what it becomes: another store's.

use duckdb::params;

use super::database::Database;
use super::failure::failed;
use crate::error::{Error, ErrorKind, Result};

impl Database {
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
        let _cores = self.cores.all();
        let counted = self.connect()?.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
        counted.map_err(|error| failed("cannot count the rows of", &self.path, error))
    }
}
