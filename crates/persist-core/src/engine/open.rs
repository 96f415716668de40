//! Opening: locks, whose files they are, the database as of its last checkpoint, the log from there on.
//!
//! The order matters. The locks come first. The database's own log is set aside before the database is opened. Records
//! are served, flushed and written only when recovery has made durable whatever it took from cached pages.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;

use parking_lot::Mutex;

use super::database::{Files, Handle, set_logs_aside};
use super::folders;
use super::keeper::{self, Keeper};
use super::loading::InMemory;
use super::rebuild::cure;
use super::shared::{Engine, Shared, Threads};
use super::syncer::{Syncer, SyncerThread};
use super::takeover::{self, Places, Takeover};
use super::worker::{self, Worker};
use crate::cache::Cache;
use crate::codec;
use crate::config::Options;
use crate::duck::{Database, Loaded, State, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::extra::ExtraSchema;
use crate::fs::{Fs, is_there, suffixed, sync_ancestors};
use crate::identity::Identity;
use crate::lock::Lock;
use crate::model::{Model, RecordValue};
use crate::planted::planted;
use crate::protocol::{Figures, Pending, Progress, Room};
use crate::record::Record;
use crate::wal::{Archive, Log, LogOptions, Recovered, Recovery, RecoveryReport, new_store_id};

/// Fewer lines than this are not worth a thread of their own.
const LINES_PER_THREAD: usize = 4096;

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The folder of the lock, the store's identity and, as a rule, the log.
    pub dir: PathBuf,
    /// The name of the folder in `dir` where the log goes on, if the model has [such folders](Model::LOG_FOLDERS).
    pub log_folder: Option<String>,
    /// The DuckDB file.
    pub database: PathBuf,
    /// What the store is, for the error another opener gets: "dated store of 2025-01-15".
    pub purpose: String,
}

impl<M: Model> Engine<M> {
    /// Opens the store at this place, or makes it, and recovers what a crash left. A folder of the Python original is
    /// taken over, if the model [says so](Model::TAKES_OVER).
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for options out of bounds or a database that is not this store's,
    /// [`Locked`](ErrorKind::Locked) naming the holder, [`Corrupt`](ErrorKind::Corrupt) naming file, line and offset,
    /// [`Io`](ErrorKind::Io), [`Schema`](ErrorKind::Schema), [`Database`](ErrorKind::Database).
    pub fn open(location: &Location, options: Options) -> Result<Self> {
        validate::<M>(&options)?;
        let locks = take_marked_locks::<M>(options.fs.as_ref(), location)?;
        Self::open_locked(location, options, locks)
    }

    /// The engine itself: it is in service as soon as it is there. What may be an [`Opened`](super::Opened) as well calls
    /// this.
    ///
    /// # Errors
    /// None.
    #[doc(hidden)]
    pub fn in_service(&self) -> Result<&Self> {
        Ok(self)
    }

    /// As [`Engine::open`], of a place whose locks the caller has taken.
    pub(super) fn open_locked(location: &Location, options: Options, locks: Vec<Lock>) -> Result<Self> {
        let table = table_of::<M>(&options)?;
        let fs = Arc::clone(&options.fs);
        let log_dir = folders::present::<M>(&location.dir, location.log_folder.as_deref())?;
        let (identity, taken) = match Identity::load(fs.as_ref(), &location.dir)? {
            Some(identity) => (identity, RecoveryReport::default()),
            None => create::<M>(location, &table, &options)?,
        };
        let has_log = folders::any_segment::<M>(fs.as_ref(), &location.dir)?.is_some();
        let was_closed = !set_logs_aside(fs.as_ref(), &location.database, &table)? && !has_log;
        if !was_closed {
            tracing::info!(database = %location.database.display(), "the store was not closed; recovering it from its log");
        }
        let check = |database: Database| match M::HISTORY {
            Some(_) if options.check_at_open || !was_closed => database.check_readable().map(|()| database),
            _ => Ok(database),
        };
        let database = open_database(fs.as_ref(), location, &table, &identity)
            .and_then(check)
            .map_err(|error| with_cure::<M>(fs.as_ref(), &location.dir, error))?;
        let mut state = database.state()?;
        if state.applied > state.watermark && !planted("latest-of-another-time") {
            // Of a history that went further than this one: what it says is of no known write.
            tracing::warn!(database = %location.database.display(), "the newest records are made anew of the history");
            database.rebuild_base()?;
            // Lest the file come to have them again after a crash, when the history has gone on past them.
            if !database.checkpoint(fs.as_ref())? {
                return Err(Error::new(ErrorKind::Busy, "DuckDB refuses the checkpoint of an opening"));
            }
            state = database.state()?;
        }
        if !identity.lineage.iter().any(|ancestor| ancestor.store == state.store_id) {
            let message = format!(
                "{} belongs to another store ({}) than {}",
                location.database.display(),
                state.store_id,
                location.dir.display()
            );
            return Err(Error::config(message));
        }
        refuse_older::<M>(fs.as_ref(), location, &identity, state.watermark)?;
        let recovered = Recovery::new(fs.as_ref(), options.clock.as_ref(), &log_dir, &identity.lineage)
            .also_in(&folders::all::<M>(fs.as_ref(), &location.dir)?)
            .watermark(state.watermark)
            .policy(options.recovery)
            .run()?;
        let mut engine = Self::start(location, options, &identity, database, &state, &recovered, locks)?;
        engine.report.add_takeover(taken);
        Ok(engine)
    }

    fn start(
        location: &Location,
        options: Options,
        identity: &Identity,
        database: Database,
        state: &State,
        recovered: &Recovered,
        locks: Vec<Lock>,
    ) -> Result<Self> {
        let log_dir = folders::present::<M>(&location.dir, location.log_folder.as_deref())?;
        let table = database.table().clone();
        let cache = Cache::new();
        // Where all writes are kept, records are read as they are asked for.
        let everything = M::HISTORY.is_none();
        if everything {
            load_into(&database, &cache)?;
        }
        let room = Room {
            unflushed: options.max_unflushed_bytes,
            // Checkpoints come with every few segments; where they keep failing, neither memory nor the log may grow on.
            held: options
                .max_unflushed_bytes
                .saturating_add(options.max_wal_size_bytes.saturating_mul(2))
                .saturating_mul(4),
        };
        let pending = Pending::new(replay(recovered, everything.then_some(&cache))?, batches(recovered), room);
        let mut start = recovered.start();
        start.last_at = start.last_at.max(state.at);
        let keeps_backups = M::LOG_FOLDERS.is_some() && options.backups.is_some();
        let (worker, commands) = flume::unbounded();
        let (keeper, chores) = flume::unbounded();
        let log = Arc::new(Log::new(
            Arc::clone(&options.fs),
            Arc::clone(&options.clock),
            &log_dir,
            &identity.id,
            LogOptions {
                max_segment_bytes: options.max_wal_size_bytes,
                max_segment_records: options.max_wal_records,
                ..LogOptions::default()
            },
            start,
        ));
        let shared = Arc::new(Shared {
            dir: location.dir.clone(),
            locks: Mutex::new(locks),
            follows_clock: AtomicBool::new(false),
            purpose: location.purpose.clone(),
            identity: identity.clone(),
            syncer: Syncer::new(Arc::clone(&log), Arc::clone(&options.clock)),
            log,
            sync_asked: AtomicU64::new(0),
            cache,
            in_memory: InMemory::new(everything),
            pending,
            backed_up: AtomicU64::new(if keeps_backups { 0 } else { u64::MAX }),
            checked_extra: if options.unfit_extra_is_null { ExtraSchema::default() } else { table.extra().clone() },
            database: Handle::new(Files::new(Arc::clone(&options.fs), location, identity.clone(), table), database),
            options,
            worker,
            keeper,
            figures: Progress::new(Figures {
                watermark: state.watermark,
                checkpointed: state.watermark,
                base_rows: state.base_rows,
                delta_rows: state.delta_rows,
                ..Figures::default()
            }),
        });
        shared.follow_clock(location.log_folder.as_deref());
        if let Err(error) = shared.settle_backups() {
            // All of the log is kept meanwhile.
            tracing::warn!(%error, "the backups could not be looked through");
        }
        let threads = Threads {
            worker: spawn("persist-flush", Worker::new(Arc::clone(&shared), commands))?,
            keeper: spawn("persist-keep", Keeper::new(Arc::clone(&shared), chores))?,
            syncer: spawn("persist-sync", SyncerThread(Arc::clone(&shared)))?,
        };
        if !recovered.is_empty() {
            shared.send(worker::Command::Recovered);
        }
        shared.charge(keeper::Chore::Tidy);
        let engine = Self { shared, threads: Some(threads), report: recovered.report().clone() };
        if !everything && (!recovered.is_empty() || state.delta_rows > 0) {
            // What is read into memory later comes from the base alone, whatever becomes of DuckDB's instance.
            engine.compact()?;
        }
        Ok(engine)
    }
}

/// One of the engine's own threads.
pub(super) trait Task: Send + 'static {
    fn run(self);
}

fn spawn(name: &str, task: impl Task) -> Result<thread::JoinHandle<()>> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || task.run());
    spawned.map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot start the thread {name}: {error}")).with_source(error)
    })
}

/// Refuses options that no store of this model can have, before anything is made.
pub(super) fn validate<M: Model>(options: &Options) -> Result<()> {
    options.validate()?;
    table_of::<M>(options).map(drop)
}

/// The table of a model with the extra columns that the options name.
pub(super) fn table_of<M: Model>(options: &Options) -> Result<Table> {
    let own = M::COLUMNS.iter().map(|column| column.name);
    let reserved: Vec<&str> = own.chain(M::RESERVED.iter().copied()).collect();
    let columns = options.extra_schema.iter().map(|(name, kind)| (name.as_str(), kind.as_str()));
    Ok(Table::of::<M>(ExtraSchema::new(columns, &reserved)?))
}

/// Makes the folders of a store and takes its locks: of the folder first, then of the database.
pub(super) fn take_locks(fs: &dyn Fs, location: &Location) -> Result<Vec<Lock>> {
    make_folder(fs, &location.dir)?;
    if let Some(folder) = location.database.parent() {
        make_folder(fs, folder)?;
    }
    let folder = Lock::acquire(&location.dir.join(".lock"), &location.purpose)?;
    if planted("database-lock-left-out") {
        return Ok(vec![folder]);
    }
    let database = Lock::acquire(&database_lock(&location.database)?, &location.purpose)?;
    Ok(vec![folder, database])
}

/// As [`take_locks`], and says beside them which folder the log goes on in.
pub(super) fn take_marked_locks<M: Model>(fs: &dyn Fs, location: &Location) -> Result<Vec<Lock>> {
    folders::present::<M>(&location.dir, location.log_folder.as_deref())?;
    let locks = take_locks(fs, location)?;
    locks.first().map_or(Ok(()), |lock| folders::mark::<M>(lock, location.log_folder.as_deref()))?;
    Ok(locks)
}

/// Whether there is no database at a place where there was one.
pub(super) fn is_missing(fs: &dyn Fs, location: &Location) -> Result<bool> {
    Ok(!is_there(fs, &location.database)? && Identity::load(fs, &location.dir)?.is_some())
}

/// Refuses a database that lacks what it had when segments of the log were removed, or kept as no longer needed.
fn refuse_older<M: Model>(fs: &dyn Fs, location: &Location, identity: &Identity, watermark: u64) -> Result<()> {
    let refused = |lack: String| Error::new(ErrorKind::Corrupt, format!("{} {lack}", location.database.display()));
    match lacks::<M>(fs, &location.dir, identity, watermark)? {
        Some(lack) => Err(with_cure::<M>(fs, &location.dir, refused(lack))),
        None => Ok(()),
    }
}

/// What a database that ends at this `seq` lacks of what is known to have been in it.
pub(super) fn lacks<M: Model>(fs: &dyn Fs, dir: &Path, identity: &Identity, watermark: u64) -> Result<Option<String>> {
    if let Some(noted) = identity.checkpointed.filter(|noted| watermark < *noted) {
        return Ok(Some(format!(
            "ends at record {watermark} and had {noted}: it is an older file, or not this store's"
        )));
    }
    if M::HISTORY.is_none() {
        return Ok(None);
    }
    let last = Archive::open_kept(fs, &folders::all::<M>(fs, dir)?, &identity.lineage)?.last_kept();
    Ok((watermark < last).then(|| format!("ends at record {watermark}, and the kept log at {last}")))
}

/// Adds what can be done to the error of a damaged database.
fn with_cure<M: Model>(fs: &dyn Fs, dir: &Path, error: Error) -> Error {
    if error.kind() != ErrorKind::Corrupt || M::HISTORY.is_none() {
        return error;
    }
    Error::new(ErrorKind::Corrupt, format!("{error}{}", cure::<M>(fs, dir))).with_source(error)
}

pub(super) fn make_folder(fs: &dyn Fs, dir: &Path) -> Result<()> {
    fs.create_dir_all(dir).map_err(|error| Error::io("cannot create the folder", dir, error))
}

/// The lock of a database: two stores may be given one file under different names.
fn database_lock(database: &Path) -> Result<PathBuf> {
    let unresolved = |error| Error::io("cannot resolve", database, error);
    let path = match std::path::Path::canonicalize(database) {
        Ok(path) => path,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let name =
                database.file_name().ok_or_else(|| Error::config(format!("{} names no file", database.display())))?;
            folder.canonicalize().map_err(unresolved)?.join(name)
        }
        Err(error) => return Err(unresolved(error)),
    };
    Ok(suffixed(&path, ".lock"))
}

/// Makes the store's files, or takes over those of the Python original. Answers what that left out and changed.
fn create<M: Model>(location: &Location, table: &Table, options: &Options) -> Result<(Identity, RecoveryReport)> {
    let fs = options.fs.as_ref();
    let places = Places { dir: &location.dir, database: &location.database };
    takeover::start_over(fs, places, table)?;
    let exists = is_there(fs, &location.database)?;
    let original = if M::TAKES_OVER && exists { Takeover::<M>::read(places, table, options)? } else { None };
    let (identity, report) = match original {
        Some(original) => original.run(places, table, fs)?,
        None => (create_or_adopt::<M>(fs, location, table, exists)?, RecoveryReport::default()),
    };
    sync_ancestors(fs, &location.dir)?;
    sync_ancestors(fs, &location.database)?;
    Identity::put_in_place(fs, &location.dir)?;
    Ok((identity, report))
}

fn create_or_adopt<M: Model>(fs: &dyn Fs, location: &Location, table: &Table, exists: bool) -> Result<Identity> {
    if let Some(segment) = folders::any_segment::<M>(fs, &location.dir)? {
        let (dir, segment) = (location.dir.display(), segment.display());
        let mut message = format!("{dir} holds a log ({segment}) but no store.json that says whose it is");
        if !exists {
            message += &format!(", and {} is missing", location.database.display());
        }
        return Err(Error::config(message));
    }
    if exists {
        return adopt(fs, location, table);
    }
    let identity = Identity::of(new_store_id());
    identity.prepare(fs, &location.dir)?;
    Database::create(fs, &location.database, table, &identity.id)?;
    Ok(identity)
}

/// A crash may come after the database was made and before `store.json` was put in place. Any other database without
/// one is another's.
fn adopt(fs: &dyn Fs, location: &Location, table: &Table) -> Result<Identity> {
    let state = Database::open(fs, &location.database, table)?.state()?;
    match Identity::load_prepared(fs, &location.dir)? {
        Some(identity) if identity.id == state.store_id => Ok(identity),
        _ => {
            let (database, dir) = (location.database.display(), location.dir.display());
            let message = format!("{database} belongs to a store ({}) in another folder than {dir}", state.store_id);
            Err(Error::config(message))
        }
    }
}

fn open_database(fs: &dyn Fs, location: &Location, table: &Table, identity: &Identity) -> Result<Database> {
    if !is_there(fs, &location.database)? {
        let message = format!(
            "{} is missing, and {} says that the store {} had one there",
            location.database.display(),
            Identity::path(&location.dir).display(),
            identity.id
        );
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    if let [_, latest] = table.files(&location.database).as_slice()
        && !is_there(fs, latest)?
    {
        tracing::warn!(missing = %latest.display(), "the newest records are made anew of the history");
        Database::create_base(fs, &location.database, table, &identity.id)?;
    }
    Database::open(fs, &location.database, table)
}

/// Has all records of a database in memory, but those of which there is something newer.
pub(super) fn load_into<M: Model>(database: &Database, cache: &Cache<M>) -> Result<()> {
    database.load_on_all_cores(|| {
        let mut load = cache.load();
        move |row: Loaded<'_>| {
            load.add(Arc::new(loaded::<M>(&row)));
            Ok(())
        }
    })
}

pub(super) fn loaded<M: Model>(row: &Loaded<'_>) -> Record<M> {
    let (version, at, seq) = (row.version, row.at, row.seq);
    // Without data it is a removal.
    let (part, value) = (M::part_from(row.part), M::Value::of(row.value.clone()));
    Record { key: row.key.into(), part, data: row.data.into(), value, seq, at, version }
}

/// The first and last `seq` of each batch to replay.
fn batches(recovered: &Recovered) -> VecDeque<(u64, u64)> {
    recovered.batch_ends().map(|(last, of)| (last + 1 - u64::from(of).min(last), last)).collect()
}

/// Puts the recovered records into memory, if there is a cache to take them, on all cores, and answers them in order of `seq`.
fn replay<M: Model>(recovered: &Recovered, cache: Option<&Cache<M>>) -> Result<VecDeque<Arc<Record<M>>>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let chunk = recovered.len().div_ceil(cores).max(LINES_PER_THREAD);
    let read = |from: usize| -> Result<Vec<Arc<Record<M>>>> {
        let to = (from + chunk).min(recovered.len());
        let mut records = Vec::with_capacity(to - from);
        let mut load = cache.map(Cache::load);
        for line in recovered.lines(from..to) {
            let record = Arc::new(codec::record::<M>(&line)?);
            if let Some(load) = &mut load {
                load.add(Arc::clone(&record));
            }
            records.push(record);
        }
        Ok(records)
    };
    let mut all = VecDeque::with_capacity(recovered.len());
    thread::scope(|scope| {
        let starts = (0..recovered.len()).step_by(chunk);
        let others: Vec<_> = starts.clone().skip(1).map(|from| scope.spawn(move || read(from))).collect();
        for from in starts.take(1) {
            all.extend(read(from)?);
        }
        for other in others {
            let read = other.join().map_err(|_| Error::new(ErrorKind::Corrupt, "reading the log panicked"))?;
            all.extend(read?);
        }
        Ok(all)
    })
}
