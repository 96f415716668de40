//! Making, changing and removing tables.

use std::sync::Arc;

use parking_lot::RwLock;
use persist_core::planted::planted;
use persist_core::wal::{Marks, Reach};
use persist_core::{Error, ErrorKind, Result};

use crate::checkpoint;
use crate::open::{has_records, remove_files};
use crate::operation::{Action, body};
use crate::row::{self, Row};
use crate::save::new_table;
use crate::schema::{Layout, Schema};
use crate::schema_file;
use crate::shared::{Identity, Shared, Storage};
use crate::slot::{Slot, Table};
use crate::state::State;

/// The table of a declaration, which is made if there is none.
pub(crate) fn make(shared: &Shared, schema: Schema) -> Result<Table> {
    let layout = Layout::new(schema)?;
    let table = shared.catalog.read().get(layout.table()).cloned();
    if let Some(table) = table {
        return same(&layout, table);
    }
    // Before the catalog: whoever saves takes them in this order.
    let mut saving = shared.storage.as_ref().map(|storage| storage.saving.lock());
    let mut catalog = shared.catalog.write();
    if let Some(table) = catalog.get(layout.table()).cloned() {
        drop(catalog);
        return same(&layout, table);
    }
    if let Some(other) = catalog.keys().find(|name| name.eq_ignore_ascii_case(layout.table())) {
        let message = format!("table {}: there is {other}, and its files may be the same", layout.table());
        return Err(Error::new(ErrorKind::Schema, message));
    }
    let created_at = shared.now();
    let mut slot = Slot::new(Arc::new(layout), created_at.to_string());
    slot.state = Some(State::new(&slot.layout));
    if let Some(storage) = &shared.storage {
        storage.log.refusal().map_or(Ok(()), Err)?;
        if let Some(identity) = &mut saving {
            // What is left of an earlier table of this name would be taken for this one's.
            remove_dropped(storage, identity)?;
        }
        // A power cut that leaves the table leaves what was written before it, however that was acknowledged.
        storage.log.sync()?;
        let (fs, name) = (storage.fs.as_ref(), slot.name().to_owned());
        if let Some(path) = has_records(fs, &storage.paths, &name)? {
            let (path, schema) = (path.display(), storage.paths.schema_of(&name));
            let message = format!("{path} is there, and not {}, which says what is in it", schema.display());
            return Err(Error::new(ErrorKind::Schema, message));
        }
        // The table is there when its schema file is.
        slot.saved = Some(new_table(storage, &name, shared.config.compress_data, slot.created_at.clone())?);
        schema_file::write(fs, &storage.paths.schema_of(&name), &slot.layout.schema, &slot.created_at)?;
        let seq = log(shared, storage, Action::CreateTable, &slot.layout)?;
        if let Some(state) = &mut slot.state {
            state.last_seq = seq;
        }
        let table = Arc::new(RwLock::new(slot));
        catalog.insert(name, Arc::clone(&table));
        drop((catalog, saving));
        storage.acknowledge(seq, shared.config.durability)?;
        return Ok(table);
    }
    let (name, table) = (slot.name().to_owned(), Arc::new(RwLock::new(slot)));
    catalog.insert(name, Arc::clone(&table));
    Ok(table)
}

fn same(declared: &Layout, table: Table) -> Result<Table> {
    let differences = declared.schema.differences(&table.read().layout.schema);
    if differences.is_empty() {
        return Ok(table);
    }
    let message = format!(
        "table {} is not as it is declared ({}); `migrate` adds columns that take null or have a default",
        declared.table(),
        differences.join("; ")
    );
    Err(Error::new(ErrorKind::Schema, message))
}

/// Writes a line about a table itself, and answers its `seq`.
fn log(shared: &Shared, storage: &Storage, action: Action, layout: &Layout) -> Result<u64> {
    let line = body(shared.now(), action, layout, None, None);
    let bytes = line.line_bytes_at_most();
    let stamp = storage.log.begin(bytes)?.push(line, Marks::default());
    storage.signal.note_written(bytes as u64, false);
    Ok(stamp.seq)
}

/// Removes a table.
pub(crate) fn remove(shared: &Shared, name: &str) -> Result<()> {
    let mut saving = shared.storage.as_ref().map(|storage| storage.saving.lock());
    let table = shared.table(name)?;
    // Not under the catalog's lock: a transaction that holds the table may ask for another.
    let mut slot = table.write();
    if let Some(storage) = &shared.storage {
        let seq = log(shared, storage, Action::DropTable, &slot.layout)?;
        // Whatever the durability: no file goes before it is certain that the table does.
        storage.log.wait(seq, if planted("dropped-in-doubt") { Reach::Written } else { Reach::Durable })?;
    }
    (slot.is_dropped, slot.state, slot.saved) = (true, None, None);
    shared.catalog.write().remove(name);
    if let (Some(storage), Some(identity)) = (&shared.storage, &mut saving) {
        identity.dropped.insert(name.to_owned());
        remove_dropped(storage, identity)?;
    }
    Ok(())
}

/// Removes the files of tables that were dropped. Those that fail stay noted, and are tried again: until they are gone the
/// log keeps what says that the table is dropped.
pub(crate) fn remove_dropped(storage: &Storage, identity: &mut Identity) -> Result<()> {
    while let Some(table) = identity.dropped.first() {
        remove_files(storage, table)?;
        identity.dropped.pop_first();
    }
    Ok(())
}

/// Brings a table to another declaration.
pub(crate) fn migrate(shared: &Shared, schema: Schema) -> Result<()> {
    let layout = Arc::new(Layout::new(schema)?);
    {
        let _saving = shared.storage.as_ref().map(|storage| storage.saving.lock());
        let table = shared.table(layout.table())?;
        let mut slot = table.write();
        slot.load(shared)?;
        let slot = &mut *slot;
        let Some(state) = &slot.state else { return Ok(()) };
        let refused = refused(&layout.schema, &slot.layout.schema);
        if !refused.is_empty() {
            let message = format!("table {} can't be migrated: {}", layout.table(), refused.join("; "));
            return Err(Error::new(ErrorKind::Schema, message));
        }
        let mut migrated = State::new(&layout);
        let mut text = String::new();
        for row in state.rows.values() {
            text.clear();
            row::write(&slot.layout, row, &mut text);
            let row: Row = row::parse_whole(&layout, &text)?;
            migrated.check(&layout, None, &row)?;
            migrated.push(&layout, row);
        }
        (migrated.next_key, migrated.last_seq) = (migrated.next_key.max(state.next_key), state.last_seq);
        (migrated.dirty, migrated.rewrite) = (true, true);
        if let Some(storage) = &shared.storage {
            // Rows of the file and of the log that lack a column are read with its default, or null, from here on.
            let path = storage.paths.schema_of(layout.table());
            storage.log.sync()?;
            schema_file::write(storage.fs.as_ref(), &path, &layout.schema, &slot.created_at)?;
        }
        (slot.layout, slot.state) = (layout, Some(migrated));
    }
    shared.storage.as_ref().map_or(Ok(()), |storage| checkpoint::save(shared, storage, false))
}

/// The differences that a migration does not make up for.
fn refused(new: &Schema, old: &Schema) -> Vec<String> {
    // Columns that may be added are taken for present, and an index for no difference.
    let mut present = old.clone();
    for column in &new.columns {
        match present.columns.iter_mut().find(|other| other.name == column.name) {
            Some(other) => other.index = column.index,
            // All rows would have the default, which one alone may have.
            None if column.unique
                && column.default.as_ref().is_some_and(|default| default.as_deref() != Ok("null")) => {}
            None if column.nullable || column.default.is_some() => present.columns.push(column.clone()),
            None => {}
        }
    }
    new.differences(&present)
}
