//! SQL over files that nobody writes, in an instance of DuckDB that reaches nothing else.
//!
//! What keeps a query to its tables, each on its own:
//! - It is one SELECT by DuckDB's own parser, and calls no table function but those that read no file and change nothing.
//!   (`FROM enable_logging(…)` is a SELECT, and would write.)
//! - Database files are attached to be read. The transaction is one that only reads.
//! - Access to files is off but for the Parquet files that are the tables, and the one that an answer may be written
//!   to, which no SELECT does. No extension is loaded or fetched, and no setting can be changed.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duckdb::{AccessMode, Connection, InterruptHandle, params};

use super::aside::refuse_own_logs;
use super::database::{connect, plain};
use super::failure::{failed, refused};
use super::journal;
use super::query::{has_rows, one_select, stream};
use super::rows::Rows;
use super::schema::quote;
use super::value;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Access, Disk, Fs, aside, is_there, put_in_place, remove_if_there};

/// The table functions that a query may call: they make rows of their arguments.
const FUNCTIONS: [&str; 6] = ["range", "generate_series", "unnest", "repeat", "json_each", "json_tree"];

/// Tables of closed database files and of Parquet files, to be asked by SQL from anybody: a query reaches nothing but
/// them, and changes nothing.
///
/// While it is there, no other process can open the database files to write them.
///
/// ```
/// use persist_core::{Sandbox, SandboxPart, SandboxTable};
/// # use persist_core::data::{Rules, normalize_value};
/// # use persist_core::{Column, Engine, Entry, Location, Model, Options, Source};
/// # #[derive(Debug)]
/// # struct Seats;
/// # impl Model for Seats {
/// #     type Part = ();
/// #     type Value = ();
/// #     const PART_FIELDS: &'static [&'static str] = &[];
/// #     const TABLE: &'static str = "seats";
/// #     const COLUMNS: &'static [Column] = &[
/// #         Column { name: "seat", source: Source::Key },
/// #         Column { name: "data", source: Source::Data },
/// #         Column { name: "at", source: Source::UpdatedAt },
/// #         Column { name: "version", source: Source::Version },
/// #     ];
/// #     fn part_text(_: &(), _: usize) -> Option<&str> { None }
/// #     fn part_from(_: &[Option<&str>]) {}
/// # }
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().to_owned();
/// # let database = dir.join("data.duckdb");
/// # let location = Location { dir, log_folder: None, database: database.clone(), purpose: "seats".to_owned() };
/// # let seats: Engine<Seats> = Engine::open(&location, Options::default())?;
/// # let data = normalize_value(&serde_json::json!({"taken_by": "Ada"}), &[], &Rules::default())?;
/// # seats.put(Entry::new("12A", (), data.text), None)?;
/// # seats.close()?;
/// let part = SandboxPart::Database { date: Some("2025-01-15".to_owned()), file: database, table: "seats".to_owned() };
/// let table = SandboxTable { name: "seats".to_owned(), parts: vec![part] };
/// let sandbox = Sandbox::open(&[table], None)?;
///
/// let rows = sandbox.query("SELECT date, seat FROM seats")?;
/// assert_eq!(rows.get(0, "date"), Some(&serde_json::json!("2025-01-15")));
/// assert!(sandbox.query("SELECT * FROM read_text('/etc/hostname')").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sandbox {
    connection: Connection,
    /// The file that an answer may be written to.
    output: Option<PathBuf>,
}

/// A table of a [`Sandbox`]: all rows of its parts, column by column of the same name; NULL where a part has none.
#[derive(Debug, Clone)]
pub struct SandboxTable {
    /// Its name in SQL.
    pub name: String,
    /// Where its rows come from; there is at least one.
    pub parts: Vec<SandboxPart>,
}

/// Where rows of a [`SandboxTable`] come from.
#[derive(Debug, Clone)]
pub enum SandboxPart {
    /// A table of a database file of a store that is closed.
    Database {
        /// What the column `date` says of all its rows, `YYYY-MM-DD`. Without one, and where the table has such a column of its
        /// own, none is added.
        date: Option<String>,
        /// The file.
        file: PathBuf,
        /// The table in it.
        table: String,
    },
    /// Parquet files of one date of an export, in Hive partitions.
    Parquet {
        /// What the column `date` says.
        date: String,
        /// The files, at least one.
        files: Vec<PathBuf>,
    },
}

/// Stops what a [`Sandbox`] is doing, from another thread.
#[derive(Clone)]
pub struct Interrupter(Arc<InterruptHandle>);

impl fmt::Debug for Interrupter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupter").finish_non_exhaustive()
    }
}

impl Interrupter {
    /// Has the query that runs now fail; nothing where none does.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }
}

impl Sandbox {
    /// Opens the files. With `output`, [`write_parquet`](Self::write_parquet) can write an answer there.
    ///
    /// # Errors
    /// [`Locked`](ErrorKind::Locked) where a process has a database open. [`Busy`](ErrorKind::Busy) for one that was not
    /// closed, or where flushed rows wait for a merge: its store has to be opened and closed.
    /// [`Database`](ErrorKind::Database), [`Corrupt`](ErrorKind::Corrupt), [`Io`](ErrorKind::Io).
    pub fn open(tables: &[SandboxTable], output: Option<&Path>) -> Result<Self> {
        let setting = |error| refused("cannot make an instance of DuckDB to query in", error);
        let connection = connect(Path::new(":memory:"), AccessMode::Automatic).map_err(setting)?;
        let output = output.map(plain).transpose()?;
        let mut allowed: Vec<String> = output.iter().map(|file| sql_path(&aside(file))).collect::<Result<_>>()?;
        let attached = Attached::of(&connection, tables)?;
        let mut views = Vec::new();
        for table in tables {
            let mut selects = Vec::new();
            for part in &table.parts {
                selects.push(match part {
                    SandboxPart::Database { date, file, table } => attached.select(file, table, date.as_deref())?,
                    SandboxPart::Parquet { date, files } => {
                        let files = files.iter().map(|file| sql_path(&plain(file)?)).collect::<Result<Vec<_>>>()?;
                        let list = files.join(", ");
                        allowed.extend(files);
                        format!(
                            "SELECT {} AS \"date\", * EXCLUDE (\"date\") FROM read_parquet([{list}], \
                             hive_partitioning = true, hive_types_autocast = false)",
                            date_literal(date)
                        )
                    }
                });
            }
            let name = quote(&table.name);
            views.push(format!("CREATE VIEW {name} AS {}", selects.join(" UNION ALL BY NAME ")));
        }
        let spill = sql_path(&std::env::temp_dir().join(format!("persist-query-{}", std::process::id())))?;
        let settings = format!(
            "SET temp_directory = {spill}; SET autoload_known_extensions = false; SET allowed_paths = [{}]; \
             SET enable_external_access = false; SET lock_configuration = true",
            allowed.join(", ")
        );
        connection.execute_batch(&settings).map_err(setting)?;
        for view in views {
            connection.execute_batch(&view).map_err(|error| refused("cannot make one table of the files", error))?;
        }
        Ok(Self { connection, output })
    }

    /// Runs one SELECT over the tables.
    ///
    /// # Errors
    /// [`Input`](ErrorKind::Input) for anything but one SELECT, and for table functions that read files or change
    /// something; [`Database`](ErrorKind::Database) for what DuckDB refuses.
    pub fn query(&self, sql: &str) -> Result<Rows> {
        self.check(sql)?;
        let mut rows = Vec::new();
        let run = |each: &mut dyn FnMut(_) -> _| stream(&self.connection, sql, &cannot_query, each);
        let columns = self.reading(|| run(&mut |batch| value::append_rows(&batch, &mut rows)))?;
        Ok(Rows::new(columns, rows))
    }

    /// As [`query`](Self::query), and writes the answer as a Parquet file to the `output` that the sandbox was opened with:
    /// aside, with `.tmp` added to its name, synced, and then renamed, in place of the one there is. Answers how many rows
    /// it has. The answer is not held in memory.
    ///
    /// # Errors
    /// As [`query`](Self::query); [`Config`](ErrorKind::Config) without an `output`, [`Io`](ErrorKind::Io). The file is as it was
    /// then.
    pub fn write_parquet(&self, sql: &str) -> Result<u64> {
        let file = self.output.as_deref().ok_or_else(|| Error::config("this sandbox was opened without an output"))?;
        self.check(sql)?;
        let to = aside(file);
        // The text stays one SELECT in there, whatever it says at its end.
        let copy = format!("COPY (FROM query({})) TO {} (FORMAT parquet)", sql_text(sql), sql_path(&to)?);
        let copied = self.reading(|| self.connection.query_row(&copy, [], |row| row.get(0)).map_err(cannot_query));
        let written = copied.and_then(|rows: u64| {
            let synced = Disk.open(&to, Access::Write).and_then(|written| written.sync_all());
            synced.map_err(|error| Error::io("cannot sync", &to, error))?;
            put_in_place(&Disk, file)?;
            Ok(rows)
        });
        if written.is_err() {
            // The first failure is the one to tell of.
            let _ = remove_if_there(&Disk, &to);
        }
        written
    }

    /// What stops a query, for another thread.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.connection.interrupt_handle())
    }

    fn reading<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        self.connection.execute_batch("BEGIN TRANSACTION READ ONLY").map_err(cannot_query)?;
        let done = read();
        // A failed statement may have ended it.
        let _ = self.connection.execute_batch("ROLLBACK");
        done
    }

    fn check(&self, sql: &str) -> Result<()> {
        one_select(&self.connection, sql, &cannot_query)?;
        let parsed = "json_serialize_sql(?::VARCHAR)";
        let is_seen = format!("SELECT NOT json_extract({parsed}, '$.error')::BOOLEAN");
        let is_seen: bool =
            self.connection.query_row(&is_seen, params![sql], |row| row.get(0)).map_err(cannot_query)?;
        if !is_seen {
            let message = "a query here has to be one whose parts can all be looked at: this is not, as with a cast to an \
                           ENUM written out";
            return Err(Error::input(message));
        }
        let called = format!(
            "SELECT json_extract_string(value, '$.function.function_name') FROM json_tree({parsed}) \
             WHERE type = 'OBJECT' AND json_extract_string(value, '$.type') = 'TABLE_FUNCTION'"
        );
        let read = || -> duckdb::Result<Vec<Option<String>>> {
            self.connection.prepare(&called)?.query_map(params![sql], |row| row.get(0))?.collect()
        };
        let is_allowed = |name: &str| FUNCTIONS.iter().any(|function| name.eq_ignore_ascii_case(function));
        match read().map_err(cannot_query)?.into_iter().find(|name| !name.as_deref().is_some_and(is_allowed)) {
            None => Ok(()),
            Some(name) => {
                let name = name.unwrap_or_default();
                let message = format!("a query reads the tables that are there, and calls no table function {name}");
                Err(Error::input(message))
            }
        }
    }
}

fn cannot_query(error: duckdb::Error) -> Error {
    refused("cannot query", error)
}

/// The database files of a sandbox, in order of their catalogs' numbers.
struct Attached {
    files: Vec<PathBuf>,
    /// By catalog, the tables that have a column `date` of their own; and deltas.
    dated: HashSet<(String, String)>,
}

impl Attached {
    fn of(connection: &Connection, tables: &[SandboxTable]) -> Result<Self> {
        let mut files: Vec<PathBuf> = Vec::new();
        let mut of_file = HashMap::new();
        let mut deltas = HashMap::new();
        for part in tables.iter().flat_map(|table| &table.parts) {
            let SandboxPart::Database { file, table, .. } = part else { continue };
            let file = plain(file)?;
            if !of_file.contains_key(&file) {
                attach(connection, &file, &catalog(files.len()))?;
                of_file.insert(file.clone(), files.len());
                files.push(file.clone());
            }
            let n = of_file.get(&file).copied().unwrap_or_default();
            deltas.insert((catalog(n), format!("{table}_delta")), file);
        }
        // Once for all: it lists the columns of all files.
        let sql = "SELECT DISTINCT database_name, table_name FROM duckdb_columns() \
                   WHERE lower(column_name) = 'date' OR table_name LIKE '%\\_delta' ESCAPE '\\'";
        let found = || -> duckdb::Result<HashSet<(String, String)>> {
            connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let found = found().map_err(|error| refused("cannot list the columns of the files", error))?;
        for (delta, file) in deltas.iter().filter(|(delta, _)| found.contains(*delta)) {
            let table = format!("{}.\"main\".{}", quote(&delta.0), quote(&delta.1));
            if has_rows(connection, &table).map_err(|error| failed("cannot read", file, error))? {
                let message = format!("{} has flushed rows that wait for a merge", file.display());
                return Err(Error::new(ErrorKind::Busy, message));
            }
        }
        Ok(Self { files, dated: found })
    }

    /// The rows of a table of one of the files.
    fn select(&self, file: &Path, table: &str, date: Option<&str>) -> Result<String> {
        let file = plain(file)?;
        let n = self.files.iter().position(|there| *there == file).unwrap_or_default();
        let catalog = catalog(n);
        let has_date = self.dated.contains(&(catalog.clone(), table.to_owned()));
        let date = date.filter(|_| !has_date).map(|date| format!("{} AS \"date\", ", date_literal(date)));
        Ok(format!(
            "SELECT {}COLUMNS(c -> c NOT IN ('persist_version', 'persist_hash')) FROM {}.\"main\".{}",
            date.unwrap_or_default(),
            quote(&catalog),
            quote(table)
        ))
    }
}

fn catalog(n: usize) -> String {
    format!("persist_{n}")
}

/// Attaches a database of a store that is closed.
fn attach(connection: &Connection, file: &Path, catalog: &str) -> Result<()> {
    let unclosed = |error: Error| Error::new(ErrorKind::Busy, error.to_string()).with_source(error);
    refuse_own_logs(&Disk, file).map_err(unclosed)?;
    if journal::is_begun(&Disk, file)? {
        return Err(Error::new(ErrorKind::Busy, format!("{} was not closed", file.display())));
    }
    // DuckDB would speak of a database that it may not make.
    if !is_there(&Disk, file)? {
        return Err(Error::new(ErrorKind::Corrupt, format!("{} is missing", file.display())));
    }
    let attach = format!("ATTACH {} AS {} (READ_ONLY)", sql_path(file)?, quote(catalog));
    connection.execute_batch(&attach).map_err(|error| failed("cannot open", file, error))
}

fn date_literal(date: &str) -> String {
    format!("CAST({} AS DATE)", sql_text(date))
}

fn sql_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn sql_path(path: &Path) -> Result<String> {
    let text = path.to_str();
    let text =
        text.ok_or_else(|| Error::config(format!("{} is not Unicode, which DuckDB can't take", path.display())))?;
    Ok(sql_text(text))
}
