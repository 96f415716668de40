//! A log in the form of the specification, whose lines have neither number nor checksum: the Python original writes such
//! ones, and nobody knows what of them the tables' files have. It is read once, and archived.
//!
//! Kept true: the last that it says of a key is what the table has in the end, however much of it the table had before. So
//! it may be read again after a crash. `database.json` names it until the tables are saved. Before a row of a file changes by
//! it, the file is copied: the program never reads its log, and a run of it may have saved after one that the log tells of.

use std::collections::BTreeMap;
use std::path::Path;

use persist_core::fs::{Fs, is_there, read, replace, sync_dir_of};
use persist_core::planted::planted;
use persist_core::wal::Line;
use persist_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::cell::Cell;
use crate::checkpoint::free_name;
use crate::operation::{Action, Entry};
use crate::paths::{LOG, Paths, records_before};
use crate::row::{self, Row};
use crate::schema::Layout;
use crate::schema_file;
use crate::shared::{Identity, Shared};
use crate::state::State;

/// What a log leaves of each table that it names: its keys in the order in which they came, each with its row, or none where
/// that was removed.
type Left = BTreeMap<String, Keys>;

#[derive(Default)]
struct Keys {
    rows: BTreeMap<u64, (Cell, Option<Row>)>,
    places: BTreeMap<Cell, u64>,
}

impl Keys {
    fn put(&mut self, key: Cell, row: Option<Row>) {
        let next = self.rows.last_key_value().map_or(0, |(place, _)| place + 1);
        let place = self.places.entry(key.clone()).or_insert(next);
        if row.is_some() && self.rows.get(place).is_some_and(|(_, before)| before.is_none()) {
            // One that comes back stands behind those that are there.
            self.rows.remove(place);
            *place = next;
        }
        self.rows.insert(*place, (key, row));
    }
}

/// Looks whether the newest file of the log is such a one. Then it is read to see that it can be, `database.json` notes what
/// it is to be archived as, and so it is.
pub(crate) fn take_over(fs: &dyn Fs, paths: &Paths, identity: &mut Identity, is_new: bool, now: &str) -> Result<()> {
    let path = paths.wal.join(LOG);
    if !is_there(fs, &path)? {
        return Ok(());
    }
    let bytes = read(fs, &path).map_err(|error| Error::io("cannot read", &path, error))?;
    let lines = || bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let is_ours = lines().any(|line| Line::parse(line).is_some());
    if is_new && is_ours {
        let (path, missing) = (path.display(), paths.identity());
        let message = format!("{path} is the log of a database, and {} is missing", missing.display());
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    if is_ours {
        // Recovery would take them for what was never finished, and cut them off.
        let after = lines().rev().take_while(|line| Line::parse(line).is_none());
        if let Some(line) = after.filter(|line| is_plain(line)).last().filter(|_| !planted("plain-tail-cut")) {
            let number = 1 + bytes.split(|byte| *byte == b'\n').take_while(|other| !std::ptr::eq(*other, line)).count();
            let message = format!(
                "{}, line {number}: another program wrote on in the log of this database, without seq and crc. Move what \
                 stands from there on out of the file, and open again",
                path.display()
            );
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        return Ok(());
    }
    if !(is_new || lines().next().is_some_and(is_plain)) {
        return Ok(());
    }
    if let Some(waiting) = &identity.plain_log
        && is_there(fs, &paths.wal.join(waiting))?
    {
        // An opening before this one did not come to its end.
        let (path, waiting) = (path.display(), paths.wal.join(waiting));
        let message = format!("{path} and {} are both still to be read: remove one of them", waiting.display());
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    left_by(fs, paths, &path)?;
    let target = free_name(fs, paths, now, false)?;
    identity.plain_log = target.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    if !planted("plain-log-unnoted") {
        identity.write(fs, &paths.identity())?;
    }
    fs.rename(&path, &target).map_err(|error| Error::io("cannot rename into place", &target, error))?;
    sync_dir_of(fs, &target)
}

/// Whether a line is an operation that no log of ours has: without number and checksum.
fn is_plain(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Marks {
        #[serde(rename = "operation")]
        _operation: Action,
        seq: Option<IgnoredAny>,
        crc: Option<IgnoredAny>,
    }
    serde_json::from_slice(line).is_ok_and(|Marks { seq, crc, .. }| seq.is_none() && crc.is_none())
}

/// Brings the log that is noted into the tables. Answers `None` where there is none, else which rows of the files it changed
/// and removed. The caller saves the tables.
pub(crate) fn replay(shared: &Shared) -> Result<Option<Vec<String>>> {
    let Some(storage) = &shared.storage else { return Ok(None) };
    let Some(log) = storage.saving.lock().plain_log.clone() else { return Ok(None) };
    let (fs, path) = (storage.fs.as_ref(), storage.paths.wal.join(&log));
    let mut changed = Vec::new();
    if !is_there(fs, &path)? {
        tracing::warn!(?path, "the log of another program is gone: what only it had is not read");
        return Ok(Some(changed));
    }
    for (name, keys) in left_by(fs, &storage.paths, &path)? {
        let table = shared.table(&name)?;
        let mut slot = table.write();
        slot.load(shared)?;
        let slot = &mut *slot;
        let Some(state) = &mut slot.state else { continue };
        let of_file = bring(&slot.layout, state, keys).map_err(|error| refused(&path, &error))?;
        if of_file.is_empty() {
            continue;
        }
        if let Some(saved) = slot.saved.as_ref().filter(|_| !planted("records-uncopied")) {
            let (records, copy) = (&saved.content.file, records_before(&saved.content.file, &log));
            let (records, copy) = (storage.paths.records(records), storage.paths.records(&copy));
            let bytes = read(fs, &records).map_err(|error| Error::io("cannot read", &records, error))?;
            replace(fs, &copy, &bytes)?;
            tracing::warn!(
                table = name,
                rows = of_file.len(),
                ?copy,
                "the log of another program changed rows; they were copied"
            );
        }
        changed.extend(of_file.into_iter().map(|what| format!("table {name}: {what}, by the log {log}")));
    }
    tracing::info!(?path, "the log of another program was read, and is archived");
    Ok(Some(changed))
}

/// Gives the table what was left of it, and answers what it changed of the rows that were there. Rows that change are taken
/// out first: a value may go from one to another.
fn bring(layout: &Layout, state: &mut State, keys: Keys) -> Result<Vec<String>> {
    let written = |row: &Row| {
        let mut text = String::new();
        row::write(layout, row, &mut text);
        text
    };
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for (key, row) in keys.rows.into_values() {
        let present = state.find(&key).map(|(id, row)| (id, written(row)));
        let text = row.as_ref().map(written);
        if text.as_ref() == present.as_ref().map(|(_, text)| text) {
            continue;
        }
        let id = present.as_ref().map(|(id, _)| *id);
        if let Some((id, before)) = present {
            state.set(layout, id, None);
            changed
                .push(text.map_or_else(|| format!("{before} was removed"), |text| format!("{before} became {text}")));
        }
        new.extend(row.map(|row| (id, row)));
    }
    for (id, row) in new {
        state.check(layout, id, &row)?;
        match id {
            Some(id) => drop(state.set(layout, id, Some(row))),
            None => drop(state.push(layout, row)),
        }
    }
    Ok(changed)
}

fn left_by(fs: &dyn Fs, paths: &Paths, path: &Path) -> Result<Left> {
    let bytes = read(fs, path).map_err(|error| Error::io("cannot read", path, error))?;
    let mut reader = Reader { fs, paths, layouts: BTreeMap::new(), left: Left::new(), unknown: BTreeMap::new() };
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').zip(1_u64..).peekable();
    while let Some((line, number)) = lines.next() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let is_whole = line.ends_with(b"\n");
        match reader.follow(line, number) {
            // Who died while writing it did not get to say that it is done.
            Err(Fault::Unreadable(_)) if !is_whole && lines.peek().is_none() => {
                tracing::warn!(?path, line = number, "the last line was never finished, and is left out");
            }
            Err(Fault::Unreadable(error) | Fault::Refused(error)) => {
                return Err(refused(path, &format_args!("line {number}: {error}")));
            }
            Ok(()) => {}
        }
    }
    if let Some((table, number)) = reader.unknown.first_key_value() {
        let schema = paths.schema_of(table);
        let why = format!("line {number}: it is of table {table}, and there is no {}", schema.display());
        return Err(refused(path, &why));
    }
    Ok(reader.left)
}

/// What reads a log line by line.
struct Reader<'a> {
    fs: &'a dyn Fs,
    paths: &'a Paths,
    layouts: BTreeMap<String, Layout>,
    left: Left,
    /// Tables without schema, each with the first line that has a row of it: the log has to say yet that they were dropped.
    unknown: BTreeMap<String, u64>,
}

enum Fault {
    /// It is no operation.
    Unreadable(Error),
    /// It is one that the tables do not take.
    Refused(Error),
}

impl Reader<'_> {
    fn follow(&mut self, line: &[u8], number: u64) -> Result<(), Fault> {
        let unreadable = |error: &dyn std::fmt::Display| Fault::Unreadable(Error::input(error.to_string()));
        let text = std::str::from_utf8(line).map_err(|error| unreadable(&error))?;
        let entry: Entry<'_> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
        let table = entry.table.into_owned();
        match entry.operation {
            Action::CreateTable => return Ok(()),
            Action::DropTable => {
                self.left.remove(&table);
                self.unknown.remove(&table);
                return Ok(());
            }
            Action::Insert | Action::Update | Action::Delete => {}
        }
        let Some(layout) = self.layout(&table).map_err(Fault::Refused)? else {
            self.unknown.entry(table).or_insert(number);
            return Ok(());
        };
        let given = |raw: Option<&RawValue>| raw.map(|raw| row::parse(layout, raw.get())).transpose();
        let is_removal = entry.operation == Action::Delete;
        // A removal may have the row as either.
        let old = given(entry.old_record.or(entry.record.filter(|_| is_removal))).map_err(Fault::Refused)?;
        let new = given(entry.record.filter(|_| !is_removal)).map_err(Fault::Refused)?;
        let refuse = |why: &str| Fault::Refused(Error::input(format!("table {table}: {why}")));
        let old_key = match &old {
            Some(given) => {
                let key = given.get(layout.primary).cloned().flatten().filter(|key| !key.is_null());
                Some(key.ok_or_else(|| refuse("a record has no primary key"))?)
            }
            None => None,
        };
        let new = new.map(|mut new| {
            // A change may name only what it changes.
            for (cell, old) in new.iter_mut().zip(old.into_iter().flatten()) {
                *cell = cell.take().or(old);
            }
            row::whole(layout, new).map_err(Fault::Refused)
        });
        let new = new.transpose()?;
        let key = new.as_ref().and_then(|row| row.get(layout.primary)).cloned();
        if old_key.is_none() && key.is_none() {
            return Err(refuse("the operation has no record"));
        }
        let keys = self.left.entry(table.clone()).or_default();
        if let Some(old) = old_key.filter(|old| Some(old) != key.as_ref()) {
            keys.put(old, None);
        }
        if let Some(key) = key {
            keys.put(key, new);
        }
        Ok(())
    }

    fn layout(&mut self, table: &str) -> Result<Option<&Layout>> {
        if !self.layouts.contains_key(table) {
            let schema = self.paths.schema_of(table);
            if !is_there(self.fs, &schema)? {
                return Ok(None);
            }
            let (layout, _) = schema_file::load(self.fs, &schema, table)?;
            self.layouts.insert(table.to_owned(), layout);
        }
        Ok(self.layouts.get(table))
    }
}

fn refused(path: &Path, why: &dyn std::fmt::Display) -> Error {
    let message = format!(
        "{}, the log of another program: {why}. To go on with what the files of records have, move it out of the folder and \
         open again",
        path.display()
    );
    Error::new(ErrorKind::Corrupt, message)
}
