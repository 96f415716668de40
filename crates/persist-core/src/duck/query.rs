//! SQL from outside: one SELECT, over a view that shows every flush.

use arrow::array::RecordBatch;
use duckdb::core::LogicalTypeId;
use duckdb::{Connection, params};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::database::Database;
use super::failure::failed;
use super::rows::Rows;
use super::schema::quote;
use super::value;
use crate::error::{Error, Result};

impl Database {
    /// Runs one SELECT over what has been flushed.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) for anything but one SELECT, [`Database`](crate::ErrorKind::Database) for what
    /// DuckDB refuses.
    pub(crate) fn query(&self, sql: &str) -> Result<Rows> {
        let mut rows = Vec::new();
        let columns = self.run(sql, &mut |batch| value::append_rows(&batch, &mut rows))?;
        Ok(Rows::new(columns, rows))
    }

    /// As [`query`](Database::query), and hands out the result as Arrow batches; none for a result without rows.
    pub(crate) fn query_arrow(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        self.run(sql, &mut |batch| {
            batches.push(batch);
            Ok(())
        })?;
        Ok(batches)
    }

    /// Everything but the [settling](super::settle) happens on a connection of its own, in read-only transactions: the view
    /// fits the rows it is made for, nothing can be written, and what a statement sets ends with it.
    fn run(&self, sql: &str, each: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<Vec<String>> {
        let failed = |error| failed("cannot query", &self.path, error);
        let _cores = self.cores.all();
        let connection = self.connect()?;
        connection.execute_batch("BEGIN TRANSACTION READ ONLY").map_err(failed)?;
        one_select(&connection, sql, &failed)?;
        self.settle_before(&connection).and_then(|settled| self.hide_table(&connection, settled)).map_err(failed)?;
        stream(&connection, sql, &failed, each)
    }

    /// Has hidden rows taken out, and begins another transaction, which sees that: the answer says up to which `seq`. A
    /// history hides none in this way, and its transaction goes on.
    fn settle_before(&self, connection: &Connection) -> duckdb::Result<u64> {
        if self.table.history.is_some() {
            return Ok(0);
        }
        let watermark = self.watermark(connection)?;
        connection.execute_batch("COMMIT")?;
        let settled = self.settle(watermark);
        connection.execute_batch("BEGIN TRANSACTION READ ONLY")?;
        Ok(settled)
    }

    /// Hides the main table by a view of base and delta, of this connection only. Without a delta the table is right.
    fn hide_table(&self, connection: &Connection, settled: u64) -> duckdb::Result<()> {
        let delta = self.delta(connection)?;
        // The base of a history is in another file, where its bare name would not be found.
        if self.table.history.is_none() && !has_rows(connection, &delta)? {
            return Ok(());
        }
        // Otherwise there was a flush in between, or something held up the settling.
        let is_settled = self.table.history.is_none() && self.watermark(connection)? == settled;
        let current = if is_settled {
            self.table.settled(&self.base(), &delta)
        } else {
            self.table.current(&self.base(), &delta)
        };
        connection.execute_batch(&format!("CREATE TEMP VIEW {} AS {current}", quote(self.table.name)))
    }
}

/// Runs a statement, hands out what it answers in batches, and returns the names of its columns.
pub(super) fn stream(
    connection: &Connection,
    sql: &str,
    failed: &dyn Fn(duckdb::Error) -> Error,
    each: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<Vec<String>> {
    let mut statement = connection.prepare(sql).map_err(failed)?;
    // The iterator would panic on an error in mid-stream; `step` returns it.
    let _ = statement.stream_arrow([]).map_err(failed)?;
    let columns = statement.column_names();
    // DuckDB writes this one type into Arrow as if it were signed.
    if let Some(n) = (0..columns.len()).find(|n| statement.column_logical_type(*n).id() == LogicalTypeId::UHugeint) {
        let name = columns.get(n).map_or("", String::as_str);
        return Err(Error::input(format!("the column {name:?} of a query is UHUGEINT: cast it to VARCHAR")));
    }
    while let Some(chunk) = statement.step().map_err(failed)? {
        each(chunk.into())?;
    }
    Ok(columns)
}

/// Whether there is any row in what a query reads, as this connection's transaction sees it.
pub(super) fn has_rows(connection: &Connection, from: &str) -> duckdb::Result<bool> {
    connection.query_row(&format!("SELECT EXISTS (FROM {from})"), [], |row| row.get(0))
}

/// How DuckDB's own parser sees a text.
#[derive(Deserialize)]
struct Parsed {
    error: bool,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error_message: String,
    #[serde(default)]
    statements: Vec<IgnoredAny>,
}

/// Refuses anything but one SELECT, before anything of it runs: preparing a text of several statements executes all but
/// the last.
///
/// `json_serialize_sql` parses a text without binding it and takes nothing but SELECT: with it VALUES, FROM, TABLE,
/// DESCRIBE, SHOW, SUMMARIZE, UNPIVOT, and PIVOT with its values written out. EXPLAIN, CALL and PRAGMA are refused.
pub(super) fn one_select(connection: &Connection, sql: &str, failed: &dyn Fn(duckdb::Error) -> Error) -> Result<()> {
    let refused = |why: &str| Error::input(format!("a query is one SELECT statement: {why}"));
    if sql.contains('\0') {
        return Err(refused("this has a NUL character"));
    }
    let parsed: String = connection
        .query_row("SELECT json_serialize_sql(?::VARCHAR)", params![sql], |row| row.get(0))
        .map_err(failed)?;
    let parsed: Parsed = serde_json::from_str(&parsed)
        .map_err(|error| refused("DuckDB's parser gave no readable answer").with_source(error))?;
    match (parsed.error, parsed.statements.len()) {
        (false, 1) => Ok(()),
        (false, 0) => Err(refused("this is none")),
        (false, n) => Err(refused(&format!("these are {n}"))),
        (true, _) if parsed.error_type == "parser" => Err(refused(&parsed.error_message)),
        (true, _) if parsed.error_message.starts_with("Only SELECT") => Err(refused("this is another")),
        (true, _) => one_bound_select(connection, sql).map_err(|error| {
            if error.to_string().contains("a single SELECT") { refused("these are several") } else { failed(error) }
        }),
    }
}

/// The same for a SELECT that can't be written as JSON, such as one with a cast to an ENUM of its own: the table function
/// `query` takes one SELECT, and preparing binds it but runs nothing.
fn one_bound_select(connection: &Connection, sql: &str) -> duckdb::Result<()> {
    connection.prepare(&format!("FROM query('{}')", sql.replace('\'', "''"))).map(drop)
}
