//! Every record of a store, in memory: all reads are served from here.
//!
//! What it keeps true: of the records of one id, the one with the highest `seq` stays, in whichever order they come.
//!
//! The map is cut into shards, each under its own lock, so that readers on several cores and a writer seldom meet. An
//! entry is one pointer: the key stands in the record only. Records of one key stand together, so that all of a key can
//! be read at once; a key with a single record, the usual case, needs nothing more for that.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::RwLock;

use crate::model::Model;
use crate::record::Record;

const SHARDS: usize = 64;

/// The records of a store.
#[derive(Debug)]
pub(crate) struct Cache<M: Model> {
    shards: Vec<RwLock<HashTable<Group<M>>>>,
    hasher: DefaultHashBuilder,
    len: AtomicUsize,
}

#[derive(Debug)]
enum Group<M: Model> {
    One(Arc<Record<M>>),
    Many(Box<HashTable<Arc<Record<M>>>>),
}

impl<M: Model> Group<M> {
    fn key(&self) -> &str {
        match self {
            Self::One(record) => record.key(),
            // A group never loses its last record.
            Self::Many(records) => records.iter().next().map_or("", |record| record.key()),
        }
    }
}

impl<M: Model> Cache<M> {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::new(HashTable::new())).collect(),
            hasher: DefaultHashBuilder::default(),
            len: AtomicUsize::new(0),
        }
    }

    /// The number of records.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// The record of this key and these fields of its part.
    pub(crate) fn get(&self, key: &str, fields: &[Option<&str>]) -> Option<Arc<Record<M>>> {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard(hash)?.read();
        match shard.find(hash, |group| group.key() == key)? {
            Group::One(record) => is_part::<M>(record, fields).then(|| Arc::clone(record)),
            Group::Many(records) => {
                records.find(self.hash_fields(fields), |record| is_part::<M>(record, fields)).map(Arc::clone)
            }
        }
    }

    /// All records of a key, in no particular order.
    pub(crate) fn get_key(&self, key: &str) -> Vec<Arc<Record<M>>> {
        let hash = self.hasher.hash_one(key);
        let Some(shard) = self.shard(hash) else { return Vec::new() };
        match shard.read().find(hash, |group| group.key() == key) {
            None => Vec::new(),
            Some(Group::One(record)) => vec![Arc::clone(record)],
            Some(Group::Many(records)) => records.iter().map(Arc::clone).collect(),
        }
    }

    /// Puts in a record that is made while no other can be: `make` is given the version of the present one, 0 if none.
    pub(crate) fn update(
        &self,
        key: &str,
        fields: &[Option<&str>],
        make: impl FnOnce(u32) -> Arc<Record<M>>,
    ) -> Arc<Record<M>> {
        let hash = self.hasher.hash_one(key);
        let Some(shard) = self.shard(hash) else { return make(0) };
        let mut shard = shard.write();
        match shard.entry(hash, |group| group.key() == key, |group| self.hasher.hash_one(group.key())) {
            Entry::Vacant(entry) => {
                let record = make(0);
                entry.insert(Group::One(Arc::clone(&record)));
                self.len.fetch_add(1, Ordering::Relaxed);
                record
            }
            Entry::Occupied(mut entry) => self.update_group(entry.get_mut(), fields, make),
        }
    }

    /// Puts in a record, unless one of its id with a higher `seq` is there.
    pub(crate) fn insert_newer(&self, record: Arc<Record<M>>) {
        let fields: Vec<Option<&str>> = fields::<M>(&record).collect();
        let hash = self.hasher.hash_one(record.key());
        let Some(shard) = self.shard(hash) else { return };
        let mut shard = shard.write();
        match shard.entry(hash, |group| group.key() == record.key(), |group| self.hasher.hash_one(group.key())) {
            Entry::Vacant(entry) => {
                entry.insert(Group::One(Arc::clone(&record)));
                self.len.fetch_add(1, Ordering::Relaxed);
            }
            Entry::Occupied(mut entry) => {
                let group = entry.get_mut();
                if self.find(group, &fields).is_none_or(|present| present.seq <= record.seq) {
                    self.update_group(group, &fields, |_| Arc::clone(&record));
                }
            }
        }
    }

    /// Calls `each` with every record, some at a time; no lock is held meanwhile. A record that is written while this
    /// runs may be missed or be given in its old or new form.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Arc<Record<M>>)) {
        for shard in &self.shards {
            let mut records: Vec<Arc<Record<M>>> = Vec::new();
            for group in shard.read().iter() {
                match group {
                    Group::One(record) => records.push(Arc::clone(record)),
                    Group::Many(many) => records.extend(many.iter().map(Arc::clone)),
                }
            }
            records.iter().for_each(&mut each);
        }
    }

    fn find<'a>(&self, group: &'a Group<M>, fields: &[Option<&str>]) -> Option<&'a Arc<Record<M>>> {
        match group {
            Group::One(record) => is_part::<M>(record, fields).then_some(record),
            Group::Many(records) => records.find(self.hash_fields(fields), |record| is_part::<M>(record, fields)),
        }
    }

    fn update_group(
        &self,
        group: &mut Group<M>,
        fields: &[Option<&str>],
        make: impl FnOnce(u32) -> Arc<Record<M>>,
    ) -> Arc<Record<M>> {
        let rehash = |record: &Arc<Record<M>>| self.hash_record(record);
        match group {
            Group::One(present) if is_part::<M>(present, fields) => {
                let record = make(present.version);
                *present = Arc::clone(&record);
                record
            }
            Group::One(present) => {
                let record = make(0);
                let mut records = HashTable::with_capacity(2);
                records.insert_unique(rehash(present), Arc::clone(present), rehash);
                records.insert_unique(rehash(&record), Arc::clone(&record), rehash);
                *group = Group::Many(Box::new(records));
                self.len.fetch_add(1, Ordering::Relaxed);
                record
            }
            Group::Many(records) => {
                match records.entry(self.hash_fields(fields), |record| is_part::<M>(record, fields), rehash) {
                    Entry::Occupied(mut entry) => {
                        let record = make(entry.get().version);
                        *entry.get_mut() = Arc::clone(&record);
                        record
                    }
                    Entry::Vacant(entry) => {
                        let record = make(0);
                        entry.insert(Arc::clone(&record));
                        self.len.fetch_add(1, Ordering::Relaxed);
                        record
                    }
                }
            }
        }
    }

    fn shard(&self, hash: u64) -> Option<&RwLock<HashTable<Group<M>>>> {
        // The table itself uses the lowest and the highest bits.
        self.shards.get((hash >> 32) as usize % SHARDS)
    }

    fn hash_fields(&self, fields: &[Option<&str>]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        fields.iter().for_each(|field| field.hash(&mut hasher));
        hasher.finish()
    }

    fn hash_record(&self, record: &Record<M>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        fields::<M>(record).for_each(|field| field.hash(&mut hasher));
        hasher.finish()
    }
}

fn fields<M: Model>(record: &Record<M>) -> impl Iterator<Item = Option<&str>> {
    (0..M::PART_FIELDS.len()).map(|field| M::part_text(&record.part, field))
}

fn is_part<M: Model>(record: &Record<M>, wanted: &[Option<&str>]) -> bool {
    fields::<M>(record).eq(wanted.iter().copied())
}
