//! An open database file: opening, what it says of itself, connections, closing.

use std::path::{Path, PathBuf};

use duckdb::{AccessMode, Config, Connection};
use parking_lot::Mutex;

use super::append::Appender;
use super::failure::failed;
use super::journal;
use super::schema::{self, META, REMOVED, Table, quote};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Access, File, Fs};

/// A database file that is open: one DuckDB instance, from which everything takes its own connection.
///
/// The instance lives until this and every [`Appender`] of it is gone. Dropping it without [`close`](Database::close)
/// neither checkpoints nor removes DuckDB's log: what was committed is found again at the next opening, by DuckDB's own
/// replay of `{path}.wal`.
#[derive(Debug)]
pub(crate) struct Database {
    /// A connection may be used by one thread at a time; this one only makes others.
    root: Mutex<Connection>,
    pub(super) table: Table,
    pub(super) path: PathBuf,
    /// The name DuckDB gave the file, quoted.
    catalog: String,
    /// The file itself, to read what a checkpoint writes over. Opened before the instance and, being declared after it,
    /// closed after: a close in between would take away DuckDB's lock.
    pub(super) file: Box<dyn File>,
}

/// How far a database has been flushed, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// The store the file belongs to.
    pub(crate) store_id: String,
    /// The highest `seq` up to which all records are in it.
    pub(crate) watermark: u64,
    /// When the last of them was written, in microseconds since 1970 UTC; 0 before the first.
    pub(crate) at: i64,
    /// The rows of the main table.
    pub(crate) base_rows: u64,
    /// The rows that wait for a merge.
    pub(crate) delta_rows: u64,
}

impl Database {
    /// Makes a database file with empty tables; see [`schema::create`].
    pub(crate) fn create(fs: &dyn Fs, path: &Path, table: &Table, store_id: &str) -> Result<()> {
        schema::create(fs, path, table, store_id)
    }

    /// Makes such a file under another name, `{path}.new`, and answers that; see [`schema::create_aside`].
    pub(crate) fn create_aside(fs: &dyn Fs, path: &Path, table: &Table, store_id: &str) -> Result<PathBuf> {
        schema::create_aside(fs, path, table, store_id)
    }

    /// Opens a file of the Python original with its own log, to be [read](Database::load_base); `None` for a database
    /// without its table, or one of persist.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub(crate) fn open_original(fs: &dyn Fs, path: &Path, table: &Table) -> Result<Option<Self>> {
        let database = Self::open_unchecked(fs, path, table, AccessMode::ReadWrite)?;
        let theirs = schema::check_original(&database.root.lock(), &database.path, table)?;
        Ok(theirs.then_some(database))
    }

    /// Opens a file that [`create`](Database::create) made. The caller holds its lock: DuckDB's own keeps other
    /// processes out, not another instance in this one.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) where there is none, [`Config`](ErrorKind::Config) for another's database,
    /// [`Schema`](ErrorKind::Schema) where columns differ, [`Corrupt`](ErrorKind::Corrupt) for a damaged file,
    /// [`Locked`](ErrorKind::Locked) where another process has it, [`Database`](ErrorKind::Database) for a file of a
    /// later DuckDB.
    pub(crate) fn open(fs: &dyn Fs, path: &Path, table: &Table) -> Result<Self> {
        Self::open_checked(fs, path, table, AccessMode::ReadWrite)
    }

    /// As [`open`](Database::open), to read alone: nothing of the file or beside it changes.
    pub(crate) fn open_to_read(fs: &dyn Fs, path: &Path, table: &Table) -> Result<Self> {
        Self::open_checked(fs, path, table, AccessMode::ReadOnly)
    }

    fn open_checked(fs: &dyn Fs, path: &Path, table: &Table, mode: AccessMode) -> Result<Self> {
        let database = Self::open_unchecked(fs, path, table, mode)?;
        schema::check(&database.root.lock(), &database.path, table)?;
        Ok(database)
    }

    fn open_unchecked(fs: &dyn Fs, path: &Path, table: &Table, mode: AccessMode) -> Result<Self> {
        let path = plain(path)?;
        if mode == AccessMode::ReadWrite {
            journal::roll_back_checkpoint(fs, &path)?;
        }
        // DuckDB would make a new database of a missing file, and of an empty one.
        let file = fs.open(&path, Access::Read).map_err(|error| Error::io("cannot open", &path, error))?;
        if file.is_empty().map_err(|error| Error::io("cannot open", &path, error))? {
            return Err(Error::new(ErrorKind::Corrupt, format!("{} is empty: no database", path.display())));
        }
        let opened = || -> duckdb::Result<_> {
            let connection = connect(&path, mode)?;
            let catalog: String = connection.query_row("SELECT current_database()", [], |row| row.get(0))?;
            Ok((connection, quote(&catalog)))
        };
        let (connection, catalog) = opened().map_err(|error| failed("cannot open", &path, error))?;
        Ok(Self { root: Mutex::new(connection), table: table.clone(), path, catalog, file })
    }

    /// The main table.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// What the file says of itself.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) where it names no store.
    pub(crate) fn state(&self) -> Result<State> {
        let sql = format!(
            "SELECT store, watermark, coalesce(epoch_us(\"at\"), 0), (SELECT count(*) FROM {}), (SELECT count(*) FROM {}) FROM {} \
             ORDER BY watermark DESC, rowid DESC LIMIT 1",
            self.base(),
            self.delta(),
            self.meta(),
        );
        let read = |row: &duckdb::Row<'_>| {
            Ok(State {
                store_id: row.get(0)?,
                watermark: row.get(1)?,
                at: row.get(2)?,
                base_rows: row.get(3)?,
                delta_rows: row.get(4)?,
            })
        };
        match self.connect()?.query_row(&sql, [], read) {
            Err(duckdb::Error::QueryReturnedNoRows) => {
                Err(Error::new(ErrorKind::Corrupt, format!("{} names no store", self.path.display())))
            }
            read => read.map_err(|error| failed("cannot read the state of", &self.path, error)),
        }
    }

    /// What flushes records into the file, on its own connection.
    pub(crate) fn appender(&self) -> Result<Appender> {
        Ok(Appender::new(self.connect()?, self, self.state()?.store_id))
    }

    /// Checkpoints and closes: afterwards all is in the main file and there is no log.
    ///
    /// # Errors
    /// [`Busy`](ErrorKind::Busy) where the checkpoint was refused because of others; that of the checkpoint. The
    /// database is closed then too, its log kept.
    pub(crate) fn close(self, fs: &dyn Fs) -> Result<()> {
        let done = self.checkpoint(fs)?;
        let path = self.path.clone();
        self.end(done)?;
        journal::remove_journal(fs, &path)
    }

    /// As [`close`](Database::close), for a file that is made anew if this does not come to its end: it needs no journal.
    pub(crate) fn close_aside(self) -> Result<()> {
        let done = self.checkpoint_without_journal(&self.connect()?)?;
        self.end(done)
    }

    fn end(self, is_checkpointed: bool) -> Result<()> {
        if is_checkpointed {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Busy, format!("{} is closed with its log: it is in use", self.path.display())))
    }

    /// A connection of its own; 3 µs.
    pub(super) fn connect(&self) -> Result<Connection> {
        self.root.lock().try_clone().map_err(|error| failed("cannot connect to", &self.path, error))
    }

    /// The name DuckDB gave the file, quoted.
    pub(super) fn catalog(&self) -> &str {
        &self.catalog
    }

    /// The main table, quoted, with its catalog: a bare name would find a view of that name first.
    pub(super) fn base(&self) -> String {
        self.qualified(self.table.name)
    }

    /// The delta, likewise.
    pub(super) fn delta(&self) -> String {
        self.qualified(&self.table.delta_name())
    }

    /// `persist_removed`, likewise.
    pub(super) fn removed(&self) -> String {
        self.qualified(REMOVED)
    }

    /// `persist_meta`, likewise.
    pub(super) fn meta(&self) -> String {
        self.qualified(META)
    }

    fn qualified(&self, name: &str) -> String {
        format!("{}.\"main\".{}", self.catalog, quote(name))
    }
}

/// The files that DuckDB keeps beside a database while it has no checkpoint of everything: the log, the log that
/// commits go to while a checkpoint runs, and what a recovery interrupted in between puts together of both.
pub(crate) fn own_logs(path: &Path) -> [PathBuf; 3] {
    [".wal", ".wal.checkpoint", ".wal.recovery"].map(|suffix| suffixed(path, suffix))
}

pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A path that DuckDB takes for what it is: `sqlite:x.db` or `:memory:` would not be files to it, and of a path with a
/// question mark it takes the log's name from the part before.
pub(super) fn plain(path: &Path) -> Result<PathBuf> {
    let plain = std::path::absolute(path).map_err(|error| Error::io("cannot resolve", path, error))?;
    if cfg!(unix) && plain.as_os_str().as_encoded_bytes().contains(&b'?') {
        return Err(Error::config(format!("{} has a question mark, which DuckDB can't take", plain.display())));
    }
    Ok(plain)
}

/// Opens an instance as persist wants it. Creates the file where there is none.
pub(super) fn connect(path: &Path, mode: AccessMode) -> duckdb::Result<Connection> {
    let config = Config::default()
        .access_mode(mode)?
        // Never by itself: more than any disk.
        .with("checkpoint_threshold", "1000TB")?
        // A query that names an unknown function fails, rather than to go out to the net.
        .with("autoinstall_known_extensions", "false")?
        // 2,048 rows of a chunk may hold more than the 2 GiB that 32-bit offsets reach.
        .with("arrow_large_buffer_size", "true")?;
    let connection = Connection::open_with_flags(path, config)?;
    connection.execute_batch("PRAGMA disable_checkpoint_on_shutdown")?;
    Ok(connection)
}
