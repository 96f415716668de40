//! Opening a database: its identity, its tables, and what the log has that their files lack.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use persist_core::fs::{Fs, is_there, make_durable_folder, read, remove_if_there, sync_dir_of};
use persist_core::lock::Lock;
use persist_core::wal::{Ancestor, Line, Log, LogOptions, Recovered, Recovery, new_store_id};
use persist_core::{Error, ErrorKind, Result};

use crate::cell::Cell;
use crate::checkpoint::{self, free_name};
use crate::config::Config;
use crate::keeper::Signal;
use crate::meta::Meta;
use crate::operation::{Action, Entry};
use crate::paths::{LOG, LOG_NAMES, Paths, records_of, table_of};
use crate::row;
use crate::schema::check_name;
use crate::schema_file;
use crate::shared::{Identity, Shared, Storage};
use crate::slot::Slot;

/// Opens a database with files.
pub(crate) fn open(name: &str, config: Config) -> Result<Shared> {
    config.validate()?;
    check_name("database", name)?;
    let paths = Paths::new(&config.base_path, name);
    let fs = Arc::clone(&config.fs);
    for folder in [&paths.dir, &paths.schema, &paths.data, &paths.wal] {
        make_durable_folder(fs.as_ref(), folder)?;
    }
    let lock = Lock::acquire(&paths.lock(), &format!("table database {name}"))?;
    // Who died in the middle of a rename has left a name that is seen, and that a power cut would take back.
    for folder in [&paths.dir, &paths.schema, &paths.data] {
        fs.sync_dir(folder).map_err(|error| Error::io("cannot sync the folder", folder, error))?;
    }
    let found = Identity::load(fs.as_ref(), &paths.identity())?;
    let is_new = found.is_none();
    let identity = found.unwrap_or_else(|| Identity::new(new_store_id()));
    let lineage = vec![Ancestor::present(&identity.id)];
    let moment = persist_core::Timestamp::from_unix_micros(config.clock.unix_micros()).to_string();
    if is_new {
        set_aside_another_log(fs.as_ref(), &paths, &moment)?;
        identity.write(fs.as_ref(), &paths.identity())?;
    }
    let recovered = Recovery::new(fs.as_ref(), config.clock.as_ref(), &paths.wal, &lineage)
        .names(LOG_NAMES)
        .watermark(identity.saved_seq)
        .policy(config.recovery)
        .run()?;
    let mut options = LogOptions::default();
    (options.max_segment_bytes, options.names) = (config.max_log_bytes, LOG_NAMES);
    let mut start = recovered.start();
    if recovered.report().is_damaged() {
        // A file may have what the log has lost: no other write gets its number.
        start.next_seq = start.next_seq.max(last_applied(fs.as_ref(), &paths)? + 1);
    }
    let log = Log::new(Arc::clone(&fs), Arc::clone(&config.clock), &paths.wal, &identity.id, options, start);
    let recovery = recovered.report().clone();
    let storage = Storage {
        signal: Arc::new(Signal::new(&config)),
        saving: Mutex::new(identity),
        fs,
        paths,
        lineage,
        log,
        recovery,
        lock: Mutex::new(Some(lock)),
    };
    let shared = Shared {
        name: name.to_owned(),
        config,
        catalog: RwLock::default(),
        transactions: Mutex::default(),
        storage: Some(storage),
    };
    replay(&shared, &recovered)?;
    Ok(shared)
}

/// A database in memory alone.
pub(crate) fn in_memory(name: &str) -> Result<Shared> {
    check_name("database", name)?;
    Ok(Shared {
        name: name.to_owned(),
        config: Config::default(),
        catalog: RwLock::default(),
        transactions: Mutex::default(),
        storage: None,
    })
}

/// A folder that was written by others has a log that says nothing of what was saved: as they never read it, it is archived
/// unread.
fn set_aside_another_log(fs: &dyn Fs, paths: &Paths, now: &str) -> Result<()> {
    let path = paths.wal.join(LOG);
    if !is_there(fs, &path)? {
        return Ok(());
    }
    let bytes = read(fs, &path).map_err(|error| Error::io("cannot read", &path, error))?;
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    if lines.any(|line| Line::parse(line).is_some()) {
        let message =
            format!("{} is the log of a database, and {} is missing", path.display(), paths.identity().display());
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    let target = free_name(fs, paths, now, false)?;
    fs.rename(&path, &target).map_err(|error| Error::io("cannot rename into place", &target, error))?;
    tracing::info!(?target, "the log of another program is archived unread");
    sync_dir_of(fs, &target)
}

/// The last write that any table's file has.
fn last_applied(fs: &dyn Fs, paths: &Paths) -> Result<u64> {
    let mut last = 0;
    for file in fs.list(&paths.schema).map_err(|error| Error::io("cannot list", &paths.schema, error))? {
        let Some(table) = table_of(&file) else { continue };
        let meta = Meta::read(fs, &paths.meta_of(table))?;
        let contents = meta.into_iter().flat_map(|meta| [Some(meta.content), meta.next]).flatten();
        last = contents.map(|content| content.applied_seq).fold(last, u64::max);
    }
    Ok(last)
}

/// Finds the tables, and brings into them what the log has.
fn replay(shared: &Shared, recovered: &Recovered) -> Result<()> {
    let Some(storage) = &shared.storage else { return Ok(()) };
    let fs = storage.fs.as_ref();
    let mut made: BTreeMap<String, u64> = BTreeMap::new();
    let mut dropped: BTreeMap<String, u64> = BTreeMap::new();
    for line in recovered.lines(0..recovered.len()) {
        let entry = Entry::parse(line.text(), line.seq)?;
        match entry.operation {
            Action::CreateTable => drop(made.insert(entry.table.into_owned(), line.seq)),
            Action::DropTable => drop(dropped.insert(entry.table.into_owned(), line.seq)),
            _ => {}
        }
    }
    for (table, seq) in &dropped {
        if made.get(table).is_none_or(|made| made < seq) {
            remove_files(storage, table)?;
        }
    }
    let folder = &storage.paths.schema;
    let mut catalog = BTreeMap::new();
    for file in fs.list(folder).map_err(|error| Error::io("cannot list", folder, error))? {
        let Some(table) = table_of(&file) else { continue };
        let (layout, created_at) = schema_file::load(fs, &folder.join(&file), table)?;
        catalog.insert(table.to_owned(), Arc::new(RwLock::new(Slot::new(Arc::new(layout), created_at))));
    }
    *shared.catalog.write() = catalog;
    let is_damaged = recovered.report().is_damaged();
    for line in recovered.lines(0..recovered.len()) {
        let entry = Entry::parse(line.text(), line.seq)?;
        if dropped.get(entry.table.as_ref()).is_some_and(|dropped| line.seq <= *dropped)
            || matches!(entry.operation, Action::CreateTable | Action::DropTable)
        {
            continue;
        }
        let table = shared.table(&entry.table).map_err(|error| {
            let (seq, wal) = (line.seq, storage.paths.wal.display());
            Error::new(
                ErrorKind::Corrupt,
                format!("the log in {wal} has a row of a table without schema (seq {seq}): {error}"),
            )
        })?;
        let mut slot = table.write();
        slot.load(shared)?;
        apply(&mut slot, &entry, line.seq, is_damaged)?;
    }
    if is_damaged {
        // What was lost may have been in a table's file: the log goes on after both.
        checkpoint::save(shared, storage, true)?;
    }
    Ok(())
}

/// Brings a line of the log into its table, if the table's file lacks it.
fn apply(slot: &mut Slot, entry: &Entry<'_>, seq: u64, is_damaged: bool) -> Result<()> {
    let layout = Arc::clone(&slot.layout);
    let Some(state) = slot.state.as_mut().filter(|state| state.last_seq < seq) else { return Ok(()) };
    let wrong = |why: String| {
        let (action, table) = (entry.operation.name(), &entry.table);
        Error::new(ErrorKind::Corrupt, format!("the log's {action} with seq {seq} does not fit table {table}: {why}"))
    };
    let parse = |raw: Option<&serde_json::value::RawValue>| {
        raw.map(|raw| row::parse_whole(&layout, raw.get())).transpose().map_err(|error| wrong(error.to_string()))
    };
    let (new, old) = (parse(entry.record)?, parse(entry.old_record)?);
    let key = |row: &row::Row| row.get(layout.primary).cloned().unwrap_or(Cell::Null);
    let mut id = old.as_ref().and_then(|old| state.find(&key(old))).map(|(id, _)| id);
    if old.is_some() && id.is_none() && !is_damaged {
        return Err(wrong("there is no such row".to_owned()));
    }
    if let Some(new) = new {
        if is_damaged {
            // Of two rows, the one whose removal was lost gives way.
            let present = state.find(&key(&new)).map(|(id, _)| id);
            id = id.or(present);
        }
        state.check(&layout, id, &new).map_err(|error| wrong(error.to_string()))?;
        match id {
            Some(id) => drop(state.set(&layout, id, Some(new))),
            None => drop(state.push(&layout, new)),
        }
    } else if let Some(id) = id {
        state.set(&layout, id, None);
    }
    state.last_seq = seq;
    Ok(())
}

/// Removes the files of a table, so that its schema goes last: as long as that is there, the table is.
pub(crate) fn remove_files(storage: &Storage, table: &str) -> Result<()> {
    let fs = storage.fs.as_ref();
    let data = [records_of(table, false), records_of(table, true)].map(|file| storage.paths.records(&file));
    for path in data.iter().flat_map(|path| [path.clone(), persist_core::fs::aside(path)]) {
        remove_if_there(fs, &path)?;
    }
    let meta = storage.paths.meta_of(table);
    remove_if_there(fs, &meta)?;
    sync_dir_of(fs, &meta)?;
    let schema = storage.paths.schema_of(table);
    remove_if_there(fs, &schema)?;
    sync_dir_of(fs, &schema)
}

/// Whether a table's files of records are there, of which nobody has said what they are.
pub(crate) fn has_records(fs: &dyn Fs, paths: &Paths, table: &str) -> Result<Option<std::path::PathBuf>> {
    for file in [records_of(table, false), records_of(table, true)] {
        let path: &Path = &paths.records(&file);
        if is_there(fs, path)? {
            return Ok(Some(path.to_owned()));
        }
    }
    Ok(None)
}
