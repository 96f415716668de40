//! The order of a base that is read by key: how it is kept, at a cost that keeps to what changed.
//!
//! A load finds a key's rows by their hash. DuckDB knows the lowest and the highest hash of each row group (122,880 rows)
//! and passes over those that can't have it. So the base is kept as at most two **runs**, whose row groups follow each
//! other in the order of the hash: a sorted run of nearly all rows, and a short one of what changed since. A load reads a
//! row group of each; at a key that lies across the end of one, one more.
//!
//! A merge puts the short run and what is new into one run at the end. When that would be more than [a share of the
//! base](most_in_second), or than a row group, it puts all rows into one. Nothing of this is written down anywhere: the
//! runs are found in what DuckDB says of the row groups.

use duckdb::Connection;

use super::database::Database;
use super::failure::failed;
use super::schema::HASH;
use crate::error::Result;

/// The second run has at most so many rows, as DuckDB puts into one row group …
const MOST_IN_SECOND: u64 = 122_880;
/// … and at most this share of the first, lest little work on a small table cost as much as on a large one …
const SHARE_OF_FIRST: u64 = 8;
/// … but may always have so many.
const LEAST_IN_SECOND: u64 = 8_192;
/// At most so many rows are sorted at once, so that memory does not grow with the table.
const SORTED_AT_ONCE: u64 = 1_000_000;

/// Row groups that follow each other in the order of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// The `rowid` of its first row.
    first: u64,
    /// The rows that are not deleted.
    rows: u64,
}

/// The runs of a base, but those of which all rows are deleted, and the `rowid` after all of them.
#[derive(Debug)]
struct Runs {
    runs: Vec<Run>,
    end: u64,
}

fn most_in_second(first: u64) -> u64 {
    (first / SHARE_OF_FIRST).clamp(LEAST_IN_SECOND, MOST_IN_SECOND)
}

impl Runs {
    fn are_in_order(&self) -> bool {
        self.runs.len() <= 2
    }

    /// From which row on all goes into one run with so many new ones.
    fn move_from(&self, new: u64) -> u64 {
        let Some((first, others)) = self.runs.split_first() else { return self.end };
        let second = others.iter().map(|run| run.rows).sum::<u64>() + new;
        if second > most_in_second(first.rows) { first.first } else { others.first().map_or(self.end, |run| run.first) }
    }

    fn rows_from(&self, first: u64) -> u64 {
        self.runs.iter().filter(|run| run.first >= first).map(|run| run.rows).sum()
    }
}

impl Database {
    /// Puts the newest of each id of the delta into a base that is kept in order. Answers how many there were, and how
    /// many rows of the base were written once more for that.
    pub(super) fn insert_in_order(&self, connection: &Connection, delta: &str) -> duckdb::Result<(u64, u64)> {
        let newest = format!("SELECT count(*) FROM {delta} {}", self.table.where_newest(delta));
        let new: u64 = connection.query_row(&newest, [], |row| row.get(0))?;
        let runs = self.runs(connection)?;
        if new == 0 && runs.are_in_order() {
            return Ok((0, 0));
        }
        let from = runs.move_from(new);
        let base = self.base();
        let moved = format!("rowid >= {from} AND rowid < {}", runs.end);
        // Hashes are spread evenly.
        let parts = (new + runs.rows_from(from)).div_ceil(SORTED_AT_ONCE).max(1);
        let width = u64::MAX / parts;
        for part in 0..parts {
            let (low, high) = (width * part, if part + 1 == parts { u64::MAX } else { width * (part + 1) - 1 });
            connection.execute(&self.table.insert_sorted(&base, &moved, delta, low, high), [])?;
        }
        let rewritten = connection.execute(&format!("DELETE FROM {base} WHERE {moved}"), [])?;
        Ok((new, rewritten as u64))
    }

    /// Whether a load has to read no more row groups than it should. It may be otherwise after a merge that had no
    /// checkpoint since the one before: its rows then came into row groups that others are in.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database).
    pub(crate) fn is_in_order(&self) -> Result<bool> {
        if self.table.history.is_none() {
            return Ok(true);
        }
        let runs = self.runs(&self.connect()?);
        runs.map(|runs| runs.are_in_order()).map_err(|error| failed("cannot read the row groups of", &self.path, error))
    }

    fn runs(&self, connection: &Connection) -> duckdb::Result<Runs> {
        let base = self.base();
        let sql = format!(
            "SELECT sum(\"count\")::UBIGINT, min(try_cast(regexp_extract(stats, 'Min: (\\d+)', 1) AS UBIGINT)), \
             max(try_cast(regexp_extract(stats, 'Max: (\\d+)', 1) AS UBIGINT)) FROM pragma_storage_info('{}') \
             WHERE column_name = '{HASH}' AND segment_type = 'UBIGINT' GROUP BY row_group_id ORDER BY row_group_id",
            base.replace('\'', "''")
        );
        let mut statement = connection.prepare(&sql)?;
        let groups = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let (mut firsts, mut end, mut highest) = (Vec::new(), 0, None);
        for group in groups {
            let (rows, low, high): (u64, Option<u64>, Option<u64>) = group?;
            if highest.is_none_or(|highest| low.is_some_and(|low| low < highest)) {
                firsts.push(end);
            }
            (end, highest) = (end + rows, high.or(highest).or(Some(0)));
        }
        let mut runs = Vec::with_capacity(firsts.len());
        for (n, first) in firsts.iter().enumerate() {
            let after = firsts.get(n + 1).unwrap_or(&end);
            let sql = format!("SELECT count(*) FROM {base} WHERE rowid >= {first} AND rowid < {after}");
            let rows = connection.query_row(&sql, [], |row| row.get(0))?;
            runs.push(Run { first: *first, rows });
        }
        runs.retain(|run| run.rows > 0);
        Ok(Runs { runs, end })
    }
}
