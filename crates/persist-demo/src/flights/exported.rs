//! The Parquet files of the export, as two readers see them that know nothing of persist: the `parquet` crate and
//! DuckDB.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use duckdb::Connection;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde::Serialize;

use crate::error::Error;
use crate::flights::flight::Flight;

/// What can be counted in the files.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Exported {
    pub(crate) files: usize,
    pub(crate) rows: usize,
    pub(crate) airports: usize,
    /// The sum of the column `distance`.
    pub(crate) miles: i64,
    /// The sum of the column `air_time`, where it is known.
    pub(crate) minutes_in_the_air: i64,
    /// Rows with a `tailnum`.
    pub(crate) with_tailnum: usize,
    /// Rows that go to Los Angeles, by the column `dest`.
    pub(crate) to_lax: usize,
}

impl Exported {
    /// What the files of these flights, of one date each, have to hold.
    pub(crate) fn expected<'a>(dates: impl Iterator<Item = &'a Vec<Flight>>) -> Self {
        let mut expected = Self::default();
        let mut airports = Vec::new();
        for flights in dates {
            let mut of_date: Vec<&str> = flights.iter().map(|flight| flight.origin.as_str()).collect();
            of_date.sort_unstable();
            of_date.dedup();
            expected.files += of_date.len();
            airports.extend(of_date);
            for flight in flights {
                expected.rows += 1;
                expected.miles += i64::from(flight.details.distance);
                expected.minutes_in_the_air += flight.details.air_time.map_or(0, i64::from);
                expected.with_tailnum += usize::from(flight.details.tailnum.is_some());
                expected.to_lax += usize::from(flight.details.dest == "LAX");
            }
        }
        airports.sort_unstable();
        airports.dedup();
        expected.airports = airports.len();
        expected
    }

    /// As the `parquet` crate reads them, row by row.
    pub(crate) fn by_parquet_crate(root: &Path) -> Result<Self, Error> {
        let mut found = Self::default();
        for airport in folders(root)? {
            found.airports += 1;
            for date in folders(&airport)? {
                for path in entries(&date)? {
                    found.files += 1;
                    let file = File::open(&path).map_err(|error| Error::io("cannot open", &path, error))?;
                    for row in SerializedFileReader::new(file)?.get_row_iter(None)? {
                        found.rows += 1;
                        for (name, field) in row?.get_column_iter() {
                            match (name.as_str(), field) {
                                ("distance", Field::Int(miles)) => found.miles += i64::from(*miles),
                                ("air_time", Field::Int(minutes)) => found.minutes_in_the_air += i64::from(*minutes),
                                ("tailnum", Field::Str(_)) => found.with_tailnum += 1,
                                ("dest", Field::Str(dest)) => found.to_lax += usize::from(dest == "LAX"),
                                _ => {}
                            }
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    /// As DuckDB reads them, in one statement over all partitions.
    pub(crate) fn by_duckdb(root: &Path) -> Result<Self, Error> {
        let pattern = root.join("*/*/*.parquet").display().to_string().replace('\'', "''");
        let sql = format!(
            "SELECT count(DISTINCT filename), count(*), count(DISTINCT process_name), \
             coalesce(sum(distance), 0)::BIGINT, coalesce(sum(air_time), 0)::BIGINT, count(tailnum), \
             count(*) FILTER (dest = 'LAX') \
             FROM read_parquet('{pattern}', hive_partitioning = true, filename = true)"
        );
        Ok(Connection::open_in_memory()?.query_row(&sql, [], |row| {
            Ok(Self {
                files: row.get(0)?,
                rows: row.get(1)?,
                airports: row.get(2)?,
                miles: row.get(3)?,
                minutes_in_the_air: row.get(4)?,
                with_tailnum: row.get(5)?,
                to_lax: row.get(6)?,
            })
        })?)
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(dir).map_err(|error| Error::io("cannot list", dir, error))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(|error| Error::io("cannot list", dir, error))).collect()
}

fn folders(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(entries(dir)?.into_iter().filter(|path| path.is_dir()).collect())
}
