//! The flush: records appended to the delta, and the watermark with them, in one transaction.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array,
    UInt64Array,
};
use arrow::datatypes::{Field, Schema};
use duckdb::{Connection, params};
use hashbrown::HashSet;

use super::cores::Cores;
use super::database::Database;
use super::extra::extra_column;
use super::failure::failed;
use super::fields::Fields;
use super::schema::{OP, PUT, REMOVE, SEQ, Table};
use crate::error::Result;
use crate::model::{Model, RecordValue as _, Scalar, Source};
use crate::record::Record;

/// An Arrow batch ends at this many rows, eight of DuckDB's vectors …
const BATCH_ROWS: usize = 8 * 2048;
/// … or this many bytes of data: Arrow's offsets reach 2 GiB, and records may have 16 MiB each.
const BATCH_BYTES: usize = 32 << 20;

/// Flushes records into a database, on its own connection.
#[derive(Debug)]
pub(crate) struct Appender {
    connection: Connection,
    cores: Arc<Cores>,
    table: Table,
    path: PathBuf,
    store_id: String,
    add_watermark: String,
}

impl Appender {
    pub(super) fn new(connection: Connection, database: &Database, store_id: String) -> Self {
        let add_watermark = format!("INSERT INTO {} VALUES (?, ?, make_timestamp(?))", database.meta());
        let (cores, table, path) = (Arc::clone(&database.cores), database.table.clone(), database.path.clone());
        Self { connection, cores, table, path, store_id, add_watermark }
    }

    /// Appends records and removals, which come in the order of their `seq`, and says that all up to `watermark` are
    /// there: both or neither. Of several of one id only the last is written, but where all writes are kept. `records` may be empty. Answers how many rows were written.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database): nothing was written, or, where the error
    /// [invalidated](super::is_invalidated) the instance, the next opening shows whether it was.
    pub(crate) fn append<M: Model>(
        &mut self,
        records: &[Arc<Record<M>>],
        watermark: u64,
        at_micros: i64,
    ) -> Result<usize> {
        let kept = if self.table.history.is_some() {
            records.iter().map(Arc::as_ref).collect()
        } else {
            newest_of_each_id(records)
        };
        let _core = self.cores.one();
        let done = self.connection.execute_batch("BEGIN TRANSACTION").and_then(|()| {
            self.fill(&kept, watermark, at_micros)?;
            self.connection.execute_batch("COMMIT")
        });
        done.map(|()| kept.len()).map_err(|error| {
            // After a failed COMMIT there is no transaction left to roll back.
            let _ = self.connection.execute_batch("ROLLBACK");
            failed("cannot flush to", &self.path, error)
        })
    }

    fn fill<M: Model>(&self, records: &[&Record<M>], watermark: u64, at_micros: i64) -> duckdb::Result<()> {
        if !records.is_empty() {
            // Dropping DuckDB's appender flushes once more and keeps the error to itself: each batch is flushed
            // here, and the appender is gone before the transaction ends, lest a rest of it be committed alone.
            let mut appender = self.connection.appender(&self.table.delta_name())?;
            let mut rest = records;
            while !rest.is_empty() {
                let (batch, after) = rest.split_at(batch_len(rest));
                appender.append_record_batch(to_arrow(&self.table, batch)?)?;
                appender.flush()?;
                rest = after;
            }
        }
        self.connection.prepare_cached(&self.add_watermark)?.execute(params![self.store_id, watermark, at_micros])?;
        Ok(())
    }
}

fn newest_of_each_id<M: Model>(records: &[Arc<Record<M>>]) -> Vec<&Record<M>> {
    let mut seen = HashSet::with_capacity(records.len());
    let mut kept: Vec<_> =
        records.iter().rev().map(Arc::as_ref).filter(|record| seen.insert((record.key(), record.part()))).collect();
    kept.reverse();
    kept
}

fn batch_len<M: Model>(records: &[&Record<M>]) -> usize {
    let mut bytes = 0;
    let fits = records.iter().take(BATCH_ROWS).take_while(|record| {
        let before = bytes;
        bytes += record.json().len();
        before < BATCH_BYTES
    });
    fits.count()
}

struct Row<'a, M: Model> {
    record: &'a Record<M>,
    fields: Fields<'a>,
}

fn to_arrow<M: Model>(table: &Table, records: &[&Record<M>]) -> duckdb::Result<RecordBatch> {
    let rows: Vec<_> = records
        .iter()
        .map(|record| Row { record, fields: Fields::of(data(record).unwrap_or("{}"), &table.extra) })
        .collect();
    let width = table.columns.len() + table.extra.columns().len() + 2;
    let (mut fields, mut arrays) = (Vec::with_capacity(width), Vec::with_capacity(width));
    for column in table.columns {
        let array = column_of(column.source, &rows);
        fields.push(Field::new(column.name, array.data_type().clone(), true));
        arrays.push(array);
    }
    for (n, column) in table.extra.columns().iter().enumerate() {
        let array = extra_column(column.kind, rows.iter().map(|row| row.fields.extra.get(n)?.as_ref()));
        fields.push(Field::new(&column.name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let seqs: ArrayRef = Arc::new(UInt64Array::from_iter_values(records.iter().map(|record| record.seq)));
    let op = |record: &&Record<M>| if record.is_removal() { REMOVE } else { PUT };
    let ops: ArrayRef = Arc::new(UInt8Array::from_iter_values(records.iter().map(op)));
    for (name, array) in [(SEQ, seqs), (OP, ops)] {
        fields.push(Field::new(name, array.data_type().clone(), false));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| duckdb::Error::ToSqlConversionFailure(error.into()))
}

fn data<M: Model>(record: &Record<M>) -> Option<&str> {
    (!record.is_removal()).then(|| record.json())
}

fn column_of<M: Model>(source: Source, rows: &[Row<'_, M>]) -> ArrayRef {
    let rows = rows.iter();
    match source {
        Source::Key => Arc::new(StringArray::from_iter_values(rows.map(|row| row.record.key()))),
        Source::Part(n) => Arc::new(rows.map(|row| M::part_text(row.record.part(), n)).collect::<StringArray>()),
        Source::Data => Arc::new(rows.map(|row| data(row.record)).collect::<StringArray>()),
        Source::Timestamp => Arc::new(rows.map(|row| row.fields.timestamp).collect::<TimestampMicrosecondArray>()),
        Source::Status => Arc::new(rows.map(|row| row.fields.status.as_deref()).collect::<StringArray>()),
        Source::StatusInt => Arc::new(rows.map(|row| row.fields.status_int).collect::<Int32Array>()),
        Source::Username => Arc::new(rows.map(|row| row.fields.username.as_deref()).collect::<StringArray>()),
        Source::ValueInt => Arc::new(rows.map(|row| int(row.record.value.scalar()?)).collect::<Int64Array>()),
        Source::ValueFloat => Arc::new(rows.map(|row| float(row.record.value.scalar()?)).collect::<Float64Array>()),
        Source::ValueText => Arc::new(rows.map(|row| text(row.record.value.scalar()?)).collect::<StringArray>()),
        Source::UpdatedAt => Arc::new(TimestampMicrosecondArray::from_iter_values(rows.map(|row| row.record.at))),
        Source::Version => Arc::new(Int32Array::from_iter_values(
            rows.map(|row| i32::try_from(row.record.version).unwrap_or(i32::MAX)),
        )),
    }
}

fn int(scalar: &Scalar) -> Option<i64> {
    if let Scalar::Int(value) = scalar { Some(*value) } else { None }
}

fn float(scalar: &Scalar) -> Option<f64> {
    if let Scalar::Float(value) = scalar { Some(*value) } else { None }
}

fn text(scalar: &Scalar) -> Option<&str> {
    if let Scalar::Text(value) = scalar { Some(value) } else { None }
}
