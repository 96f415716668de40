//! DuckDB's Appender alone: an Arrow batch that is there already, in a transaction.
//!
//! As a flush it is one transaction that ends with one sync of DuckDB's log, right after a checkpoint, of the same rows. A
//! flush besides makes the batch of records that another thread wrote, adds two columns and a row with the watermark (an
//! eighth more bytes), and what a caller waits for is a thread that has to wake and a segment of the log to be closed.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use duckdb::{Config, Connection};

use crate::Result;
use crate::flight::{self, Flight};

const FILLED_AT_ONCE: u64 = 20_000;

/// A table of flights.
#[derive(Debug)]
pub(crate) struct Table(Connection);

impl Table {
    /// A table with so many rows, checkpointed. Checkpoints don't come by themselves afterwards, as with persist.
    pub(crate) fn new(path: &Path, rows: u64) -> Result<Self> {
        let config = Config::default().with("checkpoint_threshold", "1000TB")?;
        let table = Self(Connection::open_with_flags(path, config)?);
        table.0.execute_batch(
            "CREATE TABLE storage (key VARCHAR, process_name VARCHAR, data JSON, timestamp TIMESTAMP, status VARCHAR, \
             status_int INTEGER, username VARCHAR, updated_at TIMESTAMP, version INTEGER)",
        )?;
        // The same rows again and again: an appender looks at none that are there.
        table.append(batch(0..FILLED_AT_ONCE.min(rows))?)?;
        let copies = rows.div_ceil(FILLED_AT_ONCE);
        table.0.execute_batch(&format!(
            "INSERT INTO storage SELECT storage.* FROM storage, range(1, {copies}) LIMIT {}",
            rows.saturating_sub(FILLED_AT_ONCE),
        ))?;
        table.0.execute_batch("CHECKPOINT")?;
        Ok(table)
    }

    pub(crate) fn append(&self, batch: RecordBatch) -> Result<()> {
        self.0.execute_batch("BEGIN TRANSACTION")?;
        let mut appender = self.0.appender("storage")?;
        appender.append_record_batch(batch)?;
        appender.flush()?;
        drop(appender);
        self.0.execute_batch("COMMIT")?;
        Ok(())
    }

    pub(crate) fn checkpoint(&self) -> Result<()> {
        Ok(self.0.execute_batch("CHECKPOINT")?)
    }
}

/// The rows of some flights.
pub(crate) fn batch(numbers: std::ops::Range<u64>) -> Result<RecordBatch> {
    let rows = (numbers.end - numbers.start) as usize;
    let mut key = String::new();
    let keys = numbers.clone().map(|n| {
        flight::key(n, &mut key);
        key.clone()
    });
    let keys = StringArray::from_iter_values(keys);
    let data =
        StringArray::from_iter_values(numbers.map(|n| serde_json::to_string(&Flight::new(n)).unwrap_or_default()));
    let columns: [(&str, ArrayRef); 9] = [
        ("key", Arc::new(keys)),
        ("process_name", Arc::new(StringArray::new_null(rows))),
        ("data", Arc::new(data)),
        ("timestamp", Arc::new(TimestampMicrosecondArray::from_value(1_357_034_400_000_000, rows))),
        ("status", Arc::new(StringArray::from_iter_values(std::iter::repeat_n("landed", rows)))),
        ("status_int", Arc::new(Int32Array::new_null(rows))),
        ("username", Arc::new(StringArray::from_iter_values(std::iter::repeat_n("tower", rows)))),
        ("updated_at", Arc::new(TimestampMicrosecondArray::from_value(1_357_034_400_000_000, rows))),
        ("version", Arc::new(Int32Array::from_value(1, rows))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
