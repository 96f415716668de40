//! Where the rows go: one store, or the dates of a base folder, of which a few are open at a time.

use std::path::{Path, PathBuf};

use persist_collection::IntoValue;
use persist_core::data::{Rules, normalize_value};
use persist_core::extra::ExtraType;
use persist_core::fs::{Disk, make_durable_folder};
use persist_core::timestamp::{IntoDate, date_text};
use persist_core::{Error, ErrorKind, Event, Record, Since, Subscription, Value};

use super::mapping::{Mapped, Role};
use super::position::{Begun, POSITIONS};
use crate::failure::{Failure, Result};
use crate::folder::{Folder, is_date, names};
use crate::store::{Shape, Store, absolute};

/// So many stores are open at once.
const OPEN: usize = 8;
/// So much may wait to be flushed before a batch, so that no batch waits for room.
const UNFLUSHED_BYTES: u64 = 64 * 1024 * 1024;

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Model {
    /// Dated stores below a base folder
    Dated,
    /// A collection store
    Collection,
    /// A key-value store
    Kv,
}

/// Where the rows go.
#[derive(Debug)]
pub(crate) struct Target {
    model: Model,
    dir: PathBuf,
    /// Of a base folder, the date of all rows.
    date: Option<String>,
    /// Whether it is the base folder of dates.
    is_base: bool,
    shape: Shape,
    /// The last one is the one used last.
    open: Vec<(String, Store)>,
}

/// What became of the rows for one store.
#[derive(Debug)]
pub(crate) struct Made {
    /// So many are in the store.
    pub(crate) count: u64,
    /// The others, by their numbers, with the reason.
    pub(crate) refused: Vec<(usize, String)>,
}

impl Target {
    /// The store, or stores, at a path; with `new`, one may be made there.
    pub(crate) fn find(path: &Path, date: Option<&str>, new: Option<Model>, shape: &Shape) -> Result<Self> {
        let is_empty = !path.exists() || (path.is_dir() && is_unmade(path)?);
        let date = date.map(|date| date.into_date().map(date_text)).transpose()?;
        let target =
            |model, dir, date, is_base| Self { model, dir, date, is_base, shape: shape.clone(), open: Vec::new() };
        if is_empty && let Some(model) = new {
            let dir = absolute(path);
            make_durable_folder(&Disk, &dir)?;
            return Ok(target(model, dir, date, model == Model::Dated));
        }
        let found = match Folder::find(path, None)? {
            Folder::Dates(base, _) => return Ok(target(Model::Dated, base, date, true)),
            found => found,
        };
        if date.is_some() {
            return Err(Failure::Usage(format!("{} is {}: leave --date out", path.display(), found.name())));
        }
        found.refuse_owner()?;
        match found {
            Folder::Dated { base, date } => Ok(target(Model::Dated, base, Some(date), false)),
            Folder::Collection(dir) => Ok(target(Model::Collection, dir, None, false)),
            Folder::Kv(dir) => Ok(target(Model::Kv, dir, None, false)),
            other => Err(Failure::Unfit(format!("{} is {}, no store", path.display(), other.name()))),
        }
    }

    /// The folder that says how far imports have come.
    pub(crate) fn dir(&self) -> PathBuf {
        match &self.date {
            Some(date) if !self.is_base => self.dir.join(date),
            _ => self.dir.clone(),
        }
    }

    /// What a column may be.
    pub(crate) fn roles(&self) -> &'static [Role] {
        use Role::{Collection, Data, Date, Item, Key, Process, Status, Timestamp, Username, Value};
        match (self.model, &self.date) {
            (Model::Dated, None) => &[Date, Key, Process, Timestamp, Username, Status, Data],
            (Model::Dated, Some(_)) => &[Key, Process, Timestamp, Username, Status, Data],
            (Model::Collection, _) => &[Key, Collection, Item, Value, Timestamp, Username, Status, Data],
            (Model::Kv, _) => &[Key, Data],
        }
    }

    /// The store that a row goes into: its date, or nothing where there is one store.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn store_of(&self, row: &Mapped) -> Result<String, String> {
        match (self.model, &self.date) {
            (Model::Dated, Some(date)) => Ok(date.clone()),
            (Model::Dated, None) => match (&row.date, row.timestamp) {
                (Some(date), _) => date.into_date().map(date_text).map_err(|error| error.to_string()),
                (None, Some(moment)) => moment.into_date().map(date_text).map_err(|error| error.to_string()),
                (None, None) => Err("it has neither a date nor a timestamp".to_owned()),
            },
            (Model::Collection | Model::Kv, _) => Ok(String::new()),
        }
    }

    fn folder(&self, store: &str) -> Folder {
        match self.model {
            Model::Dated => Folder::Dated { base: self.dir.clone(), date: store.to_owned() },
            Model::Collection => Folder::Collection(self.dir.clone()),
            Model::Kv => Folder::Kv(self.dir.clone()),
        }
    }

    fn store(&mut self, name: &str) -> Result<&Store> {
        if let Some(at) = self.open.iter().position(|(open, _)| open == name) {
            let used = self.open.remove(at);
            self.open.push(used);
        } else {
            if self.open.len() >= OPEN {
                let (_, oldest) = self.open.remove(0);
                oldest.close()?;
            }
            let folder = self.folder(name);
            let is_new = !folder.dir().join("store.json").exists();
            let shape = match (self.model, is_new) {
                // A new one has no database yet that could be found.
                (Model::Kv, true) => self.shape.in_new_file(&self.dir),
                _ => self.shape.clone(),
            };
            let store = Store::open(&folder, &shape)?;
            self.open.push((name.to_owned(), store));
        }
        let unopened = || Failure::Unfit(format!("the store {name} is not open"));
        self.open.last().map(|(_, store)| store).ok_or_else(unopened)
    }

    /// Makes the rows for one store, as one step, and calls `begin` before it. With `begun` that has been called for them
    /// before: they are made already, but the last such batch, which is looked for, and begun once more if it is not there.
    pub(crate) fn make(
        &mut self,
        name: &str,
        rows: &[Mapped],
        begun: Option<Begun>,
        is_last: bool,
        begin: impl FnOnce(Begun) -> Result<()>,
    ) -> Result<Made> {
        let columns = self.shape.columns.clone();
        let folder = self.folder(name);
        let store = self.store(name)?;
        let id = folder.identity()?.id;
        if store.unflushed_bytes() > UNFLUSHED_BYTES {
            store.flush()?;
        }
        let mut refused = unfit(rows, &columns);
        // The same in each store's own type.
        macro_rules! make {
            ($store:expr, $row:ident, $put:ident => $said:expr, $record:ident => $is_same:expr) => {{
                let store = $store;
                let mut batch = store.batch();
                let mut taken = Vec::new();
                for (number, $row) in rows.iter().enumerate() {
                    if refused.iter().any(|(refused, _)| *refused == number) {
                        continue;
                    }
                    let $put = batch.put(&$row.key);
                    match $said.data(&$row.data) {
                        Ok(()) => taken.push($row),
                        Err(error) if error.kind() == ErrorKind::Input => refused.push((number, error.to_string())),
                        Err(error) => return Err(error.into()),
                    }
                }
                let count = taken.len() as u64;
                let is_made = match &begun {
                    None => false,
                    Some(begun) if begun.store != id || begun.rows != count => return Err(unclear(&folder, rows)),
                    Some(_) if !is_last => true,
                    Some(begun) if store.stats().last_seq <= begun.after => false,
                    Some(begun) => {
                        let changes = store.subscribe(Since::After(begun.after));
                        let mut changes = changes.map_err(|_| unclear(&folder, rows))?;
                        is_made(&mut changes, &taken, |$row, $record| $is_same).ok_or_else(|| unclear(&folder, rows))?
                    }
                };
                if !is_made && count > 0 {
                    // Also where it was begun: others may have written since.
                    let now = Begun { name: name.to_owned(), store: id, after: store.stats().last_seq, rows: count };
                    if begun.as_ref() != Some(&now) {
                        begin(now)?;
                    }
                    batch.commit().map_err(|error| of_rows(error, rows))?;
                }
                Ok(Made { count, refused })
            }};
        }
        macro_rules! specials {
            ($row:expr, $put:expr) => {{
                let put = $row.username.iter().fold($put, |put, name| put.username(name));
                let put = $row.status.iter().fold(put, |put, status| put.status(status));
                $row.timestamp.into_iter().fold(put, |put, moment| put.timestamp(moment))
            }};
        }
        match store {
            Store::Dated(store) => make!(
                store, row,
                put => specials!(row, row.process.iter().fold(put, |put, name| put.process(name))),
                // Where no column is it, a member of the data may be.
                record => match &row.process {
                    Some(name) => record.part().as_deref() == Some(name.as_str()),
                    None => record.part().is_none() || row.data.get("process_name").is_some(),
                }
            ),
            Store::Collection(store) => make!(
                store, row,
                put => specials!(row, put.collection(&row.collection).item(&row.item).value(&row.value)),
                record => (record.part().collection(), record.part().item())
                    == (row.collection.as_str(), row.item.as_str())
                    && (&row.value).into_value().is_ok_and(|value| value == *record.typed_value())
            ),
            Store::Kv(store) => make!(store, row, put => put, _record => { let _ = row; true }),
        }
    }

    /// Closes what is open.
    pub(crate) fn close(&mut self) -> Result<()> {
        let mut closed = Ok(());
        for (_, store) in self.open.drain(..) {
            closed = closed.and(store.close());
        }
        closed
    }
}

/// Whether the changes are those of a batch of these rows; `None` where nobody can tell.
fn is_made<M: persist_core::Model>(
    changes: &mut Subscription<M>,
    rows: &[&Mapped],
    is_same: impl Fn(&Mapped, &Record<M>) -> bool,
) -> Option<bool> {
    for row in rows {
        // What there is was durable when the store was opened.
        match changes.try_recv().ok()? {
            Some(Event::Change(change)) => match change.record() {
                Some(record) if record.key() == row.key && is_same(row, record) && has_members(record, &row.data)? => {}
                _ => return Some(false),
            },
            Some(_) => return None,
            None => return Some(false),
        }
    }
    Some(true)
}

/// Whether a record has all that a row's data says, as it stands or, where the store does that, normalized. A special
/// field may come from another column.
fn has_members<M: persist_core::Model>(record: &Record<M>, data: &Value) -> Option<bool> {
    let normalized = normalize_value(data, &[], &Rules::default()).ok()?;
    let normalized: Value = serde_json::from_str(&normalized.text).ok()?;
    let stored = record.value().ok()?;
    let is_special = |name: &str| ["timestamp", "username", "status", "process_name"].contains(&name);
    let is_there = |(name, value): &(String, Value)| {
        let there = stored.get(name);
        is_special(name) || there == Some(value) || (there.is_some() && there == normalized.get(name))
    };
    Some(data.as_object()?.iter().all(is_there))
}

fn unclear(folder: &Folder, rows: &[Mapped]) -> Failure {
    let line = |row: Option<&Mapped>| row.map_or(0, |row| row.start.line);
    Failure::Unfit(format!(
        "nobody can tell whether the rows from line {} to {} are in {}: since the import was interrupted its log has \
         gone, or it has been replaced. Look for them; then import what is missing with --anew, from a file that has \
         only that",
        line(rows.first()),
        line(rows.last()),
        folder.dir().display()
    ))
}

fn of_rows(error: Error, rows: &[Mapped]) -> Failure {
    if error.kind() != ErrorKind::Input {
        return error.into();
    }
    let line = rows.first().map_or(0, |row| row.start.line);
    Failure::Unfit(format!("a row from line {line} on can't be stored: {error}"))
}

/// The rows whose data does not fit the extra columns.
fn unfit(rows: &[Mapped], columns: &[(String, String)]) -> Vec<(usize, String)> {
    let mut unfit = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let wrong = columns.iter().find_map(|(column, kind)| {
            let value = row.data.get(column).filter(|value| **value != Value::Null)?;
            let text = serde_json::to_string(value).ok()?;
            let wrong = ExtraType::parse(kind)?.convert(&text).err()?;
            Some(format!("{column}: {wrong}"))
        });
        unfit.extend(wrong.map(|wrong| (number, wrong)));
    }
    unfit
}

/// Whether a folder has at most what an interrupted import leaves of a store, or of dates, that it was about to make.
fn is_unmade(dir: &Path) -> Result<bool> {
    let names = names(dir)?;
    if names.iter().any(|name| name == "store.json") {
        return Ok(false);
    }
    // Opening the store finishes it.
    if names.iter().any(|name| name == "store.json.tmp") {
        return Ok(true);
    }
    for name in &names {
        let is_left = name.starts_with(POSITIONS) || [".lock", ".new", ".tmp"].iter().any(|end| name.ends_with(end));
        let is_unmade_date =
            || Ok::<bool, Failure>(is_date(name) && dir.join(name).is_dir() && is_unmade(&dir.join(name))?);
        if !is_left && !is_unmade_date()? {
            return Ok(false);
        }
    }
    Ok(true)
}
