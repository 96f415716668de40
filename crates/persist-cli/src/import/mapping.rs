//! What the columns of a row are: those that have a role make the id and the special fields, the others the data.

use persist_core::{Timestamp, Value};

use super::source::{Place, Row};
use crate::failure::{Failure, Result};

/// What a column may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Date,
    Key,
    Process,
    Collection,
    Item,
    Value,
    Timestamp,
    Username,
    Status,
    Data,
}

/// The roles, and the columns that have them where nothing else is said.
const ROLES: [(Role, &str, &[&str]); 10] = [
    (Role::Date, "date", &["date"]),
    (Role::Key, "key", &["key"]),
    (Role::Process, "process", &["process", "process_name"]),
    (Role::Collection, "collection", &["collection", "collection_name"]),
    (Role::Item, "item", &["item", "item_name"]),
    (Role::Value, "value", &["value"]),
    (Role::Timestamp, "timestamp", &["timestamp"]),
    (Role::Username, "username", &["username"]),
    (Role::Status, "status", &["status"]),
    (Role::Data, "data", &["data"]),
];

/// Which columns have which roles.
#[derive(Debug)]
pub(crate) struct Mapping(Vec<(Role, Vec<String>)>);

/// A row as a record.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) start: Place,
    pub(crate) end: u64,
    pub(crate) date: Option<String>,
    pub(crate) key: String,
    pub(crate) process: Option<String>,
    pub(crate) collection: String,
    pub(crate) item: String,
    pub(crate) value: serde_json::Value,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) username: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) data: Value,
}

/// What `--map` says.
pub(crate) fn parse(text: &str) -> Result<(Role, String), String> {
    let (role, column) = text.split_once('=').ok_or("write ROLE=COLUMN, such as key=id")?;
    let known = ROLES.iter().find(|(_, name, _)| *name == role);
    let names = || ROLES.map(|(_, name, _)| name).join(", ");
    known.map(|(role, ..)| (*role, column.to_owned())).ok_or_else(|| format!("{role:?} is none of {}", names()))
}

fn name(role: Role) -> &'static str {
    ROLES.iter().find(|(other, ..)| *other == role).map_or("", |(_, name, _)| name)
}

impl Mapping {
    /// What was said, and the usual names for the rest. `columns` are all there are, where that is known.
    pub(crate) fn new(said: &[(Role, String)], roles: &[Role], columns: Option<&[String]>) -> Result<Self> {
        let is_there = |column: &str| columns.is_none_or(|columns| columns.iter().any(|there| there == column));
        if let Some((role, _)) = said.iter().find(|(role, _)| !roles.contains(role)) {
            return Err(Failure::Usage(format!("the records of this store have no {}", name(*role))));
        }
        if let Some((role, column)) = said.iter().find(|(_, column)| !column.is_empty() && !is_there(column)) {
            let columns = columns.unwrap_or_default().join(", ");
            let message = format!("there is no column {column:?} for {}: there are {columns}", name(*role));
            return Err(Failure::Usage(message));
        }
        let mut mapping = Vec::new();
        for (role, _, usual) in ROLES.iter().filter(|(role, ..)| roles.contains(role)) {
            let of_role = said.iter().rev().find(|(said, _)| said == role);
            let columns = match of_role {
                Some((_, column)) if column.is_empty() => Vec::new(),
                Some((_, column)) => vec![column.clone()],
                None => usual.iter().map(|name| (*name).to_owned()).filter(|name| is_there(name)).collect(),
            };
            mapping.push((*role, columns));
        }
        let mapping = Self(mapping);
        if mapping.columns(Role::Key).is_empty() {
            let columns = columns.unwrap_or_default().join(", ");
            return Err(Failure::Usage(format!("which column is the key? Say --map key=COLUMN, of {columns}")));
        }
        Ok(mapping)
    }

    fn columns(&self, role: Role) -> &[String] {
        self.0.iter().find(|(other, _)| *other == role).map_or(&[], |(_, columns)| columns)
    }

    /// The record that a row is.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn map(&self, row: Row) -> Result<Mapped, String> {
        let Row { start, end, columns } = row;
        let columns = columns?;
        let found = |role: Role| {
            let names = self.columns(role);
            let found = names.iter().find_map(|name| columns.iter().find(|(column, _)| column == name));
            found.map(|(_, value)| value).filter(|value| **value != Value::Null)
        };
        let text = |role: Role| found(role).map(|value| as_text(value, role)).transpose();
        let key = text(Role::Key)?.ok_or_else(|| format!("it has no {}", self.columns(Role::Key).join(" or ")))?;
        let timestamp = text(Role::Timestamp)?.map(|text| {
            Timestamp::parse(&text).ok_or_else(|| format!("the timestamp {text:?} is no moment of ISO 8601"))
        });
        let value = found(Role::Value).map_or(Ok(serde_json::Value::Null), as_typed)?;
        let data = match found(Role::Data) {
            Some(data) => as_object(data)?,
            None => {
                let is_other = |column: &String| !self.0.iter().any(|(_, columns)| columns.contains(column));
                let others = columns.iter().filter(|(column, value)| is_other(column) && *value != Value::Null);
                Value::Object(others.cloned().collect())
            }
        };
        Ok(Mapped {
            start,
            end,
            date: text(Role::Date)?,
            key,
            process: text(Role::Process)?,
            collection: text(Role::Collection)?.unwrap_or_default(),
            item: text(Role::Item)?.unwrap_or_default(),
            value,
            timestamp: timestamp.transpose()?,
            username: text(Role::Username)?,
            status: text(Role::Status)?,
            data,
        })
    }
}

fn as_text(value: &Value, role: Role) -> Result<String, String> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.as_str().to_owned()),
        Value::Timestamp(moment) => Ok(moment.to_string()),
        Value::Bool(is) => Ok(is.to_string()),
        Value::Null | Value::List(_) | Value::Object(_) => {
            Err(format!("its {} is neither text nor a number", name(role)))
        }
    }
}

fn as_typed(value: &Value) -> Result<serde_json::Value, String> {
    match value {
        Value::List(_) | Value::Object(_) => Err("its value is neither a number nor text".to_owned()),
        other => serde_json::to_value(other).map_err(|error| format!("its value can't be stored: {error}")),
    }
}

fn as_object(value: &Value) -> Result<Value, String> {
    let hint = "; with --map data= it is a column as any other";
    match value {
        Value::Object(_) => Ok(value.clone()),
        Value::Text(text) => match serde_json::from_str(text) {
            Ok(object @ Value::Object(_)) => Ok(object),
            _ => Err(format!("its data is no JSON object{hint}")),
        },
        _ => Err(format!("its data is no JSON object{hint}")),
    }
}
