//! `schema/{table}.schema.json`: a table's declaration as a file, in the form of the specification.

use std::path::Path;

use persist_core::data::quote;
use persist_core::fs::{Fs, read, replace};
use persist_core::{Error, ErrorKind, Result, Value};

use crate::cell::Type;
use crate::schema::{Column, Layout, Schema};

/// The version of the form; a file that names none has this one.
const FORMAT: i64 = 1;

/// Writes the file, durably.
pub(crate) fn write(fs: &dyn Fs, path: &Path, schema: &Schema, created_at: &str) -> Result<()> {
    let mut text = String::from("{\"table_name\":");
    quote(&schema.table, &mut text);
    text.push_str(",\"schema\":{");
    for (at, column) in schema.columns.iter().enumerate() {
        text.push_str(if at == 0 { "" } else { "," });
        quote(&column.name, &mut text);
        text.push_str(":{\"type\":");
        quote(column.kind.name(), &mut text);
        // A whole number may be left out of a row that is inserted, and so the specification calls it nullable.
        let nullable = column.nullable || (column.primary_key && column.kind == Type::Int);
        for (name, is) in [("primary_key", column.primary_key), ("nullable", nullable), ("unique", column.unique)] {
            text.push_str(&format!(",\"{name}\":{is}"));
        }
        if column.index {
            text.push_str(",\"index\":true");
        }
        if let Some(Ok(default)) = &column.default {
            text.push_str(",\"default\":");
            text.push_str(default);
        }
        text.push('}');
    }
    text.push_str("},\"created_at\":");
    quote(created_at, &mut text);
    text.push_str(&format!(",\"format\":{FORMAT}}}"));
    let unwritable = |error: &dyn std::fmt::Display| Error::config(format!("cannot write {}: {error}", path.display()));
    let value: Value = text.parse().map_err(|error: Error| unwritable(&error))?;
    let mut text = serde_json::to_vec_pretty(&value).map_err(|error| unwritable(&error).with_source(error))?;
    text.push(b'\n');
    replace(fs, path, &text)
}

/// Reads the file: the declaration, checked, and when the table was made.
///
/// # Errors
/// `Schema`, naming the file, for one of another version or that makes no sense; `Corrupt` for one that is no JSON.
pub(crate) fn load(fs: &dyn Fs, path: &Path, table: &str) -> Result<(Layout, String)> {
    let bytes = read(fs, path).map_err(|error| Error::io("cannot read", path, error))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format!("{} is no JSON: {error}", path.display())).with_source(error)
    })?;
    let refuse = |why: &str| Error::new(ErrorKind::Schema, format!("{}: {why}", path.display()));
    if let Some(format) = value.get("format").or_else(|| value.get("version"))
        && format.as_i64() != Some(FORMAT)
    {
        return Err(refuse(&format!("it is of version {}, and this program reads {FORMAT}", json(format))));
    }
    let name = value.get("table_name").and_then(Value::as_text).ok_or_else(|| refuse("it names no table_name"))?;
    if name != table {
        return Err(refuse(&format!("it is of table {name:?}, and its name is of {table:?}")));
    }
    let columns = value.get("schema").and_then(Value::as_object).ok_or_else(|| refuse("it has no schema"))?;
    let mut schema = Schema::new(name);
    for (name, said) in columns {
        schema.columns.push(column(name, said).map_err(|why| refuse(&format!("column {name}: {why}")))?);
    }
    let created_at = match value.get("created_at") {
        Some(Value::Timestamp(at)) => at.to_string(),
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let layout = Layout::new(schema).map_err(|error| refuse(&error.to_string()))?;
    Ok((layout, created_at))
}

fn column(name: &str, said: &Value) -> std::result::Result<Column, String> {
    let members = said.as_object().ok_or("it is no object")?;
    let mut column = Column::new(name, Type::Text);
    let mut has_type = false;
    for (member, value) in members {
        let is = || value.as_bool().ok_or_else(|| format!("{member} is {}, and no boolean", json(value)));
        match member.as_str() {
            "type" => {
                let kind = value.as_text().and_then(Type::parse);
                column.kind = kind.ok_or_else(|| format!("{} is no type", json(value)))?;
                has_type = true;
            }
            "primary_key" => column.primary_key = is()?,
            "nullable" => column.nullable = is()?,
            "unique" => column.unique = is()?,
            "index" => column.index = is()?,
            "default" => column.default = Some(Ok(json(value))),
            _ => return Err(format!("{member} is unknown")),
        }
    }
    if has_type { Ok(column) } else { Err("it has no type".to_owned()) }
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
