//! DuckDB alone on a file with the table `storage`: its scan into Arrow, and its COPY to one Parquet file.

use std::path::Path;
use std::time::{Duration, Instant};

use duckdb::{AccessMode, Config, Connection};

use crate::Result;

fn open(path: &Path) -> Result<Connection> {
    Ok(Connection::open_with_flags(path, Config::default().access_mode(AccessMode::ReadOnly)?)?)
}

/// Opens the file and reads the columns that a store needs; answers how many rows there were.
pub(crate) fn scan(path: &Path) -> Result<u64> {
    let connection = open(path)?;
    let mut statement = connection.prepare("SELECT key, process_name, data, updated_at, version FROM storage")?;
    Ok(statement.query_arrow([])?.map(|batch| batch.num_rows() as u64).sum())
}

/// The file, opened to be copied out.
pub(crate) struct Source(Connection);

impl Source {
    pub(crate) fn new(path: &Path) -> Result<Self> {
        Ok(Self(open(path)?))
    }

    /// How long COPY takes. Only the first time has it to read what is copied from the disk.
    pub(crate) fn copy_out(&self, to: &Path) -> Result<Duration> {
        let to = to.display().to_string().replace('\'', "''");
        let start = Instant::now();
        self.0.execute_batch(&format!("COPY storage TO '{to}' (FORMAT parquet)"))?;
        Ok(start.elapsed())
    }
}
