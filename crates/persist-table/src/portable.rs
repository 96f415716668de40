//! Tables as files that other programs read, and back: one JSON object, in the form of the specification, or CSV.

use std::path::Path;

use persist_core::data::quote;
use persist_core::fs::{make_durable_folder, read, replace};
use persist_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cell::{Cell, Type};
use crate::csv;
use crate::row::{self, Given};
use crate::schema::Layout;
use crate::shared::Shared;
use crate::slot;
use crate::work::Work;

/// Writes a table as `{"table": …, "records": […], "count": …, "exported_at": …}`; answers how many records.
pub(crate) fn export_json(shared: &Shared, table: &str, path: &Path) -> Result<usize> {
    let table = shared.table(table)?;
    let mut text = String::from("{\n  \"table\": ");
    let count = {
        let slot = slot::read(&table, shared)?;
        quote(slot.name(), &mut text);
        text.push_str(",\n  \"records\": [");
        let rows = slot.state.iter().flat_map(|state| state.rows.values());
        let mut count = 0;
        for row in rows {
            text.push_str(if count == 0 { "\n    " } else { ",\n    " });
            row::write(&slot.layout, row, &mut text);
            count += 1;
        }
        count
    };
    text.push_str(&format!("\n  ],\n  \"count\": {count},\n  \"exported_at\": \"{}\"\n}}\n", shared.now()));
    put(shared, path, &text)?;
    Ok(count)
}

/// Writes a table as CSV, the names of its columns first; answers how many records.
pub(crate) fn export_csv(shared: &Shared, table: &str, path: &Path) -> Result<usize> {
    let table = shared.table(table)?;
    let mut text = String::new();
    let count = {
        let slot = slot::read(&table, shared)?;
        csv::write(slot.layout.schema.columns().map(Some), &mut text);
        let rows = slot.state.iter().flat_map(|state| state.rows.values());
        let mut count = 0;
        for row in rows {
            let fields: Vec<Option<String>> = row.iter().map(field_of).collect();
            csv::write(fields.iter().map(Option::as_deref), &mut text);
            count += 1;
        }
        count
    };
    put(shared, path, &text)?;
    Ok(count)
}

fn field_of(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Null => None,
        Cell::Text(text) => Some(text.to_string()),
        Cell::Timestamp(at) => Some(at.to_string()),
        cell => {
            let mut text = String::new();
            cell.write(&mut text);
            Some(text)
        }
    }
}

fn put(shared: &Shared, path: &Path, text: &str) -> Result<()> {
    let fs = shared.config.fs.as_ref();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_durable_folder(fs, folder)?;
    }
    replace(fs, path, text.as_bytes())
}

/// What is exported, as it is read.
#[derive(Deserialize)]
struct Exported<'a> {
    table: String,
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
    #[serde(default)]
    count: Option<usize>,
}

/// Adds the records of an exported file to its table, all or none; answers how many.
pub(crate) fn import_json(shared: &Shared, path: &Path) -> Result<usize> {
    let text = text_of(shared, path)?;
    let exported: Exported<'_> = serde_json::from_str(&text).map_err(|error| {
        let (line, path) = (error.line(), path.display());
        Error::input(format!("{path}, line {line}: it is no exported table: {error}")).with_source(error)
    })?;
    if let Some(count) = exported.count.filter(|count| *count != exported.records.len()) {
        let (path, found) = (path.display(), exported.records.len());
        return Err(Error::input(format!("{path}: it says that it has {count} records, and has {found}")));
    }
    let line_of = |raw: &RawValue| {
        // It is borrowed from the text.
        let offset = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        1 + text.get(..offset).unwrap_or_default().matches('\n').count()
    };
    let records = exported.records.iter().map(|raw| (raw, raw.get()));
    let read = (|_: &Layout| Ok(()), |layout: &Layout, (): &(), json| row::parse(layout, json));
    import(shared, &exported.table, path, records, read, |raw| line_of(raw))
}

/// Adds the records of a CSV file to a table, all or none; answers how many.
pub(crate) fn import_csv(shared: &Shared, table: &str, path: &Path) -> Result<usize> {
    let text = text_of(shared, path)?;
    let at = |line: usize, why: &str| Error::input(format!("{}, line {line}: {why}", path.display()));
    let mut records = csv::read(&text).map_err(|(line, why)| at(line, why))?.into_iter();
    let Some((_, header)) = records.next() else { return Err(at(1, "it names no columns")) };
    // Made out while the table is held: another may migrate it until then.
    let places_of = |layout: &Layout| {
        let mut places: Vec<usize> = Vec::new();
        for (name, _) in &header {
            let place = layout.place(name).map_err(|error| at(1, &error.to_string()))?;
            if places.contains(&place) {
                return Err(at(1, &format!("column {name} is there twice")));
            }
            places.push(place);
        }
        Ok(places)
    };
    let records: Vec<csv::Record> = records.collect();
    let given = |layout: &Layout, places: &Vec<usize>, fields: &Vec<csv::Field>| {
        if fields.len() != places.len() {
            let message = format!("it has {} fields, and the first line names {} columns", fields.len(), places.len());
            return Err(Error::input(message));
        }
        let mut given: Given = vec![None; layout.schema.columns.len()];
        for (place, (text, is_quoted)) in places.iter().zip(fields) {
            let Some((column, slot)) = layout.column(*place).zip(given.get_mut(*place)) else { continue };
            *slot = Some(if text.is_empty() && !is_quoted {
                Cell::Null
            } else if matches!(column.kind, Type::Text | Type::Timestamp) {
                let mut json = String::new();
                quote(text, &mut json);
                layout.cell_of(*place, &json)?
            } else {
                layout.cell_of(*place, text)?
            });
        }
        Ok(given)
    };
    let records = records.iter().map(|(line, fields)| (line, fields));
    import(shared, table, path, records, (places_of, given), |line| *line)
}

fn text_of(shared: &Shared, path: &Path) -> Result<String> {
    let bytes = read(shared.config.fs.as_ref(), path).map_err(|error| Error::io("cannot read", path, error))?;
    String::from_utf8(bytes).map_err(|error| Error::input(format!("{} is not UTF-8: {error}", path.display())))
}

/// Adds records to a table, all or none. `prepare` looks at the declaration first, and what it answers helps `given` to read
/// each record.
fn import<P, R, H>(
    shared: &Shared,
    table: &str,
    path: &Path,
    records: impl Iterator<Item = (P, R)>,
    (prepare, given): (impl FnOnce(&Layout) -> Result<H>, impl Fn(&Layout, &H, R) -> Result<Given>),
    line_of: impl Fn(P) -> usize,
) -> Result<usize> {
    let table = shared.table(table)?;
    let mut work = Work::new(shared, shared.config.durability);
    let add = |work: &mut Work<'_>| {
        let at = work.hold(&table)?;
        let layout = work.table(at)?.0.clone();
        let help = prepare(&layout)?;
        let mut count = 0;
        for (place, record) in records {
            let added = given(&layout, &help, record).and_then(|given| work.insert(at, given));
            if let Err(error) = added {
                let kind = if error.kind() == ErrorKind::Conflict { ErrorKind::Conflict } else { ErrorKind::Input };
                let message = format!("{}, line {}: {error}", path.display(), line_of(place));
                return Err(Error::new(kind, message).with_source(error));
            }
            count += 1;
        }
        Ok(count)
    };
    match add(&mut work) {
        Ok(count) => work.commit().map(|()| count),
        Err(error) => Err(work.refuse(error)),
    }
}
