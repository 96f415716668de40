//! The question to all dates, asked of the CSV, of the open stores and of the closed files; and the checks that the
//! answers agree.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use duckdb::Connection;
use persist_dated::DatedStore;
use serde::{Deserialize, Serialize};
use time::Date;

use crate::checks::Checks;
use crate::error::Error;
use crate::flights::flight::{Flight, Status};

#[cfg(test)]
mod tests;

/// How the flights of each airport went, with the same columns from everyone who is asked.
const QUESTION: &str = "SELECT process_name AS airport, count(*) AS flights, \
     count(*) FILTER (status = 'on_time') AS on_time, \
     count(*) FILTER (status = 'late') AS late, \
     count(*) FILTER (status = 'cancelled') AS cancelled, \
     count(status_int) AS arrived, \
     coalesce(sum(status_int), 0)::BIGINT AS delay_minutes, \
     coalesce(sum(epoch_us(timestamp)) / 1000000, 0)::BIGINT AS seconds \
     FROM storage GROUP BY ALL";

/// The flights of one airport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Airport {
    pub(crate) flights: i64,
    pub(crate) on_time: i64,
    pub(crate) late: i64,
    pub(crate) cancelled: i64,
    /// Those that have an arrival delay …
    pub(crate) arrived: i64,
    /// … and the sum of it.
    pub(crate) delay_minutes: i64,
    /// The sum of all timestamps, for comparison.
    #[serde(skip_serializing)]
    pub(crate) seconds: i64,
}

/// The answer: each airport by its code.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Answer(pub(crate) BTreeMap<String, Airport>);

impl Answer {
    /// From the rows of the CSV.
    pub(crate) fn of_flights<'a>(flights: impl IntoIterator<Item = &'a Flight>) -> Self {
        let mut answer = Self::default();
        for flight in flights {
            let airport = answer.0.entry(flight.origin.clone()).or_default();
            airport.flights += 1;
            *match flight.status {
                Status::OnTime => &mut airport.on_time,
                Status::Late => &mut airport.late,
                Status::Cancelled => &mut airport.cancelled,
            } += 1;
            airport.arrived += i64::from(flight.arr_delay.is_some());
            airport.delay_minutes += i64::from(flight.arr_delay.unwrap_or(0));
            airport.seconds += flight.time_hour.unix_micros() / 1_000_000;
        }
        answer
    }

    /// From one open store.
    pub(crate) fn of_store(store: &DatedStore) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Row {
            airport: String,
            #[serde(flatten)]
            figures: Airport,
        }
        let rows = store.query(QUESTION)?.to::<Row>()?;
        Ok(Self(rows.into_iter().map(|row| (row.airport, row.figures)).collect()))
    }

    /// Adds another date's answer.
    pub(crate) fn add(&mut self, other: &Self) {
        for (code, more) in &other.0 {
            let airport = self.0.entry(code.clone()).or_default();
            airport.flights += more.flights;
            airport.on_time += more.on_time;
            airport.late += more.late;
            airport.cancelled += more.cancelled;
            airport.arrived += more.arrived;
            airport.delay_minutes += more.delay_minutes;
            airport.seconds += more.seconds;
        }
    }
}

/// The DuckDB files of closed stores, opened by DuckDB itself and read-only: what somebody without persist sees.
#[derive(Debug)]
pub(crate) struct Files {
    connection: Connection,
    dates: Vec<Date>,
}

/// The table of one date's file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileRows {
    pub(crate) date: Date,
    pub(crate) rows: usize,
    pub(crate) ids: usize,
    pub(crate) highest_version: Option<u32>,
}

impl Files {
    pub(crate) fn open(files: &[(Date, PathBuf)]) -> Result<Self, Error> {
        let connection = Connection::open_in_memory()?;
        let mut all = Vec::new();
        for (date, file) in files {
            let path = file.display().to_string().replace('\'', "''");
            connection.execute_batch(&format!("ATTACH '{path}' AS \"{date}\" (READ_ONLY)"))?;
            all.push(format!("SELECT * FROM \"{date}\".storage"));
        }
        connection.execute_batch(&format!("CREATE VIEW storage AS {}", all.join(" UNION ALL ")))?;
        Ok(Self { connection, dates: files.iter().map(|(date, _)| *date).collect() })
    }

    pub(crate) fn answer(&self) -> Result<Answer, Error> {
        let mut statement = self.connection.prepare(QUESTION)?;
        let rows = statement.query_map([], |row| {
            let airport = Airport {
                flights: row.get("flights")?,
                on_time: row.get("on_time")?,
                late: row.get("late")?,
                cancelled: row.get("cancelled")?,
                arrived: row.get("arrived")?,
                delay_minutes: row.get("delay_minutes")?,
                seconds: row.get("seconds")?,
            };
            Ok((row.get("airport")?, airport))
        })?;
        Ok(Answer(rows.collect::<Result<_, _>>()?))
    }

    pub(crate) fn rows(&self) -> Result<Vec<FileRows>, Error> {
        let rows = |date: &Date| {
            let sql =
                format!("SELECT count(*), count(DISTINCT (key, process_name)), max(version) FROM \"{date}\".storage");
            let (rows, ids, highest_version) =
                self.connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(FileRows { date: *date, rows, ids, highest_version })
        };
        self.dates.iter().map(rows).collect()
    }
}

impl Checks {
    /// Every airport must have the same figures.
    pub(crate) fn same_answer(&mut self, who: impl Display, expected: &Answer, found: &Answer) {
        for (code, airport) in &expected.0 {
            self.equal(format_args!("flights from {code} {who}"), Some(airport), found.0.get(code));
        }
        for code in found.0.keys().filter(|code| !expected.0.contains_key(*code)) {
            self.equal(format_args!("flights from {code} {who}"), None, found.0.get(code));
        }
    }

    /// An open store must have exactly these flights, in memory and in DuckDB.
    pub(crate) fn store(&mut self, store: &DatedStore, flights: &[Flight]) -> Result<(), Error> {
        let date = store.date();
        self.equal(format_args!("records of {date}"), flights.len(), store.len());
        let mut read_back = 0;
        for flight in flights {
            let record = store.get_key_process(&flight.key, Some(&flight.origin));
            read_back += usize::from(match record {
                Some(record) => flight.is(&record)?,
                None => false,
            });
        }
        self.equal(format_args!("records of {date} read back as stored"), flights.len(), read_back);
        let verified = store.verify()?;
        self.equal(format_args!("rows of {date} while open"), flights.len() as u64, verified.rows);
        self.equal(format_args!("duplicates of {date}"), 0, verified.duplicates);
        self.equal(format_args!("records of {date} that DuckDB lacks"), Vec::new(), verified.missing);
        self.equal(format_args!("records of {date} that differ in DuckDB"), Vec::new(), verified.differing);
        Ok(())
    }

    /// A closed file must have one row, of version 1, for each of a number of flights.
    pub(crate) fn file(&mut self, flights: usize, found: &FileRows) {
        let date = found.date;
        self.equal(format_args!("rows in DuckDB of {date}"), flights, found.rows);
        self.equal(format_args!("ids in DuckDB of {date}"), flights, found.ids);
        self.equal(format_args!("highest version of {date}"), Some(1), found.highest_version);
    }
}
