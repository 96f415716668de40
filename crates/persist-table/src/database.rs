//! A database: its tables, and what is done to all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use persist_core::wal::{Archive, RecoveryReport};
use persist_core::{Error, Result};

use crate::catalog;
use crate::checkpoint;
use crate::config::Config;
use crate::declare::Table;
use crate::held;
use crate::keeper::Keeper;
use crate::open;
use crate::operation::{Entry, Operation};
use crate::paths::LOG_NAMES;
use crate::portable;
use crate::rows::Rows;
use crate::schema::Schema;
use crate::shared::{Shared, Storage};
use crate::stats::{self, Stats};
use crate::transaction::Transaction;
use crate::work::Work;

/// So often is the log read again that was renamed or archived while it was read.
const READINGS: usize = 5;

/// Declared tables, in files or in memory alone.
///
/// It is [`Send`] and [`Sync`]: share it among threads by reference or in an [`Arc`]. Dropping it closes it, and only
/// logs what goes wrong; [`Database::close`] returns that.
#[derive(Debug)]
pub struct Database {
    pub(crate) shared: Arc<Shared>,
    keeper: Option<Keeper>,
    is_closed: bool,
}

impl Database {
    /// Opens the database of this name, or makes it, and recovers what a crash left. Its files are in
    /// `{base_path}/{name}/`.
    ///
    /// # Errors
    /// [`Config`](persist_core::ErrorKind::Config) for an option out of bounds,
    /// [`Input`](persist_core::ErrorKind::Input) for a name that can't name a folder,
    /// [`Locked`](persist_core::ErrorKind::Locked) naming the process that has it open,
    /// [`Schema`](persist_core::ErrorKind::Schema) for a schema file of another version or that makes no sense,
    /// [`Corrupt`](persist_core::ErrorKind::Corrupt) naming file, line and offset, [`Io`](persist_core::ErrorKind::Io).
    pub fn open(name: &str, config: Config) -> Result<Self> {
        Self::of(open::open(name, config)?)
    }

    /// A database without any file, gone when it is dropped.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) for a name that [`Database::open`] would not take.
    pub fn in_memory(name: &str) -> Result<Self> {
        Self::of(open::in_memory(name)?)
    }

    fn of(shared: Shared) -> Result<Self> {
        let shared = Arc::new(shared);
        let keeper = Keeper::start(&shared)?;
        Ok(Self { shared, keeper, is_closed: false })
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What recovery found when the database was opened; `None` for one in memory.
    pub fn recovery(&self) -> Option<&RecoveryReport> {
        self.shared.storage.as_ref().map(|storage| &storage.recovery)
    }

    /// The rows of a declared table, which is made if there is none.
    ///
    /// # Errors
    /// [`Schema`](persist_core::ErrorKind::Schema) where the table is there and was declared otherwise: the message lists
    /// the differences. Besides, as [`Database::load`].
    pub fn table<T: Table>(&self) -> Result<Rows<T>> {
        held::check_none(&self.shared, "table")?;
        let table = catalog::make(&self.shared, T::schema())?;
        Ok(Rows::new(Arc::clone(&self.shared), table, T::NAME))
    }

    /// As [`Database::table`], of a table that is declared at run time.
    ///
    /// # Errors
    /// As [`Database::table`]; [`Schema`](persist_core::ErrorKind::Schema) also for a declaration that makes no sense.
    pub fn create_table(&self, schema: Schema) -> Result<Rows> {
        held::check_none(&self.shared, "create_table")?;
        let name = schema.table().to_owned();
        let table = catalog::make(&self.shared, schema)?;
        Ok(Rows::new(Arc::clone(&self.shared), table, &name))
    }

    /// The rows of a table that is there, by its name. They are loaded when they are first asked for.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) where there is none.
    pub fn rows<T>(&self, table: &str) -> Result<Rows<T>> {
        Ok(Rows::new(Arc::clone(&self.shared), self.shared.table(table)?, table))
    }

    /// The names of the tables, sorted.
    pub fn tables(&self) -> Vec<String> {
        self.shared.catalog.read().keys().cloned().collect()
    }

    /// A table's declaration.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) where there is no such table, and where this thread holds it: within a
    /// transaction that uses it.
    pub fn schema(&self, table: &str) -> Result<Schema> {
        let table = self.shared.table(table)?;
        held::check_free(&self.shared, &table)?;
        let slot = table.read();
        Ok(slot.layout.schema.clone())
    }

    /// Loads the rows of all tables. Without it, those of each are loaded when they are first asked for.
    ///
    /// # Errors
    /// [`Corrupt`](persist_core::ErrorKind::Corrupt), naming file and line, for a file that can't be read, or has a row that
    /// its table would not take; [`Io`](persist_core::ErrorKind::Io).
    pub fn load(&self) -> Result<()> {
        held::check_none(&self.shared, "load")?;
        self.shared.tables().iter().try_for_each(|table| table.write().load(&self.shared))
    }

    /// Makes one step of several calls, on any tables: all of it is durable when it returns, or, after an error, nothing of
    /// it is there; also after a crash.
    ///
    /// ```
    /// # use persist_table::*;
    /// # let db = Database::in_memory("bank")?;
    /// # for name in ["account", "transfer"] {
    /// #     db.create_table(Schema::new(name).column(Column::new("id", Type::Int).primary_key())
    /// #         .column(Column::new("amount", Type::Int)))?;
    /// # }
    /// use serde_json::{Value, json};
    /// let id = db.transaction(|tx| {
    ///     let transfer = tx.rows::<Value>("transfer")?.insert(&json!({"amount": 10}))?;
    ///     tx.rows::<Value>("account")?.update(col("id").eq(7), &json!({"amount": 90}))?;
    ///     Ok(transfer["id"].clone())
    /// })?;
    /// assert_eq!(id, 1);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// What `make` answers; else as [`Rows::insert`].
    pub fn transaction<R>(&self, make: impl FnOnce(&Transaction<'_>) -> Result<R>) -> Result<R> {
        held::check_none(&self.shared, "transaction")?;
        let transaction = Transaction::new(Work::on_several(&self.shared));
        let made = make(&transaction);
        let work = transaction.into_work();
        match made {
            Ok(answer) => work.commit().map(|()| answer),
            Err(error) => Err(work.refuse(error)),
        }
    }

    /// Removes a table, with its rows and files, durably; who still has its rows gets errors.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) where there is none; else as [`Rows::insert`].
    pub fn drop_table(&self, table: &str) -> Result<()> {
        held::check_none(&self.shared, "drop_table")?;
        catalog::remove(&self.shared, table)
    }

    /// Brings a table to a new declaration: with more columns, each of which takes null or has a default, or with other
    /// indexes. Its file is rewritten.
    ///
    /// # Errors
    /// [`Schema`](persist_core::ErrorKind::Schema) for any other difference; the message lists them.
    pub fn migrate(&self, schema: Schema) -> Result<()> {
        held::check_none(&self.shared, "migrate")?;
        catalog::migrate(&self.shared, schema)
    }

    /// Brings each table that has changed since its last save into its file. Nothing depends on it: what was acknowledged
    /// is in the log, and the next opening finds it there.
    ///
    /// # Errors
    /// [`Io`](persist_core::ErrorKind::Io), [`Poisoned`](persist_core::ErrorKind::Poisoned): what could not be saved stays
    /// in the log.
    pub fn save(&self) -> Result<()> {
        held::check_none(&self.shared, "save")?;
        self.shared.storage.as_ref().map_or(Ok(()), |storage| checkpoint::save(&self.shared, storage, false))
    }

    /// Saves, and archives the log: `transaction.20260122_203117.log` takes its place, and a fresh log begins. Answers the
    /// archives that it made.
    ///
    /// # Errors
    /// As [`Database::save`].
    pub fn checkpoint(&self) -> Result<Vec<PathBuf>> {
        held::check_none(&self.shared, "checkpoint")?;
        let storage = self.shared.storage.as_ref();
        storage.map_or_else(|| Ok(Vec::new()), |storage| checkpoint::checkpoint(&self.shared, storage))
    }

    /// Writes the file of each table anew, in one piece; all tables are loaded for it.
    ///
    /// # Errors
    /// As [`Database::save`] and [`Database::load`].
    pub fn compact(&self) -> Result<()> {
        held::check_none(&self.shared, "compact")?;
        self.shared.storage.as_ref().map_or(Ok(()), |storage| checkpoint::save(&self.shared, storage, true))
    }

    /// Makes everything durable that was written so far, however it was acknowledged.
    ///
    /// # Errors
    /// [`Poisoned`](persist_core::ErrorKind::Poisoned) where it could not.
    pub fn sync(&self) -> Result<()> {
        self.shared.storage.as_ref().map_or(Ok(()), |storage| storage.log.sync())
    }

    /// Figures of the tables and the files.
    ///
    /// # Errors
    /// [`Io`](persist_core::ErrorKind::Io); [`Input`](persist_core::ErrorKind::Input) inside a transaction.
    pub fn stats(&self) -> Result<Stats> {
        held::check_none(&self.shared, "stats")?;
        stats::stats(&self.shared)
    }

    /// Writes a table into a file: one JSON object, in the form of the specification. Answers how many records.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) where there is no such table, [`Io`](persist_core::ErrorKind::Io).
    pub fn export_table(&self, table: &str, path: impl AsRef<Path>) -> Result<usize> {
        portable::export_json(&self.shared, table, path.as_ref())
    }

    /// Adds the records of a file that [`Database::export_table`] wrote to its table, all or none. Answers how many.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) and [`Conflict`](persist_core::ErrorKind::Conflict) for what the table does
    /// not take, with file and line; else as [`Rows::insert`].
    pub fn import_table(&self, path: impl AsRef<Path>) -> Result<usize> {
        portable::import_json(&self.shared, path.as_ref())
    }

    /// As [`Database::export_table`], as comma-separated values: the names of the columns, then a line for each record. Null
    /// is empty, and text that is empty is `""`.
    ///
    /// # Errors
    /// As [`Database::export_table`].
    pub fn export_csv(&self, table: &str, path: impl AsRef<Path>) -> Result<usize> {
        portable::export_csv(&self.shared, table, path.as_ref())
    }

    /// Adds the records of a file of comma-separated values to a table, all or none. Its first line names the columns.
    /// Answers how many.
    ///
    /// # Errors
    /// As [`Database::import_table`].
    pub fn import_csv(&self, table: &str, path: impl AsRef<Path>) -> Result<usize> {
        portable::import_csv(&self.shared, table, path.as_ref())
    }

    /// The operations in the log, oldest first; those in archives are not among them.
    ///
    /// # Errors
    /// [`Io`](persist_core::ErrorKind::Io).
    pub fn inspect_wal(&self) -> Result<Vec<Operation>> {
        let Some(storage) = &self.shared.storage else { return Ok(Vec::new()) };
        let mut operations = Vec::new();
        for _ in 0..READINGS {
            let last = storage.log.last_seq();
            storage.log.wait(last, persist_core::wal::Reach::Written)?;
            operations = operations_of(storage)?;
            let seqs = operations.iter().map(|operation| operation.seq);
            let is_whole = seqs.clone().zip(seqs.skip(1)).all(|(seq, next)| next == seq + 1);
            if is_whole && operations.last().is_none_or(|operation| operation.seq >= last) {
                break;
            }
        }
        Ok(operations)
    }

    /// Saves, closes the log, and gives the files back. Who still has rows of a table can read them.
    ///
    /// # Errors
    /// What could not be done. Nothing acknowledged is lost then: the next opening finds it in the log.
    pub fn close(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_closed, true) {
            return Ok(());
        }
        let Some(storage) = &self.shared.storage else { return Ok(()) };
        if let Some(forked) = storage.log.forked() {
            // There is no thread here that could be ended.
            std::mem::forget(self.keeper.take());
            return Err(forked);
        }
        self.keeper = None;
        let saved = checkpoint::save(&self.shared, storage, false);
        let closed = storage.log.close();
        *storage.lock.lock() = None;
        saved.and(closed)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, database = self.shared.name, "the database could not be closed");
        }
    }
}

fn operations_of(storage: &Storage) -> Result<Vec<Operation>> {
    let folders = [storage.paths.wal.clone()];
    let archive = Archive::open_named(storage.fs.as_ref(), &folders, &storage.lineage, LOG_NAMES)?;
    let mut operations: Vec<Operation> = Vec::new();
    for segment in archive.segments() {
        let mut lines = archive.read(segment)?;
        while let Some(line) = lines.take_line() {
            // Recovery may have left a line in two files.
            if line.lost_from.is_some() || operations.last().is_some_and(|last| last.seq >= line.seq) {
                continue;
            }
            let operation = Entry::parse(line.text(), line.seq)?.into_operation(line.seq);
            operations.push(operation.ok_or_else(|| Error::input(format!("the log's line {} is damaged", line.seq)))?);
        }
    }
    Ok(operations)
}
