//! What can be asked of a store to change, each with what it answers.

use std::fmt::Debug;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::change::Change;
use crate::codec::{self, Entry};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::model::Model;
use crate::record::Record;
use crate::wal::Body;

/// What has to be the case for a write to be made; otherwise it is a [`Conflict`](ErrorKind::Conflict).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// There is no record of the id.
    Absent,
    /// There is one, and it has this version.
    Version(u32),
}

/// As a rule one.
pub(super) type Few<T> = SmallVec<[T; 1]>;

/// Something to be done to a store, as a whole or not at all. The types of this module are all there are.
pub trait Request<M: Model>: Sized {
    /// What it answers once it is done.
    type Outcome;

    #[doc(hidden)]
    fn writes(self) -> Few<Write<M>>;

    #[doc(hidden)]
    fn outcome(effects: Few<Effect<M>>) -> Result<Self::Outcome>;
}

/// One of the writes that a request is made of.
#[derive(Debug)]
pub struct Write<M: Model> {
    pub(super) key: Key,
    pub(super) what: What<M>,
    pub(super) condition: Option<Condition>,
}

#[derive(Debug)]
pub(super) enum What<M: Model> {
    /// The part, the normalized data, what there is besides, and the line's body.
    Put(M::Part, Box<str>, M::Value, Body),
    Remove(M::Part, Body),
    /// The removal of each record that the key may have with these first fields of its part, as `plan::find_keys` found
    /// them.
    RemoveKey(Vec<Option<Box<str>>>, Vec<(M::Part, Body)>),
}

impl<M: Model> Write<M> {
    /// At most so many bytes will its lines take.
    pub(super) fn bytes_at_most(&self) -> usize {
        match &self.what {
            What::Put(.., body) | What::Remove(_, body) => body.line_bytes_at_most(),
            What::RemoveKey(_, removals) => removals.iter().map(|(_, body)| body.line_bytes_at_most()).sum(),
        }
    }
}

/// What became of an id.
#[derive(Debug)]
pub struct Effect<M: Model> {
    pub(super) now: Arc<Record<M>>,
    pub(super) before: Option<Arc<Record<M>>>,
}

/// Writes a record. Answers it as it now stands.
#[derive(Debug)]
pub struct Put<M: Model>(Write<M>);

impl<M: Model> Put<M> {
    /// Writes this.
    pub fn new(entry: Entry<'_, M>) -> Self {
        let body = entry.body();
        // Copied, not shrunk: the end of an allocation that was cut off is of use to nobody, and was 60 bytes a record.
        let data = Box::from(entry.data.as_str());
        let what = What::Put(entry.part, data, entry.value, body);
        Self(Write { key: Key::from(entry.key), what, condition: None })
    }

    /// The same, if this is the case.
    #[must_use]
    pub fn when(mut self, condition: Option<Condition>) -> Self {
        self.0.condition = condition;
        self
    }
}

/// Removes a record. Answers the record that it removed; `None` if there was none, and nothing was written.
#[derive(Debug)]
pub struct Remove<M: Model>(Write<M>);

impl<M: Model> Remove<M> {
    /// Removes the record of this id.
    pub fn new(key: &str, part: M::Part) -> Self {
        let body = codec::removal::<M>(key, &part);
        Self(Write { key: Key::from(key), what: What::Remove(part, body), condition: None })
    }

    /// The same, if this is the case.
    #[must_use]
    pub fn when(mut self, condition: Option<Condition>) -> Self {
        self.0.condition = condition;
        self
    }
}

/// Removes the records of a key, or some of them, as one step. Answers those that it removed, in no particular order.
#[derive(Debug)]
pub struct RemoveKey<M: Model>(Write<M>);

impl<M: Model> RemoveKey<M> {
    /// Removes all records of this key.
    pub fn new(key: &str) -> Self {
        Self::within(key, &[])
    }

    /// Removes the records of this key whose part begins with these fields.
    pub fn within(key: &str, fields: &[Option<&str>]) -> Self {
        let fields = fields.iter().map(|field| field.map(Box::from)).collect();
        Self(Write { key: Key::from(key), what: What::RemoveKey(fields, Vec::new()), condition: None })
    }
}

/// Several writes as one step: after a crash all of them are there or none, and other threads see all or none. Of
/// several for one id each has a version of its own, and the last one stays. Answers the changes that were made.
#[derive(Debug)]
pub struct Batch<M: Model>(Vec<Write<M>>);

impl<M: Model> Batch<M> {
    /// A batch of nothing yet.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds the writing of a record.
    pub fn put(&mut self, put: Put<M>) {
        self.0.push(put.0);
    }

    /// Adds the removal of a record.
    pub fn remove(&mut self, remove: Remove<M>) {
        self.0.push(remove.0);
    }

    /// Adds the removal of all records of a key.
    pub fn remove_key(&mut self, remove: RemoveKey<M>) {
        self.0.push(remove.0);
    }

    /// How many writes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<M: Model> Default for Batch<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Model> Request<M> for Put<M> {
    type Outcome = Arc<Record<M>>;

    fn writes(self) -> Few<Write<M>> {
        smallvec![self.0]
    }

    fn outcome(effects: Few<Effect<M>>) -> Result<Self::Outcome> {
        let effect = effects.into_iter().next();
        effect.map(|effect| effect.now).ok_or_else(|| Error::new(ErrorKind::Corrupt, "a write changed nothing"))
    }
}

impl<M: Model> Request<M> for Remove<M> {
    type Outcome = Option<Arc<Record<M>>>;

    fn writes(self) -> Few<Write<M>> {
        smallvec![self.0]
    }

    fn outcome(effects: Few<Effect<M>>) -> Result<Self::Outcome> {
        Ok(effects.into_iter().next().and_then(|effect| effect.before))
    }
}

impl<M: Model> Request<M> for RemoveKey<M> {
    type Outcome = Vec<Arc<Record<M>>>;

    fn writes(self) -> Few<Write<M>> {
        smallvec![self.0]
    }

    fn outcome(effects: Few<Effect<M>>) -> Result<Self::Outcome> {
        Ok(effects.into_iter().filter_map(|effect| effect.before).collect())
    }
}

impl<M: Model> Request<M> for Batch<M> {
    type Outcome = Vec<Change<M>>;

    fn writes(self) -> Few<Write<M>> {
        self.0.into()
    }

    fn outcome(effects: Few<Effect<M>>) -> Result<Self::Outcome> {
        Ok(effects.into_iter().map(|effect| Change::of(effect.now)).collect())
    }
}
