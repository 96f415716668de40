//! Whether a database is what it has to be: every row of it can be read, and they fit together.

use duckdb::Connection;

use super::database::Database;
use super::failure::{failed, is_no_answer};
use super::schema::{OP, SEQ, quote};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Source;

/// One of the files of a store's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseFile {
    /// The one that is written at every flush: with the history, in a model that keeps one.
    Main,
    /// The newest records of a model that keeps all writes; of another model, the same file.
    Latest,
}

impl Database {
    /// Reads one of the files whole, as of one moment, and answers what is wrong with it; nothing, if it is sound.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database) where it can't be asked at all.
    pub(crate) fn check_health(&self, file: DatabaseFile) -> Result<Vec<String>> {
        let failed = |error| failed("cannot check", &self.path, error);
        let _cores = self.cores.all();
        let connection = self.connect()?;
        connection.execute_batch("BEGIN TRANSACTION READ ONLY").map_err(failed)?;
        let mut problems = self.unreadable(&connection, file)?;
        if problems.is_empty() {
            for (what, sql) in self.contradictions(&connection, file).map_err(failed)? {
                let count: u64 = connection.query_row(&sql, [], |row| row.get(0)).map_err(failed)?;
                if count > 0 {
                    problems.push(format!("{count} {what}"));
                }
            }
        }
        Ok(problems)
    }

    /// Reads both files whole.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt), saying what can't be read; [`Database`](ErrorKind::Database) where the disk does not
    /// answer, which says nothing of the files.
    pub(crate) fn check_readable(&self) -> Result<()> {
        let _cores = self.cores.all();
        let connection = self.connect()?;
        for (file, held) in [DatabaseFile::Main, DatabaseFile::Latest].into_iter().zip(&self.files) {
            let problems = self.unreadable(&connection, file)?;
            if !problems.is_empty() {
                let message = format!("{} is damaged: {}", held.path.display(), problems.join("; "));
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
        }
        Ok(())
    }

    fn unreadable(&self, connection: &Connection, file: DatabaseFile) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        for table in self.tables_of(file) {
            match read_table(connection, &table) {
                Ok(()) => {}
                Err(error) if is_no_answer(&error) => return Err(failed("cannot read", &self.path, error)),
                Err(error) => {
                    let said = error.to_string();
                    problems.push(format!("{table} can't be read: {}", said.lines().next().unwrap_or_default()));
                }
            }
        }
        Ok(problems)
    }

    /// Reads all that was ever written, in a model that keeps it, and the newest records.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for a damaged file.
    pub(crate) fn read_history(&self) -> Result<()> {
        if self.table.history.is_none() {
            return Ok(());
        }
        let _cores = self.cores.all();
        let connection = self.connect()?;
        let tables = [DatabaseFile::Main, DatabaseFile::Latest].map(|file| self.tables_of(file)).concat();
        let read = tables.iter().try_for_each(|table| read_table(&connection, table));
        read.map_err(|error| failed("cannot read", &self.path, error))
    }

    fn tables_of(&self, file: DatabaseFile) -> Vec<String> {
        let main = [self.appended(), self.meta()];
        let base = [self.base(), self.removed()];
        match (self.applied_meta(), file) {
            (None, _) => main.into_iter().chain(base).collect(),
            (Some(_), DatabaseFile::Main) => main.into(),
            (Some(applied), DatabaseFile::Latest) => base.into_iter().chain([applied]).collect(),
        }
    }

    /// What there may not be any of, and a query that counts it.
    fn contradictions(&self, connection: &Connection, file: DatabaseFile) -> duckdb::Result<Vec<(String, String)>> {
        let (ids, version, seq) = (self.table.id_list(), self.table.column(Source::Version), quote(SEQ));
        let (all, base) = (self.appended(), self.base());
        let count = |from: &str| format!("SELECT count(*) FROM ({from})");
        let mut found = Vec::new();
        if self.table.history.is_none() || file == DatabaseFile::Latest {
            let twice = count(&format!("SELECT 1 FROM {base} GROUP BY {ids} HAVING count(*) > 1"));
            found.push((format!("ids stand more than once in {base}"), twice));
        }
        let Some(applied) = self.applied_meta() else { return Ok(found) };
        if file == DatabaseFile::Main {
            let twice = count(&format!("SELECT 1 FROM {all} GROUP BY {seq} HAVING count(*) > 1"));
            found.push((format!("writes stand more than once in {all}"), twice));
            let gaps = format!(
                "SELECT 1 FROM {all} GROUP BY {ids} \
                 HAVING min({version}) <> 1 OR max({version}) <> count(*) OR count(DISTINCT {version}) <> count(*)"
            );
            found.push((format!("items have versions with a gap in {all}"), count(&gaps)));
        } else {
            let applied: u64 =
                connection
                    .query_row(&format!("SELECT coalesce(max(watermark), 0) FROM {applied}"), [], |row| row.get(0))?;
            let until = format!("(FROM {all} WHERE {seq} <= {applied})");
            // Of a row its hash: whole rows, compared by a join, would all have to be in memory.
            let own = self.table.columns.iter().filter(|column| column.source != Source::Version);
            let own = own.map(|column| column.name);
            let extra = self.table.extra.columns().iter().map(|column| column.name.as_str());
            let row = format!("hash({})", own.chain(extra).map(quote).collect::<Vec<_>>().join(", "));
            let newest = format!(
                "SELECT {ids}, {version}, {row} FROM {until} WHERE {} = 0 AND {seq} IN (SELECT max({seq}) FROM {until} GROUP BY {ids})",
                quote(OP)
            );
            let latest = format!("SELECT {ids}, {}, {row} FROM {base}", self.table.count_column());
            let differ = format!("({newest} EXCEPT {latest}) UNION ALL ({latest} EXCEPT {newest})");
            found.push((format!("items differ between {base} and the history"), count(&differ)));
        }
        Ok(found)
    }
}

/// The hash of a whole row needs every column of it, and so every block of the table.
fn read_table(connection: &Connection, table: &str) -> duckdb::Result<()> {
    connection.query_row(&format!("SELECT count(*), bit_xor(hash(t)) FROM {table} t"), [], |_| Ok(()))
}
