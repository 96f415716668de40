//! One write, with whatever is said beside the data.

use std::borrow::Cow;

use persist_core::data::{Given, Kind, Resolved, Special, normalize, to_json};
use persist_core::request::{self, Condition};
use persist_core::{Durability, Entry, Error, Result, Timestamp};
use serde::Serialize;

use crate::keys;
use crate::model::Dated;
use crate::moment::IntoTimestamp;
use crate::partition;
use crate::store::DatedStore;

/// A write that is being put together, for a store or for a [`Batch`]; [`Put::data`] makes it.
///
/// What is said here beats a field of the data, and a field beats the default.
#[derive(Debug)]
#[must_use = "nothing is written before `data` is called"]
pub struct Put<'a, T = &'a DatedStore> {
    to: T,
    key: &'a str,
    process_name: Option<Option<&'a str>>,
    username: Option<&'a str>,
    status: Option<&'a str>,
    status_int: Option<i32>,
    timestamp: Option<Result<Timestamp>>,
    condition: Option<Condition>,
    durability: Option<Durability>,
}

impl<'a, T> Put<'a, T> {
    pub(crate) fn new(to: T, key: &'a str) -> Self {
        Self {
            to,
            key,
            process_name: None,
            username: None,
            status: None,
            status_int: None,
            timestamp: None,
            condition: None,
            durability: None,
        }
    }

    /// The process name. With the key it is the record's id. Default: `process_name` of the data, else none.
    pub fn process(mut self, name: &'a str) -> Self {
        self.process_name = Some(Some(name));
        self
    }

    /// No process name, whatever the data says.
    pub fn no_process(mut self) -> Self {
        self.process_name = Some(None);
        self
    }

    /// The user name. Default: `username` of the data, else none.
    pub fn username(mut self, name: &'a str) -> Self {
        self.username = Some(name);
        self
    }

    /// The status. Default: `status` of the data, else none.
    pub fn status(mut self, status: &'a str) -> Self {
        self.status = Some(status);
        self
    }

    /// The status as a number. Default: `status_int` of the data, else none.
    pub fn status_int(mut self, status: i32) -> Self {
        self.status_int = Some(status);
        self
    }

    /// The record's timestamp: a [`Timestamp`], a moment of the `time` crate, or ISO 8601 text, UTC where it names no
    /// offset. Default: `timestamp` of the data, else now.
    pub fn timestamp(mut self, timestamp: impl IntoTimestamp) -> Self {
        self.timestamp = Some(timestamp.into_timestamp());
        self
    }

    fn request<D: Serialize + ?Sized>(&mut self, store: &DatedStore, data: &D) -> Result<request::Put<Dated>> {
        let text = |given: Option<&'a str>, default: Given<'a>| match given {
            Some(text) => Given::Argument(Resolved::Text(Cow::Borrowed(text))),
            None => default,
        };
        let process_name = match self.process_name {
            Some(None) => Given::Argument(Resolved::Null),
            Some(name) => text(name, Given::Data),
            // It is in the data that is read back, as null where there is none.
            None => Given::Default(Resolved::Null),
        };
        let timestamp = match self.timestamp.take().transpose()? {
            Some(timestamp) => Given::Argument(Resolved::Timestamp(timestamp)),
            None => Given::Default(Resolved::Timestamp(store.now())),
        };
        let status_int = self.status_int.map_or(Given::Data, |status| Given::Argument(Resolved::Int32(status)));
        let specials = [
            Special { name: keys::PROCESS_NAME, kind: Kind::Text, given: process_name },
            Special { name: keys::TIMESTAMP, kind: Kind::Timestamp, given: timestamp },
            Special { name: keys::STATUS, kind: Kind::Text, given: text(self.status, Given::Data) },
            Special { name: keys::STATUS_INT, kind: Kind::Int32, given: status_int },
            Special { name: keys::USERNAME, kind: Kind::Text, given: text(self.username, Given::Data) },
        ];
        let normalized = normalize(&to_json(data)?, &specials, store.rules())?;
        let [process_name, Resolved::Timestamp(timestamp), _, _, username] = normalized.fields.as_slice() else {
            return Err(Error::input("timestamp: a record has one"));
        };
        let process_name = as_text(process_name);
        process_name.map_or(Ok(()), partition::check)?;
        let entry = Entry::<Dated>::new(self.key, process_name.map(Box::from), normalized.text);
        Ok(request::Put::new(entry.repeating(as_text(username), *timestamp)).when(self.condition))
    }
}

persist_core::write_verbs!(DatedStore, Dated);
persist_core::key_verbs!(DatedStore, Dated);

impl Batch<'_> {
    /// Adds the removal of the record of a key and a process name; `None` is the record without one.
    pub fn remove(&mut self, key: &str, process_name: Option<&str>) {
        self.request.remove(request::Remove::new(key, process_name.map(Box::from)));
    }

    /// As [`Batch::remove`], only if there is such a record, at this version; otherwise the whole batch is a
    /// [`Conflict`](persist_core::ErrorKind::Conflict).
    pub fn remove_if_version(&mut self, key: &str, process_name: Option<&str>, version: u32) {
        let condition = Some(Condition::Version(version));
        self.request.remove(request::Remove::new(key, process_name.map(Box::from)).when(condition));
    }
}

fn as_text<'a>(resolved: &'a Resolved<'_>) -> Option<&'a str> {
    match resolved {
        Resolved::Text(text) => Some(text),
        _ => None,
    }
}
