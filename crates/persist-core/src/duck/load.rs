//! Reading rows back as records: what memory is filled with at opening.

use std::thread;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, LargeStringArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType, UInt8Type, UInt64Type};
use duckdb::{Connection, params_from_iter};
use md5::{Digest, Md5};

use super::database::Database;
use super::failure::failed;
use super::schema::{HASH, OP, PUT, REMOVE, REMOVED_AT, SEQ, quote};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Scalar, Source};

/// So many batches, of 2,048 rows each, are read ahead at most: a record may have megabytes.
const BATCHES_AHEAD: usize = 4;

/// A row read back, borrowed from the batch it came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loaded<'a> {
    pub(crate) key: &'a str,
    /// The fields of the part, in the model's order.
    pub(crate) part: &'a [Option<&'a str>],
    /// Empty where the id was removed.
    pub(crate) data: &'a str,
    /// What it has besides its data.
    pub(crate) value: &'a Option<Scalar>,
    /// When it was written, in microseconds since 1970 UTC; 0 where the column is NULL.
    pub(crate) at: i64,
    /// 1 where the column is NULL.
    pub(crate) version: u32,
    /// 0 in the base.
    pub(crate) seq: u64,
}

impl Database {
    /// Hands out every row of the base, every removed id, then every row of the delta in the order of `seq`: a later
    /// row of an id replaces an earlier one. What is seen is one moment's state; no more than some batches are held at a time.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) for a damaged file, or a NULL where there can't be one; what `each` answers.
    pub(crate) fn load(&self, each: &mut dyn FnMut(Loaded<'_>) -> Result<()>) -> Result<()> {
        self.batches(true, &mut |batch| self.each_row(batch, each))
    }

    /// As [`load`](Database::load), on all cores and in no order: of the rows of one id the one with the highest `seq`
    /// counts. Each core hands its rows to a taker of its own.
    ///
    /// DuckDB reads on its threads and on this one, which makes Arrow batches of what it reads; to make records of them
    /// takes as long again, and is done beside it.
    pub(crate) fn load_on_all_cores<T>(&self, taker: impl Fn() -> T + Sync) -> Result<()>
    where
        T: FnMut(Loaded<'_>) -> Result<()>,
    {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (batches, read) = flume::bounded(BATCHES_AHEAD);
        let take = |read: flume::Receiver<RecordBatch>| -> Result<()> {
            let mut each = taker();
            read.into_iter().try_for_each(|batch| self.each_row(batch, &mut each))
        };
        thread::scope(|scope| {
            let take = &take;
            let beside = |read| scope.spawn(move || take(read));
            let takers: Vec<_> = (0..cores).map(|_| beside(read.clone())).collect();
            drop(read);
            // Where it fails, all takers have failed, and one of them says why.
            let put = |batch| batches.send(batch).map_err(|_| self.strange("rows that nobody takes"));
            let done = self.batches(false, &mut { put });
            drop(batches);
            for taker in takers {
                taker.join().map_err(|_| self.strange("rows that can't be taken"))??;
            }
            done
        })
    }

    /// Hands out what there is in batches, as one transaction sees it: the base, the removed ids, the delta.
    fn batches(&self, in_order: bool, each: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let _cores = self.cores.all();
        let connection = self.connect()?;
        let begun = connection.execute_batch("BEGIN TRANSACTION READ ONLY");
        begun.map_err(|error| failed("cannot read", &self.path, error))?;
        let (columns, seq, op) = (self.loaded_columns(&self.table.column(Source::Version)), quote(SEQ), quote(OP));
        let delta = self.delta(&connection).map_err(|error| failed("cannot read", &self.path, error))?;
        let order = if in_order { format!(" ORDER BY {seq}") } else { String::new() };
        let delta = format!("SELECT {columns}, {seq}, {op} FROM {delta}{order}");
        for sql in [self.select_base(), self.select_removed(), delta] {
            self.stream_batches(&connection, &sql, &[], each)?;
        }
        Ok(())
    }

    /// Hands out the rows of the base, and the removed ids, of a key whose part begins with these fields.
    pub(crate) fn load_of(
        &self,
        key: &str,
        fields: &[Option<&str>],
        each: &mut dyn FnMut(Loaded<'_>) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| failed("cannot read", &self.path, error);
        let connection = self.connect()?;
        connection.execute_batch("BEGIN TRANSACTION READ ONLY").map_err(failed)?;
        let mut of_id = format!("{} = ?", self.table.column(Source::Key));
        for n in 0..fields.len() {
            of_id += &format!(" AND {} IS NOT DISTINCT FROM ?", self.table.column(Source::Part(n)));
        }
        let values: Vec<Option<&str>> = std::iter::once(Some(key)).chain(fields.iter().copied()).collect();
        let mut base = format!("{} WHERE {of_id}", self.select_base());
        if self.table.history.is_some() {
            base += &and_hash(key);
        }
        self.stream(&connection, &base, &values, each)?;
        self.stream(&connection, &format!("{} WHERE {of_id}", self.select_removed()), &values, each)
    }

    /// The [hashes](key_hash) of all keys that the base has rows or removed ids of, some more than once.
    ///
    /// # Errors
    /// As [`load`](Database::load).
    pub(crate) fn key_hashes(&self) -> Result<Vec<u64>> {
        let (base, removed, hash) = (self.base(), self.removed(), quote(HASH));
        let of_key = self.table.hash(&self.table.column(Source::Key));
        let sql = format!("SELECT DISTINCT {hash} FROM {base} UNION ALL SELECT {of_key} FROM {removed}");
        let _cores = self.cores.all();
        let connection = self.connect()?;
        let read = || -> duckdb::Result<Vec<u64>> {
            let mut statement = connection.prepare(&sql)?;
            let _ = statement.stream_arrow([])?;
            let mut hashes = Vec::new();
            while let Some(chunk) = statement.step()? {
                let column =
                    chunk.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>().cloned());
                hashes.extend(column.iter().flat_map(|column| column.values().iter()));
            }
            Ok(hashes)
        };
        read().map_err(|error| failed("cannot read the keys of", &self.path, error))
    }

    /// Hands out every row of the base, as [`load`](Database::load) does.
    pub(crate) fn load_base(&self, each: &mut dyn FnMut(Loaded<'_>) -> Result<()>) -> Result<()> {
        let _cores = self.cores.all();
        self.stream(&self.connect()?, &self.select_base(), &[], each)
    }

    fn select_base(&self) -> String {
        let columns = self.loaded_columns(&self.table.count_column());
        format!("SELECT {columns}, 0::UBIGINT, {PUT}::UTINYINT FROM {}", self.base())
    }

    fn select_removed(&self) -> String {
        let parts = (0..self.table.parts).map(|n| format!("{}::VARCHAR, ", self.table.column(Source::Part(n))));
        format!(
            "SELECT {}, {}NULL::VARCHAR, NULL::BIGINT, NULL::DOUBLE, NULL::VARCHAR, {}, version, {}, {REMOVE}::UTINYINT \
             FROM {}",
            self.table.column(Source::Key),
            parts.collect::<String>(),
            quote(REMOVED_AT),
            quote(SEQ),
            self.removed()
        )
    }

    /// The columns of a row, its versions counted by the column `version`.
    pub(super) fn loaded_columns(&self, version: &str) -> String {
        let mut columns = vec![self.table.column(Source::Key)];
        columns.extend((0..self.table.parts).map(|n| format!("{}::VARCHAR", self.table.column(Source::Part(n)))));
        columns.push(self.table.column(Source::Data));
        for (source, kind) in VALUES {
            columns.push(format!("{}::{kind}", self.table.column(source)));
        }
        columns.push(format!("{}::TIMESTAMP", self.table.column(Source::UpdatedAt)));
        columns.push(format!("{version}::INTEGER"));
        columns.join(", ")
    }

    pub(super) fn stream(
        &self,
        connection: &Connection,
        sql: &str,
        values: &[Option<&str>],
        each: &mut dyn FnMut(Loaded<'_>) -> Result<()>,
    ) -> Result<()> {
        self.stream_batches(connection, sql, values, &mut |batch| self.each_row(batch, each))
    }

    fn stream_batches(
        &self,
        connection: &Connection,
        sql: &str,
        values: &[Option<&str>],
        each: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| failed("cannot read", &self.path, error);
        let mut statement = connection.prepare(sql).map_err(failed)?;
        // The iterator would panic on an error in mid-stream; `step` returns it.
        let _ = statement.stream_arrow(params_from_iter(values)).map_err(failed)?;
        while let Some(chunk) = statement.step().map_err(failed)? {
            each(chunk.into())?;
        }
        Ok(())
    }

    fn each_row(&self, batch: RecordBatch, each: &mut dyn FnMut(Loaded<'_>) -> Result<()>) -> Result<()> {
        let rows = Rows::of(batch, self.table.parts).ok_or_else(|| self.strange("a column of another type"))?;
        rows.each(each, || self.strange("NULL for a key or for data"))
    }

    fn strange(&self, what: &str) -> Error {
        Error::new(ErrorKind::Corrupt, format!("{} holds {what}", self.path.display()))
    }
}

/// The condition that lets DuckDB pass over row groups of a base that is kept in order.
pub(super) fn and_hash(key: &str) -> String {
    // As a number in the text: of a parameter DuckDB would not know which row groups to pass over.
    format!(" AND {} = {}", quote(HASH), key_hash(key))
}

/// By what a base beside a history is ordered; DuckDB's `md5_number_lower`.
pub(crate) fn key_hash(key: &str) -> u64 {
    let digest: [u8; 16] = Md5::digest(key).into();
    u64::from_le_bytes(*digest.last_chunk().unwrap_or(&[0; 8]))
}

struct Rows {
    batch: RecordBatch,
    parts: usize,
}

impl Rows {
    fn of(batch: RecordBatch, parts: usize) -> Option<Self> {
        (batch.num_columns() == parts + 9).then_some(Self { batch, parts })
    }

    fn text(&self, column: usize) -> Option<&LargeStringArray> {
        self.batch.columns().get(column)?.as_string_opt()
    }

    fn each(&self, each: &mut dyn FnMut(Loaded<'_>) -> Result<()>, strange: impl Fn() -> Error) -> Result<()> {
        let parts = self.parts;
        let columns = self.batch.columns();
        let number = |n: usize| columns.get(parts + n);
        let (Some(keys), Some(data), Some(values), Some(ats), Some(versions), Some(seqs), Some(ops)) = (
            self.text(0),
            self.text(parts + 1),
            Values::of(number(2), number(3), self.text(parts + 4)),
            number(5).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>()),
            number(6).and_then(|column| column.as_primitive_opt::<Int32Type>()),
            number(7).and_then(|column| column.as_primitive_opt::<UInt64Type>()),
            number(8).and_then(|column| column.as_primitive_opt::<UInt8Type>()),
        ) else {
            return Err(strange());
        };
        let part_columns: Vec<_> = (1..=parts).filter_map(|column| self.text(column)).collect();
        let mut part = Vec::with_capacity(parts);
        for row in 0..self.batch.num_rows() {
            part.clear();
            part.extend(part_columns.iter().map(|column| column.is_valid(row).then(|| column.value(row))));
            let is_removal = ops.value(row) == REMOVE;
            if keys.is_null(row) || (data.is_null(row) && !is_removal) {
                return Err(strange());
            }
            each(Loaded {
                key: keys.value(row),
                part: &part,
                data: if is_removal { "" } else { data.value(row) },
                value: &values.at(row),
                at: if ats.is_null(row) { 0 } else { ats.value(row) },
                version: if versions.is_null(row) { 1 } else { u32::try_from(versions.value(row)).unwrap_or(1) },
                seq: seqs.value(row),
            })?;
        }
        Ok(())
    }
}

/// The columns of what a record has besides its data.
const VALUES: [(Source, &str); 3] =
    [(Source::ValueInt, "BIGINT"), (Source::ValueFloat, "DOUBLE"), (Source::ValueText, "VARCHAR")];

struct Values<'a> {
    ints: &'a Int64Array,
    floats: &'a Float64Array,
    texts: &'a LargeStringArray,
}

impl<'a> Values<'a> {
    fn of(
        ints: Option<&'a ArrayRef>,
        floats: Option<&'a ArrayRef>,
        texts: Option<&'a LargeStringArray>,
    ) -> Option<Self> {
        Some(Self { ints: ints?.as_primitive_opt()?, floats: floats?.as_primitive_opt()?, texts: texts? })
    }

    fn at(&self, row: usize) -> Option<Scalar> {
        if self.ints.is_valid(row) {
            Some(Scalar::Int(self.ints.value(row)))
        } else if self.floats.is_valid(row) {
            Some(Scalar::Float(self.floats.value(row)))
        } else {
            self.texts.is_valid(row).then(|| Scalar::Text(self.texts.value(row).into()))
        }
    }
}
