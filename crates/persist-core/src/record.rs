//! A record as memory holds it.
//!
//! The data is kept as its normalized JSON text and parsed on demand, so that a record costs its text and little more.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::data::{Value, is_name, members, unescape, whole};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::keys;
use crate::model::Model;
use crate::timestamp::Timestamp;

/// A record that was stored: its id, its data, and when and how often it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<M: Model> {
    pub(crate) key: Key,
    pub(crate) part: M::Part,
    pub(crate) data: Box<str>,
    pub(crate) value: M::Value,
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) version: u32,
}

impl<M: Model> Record<M> {
    /// The record's key.
    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// What tells the record apart from the others of its key.
    pub fn part(&self) -> &M::Part {
        &self.part
    }

    /// What the record has besides its data.
    pub fn typed_value(&self) -> &M::Value {
        &self.value
    }

    /// The data as normalized JSON text: an object, the special fields that were resolved among its members.
    pub fn json(&self) -> &str {
        &self.data
    }

    /// The data as the caller's own type.
    ///
    /// A moment comes back as its normalized text, whatever it was stored as: read it as a [`Timestamp`], or with the
    /// serde helpers [`moment`](crate::timestamp::moment), for types of the `time` crate, and
    /// [`text`](crate::timestamp::text), for text that may look like a date and must not change.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) where the data does not have the shape of `T`.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T> {
        from_json(&self.data).map_err(|error| self.unfit::<T>("the record", error))
    }

    /// The data as a dynamic value: always [`Value::Object`].
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) where another program has put data that is no JSON into the database.
    pub fn value(&self) -> Result<Value> {
        self.to()
    }

    /// One member of the data as the caller's own type, or as a [`Value`]; `None` where it is absent or `null`.
    ///
    /// The rest of the data is passed over, not parsed.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) where the member does not have the shape of `T`.
    pub fn field<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let parse = |json| from_json(json).map_err(|error| self.unfit::<T>(&format!("the field {name:?}"), error));
        self.member(name).map(parse).transpose()
    }

    /// The record's timestamp: what the call or the data said, else when it was stored. `None` in a model without one.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.member(keys::TIMESTAMP).and_then(unescape).and_then(|text| Timestamp::parse(&text))
    }

    /// The record's status, if it has one.
    pub fn status(&self) -> Option<Cow<'_, str>> {
        self.member(keys::STATUS).and_then(unescape)
    }

    /// The record's status as a number, if it has one.
    pub fn status_int(&self) -> Option<i32> {
        self.member(keys::STATUS_INT).and_then(whole)
    }

    /// Who wrote the record, if that was said.
    pub fn username(&self) -> Option<Cow<'_, str>> {
        self.member(keys::USERNAME).and_then(unescape)
    }

    /// When the record was written; never earlier than a record written before it.
    pub fn written_at(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.at)
    }

    /// How often this id has been written, this write included: 1 for the first.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The record's place in the log; `None` for one read back from DuckDB after the log was retired.
    pub fn seq(&self) -> Option<u64> {
        (self.seq > 0).then_some(self.seq)
    }

    #[cfg(feature = "duckdb")]
    /// Whether this stands for the removal of a record: such a one has no data, not even an object's braces.
    pub(crate) fn is_removal(&self) -> bool {
        self.data.is_empty()
    }

    /// The text of a member that is not `null`.
    fn member(&self, name: &str) -> Option<&str> {
        let (_, value) = members(&self.data).find(|(raw, _)| is_name(raw, name))?;
        (value != "null").then_some(value)
    }

    fn unfit<T>(&self, what: &str, error: serde_json::Error) -> Error {
        let wanted = std::any::type_name::<T>();
        Error::input(format!("{what} of key {:?} is no {wanted}: {error}", self.key)).with_source(error)
    }
}

/// Without the limit of `serde_json` on nesting: data that is deeper than a store allows was never taken.
fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.disable_recursion_limit();
    let value = T::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}
