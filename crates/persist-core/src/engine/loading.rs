//! Reading records into memory as they are asked for, in a model that keeps all writes.
//!
//! What it keeps true: before an id is read or written, all records that are loaded with it are in memory. What was
//! written since the opening is there anyhow, as a write loads what it touches. So the base alone has to be read: the
//! opening has brought it up to date, and what it lacks by now is in memory.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use parking_lot::{RwLock, RwLockReadGuard};

use super::open::loaded;
use super::request::{What, Write};
use super::shared::{Engine, Shared};
use crate::error::Result;
use crate::model::Model;

const SHARDS: usize = 64;

/// What of the records is in memory.
#[derive(Debug)]
pub(super) struct InMemory {
    everything: AtomicBool,
    shards: Vec<RwLock<HashMap<Box<str>, Extent>>>,
    hasher: DefaultHashBuilder,
    /// Held while records are read, and exclusively while removals are forgotten: one that was read before must not come
    /// in after its removal is forgotten.
    reading: RwLock<()>,
}

/// What of a key's records is in memory.
#[derive(Debug)]
enum Extent {
    All,
    /// Those whose part begins with these fields.
    Some(HashSet<Vec<Option<Box<str>>>>),
}

impl Extent {
    fn has(&self, fields: Option<&[Option<&str>]>) -> bool {
        match (self, fields) {
            (Self::All, _) => true,
            (Self::Some(_), None) => false,
            (Self::Some(loaded), Some(fields)) => loaded.contains(&owned(fields)),
        }
    }
}

impl InMemory {
    /// Everything is, or nothing yet.
    pub(super) fn new(everything: bool) -> Self {
        Self {
            everything: AtomicBool::new(everything),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            reading: RwLock::new(()),
        }
    }

    pub(super) fn is_everything(&self) -> bool {
        self.everything.load(Ordering::Acquire)
    }

    fn has(&self, key: &str, fields: Option<&[Option<&str>]>) -> bool {
        let has = |shard: &RwLock<HashMap<Box<str>, Extent>>| shard.read().get(key).is_some_and(|e| e.has(fields));
        self.is_everything() || self.shard(key).is_some_and(has)
    }

    fn shard(&self, key: &str) -> Option<&RwLock<HashMap<Box<str>, Extent>>> {
        self.shards.get(self.hasher.hash_one(key) as usize % SHARDS)
    }

    /// Calls `forget` while nothing is being read.
    pub(super) fn while_none_is_read<T>(&self, forget: impl FnOnce() -> T) -> T {
        let _none_is_read = self.reading.write();
        forget()
    }

    fn read(&self) -> RwLockReadGuard<'_, ()> {
        self.reading.read()
    }
}

impl<M: Model> Engine<M> {
    /// Has the records of a key in memory whose part begins like `fields`, or all of them. A model without a
    /// [history](Model::HISTORY) has all records there anyhow.
    ///
    /// Records are read together that agree in so many first fields as [`loaded_by`](crate::History::loaded_by) says; the
    /// others of `fields` do not matter.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database), [`Corrupt`](crate::ErrorKind::Corrupt).
    pub fn load(&self, key: &str, fields: Option<&[Option<&str>]>) -> Result<()> {
        self.shared.load(key, fields)
    }

    /// Has all records in memory.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn load_all(&self) -> Result<()> {
        let shared = &self.shared;
        if shared.in_memory.is_everything() {
            return Ok(());
        }
        let _reading = shared.in_memory.read();
        let mut load = shared.cache.load();
        shared.database.get()?.load(&mut |row| {
            load.add(loaded::<M>(&row).into());
            Ok(())
        })?;
        drop(load);
        shared.in_memory.everything.store(true, Ordering::Release);
        Ok(())
    }
}

impl<M: Model> Shared<M> {
    pub(super) fn load(&self, key: &str, fields: Option<&[Option<&str>]>) -> Result<()> {
        let fields = loaded_by::<M>(fields);
        if self.in_memory.has(key, fields) {
            return Ok(());
        }
        let Some(shard) = self.in_memory.shard(key) else { return Ok(()) };
        // Who comes meanwhile for the same waits, and finds it there.
        let mut shard = shard.write();
        if shard.get(key).is_some_and(|extent| extent.has(fields)) {
            return Ok(());
        }
        let _reading = self.in_memory.read();
        let mut load = self.cache.load();
        self.database.get()?.load_of(key, fields.unwrap_or_default(), &mut |row| {
            load.add(loaded::<M>(&row).into());
            Ok(())
        })?;
        drop(load);
        match (shard.entry_ref(key).or_insert_with(|| Extent::Some(HashSet::new())), fields) {
            (Extent::Some(loaded), Some(fields)) => drop(loaded.insert(owned(fields))),
            (extent, _) => *extent = Extent::All,
        }
        Ok(())
    }

    /// Has what these writes touch in memory.
    pub(super) fn load_for(&self, writes: &[Write<M>]) -> Result<()> {
        writes.iter().try_for_each(|write| touched(write, |fields| self.load(write.key.as_str(), fields)))
    }

    /// Whether what these writes touch is in memory.
    #[cfg(feature = "tokio")]
    pub(super) fn has_for(&self, writes: &[Write<M>]) -> bool {
        writes
            .iter()
            .all(|write| touched(write, |fields| self.in_memory.has(write.key.as_str(), loaded_by::<M>(fields))))
    }
}

/// Calls `then` with the fields that the parts of all records have which a write touches.
fn touched<M: Model, T>(write: &Write<M>, then: impl FnOnce(Option<&[Option<&str>]>) -> T) -> T {
    match &write.what {
        What::Put(part, ..) | What::Remove(part, _) => {
            let fields: Vec<_> = (0..M::PART_FIELDS.len()).map(|at| M::part_text(part, at)).collect();
            then(Some(&fields))
        }
        What::RemoveKey(_) => then(None),
    }
}

/// Those of the fields by which records are loaded together.
fn loaded_by<'a, 'b, M: Model>(fields: Option<&'a [Option<&'b str>]>) -> Option<&'a [Option<&'b str>]> {
    let most = M::HISTORY.map_or(0, |history| history.loaded_by);
    fields.map(|fields| fields.get(..most).unwrap_or(fields))
}

fn owned(fields: &[Option<&str>]) -> Vec<Option<Box<str>>> {
    fields.iter().map(|field| field.map(Box::from)).collect()
}
