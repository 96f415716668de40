//! One write, with whatever is said beside the data.

use persist_core::data::{Given, Kind, Resolved, Special, Specials};
use persist_core::request::{self, Condition};
use persist_core::{Durability, Entry, Result};
use serde::Serialize;

use crate::keys;
use crate::model::Dated;
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
    specials: Specials<'a>,
    condition: Option<Condition>,
    durability: Option<Durability>,
}

impl<'a, T> Put<'a, T> {
    pub(crate) fn new(to: T, key: &'a str) -> Self {
        Self { to, key, process_name: None, specials: Specials::default(), condition: None, durability: None }
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

    fn request<D: Serialize + ?Sized>(&mut self, store: &DatedStore, data: &D) -> Result<request::Put<Dated>> {
        let process_name = match self.process_name {
            Some(None) => Given::Argument(Resolved::Null),
            Some(Some(name)) => Given::Argument(Resolved::Text(name.into())),
            // It is in the data that is read back, as null where there is none.
            None => Given::Default(Resolved::Null),
        };
        let process_name = Special { name: keys::PROCESS_NAME, kind: Kind::Text, given: process_name };
        let settled = self.specials.settle(data, [process_name], store.now(), store.rules())?;
        let process_name = match settled.own.as_slice() {
            [Resolved::Text(name)] => Some(name),
            _ => None,
        };
        process_name.map_or(Ok(()), |name| partition::check(name))?;
        let entry = Entry::<Dated>::new(self.key, process_name.map(|name| Box::from(&**name)), settled.data);
        Ok(request::Put::new(entry.repeating(settled.username.as_deref(), settled.timestamp)).when(self.condition))
    }
}

persist_core::special_verbs!();
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
