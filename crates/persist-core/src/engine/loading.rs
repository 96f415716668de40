//! Reading records into memory as they are asked for, in a model that keeps all writes.
//!
//! What it keeps true: before an id is read or written, all records that are loaded with it are in memory. What was
//! written since the opening is there anyhow, as a write loads what it touches. So the base alone has to be read: the
//! opening has brought it up to date, and what it lacks by now is in memory. Of a key that the base did not have at any
//! moment since the opening, nothing has to be read.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use parking_lot::{RwLock, RwLockReadGuard};

use super::known::KnownKeys;
use super::open::{load_into, loaded};
use super::request::{What, Write};
use super::shared::{Engine, Shared};
use crate::cache::same;
use crate::duck::{Database, key_hash};
use crate::error::Result;
use crate::model::Model;

const SHARDS: usize = 64;

/// What of the records is in memory.
#[derive(Debug)]
pub(super) struct InMemory {
    everything: AtomicBool,
    shards: Vec<RwLock<HashMap<Box<str>, Extent>>>,
    hasher: DefaultHashBuilder,
    /// The keys that the base has; found out when it is asked for the first time.
    in_base: OnceLock<KnownKeys>,
    /// Held while records are read, and exclusively while removals are forgotten: one that was read before must not come
    /// in after its removal is forgotten.
    reading: RwLock<()>,
}

/// What of a key's records is in memory.
#[derive(Debug)]
enum Extent {
    All,
    /// Those whose part begins with these fields.
    Some(HashTable<Vec<Option<Box<str>>>>),
}

impl InMemory {
    /// Everything is, or nothing yet.
    pub(super) fn new(everything: bool) -> Self {
        Self {
            everything: AtomicBool::new(everything),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            in_base: OnceLock::new(),
            reading: RwLock::new(()),
        }
    }

    pub(super) fn is_everything(&self) -> bool {
        self.everything.load(Ordering::Acquire)
    }

    /// Whether the records of a key are whose part begins with these fields, or all of them. Each read and write asks: it
    /// allocates nothing.
    fn has<'a>(&self, key: &str, fields: Option<impl Iterator<Item = Option<&'a str>> + Clone>) -> bool {
        self.is_everything() || self.shard(key).is_some_and(|shard| self.is_in(&shard.read(), key, fields))
    }

    fn is_in<'a>(
        &self,
        shard: &HashMap<Box<str>, Extent>,
        key: &str,
        fields: Option<impl Iterator<Item = Option<&'a str>> + Clone>,
    ) -> bool {
        match (shard.get(key), fields) {
            (None, _) | (Some(Extent::Some(_)), None) => false,
            (Some(Extent::All), _) => true,
            (Some(Extent::Some(loaded)), Some(fields)) => {
                loaded.find(self.hash(fields.clone()), |own| same(borrowed(own), fields.clone())).is_some()
            }
        }
    }

    fn add(&self, shard: &mut HashMap<Box<str>, Extent>, key: &str, fields: Option<&[Option<&str>]>) {
        match (shard.entry_ref(key).or_insert_with(|| Extent::Some(HashTable::new())), fields) {
            (Extent::Some(loaded), Some(fields)) => {
                let own = fields.iter().map(|field| field.map(Box::from)).collect();
                loaded.insert_unique(self.hash(fields.iter().copied()), own, |own| self.hash(borrowed(own)));
            }
            (extent, _) => *extent = Extent::All,
        }
    }

    fn hash<'a>(&self, fields: impl Iterator<Item = Option<&'a str>>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        fields.for_each(|field| field.hash(&mut hasher));
        hasher.finish()
    }

    fn shard(&self, key: &str) -> Option<&RwLock<HashMap<Box<str>, Extent>>> {
        self.shards.get(self.hasher.hash_one(key) as usize % SHARDS)
    }

    /// Does this while nothing is being read.
    pub(super) fn while_none_is_read<T>(&self, work: impl FnOnce() -> T) -> T {
        let _none_is_read = self.reading.write();
        work()
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
        load_into(shared.database.get()?.as_ref(), &shared.cache)?;
        shared.in_memory.everything.store(true, Ordering::Release);
        Ok(())
    }
}

impl<M: Model> Shared<M> {
    pub(super) fn load(&self, key: &str, fields: Option<&[Option<&str>]>) -> Result<()> {
        let fields = fields.map(|fields| fields.get(..loaded_by::<M>()).unwrap_or(fields));
        let each = fields.map(|fields| fields.iter().copied());
        if self.in_memory.has(key, each.clone()) {
            return Ok(());
        }
        let Some(shard) = self.in_memory.shard(key) else { return Ok(()) };
        // Who comes meanwhile for the same waits, and finds it there.
        let mut shard = shard.write();
        if self.in_memory.is_in(&shard, key, each) {
            return Ok(());
        }
        let _reading = self.in_memory.read();
        let database = self.database.get()?;
        if !self.may_have(&database, key)? {
            self.in_memory.add(&mut shard, key, fields);
            return Ok(());
        }
        let mut load = self.cache.load();
        database.load_of(key, fields.unwrap_or_default(), &mut |row| {
            load.add(loaded::<M>(&row).into());
            Ok(())
        })?;
        drop(load);
        self.in_memory.add(&mut shard, key, fields);
        Ok(())
    }

    /// Whether the base may have rows of a key.
    fn may_have(&self, database: &Database, key: &str) -> Result<bool> {
        let known = match self.in_memory.in_base.get() {
            Some(known) => known,
            // Two may do so at a time.
            None => {
                let found = KnownKeys::new(&database.key_hashes()?);
                self.in_memory.in_base.get_or_init(|| found)
            }
        };
        Ok(known.may_have(key_hash(key)))
    }

    /// Has what these writes touch in memory.
    pub(super) fn load_for(&self, writes: &[Write<M>]) -> Result<()> {
        if self.in_memory.is_everything() {
            return Ok(());
        }
        let touched = writes.iter().filter(|write| !self.has_touched(write));
        touched.map(|write| (write.key.as_str(), &write.what)).try_for_each(|(key, what)| match what {
            What::Put(part, ..) | What::Remove(part, _) => {
                self.load(key, Some(&loaded_fields::<M>(part).collect::<Vec<_>>()))
            }
            What::RemoveKey(fields, _) if fields.is_empty() => self.load(key, None),
            What::RemoveKey(fields, _) => self.load(key, Some(&borrowed(fields).collect::<Vec<_>>())),
        })
    }

    /// Whether what these writes touch is in memory.
    #[cfg(feature = "tokio")]
    pub(super) fn has_for(&self, writes: &[Write<M>]) -> bool {
        self.in_memory.is_everything() || writes.iter().all(|write| self.has_touched(write))
    }

    fn has_touched(&self, write: &Write<M>) -> bool {
        let key = write.key.as_str();
        match &write.what {
            What::Put(part, ..) | What::Remove(part, _) => self.in_memory.has(key, Some(loaded_fields::<M>(part))),
            What::RemoveKey(fields, _) => {
                let fields = Some(borrowed(fields).take(loaded_by::<M>())).filter(|_| !fields.is_empty());
                self.in_memory.has(key, fields)
            }
        }
    }
}

/// By so many first fields of the part records are loaded together.
fn loaded_by<M: Model>() -> usize {
    M::HISTORY.map_or(0, |history| history.loaded_by)
}

fn loaded_fields<M: Model>(part: &M::Part) -> impl Iterator<Item = Option<&str>> + Clone {
    (0..loaded_by::<M>()).map(|at| M::part_text(part, at))
}

fn borrowed(fields: &[Option<Box<str>>]) -> impl Iterator<Item = Option<&str>> + Clone {
    fields.iter().map(Option::as_deref)
}
