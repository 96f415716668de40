//! Opening a database: its identity, its tables, and what the log has that their files lack.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use persist_core::fs::{Fs, is_there, make_durable_folder, remove_if_there, sync_dir_of};
use persist_core::lock::Lock;
use persist_core::planted::planted;
use persist_core::wal::{Ancestor, Log, LogOptions, Recovered, Recovery, RecoveryPolicy, new_store_id};
use persist_core::{Error, ErrorKind, Result};

use crate::cell::Cell;
use crate::checkpoint;
use crate::config::Config;
use crate::keeper::Signal;
use crate::meta::Meta;
use crate::operation::{Action, Entry};
use crate::paths::{LOG_NAMES, Paths, records_of, table_of};
use crate::plain_log;
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
    let mut identity = found.unwrap_or_else(|| Identity::new(new_store_id()));
    let lineage = vec![Ancestor::present(&identity.id)];
    let moment = persist_core::Timestamp::from_unix_micros(config.clock.unix_micros()).to_string();
    plain_log::take_over(fs.as_ref(), &paths, &mut identity, is_new, &moment)?;
    if is_new {
        identity.write(fs.as_ref(), &paths.identity())?;
    }
    let recovered = recover(&config, &paths, &lineage, &mut identity)?;
    let mut options = LogOptions::default();
    (options.max_segment_bytes, options.names) = (config.max_log_bytes, LOG_NAMES);
    let mut start = recovered.start();
    // A file may have what the log has lost, now or before an opening that was interrupted: no other write gets its number.
    let least = last_applied(fs.as_ref(), &paths)?.saturating_add(1);
    let (is_behind, is_damaged) = (start.next_seq < least, identity.is_damaged);
    if !planted("seq-given-twice") {
        start.next_seq = start.next_seq.max(least);
    }
    let log = Log::new(Arc::clone(&fs), Arc::clone(&config.clock), &paths.wal, &identity.id, options, start);
    // Many short runs write as much as a long one.
    let of_earlier_runs = log.closed_segments().iter().map(|segment| segment.bytes).sum();
    let recovery = recovered.report().clone();
    let storage = Storage {
        signal: Arc::new(Signal::new(&config, of_earlier_runs)),
        saving: Mutex::new(identity),
        fs,
        paths,
        lineage,
        log,
        recovery,
        lock: Mutex::new(Some(lock)),
    };
    let mut shared = Shared {
        name: name.to_owned(),
        config,
        catalog: RwLock::default(),
        transactions: Mutex::default(),
        storage: Some(storage),
    };
    let given_up = replay(&shared, &recovered, is_damaged)?;
    let by_plain_log = plain_log::replay(&shared)?;
    let is_taken_over = by_plain_log.is_some();
    if let Some(storage) = shared.storage.as_mut() {
        storage.recovery.changed.extend(given_up.into_iter().chain(by_plain_log.into_iter().flatten()));
    }
    if let Some(storage) = shared.storage.as_ref().filter(|_| is_damaged || is_behind || is_taken_over) {
        // The log goes on after what it has and what the files have, and nothing is written before that is noted.
        checkpoint::save(&shared, storage, is_damaged || is_behind)?;
    }
    Ok(shared)
}

/// Reads and mends the log. That it was damaged is noted first: what it has may not fit the tables' files, and who dies
/// before these are saved leaves a log that looks whole.
fn recover(config: &Config, paths: &Paths, lineage: &[Ancestor], identity: &mut Identity) -> Result<Recovered> {
    let (fs, saved_seq) = (config.fs.as_ref(), identity.saved_seq);
    let run = |policy| {
        let recovery = Recovery::new(fs, config.clock.as_ref(), &paths.wal, lineage);
        recovery.names(LOG_NAMES).watermark(saved_seq).policy(policy).run()
    };
    match run(RecoveryPolicy::Strict) {
        Err(error) if error.kind() == ErrorKind::Corrupt && config.recovery != RecoveryPolicy::Strict => {
            identity.is_damaged = true;
            identity.write(fs, &paths.identity())?;
            run(config.recovery)
        }
        recovered => recovered,
    }
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

/// The last write that any table's file has.
fn last_applied(fs: &dyn Fs, paths: &Paths) -> Result<u64> {
    let mut last = 0;
    for file in fs.list(&paths.schema).map_err(|error| Error::io("cannot list", &paths.schema, error))? {
        let Some(table) = table_of(&file) else { continue };
        last = last.max(applied(fs, paths, table)?.unwrap_or(0));
    }
    Ok(last)
}

/// The last write that a table's file has, or the one that is about to take its place.
fn applied(fs: &dyn Fs, paths: &Paths, table: &str) -> Result<Option<u64>> {
    let meta = Meta::read(fs, &paths.meta_of(table))?;
    let contents = meta.into_iter().flat_map(|meta| [Some(meta.content), meta.next]).flatten();
    Ok(contents.map(|content| content.applied_seq).max())
}

/// Finds the tables, and brings into them what the log has. Answers which rows had to give way, if it was damaged.
fn replay(shared: &Shared, recovered: &Recovered, is_damaged: bool) -> Result<Vec<String>> {
    let mut given_up = Vec::new();
    let Some(storage) = &shared.storage else { return Ok(given_up) };
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
        // The table may have been made again by a line that was lost: its files know of the removal then.
        let is_later = || Ok::<_, Error>(applied(fs, &storage.paths, table)?.is_some_and(|applied| applied >= *seq));
        if made.get(table).is_none_or(|made| made < seq) && !is_later()? {
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
        apply(&mut slot, &entry, line.seq, is_damaged.then_some(&mut given_up))?;
    }
    Ok(given_up)
}

/// Brings a line of the log into its table, if the table's file lacks it. `given_up` is there where the log was damaged, and
/// is told of the rows that give way to a later one, because what removed them was lost.
fn apply(slot: &mut Slot, entry: &Entry<'_>, seq: u64, given_up: Option<&mut Vec<String>>) -> Result<()> {
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
    if old.is_some() && id.is_none() && given_up.is_none() {
        return Err(wrong("there is no such row".to_owned()));
    }
    if let Some(new) = new {
        if let Some(given_up) = given_up {
            id = id.or_else(|| state.find(&key(&new)).map(|(id, _)| id));
            let others: Vec<_> = state.others(&layout, id, &new).map(|(_, other)| other).collect();
            for other in others {
                let Some(row) = state.set(&layout, other, None) else { continue };
                let mut text = String::new();
                row::write(&layout, &row, &mut text);
                tracing::warn!(table = %entry.table, row = text, seq, "a row gives way: its removal was lost");
                given_up.push(format!("table {}: {text} gave way to the row of seq {seq}", entry.table));
            }
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
