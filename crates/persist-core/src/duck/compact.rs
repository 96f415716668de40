//! The merge of the delta into the base, the checkpoint, and the check that ids are unique.

use duckdb::Connection;

use super::database::{Database, Held, unquoted};
use super::failure::{failed, is_refused_checkpoint};
use super::journal;
use super::schema::{REMOVED_AT, quote};
use crate::error::Result;
use crate::fs::Fs;
use crate::planted::planted;
use crate::protocol::Merged;

impl Database {
    /// Moves what the delta holds into the base, in one transaction, while flushes and queries go on.
    ///
    /// The transaction sees what was committed when it began, whole flushes with their watermarks, and takes away just
    /// what it saw. Flushes only insert, so that nothing conflicts with them; of merges there is one at a time.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database): nothing was moved.
    pub(crate) fn merge(&self) -> Result<Merged> {
        let _alone = self.upkeep.lock();
        let _core = self.cores.one();
        let connection = self.connect()?;
        // An error leaves the transaction to the connection's end, which rolls it back.
        self.merge_on(&connection).map_err(|error| failed("cannot merge the delta of", &self.path, error))
    }

    fn merge_on(&self, connection: &Connection) -> duckdb::Result<Merged> {
        connection.execute_batch("BEGIN TRANSACTION")?;
        self.merge_within(connection)
    }

    /// Merges within a transaction that was begun, and commits it.
    fn merge_within(&self, connection: &Connection) -> duckdb::Result<Merged> {
        let (base, delta, removed, meta) = (self.base(), self.delta(connection)?, self.removed(), self.meta());
        let superseded = self.table.superseded(&base, &delta);
        let back_again = self.table.superseded(&removed, &delta);
        let newly_removed = self.table.removed(&delta);
        let replaced = connection.execute(&format!("DELETE FROM {base} WHERE rowid IN ({superseded})"), [])?;
        let (rows_moved, rows_rewritten) = match self.table.history {
            None => (connection.execute(&format!("INSERT INTO {base} {}", self.table.newest(&delta)), [])? as u64, 0),
            Some(_) => self.insert_in_order(connection, &delta)?,
        };
        connection.execute(&format!("DELETE FROM {removed} WHERE rowid IN ({back_again})"), [])?;
        connection.execute(&format!("INSERT INTO {removed} {newly_removed}"), [])?;
        let superseded_watermarks =
            format!("DELETE FROM {meta} WHERE rowid <> (SELECT arg_max(rowid, (watermark, rowid)) FROM {meta})");
        match self.applied_meta() {
            None => {
                connection.execute(&format!("DELETE FROM {delta}"), [])?;
                connection.execute(&superseded_watermarks, [])?;
            }
            Some(applied) => {
                connection.execute(&format!("DELETE FROM {applied}"), [])?;
                let newest =
                    format!("SELECT store, watermark, \"at\" FROM {meta} ORDER BY watermark DESC, rowid DESC LIMIT 1");
                connection.execute(&format!("INSERT INTO {applied} {newest}"), [])?;
            }
        }
        let base_rows = connection.query_row(&format!("SELECT count(*) FROM {base}"), [], |row| row.get(0))?;
        connection.execute_batch("COMMIT")?;
        if self.table.history.is_some() {
            // They are in the other file, which one transaction can't write as well.
            connection.execute(&superseded_watermarks, [])?;
        }
        Ok(Merged { rows_moved, rows_replaced: replaced as u64, rows_rewritten, base_rows })
    }

    /// Makes the base of a history anew of all there is, in one transaction: who reads meanwhile sees it whole.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database): nothing has changed.
    pub(crate) fn rebuild_base(&self) -> Result<()> {
        let Some(applied) = self.applied_meta() else { return Ok(()) };
        let _alone = self.upkeep.lock();
        let _cores = self.cores.all();
        let connection = self.connect()?;
        let rebuild = || -> duckdb::Result<Merged> {
            connection.execute_batch("BEGIN TRANSACTION")?;
            for table in [&self.base(), &self.removed()] {
                connection.execute_batch(&format!("DELETE FROM {table}"))?;
            }
            connection.execute(&format!("DELETE FROM {applied} WHERE watermark > 0"), [])?;
            self.merge_within(&connection)
        };
        rebuild().map(drop).map_err(|error| failed("cannot make the newest records anew in", &self.path, error))
    }

    /// Brings everything committed before this call into the main file and syncs it; `false` where DuckDB refuses
    /// because of others, which may be tried again later.
    ///
    /// DuckDB 1.5.5 refuses while another checkpoint runs, and while a transaction is open that is older than a
    /// committed UPDATE or change of the catalog, or makes one itself. Nothing in persist does either, so that only a
    /// second checkpoint stands in the way. (FORCE would hold up every new transaction meanwhile.)
    ///
    /// What it writes over is in the file's [journal](super::journal) before. Of checkpoints there is one at a time.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database) where the checkpoint failed; the instance is invalid then.
    /// [`Io`](crate::ErrorKind::Io) where the journal can't be written: there was no checkpoint of that file.
    pub(crate) fn checkpoint(&self, fs: &dyn Fs) -> Result<bool> {
        self.checkpoint_each(|connection, catalog, file| {
            let blocks = metadata_blocks(connection, catalog);
            let blocks = blocks.map_err(|error| failed("cannot checkpoint", &file.path, error))?;
            journal::write(fs, &file.path, file.raw.as_ref(), &blocks)
        })
    }

    /// As [`checkpoint`](Database::checkpoint), of files that are made anew if it is cut off.
    pub(super) fn checkpoint_aside(&self) -> Result<bool> {
        self.checkpoint_each(|_, _, _| Ok(()))
    }

    fn checkpoint_each(&self, prepare: impl Fn(&Connection, &str, &Held) -> Result<()>) -> Result<bool> {
        let _alone = self.upkeep.lock();
        let _core = self.cores.one();
        let connection = self.connect()?;
        // The history first: were the base's file ahead of it after a crash, its rows would be of no known write.
        for (catalog, file) in self.catalogs().into_iter().zip(&self.files) {
            if !planted("no-journal") {
                prepare(&connection, catalog, file)?;
            }
            match connection.execute_batch(&format!("CHECKPOINT {catalog}")) {
                Ok(()) => {}
                Err(error) if is_refused_checkpoint(&error) => return Ok(false),
                Err(error) => return Err(failed("cannot checkpoint", &file.path, error)),
            }
        }
        Ok(true)
    }

    /// Forgets the ids that were removed before a moment, in microseconds since 1970 UTC, as far as a merge has moved
    /// them out of the delta. No merge may run meanwhile.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database): nothing was forgotten.
    pub(crate) fn forget_removed(&self, before_micros: i64) -> Result<()> {
        let sql = format!("DELETE FROM {} WHERE {} < make_timestamp(?)", self.removed(), quote(REMOVED_AT));
        let forgotten = self.connect()?.execute(&sql, [before_micros]);
        forgotten.map(drop).map_err(|error| failed("cannot forget removed ids of", &self.path, error))
    }

    /// How many ids the base holds more than once: none, unless another hand wrote to it.
    pub(crate) fn count_duplicates(&self) -> Result<u64> {
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {} GROUP BY {} HAVING count(*) > 1)",
            self.base(),
            self.table.id_list()
        );
        let _cores = self.cores.all();
        let counted = self.connect()?.query_row(&sql, [], |row| row.get(0));
        counted.map_err(|error| failed("cannot count the rows of", &self.path, error))
    }
}

/// The blocks of the file in which DuckDB keeps what says where everything is.
fn metadata_blocks(connection: &Connection, catalog: &str) -> duckdb::Result<Vec<u64>> {
    let name = unquoted(catalog).replace('\'', "''");
    let sql = format!("SELECT DISTINCT block_id::UBIGINT FROM pragma_metadata_info('{name}')");
    let mut statement = connection.prepare(&sql)?;
    let blocks = statement.query_map([], |row| row.get(0))?;
    blocks.collect()
}
