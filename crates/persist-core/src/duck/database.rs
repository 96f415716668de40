//! An open database file: opening, what it says of itself, connections, closing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use duckdb::{AccessMode, Config, Connection};
use parking_lot::Mutex;

use super::append::Appender;
use super::cores::Cores;
use super::failure::failed;
use super::journal;
use super::schema::{self, META, REMOVED, SEQ, Table, quote};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Access, File, Fs, suffixed};
use crate::planted::planted;

/// A database file that is open: one DuckDB instance, from which everything takes its own connection.
///
/// The instance lives until this and every [`Appender`] of it is gone. Dropping it without [`close`](Database::close)
/// neither checkpoints nor removes DuckDB's log: what was committed is found again at the next opening, by DuckDB's own
/// replay of `{path}.wal`.
#[derive(Debug)]
pub(crate) struct Database {
    /// A connection may be used by one thread at a time; this one only makes others.
    pub(super) root: Mutex<Connection>,
    pub(super) cores: Arc<Cores>,
    pub(super) table: Table,
    pub(super) path: PathBuf,
    /// The name DuckDB gave the file, quoted.
    catalog: String,
    /// The name of the file with the base, quoted: the same, but for a model that keeps all writes.
    base_catalog: String,
    /// The main file, and that of the base where it has its own.
    pub(super) files: Vec<Held>,
    /// Held by what moves or removes rows, or writes them into the file: one such thing at a time.
    pub(super) upkeep: Mutex<()>,
    /// The watermark that the last query found.
    pub(super) asked: AtomicU64,
    /// Up to this `seq` hidden rows have been [taken out](super::settle).
    pub(super) settled: AtomicU64,
}

/// A file that DuckDB has open, to read what a checkpoint writes over. It is opened before DuckDB opens it and closed
/// after, for which it stands behind the connection in [`Database`]: a close in between would take away DuckDB's lock.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) path: PathBuf,
    pub(super) raw: Box<dyn File>,
}

impl Held {
    /// Opens a file that is a whole database: what a checkpoint left unfinished is put back before.
    fn open(fs: &dyn Fs, path: &Path, read_only: bool) -> Result<Self> {
        if !read_only && !planted("main-file-unsynced") {
            // A process that was killed within a checkpoint may have left its header in the system's cache alone. DuckDB
            // would take the checkpoint for finished, never sync it, and the log would be removed on its word.
            let written = fs.open(path, Access::Write).map_err(|error| Error::io("cannot open", path, error))?;
            written.sync_all().map_err(|error| Error::io("cannot sync", path, error))?;
            // And where the sync of a checkpoint failed, the cache has what the disk has not, and syncs say that all is well.
            if journal::is_begun(fs, path)? {
                written.forget_cached().map_err(|error| Error::io("cannot read", path, error))?;
            }
        }
        if !read_only && !planted("journal-not-put-back") {
            journal::roll_back_checkpoint(fs, path)?;
        }
        let raw = fs.open(path, Access::Read).map_err(|error| Error::io("cannot open", path, error))?;
        // DuckDB would make a new database of a missing file, and of an empty one.
        if raw.is_empty().map_err(|error| Error::io("cannot open", path, error))? {
            return Err(Error::new(ErrorKind::Corrupt, format!("{} is empty: no database", path.display())));
        }
        Ok(Self { path: path.to_owned(), raw })
    }
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
    /// The highest `seq` of a history that the base has; 0 without one.
    pub(crate) applied: u64,
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

    /// Makes the file of the newest records, empty, beside a history that lacks it; see [`schema::create_base`].
    pub(crate) fn create_base(fs: &dyn Fs, path: &Path, table: &Table, store_id: &str) -> Result<()> {
        schema::create_base(fs, path, table, store_id)
    }

    /// Makes such a file under another name, `{path}.new`, and answers that; see [`schema::create_aside`].
    pub(crate) fn create_aside(fs: &dyn Fs, path: &Path, table: &Table, store_id: &str) -> Result<PathBuf> {
        schema::create_aside(fs, path, table, store_id)
    }

    /// Makes all files of a database under other names, to be put in place; see [`schema::create_files_aside`].
    pub(crate) fn create_files_aside(fs: &dyn Fs, path: &Path, table: &Table, store_id: &str) -> Result<()> {
        schema::create_files_aside(fs, path, table, store_id)
    }

    /// Opens a file of the Python original with its own log, to be [read](Database::load_base); `None` for a database
    /// without its table, or one of persist.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub(crate) fn open_original(fs: &dyn Fs, path: &Path, table: &Table) -> Result<Option<Self>> {
        let database = Self::open_unchecked(fs, path, table, false)?;
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
        Self::open_checked(fs, path, table, false)
    }

    /// As [`open`](Database::open), to read alone: nothing of the file or beside it changes.
    pub(crate) fn open_to_read(fs: &dyn Fs, path: &Path, table: &Table) -> Result<Self> {
        Self::open_checked(fs, path, table, true)
    }

    /// As [`open`](Database::open), without the file of the newest records where that is another.
    pub(crate) fn open_main(fs: &dyn Fs, path: &Path, table: &Table) -> Result<Self> {
        let database = Self::open_unchecked(fs, path, table, false)?;
        schema::check(&database.root.lock(), &database.path, table, &unquoted(&database.catalog), false)?;
        Ok(database)
    }

    fn open_checked(fs: &dyn Fs, path: &Path, table: &Table, read_only: bool) -> Result<Self> {
        let mut database = Self::open_unchecked(fs, path, table, read_only)?;
        schema::check(&database.root.lock(), &database.path, table, &unquoted(&database.catalog), false)?;
        if let [_, latest] = table.files(&database.path).as_slice() {
            database.attach_base(fs, latest, read_only)?;
        }
        Ok(database)
    }

    /// Attaches the file of the newest records.
    fn attach_base(&mut self, fs: &dyn Fs, path: &Path, read_only: bool) -> Result<()> {
        const NAME: &str = "persist_latest";
        let file = Held::open(fs, path, read_only)?;
        let Some(text) = path.to_str() else {
            return Err(Error::config(format!("{} is not Unicode, which DuckDB can't take here", path.display())));
        };
        let only = if read_only { " (READ_ONLY)" } else { "" };
        let sql = format!("ATTACH '{}' AS {}{only}", text.replace('\'', "''"), quote(NAME));
        self.root.lock().execute_batch(&sql).map_err(|error| failed("cannot open", path, error))?;
        schema::check(&self.root.lock(), path, &self.table, NAME, true)?;
        self.base_catalog = quote(NAME);
        self.files.push(file);
        Ok(())
    }

    fn open_unchecked(fs: &dyn Fs, path: &Path, table: &Table, read_only: bool) -> Result<Self> {
        let mode = if read_only { AccessMode::ReadOnly } else { AccessMode::ReadWrite };
        let path = plain(path)?;
        let file = Held::open(fs, &path, read_only)?;
        let opened = || -> duckdb::Result<_> {
            let connection = connect(&path, mode)?;
            let sql = "SELECT current_database(), current_setting('threads')::UBIGINT";
            let (catalog, threads): (String, _) =
                connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let cores = Cores::new(connection.try_clone()?, threads);
            Ok((connection, Arc::new(cores), quote(&catalog)))
        };
        let (connection, cores, catalog) = opened().map_err(|error| failed("cannot open", &path, error))?;
        let base_catalog = catalog.clone();
        Ok(Self {
            root: Mutex::new(connection),
            cores,
            table: table.clone(),
            path,
            catalog,
            base_catalog,
            files: vec![file],
            upkeep: Mutex::new(()),
            asked: AtomicU64::new(u64::MAX),
            settled: AtomicU64::new(0),
        })
    }

    /// The files as they are on the disk, by handles that were opened before DuckDB opened them.
    pub(crate) fn raw_files(&self) -> impl Iterator<Item = (&Path, &dyn File)> {
        self.files.iter().map(|held| (held.path.as_path(), held.raw.as_ref()))
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
        let connection = self.connect()?;
        let delta = self.delta(&connection).map_err(|error| failed("cannot read the state of", &self.path, error))?;
        let applied = self
            .applied_meta()
            .map_or("0::UBIGINT".to_owned(), |meta| format!("(SELECT coalesce(max(watermark), 0) FROM {meta})"));
        let sql = format!(
            "SELECT store, watermark, coalesce(epoch_us(\"at\"), 0), (SELECT count(*) FROM {}), (SELECT count(*) FROM {delta}), {applied} FROM {} \
             ORDER BY watermark DESC, rowid DESC LIMIT 1",
            self.base(),
            self.meta(),
        );
        let read = |row: &duckdb::Row<'_>| {
            Ok(State {
                store_id: row.get(0)?,
                watermark: row.get(1)?,
                at: row.get(2)?,
                base_rows: row.get(3)?,
                delta_rows: row.get(4)?,
                applied: row.get(5)?,
            })
        };
        match connection.query_row(&sql, [], read) {
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
        let files: Vec<PathBuf> = self.files.iter().map(|file| file.path.clone()).collect();
        self.end(done)?;
        files.iter().try_for_each(|file| journal::remove_journal(fs, file))
    }

    /// As [`close`](Database::close), for a file that is made anew if this does not come to its end: it needs no journal.
    pub(crate) fn close_aside(self) -> Result<()> {
        let done = self.checkpoint_aside()?;
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

    /// The main table, quoted, with its catalog: a bare name would find a view of that name first.
    pub(super) fn base(&self) -> String {
        qualified(&self.base_catalog, self.table.name)
    }

    /// What was flushed and is not in the base yet: the delta, or the part of the history that the base lacks, as this
    /// connection's transaction sees it.
    pub(super) fn delta(&self, connection: &Connection) -> duckdb::Result<String> {
        let all = self.appended();
        match self.applied_meta() {
            None => Ok(all),
            Some(meta) => {
                let sql = format!("SELECT coalesce(max(watermark), 0) FROM {meta}");
                let applied: u64 = connection.query_row(&sql, [], |row| row.get(0))?;
                Ok(format!("(FROM {all} WHERE {} > {applied})", quote(SEQ)))
            }
        }
    }

    /// The table that flushes append to, quoted, with its catalog.
    pub(super) fn appended(&self) -> String {
        qualified(&self.catalog, &self.table.delta_name())
    }

    /// The highest `seq` up to which all records are in it, as this connection's transaction sees it.
    pub(super) fn watermark(&self, connection: &Connection) -> duckdb::Result<u64> {
        let sql = format!("SELECT coalesce(max(watermark), 0) FROM {}", self.meta());
        connection.query_row(&sql, [], |row| row.get(0))
    }

    /// `persist_removed`, likewise.
    pub(super) fn removed(&self) -> String {
        qualified(&self.base_catalog, REMOVED)
    }

    /// `persist_meta`, likewise.
    pub(super) fn meta(&self) -> String {
        qualified(&self.catalog, META)
    }

    /// The table that says up to which `seq` the base has a history's rows.
    pub(super) fn applied_meta(&self) -> Option<String> {
        self.table.history.map(|_| qualified(&self.base_catalog, META))
    }

    /// The files' names in DuckDB, quoted: the one that flushes append to first.
    pub(super) fn catalogs(&self) -> Vec<&str> {
        let base = self.table.history.map(|_| self.base_catalog.as_str());
        std::iter::once(self.catalog.as_str()).chain(base).collect()
    }
}

fn qualified(catalog: &str, name: &str) -> String {
    format!("{catalog}.\"main\".{}", quote(name))
}

pub(super) fn unquoted(name: &str) -> String {
    name.trim_matches('"').replace("\"\"", "\"")
}

/// The files that DuckDB keeps beside a database while it has no checkpoint of everything: the log, the log that
/// commits go to while a checkpoint runs, and what a recovery interrupted in between puts together of both.
pub(crate) fn own_logs(path: &Path) -> [PathBuf; 3] {
    [".wal", ".wal.checkpoint", ".wal.recovery"].map(|suffix| suffixed(path, suffix))
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
