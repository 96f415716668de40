//! The naive store that a real one is compared with: a map in memory, without a log, threads or a database.

use std::collections::BTreeMap;

use serde_json::Value;

/// An id: the key, and the fields of the part in the model's order.
pub type Id = (String, Vec<Option<String>>);

/// What every store has to hold after the same writes, whatever happened in between.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Oracle {
    rows: BTreeMap<Id, (u32, Value)>,
}

impl Oracle {
    /// A store that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a record; answers its version.
    pub fn put(&mut self, key: &str, fields: &[Option<&str>], data: Value) -> u32 {
        let id = (key.to_owned(), fields.iter().map(|field| field.map(str::to_owned)).collect());
        let row = self.rows.entry(id).or_insert((0, Value::Null));
        *row = (row.0 + 1, data);
        row.0
    }

    /// Every id with its version and data, in order.
    pub fn rows(&self) -> impl Iterator<Item = (&Id, u32, &Value)> {
        self.rows.iter().map(|(id, (version, data))| (id, *version, data))
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
