//! A record as it is printed, whatever the model.

use persist_core::text::table;
use persist_core::{Change, Model, Record, RecordValue, Scalar, Timestamp};
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A record, or the removal of one, as it is printed.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    key: String,
    /// What tells it apart from the others of its key: name and text.
    part: Vec<(&'static str, Option<String>)>,
    version: u32,
    written_at: Timestamp,
    /// `None` in a model without one.
    value: Option<Option<Scalar>>,
    /// `None`: it was removed.
    data: Option<String>,
}

impl Row {
    /// A record.
    pub(crate) fn of<M: Model>(record: &Record<M>) -> Self {
        let value = M::Value::FIELD.is_some().then(|| record.typed_value().scalar().cloned());
        let (version, written_at) = (record.version(), record.written_at());
        let (key, data) = (record.key().to_owned(), Some(record.json().to_owned()));
        Self { key, part: part::<M>(record.part()), version, written_at, value, data }
    }

    /// What became of a record.
    pub(crate) fn of_change<M: Model>(change: &Change<M>) -> Self {
        match change.record() {
            Some(record) => Self::of(record),
            None => Self {
                key: change.key().to_owned(),
                part: part::<M>(change.part()),
                version: change.version(),
                written_at: change.written_at(),
                value: M::Value::FIELD.is_some().then_some(None),
                data: None,
            },
        }
    }

    /// What rows are sorted by: the id.
    pub(crate) fn id(&self) -> (&str, &[(&'static str, Option<String>)]) {
        (&self.key, &self.part)
    }
}

fn part<M: Model>(part: &M::Part) -> Vec<(&'static str, Option<String>)> {
    let fields = M::PART_FIELDS.iter().enumerate();
    fields.map(|(field, name)| (*name, M::part_text(part, field).map(str::to_owned))).collect()
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("key", &self.key)?;
        for (name, text) in &self.part {
            map.serialize_entry(name, text)?;
        }
        map.serialize_entry("version", &self.version)?;
        map.serialize_entry("written_at", &self.written_at)?;
        match &self.value {
            None => {}
            Some(None) => map.serialize_entry("value", &())?,
            Some(Some(Scalar::Int(value))) => map.serialize_entry("value", value)?,
            Some(Some(Scalar::Float(value))) => map.serialize_entry("value", value)?,
            Some(Some(Scalar::Text(value))) => map.serialize_entry("value", value)?,
        }
        // As it was stored, digit by digit.
        let data = self.data.clone().map(RawValue::from_string).transpose().map_err(S::Error::custom)?;
        map.serialize_entry("data", &data)?;
        map.end()
    }
}

/// Rows of one store in aligned columns.
pub(crate) fn rows_as_text(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let has_value = first.value.is_some();
    let mut names = vec!["key"];
    names.extend(first.part.iter().map(|(name, _)| *name));
    names.extend(["version", "written_at"]);
    names.extend(has_value.then_some("value"));
    names.push("data");
    let cells = |row: &Row| {
        let mut cells = vec![row.key.clone()];
        cells.extend(row.part.iter().map(|(_, text)| text.clone().unwrap_or_else(|| "-".to_owned())));
        cells.extend([row.version.to_string(), row.written_at.to_string()]);
        cells.extend(row.value.as_ref().map(|value| match value {
            None => "-".to_owned(),
            Some(Scalar::Int(value)) => value.to_string(),
            Some(Scalar::Float(value)) => value.to_string(),
            Some(Scalar::Text(value)) => format!("{value:?}"),
        }));
        cells.push(row.data.clone().unwrap_or_else(|| "(removed)".to_owned()));
        cells
    };
    table(&names, &rows.iter().map(cells).collect::<Vec<_>>(), |_| false)
}
