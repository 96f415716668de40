//! The merge of the delta into the base, the checkpoint, and the check that ids are unique.

use duckdb::Connection;

use super::database::Database;
use super::failure::{failed, is_refused_checkpoint};
use super::journal;
use super::schema::{REMOVED_AT, quote};
use crate::error::Result;
use crate::fs::Fs;

/// What a merge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Rows put into the base: the newest of each id that is there.
    pub(crate) rows_moved: u64,
    /// Rows taken out of the base, because the delta had a newer one or a removal.
    pub(crate) rows_replaced: u64,
    /// The rows of the base afterwards.
    pub(crate) base_rows: u64,
}

impl Database {
    /// Moves what the delta holds into the base, in one transaction, while flushes and queries go on.
    ///
    /// The transaction sees what was committed when it began, whole flushes with their watermarks, and takes away just
    /// what it saw. Flushes only insert, so that nothing conflicts with them; of merges there is one at a time.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database): nothing was moved.
    pub(crate) fn merge(&self) -> Result<Merged> {
        let connection = self.connect()?;
        // An error leaves the transaction to the connection's end, which rolls it back.
        self.merge_on(&connection).map_err(|error| failed("cannot merge the delta of", &self.path, error))
    }

    fn merge_on(&self, connection: &Connection) -> duckdb::Result<Merged> {
        let (base, delta, removed, meta) = (self.base(), self.delta(), self.removed(), self.meta());
        let superseded = self.table.superseded(&base, &delta);
        let back_again = self.table.superseded(&removed, &delta);
        let newly_removed = self.table.removed(&delta);
        let newest = self.table.newest(&delta);
        let columns = self.table.column_list();
        connection.execute_batch("BEGIN TRANSACTION")?;
        let replaced = connection.execute(&format!("DELETE FROM {base} WHERE rowid IN ({superseded})"), [])?;
        let moved = connection.execute(&format!("INSERT INTO {base} ({columns}) {newest}"), [])?;
        connection.execute(&format!("DELETE FROM {removed} WHERE rowid IN ({back_again})"), [])?;
        connection.execute(&format!("INSERT INTO {removed} {newly_removed}"), [])?;
        connection.execute(&format!("DELETE FROM {delta}"), [])?;
        connection.execute(
            &format!("DELETE FROM {meta} WHERE rowid <> (SELECT arg_max(rowid, (watermark, rowid)) FROM {meta})"),
            [],
        )?;
        let base_rows = connection.query_row(&format!("SELECT count(*) FROM {base}"), [], |row| row.get(0))?;
        connection.execute_batch("COMMIT")?;
        Ok(Merged { rows_moved: moved as u64, rows_replaced: replaced as u64, base_rows })
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
    /// [`Io`](crate::ErrorKind::Io) where the journal can't be written: there was no checkpoint.
    pub(crate) fn checkpoint(&self, fs: &dyn Fs) -> Result<bool> {
        let connection = self.connect()?;
        let blocks = metadata_blocks(&connection).map_err(|error| failed("cannot checkpoint", &self.path, error))?;
        journal::write(fs, &self.path, self.file.as_ref(), &blocks)?;
        self.checkpoint_without_journal(&connection)
    }

    pub(super) fn checkpoint_without_journal(&self, connection: &Connection) -> Result<bool> {
        match connection.execute_batch("CHECKPOINT") {
            Ok(()) => Ok(true),
            Err(error) if is_refused_checkpoint(&error) => Ok(false),
            Err(error) => Err(failed("cannot checkpoint", &self.path, error)),
        }
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
        let counted = self.connect()?.query_row(&sql, [], |row| row.get(0));
        counted.map_err(|error| failed("cannot count the rows of", &self.path, error))
    }
}

/// The blocks of the file in which DuckDB keeps what says where everything is.
fn metadata_blocks(connection: &Connection) -> duckdb::Result<Vec<u64>> {
    let mut statement = connection.prepare("SELECT DISTINCT block_id::UBIGINT FROM pragma_metadata_info()")?;
    let blocks = statement.query_map([], |row| row.get(0))?;
    blocks.collect()
}
