//! What a table of all writes tells of the past.

use super::database::Database;
use super::load::Loaded;
use super::schema::{OP, PUT, SEQ, quote};
use crate::error::Result;
use crate::model::Source;

/// By which of a write's times the past is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The timestamp of its record; a removal has none, and counts when it was written.
    Timestamp,
    /// When it was written.
    Written,
}

impl Database {
    /// Hands out each write of an id, in the order of `seq`.
    ///
    /// # Errors
    /// As [`load`](Database::load).
    pub(crate) fn history(
        &self,
        key: &str,
        fields: &[Option<&str>],
        each: &mut dyn FnMut(Loaded<'_>) -> Result<()>,
    ) -> Result<()> {
        let parts = (0..self.table.parts).map(|n| {
            let part = self.table.column(Source::Part(n));
            format!(" AND {part} IS NOT DISTINCT FROM ?::VARCHAR")
        });
        let (all, key_column) = (self.select_writes(), self.table.column(Source::Key));
        let sql = format!("{all} WHERE {key_column} = ?{} ORDER BY {}", parts.collect::<String>(), quote(SEQ));
        let id: Vec<Option<&str>> = std::iter::once(Some(key)).chain(fields.iter().copied()).collect();
        let _cores = self.cores.all();
        self.stream(&self.connect()?, &sql, &id, each)
    }

    /// Hands out what had been the newest write of each id at a moment, in microseconds since 1970 UTC, without
    /// removals, in the order of the ids.
    ///
    /// # Errors
    /// As [`load`](Database::load).
    pub(crate) fn as_of(&self, micros: i64, by: By, each: &mut dyn FnMut(Loaded<'_>) -> Result<()>) -> Result<()> {
        let written = self.table.column(Source::UpdatedAt);
        let moment = match by {
            By::Timestamp => format!("coalesce({}, {written})", self.table.column(Source::Timestamp)),
            By::Written => written,
        };
        let sql = format!(
            "{all} WHERE {op} = {PUT} AND {seq} IN \
             (SELECT max({seq}) FROM {writes} WHERE {moment} <= make_timestamp({micros}) GROUP BY {ids}) ORDER BY {ids}",
            all = self.select_writes(),
            op = quote(OP),
            seq = quote(SEQ),
            writes = self.appended(),
            ids = self.table.id_list(),
        );
        let _cores = self.cores.all();
        self.stream(&self.connect()?, &sql, &[], each)
    }

    fn select_writes(&self) -> String {
        let columns = self.loaded_columns(&self.table.column(Source::Version));
        format!("SELECT {columns}, {}, {} FROM {}", quote(SEQ), quote(OP), self.appended())
    }
}
