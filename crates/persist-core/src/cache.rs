//! Every record of a store, in memory: all reads are served from here.
//!
//! What it keeps true: of the records of one id, the one with the highest `seq` stays, in whichever order they come.
//!
//! The map is cut into shards, each under its own lock, so that readers on several cores and a writer seldom meet. An
//! entry is one pointer: the key stands in the record only. Records of one key stand together, so that all of a key can
//! be read at once; a key with a single record, the usual case, needs nothing more for that.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::RwLock;

use crate::model::Model;
use crate::record::Record;

const SHARDS: usize = 64;
/// So many records are loaded together: some hundreds for each shard.
const LOADED_TOGETHER: usize = 32_768;

/// The records of a store.
#[derive(Debug)]
pub(crate) struct Cache<M: Model> {
    shards: Vec<RwLock<Shard<M>>>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Shard<M: Model> {
    groups: HashTable<Group<M>>,
    /// Counted here and not for all shards at once, or cores that fill them would take the count from each other.
    records: usize,
}

/// The records of one key, and the part of the key's hash that places them. It lies where the tag would leave a gap,
/// so an entry has 16 bytes; a table that grows need not look at its records, of which each would be a cache miss.
#[derive(Debug)]
enum Group<M: Model> {
    One(u32, Arc<Record<M>>),
    Many(u32, Box<HashTable<Arc<Record<M>>>>),
}

impl<M: Model> Group<M> {
    #[inline]
    fn is(&self, hash: Hash32, key: &str) -> bool {
        match self {
            Self::One(own, record) => *own == hash.0 && record.key.as_bytes() == key.as_bytes(),
            // A group never loses its last record.
            Self::Many(own, records) => {
                *own == hash.0 && records.iter().next().is_some_and(|record| record.key.as_bytes() == key.as_bytes())
            }
        }
    }

    #[inline]
    fn place(&self) -> u64 {
        match self {
            Self::One(own, _) | Self::Many(own, _) => Hash32(*own).place(),
        }
    }
}

/// The part of a key's hash that an entry keeps.
#[derive(Debug, Clone, Copy)]
struct Hash32(u32);

impl Hash32 {
    /// A hash for the table, which uses the lowest and the highest bits.
    #[inline]
    fn place(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl<M: Model> Cache<M> {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::new(Shard { groups: HashTable::new(), records: 0 })).collect(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// The number of records.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().records).sum()
    }

    /// The record of this key and these fields of its part.
    pub(crate) fn get(&self, key: &str, fields: &[Option<&str>]) -> Option<Arc<Record<M>>> {
        let (shard, hash) = self.shard(key)?;
        let shard = shard.read();
        match shard.groups.find(hash.place(), |group| group.is(hash, key))? {
            Group::One(_, record) => is_part::<M>(record, fields).then(|| Arc::clone(record)),
            Group::Many(_, records) => {
                records.find(self.hash_fields(fields), |record| is_part::<M>(record, fields)).map(Arc::clone)
            }
        }
    }

    /// All records of a key, in no particular order.
    pub(crate) fn get_key(&self, key: &str) -> Vec<Arc<Record<M>>> {
        let Some((shard, hash)) = self.shard(key) else { return Vec::new() };
        match shard.read().groups.find(hash.place(), |group| group.is(hash, key)) {
            None => Vec::new(),
            Some(Group::One(_, record)) => vec![Arc::clone(record)],
            Some(Group::Many(_, records)) => records.iter().map(Arc::clone).collect(),
        }
    }

    /// Puts in a record that is made while no other can be: `make` is given the version of the present one, 0 if none.
    pub(crate) fn update(
        &self,
        key: &str,
        fields: &[Option<&str>],
        make: impl FnOnce(u32) -> Arc<Record<M>>,
    ) -> Arc<Record<M>> {
        let Some((shard, hash)) = self.shard(key) else { return make(0) };
        let shard = &mut *shard.write();
        match shard.groups.entry(hash.place(), |group| group.is(hash, key), Group::place) {
            Entry::Vacant(entry) => {
                let record = make(0);
                entry.insert(Group::One(hash.0, Arc::clone(&record)));
                shard.records += 1;
                record
            }
            Entry::Occupied(mut entry) => self.update_group(entry.get_mut(), &mut shard.records, fields, make),
        }
    }

    /// Takes many records, of which one stays out where one of its id with a higher `seq` is there.
    pub(crate) fn load(&self) -> Load<'_, M> {
        Load { cache: self, waiting: (0..SHARDS).map(|_| Vec::new()).collect(), count: 0 }
    }

    fn insert_newer(&self, shard: &mut Shard<M>, hash: Hash32, record: Arc<Record<M>>) {
        match shard.groups.entry(hash.place(), |group| group.is(hash, record.key()), Group::place) {
            Entry::Vacant(entry) => {
                entry.insert(Group::One(hash.0, record));
                shard.records += 1;
            }
            Entry::Occupied(mut entry) => {
                let fields: Vec<Option<&str>> = fields::<M>(&record).collect();
                let group = entry.get_mut();
                if self.find(group, &fields).is_none_or(|present| present.seq <= record.seq) {
                    self.update_group(group, &mut shard.records, &fields, |_| Arc::clone(&record));
                }
            }
        }
    }

    /// Calls `each` with every record, some at a time; no lock is held meanwhile. A record that is written while this
    /// runs may be missed or be given in its old or new form.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Arc<Record<M>>)) {
        for shard in &self.shards {
            let mut records: Vec<Arc<Record<M>>> = Vec::new();
            for group in shard.read().groups.iter() {
                match group {
                    Group::One(_, record) => records.push(Arc::clone(record)),
                    Group::Many(_, many) => records.extend(many.iter().map(Arc::clone)),
                }
            }
            records.iter().for_each(&mut each);
        }
    }

    fn find<'a>(&self, group: &'a Group<M>, fields: &[Option<&str>]) -> Option<&'a Arc<Record<M>>> {
        match group {
            Group::One(_, record) => is_part::<M>(record, fields).then_some(record),
            Group::Many(_, records) => records.find(self.hash_fields(fields), |record| is_part::<M>(record, fields)),
        }
    }

    fn update_group(
        &self,
        group: &mut Group<M>,
        records_of_shard: &mut usize,
        fields: &[Option<&str>],
        make: impl FnOnce(u32) -> Arc<Record<M>>,
    ) -> Arc<Record<M>> {
        let rehash = |record: &Arc<Record<M>>| self.hash_record(record);
        match group {
            Group::One(_, present) if is_part::<M>(present, fields) => {
                let record = make(present.version);
                *present = Arc::clone(&record);
                record
            }
            Group::One(hash, present) => {
                let hash = *hash;
                let record = make(0);
                let mut records = HashTable::with_capacity(2);
                records.insert_unique(rehash(present), Arc::clone(present), rehash);
                records.insert_unique(rehash(&record), Arc::clone(&record), rehash);
                *group = Group::Many(hash, Box::new(records));
                *records_of_shard += 1;
                record
            }
            Group::Many(_, records) => {
                match records.entry(self.hash_fields(fields), |record| is_part::<M>(record, fields), rehash) {
                    Entry::Occupied(mut entry) => {
                        let record = make(entry.get().version);
                        *entry.get_mut() = Arc::clone(&record);
                        record
                    }
                    Entry::Vacant(entry) => {
                        let record = make(0);
                        entry.insert(Arc::clone(&record));
                        *records_of_shard += 1;
                        record
                    }
                }
            }
        }
    }

    #[inline]
    fn shard(&self, key: &str) -> Option<(&RwLock<Shard<M>>, Hash32)> {
        let hash = self.hasher.hash_one(key);
        Some((self.shards.get(shard_of(hash))?, Hash32(hash as u32)))
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

/// Many records on their way in. They are sorted by shard and put in some hundreds at a time: cores that load together
/// seldom want the same shard, and its table stays near while it is filled. What waits is put in when this is dropped.
#[derive(Debug)]
pub(crate) struct Load<'c, M: Model> {
    cache: &'c Cache<M>,
    waiting: Vec<Vec<(Hash32, Arc<Record<M>>)>>,
    count: usize,
}

impl<M: Model> Load<'_, M> {
    pub(crate) fn add(&mut self, record: Arc<Record<M>>) {
        let hash = self.cache.hasher.hash_one(record.key());
        let Some(waiting) = self.waiting.get_mut(shard_of(hash)) else { return };
        waiting.push((Hash32(hash as u32), record));
        self.count += 1;
        if self.count >= LOADED_TOGETHER {
            self.put();
        }
    }

    fn put(&mut self) {
        for (shard, waiting) in self.cache.shards.iter().zip(&mut self.waiting) {
            let shard = &mut *shard.write();
            for (hash, record) in waiting.drain(..) {
                self.cache.insert_newer(shard, hash, record);
            }
        }
        self.count = 0;
    }
}

impl<M: Model> Drop for Load<'_, M> {
    fn drop(&mut self) {
        self.put();
    }
}

fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

fn fields<M: Model>(record: &Record<M>) -> impl Iterator<Item = Option<&str>> {
    (0..M::PART_FIELDS.len()).map(|field| M::part_text(&record.part, field))
}

fn is_part<M: Model>(record: &Record<M>, wanted: &[Option<&str>]) -> bool {
    fields::<M>(record).eq(wanted.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::model::{Column, Source};

    #[derive(Debug)]
    struct Parted;
    impl Model for Parted {
        type Part = Option<Box<str>>;
        const PART_FIELDS: &'static [&'static str] = &["part"];
        const TABLE: &'static str = "storage";
        const COLUMNS: &'static [Column] = &[Column { name: "key", source: Source::Key }];
        fn part_text(part: &Self::Part, _: usize) -> Option<&str> {
            part.as_deref()
        }
        fn part_from(fields: &[Option<&str>]) -> Self::Part {
            fields.first().copied().flatten().map(Box::from)
        }
    }

    fn record(key: &str, part: Option<&str>, seq: u64, version: u32) -> Arc<Record<Parted>> {
        let (key, part) = (Key::from(key), part.map(Box::from));
        Arc::new(Record { key, part, data: "{}".into(), seq, at: 0, version })
    }

    #[test]
    fn every_record_is_found_however_often_its_table_has_grown() {
        let cache = Cache::<Parted>::new();
        let parts = [None, Some("worker1"), Some("worker2")];
        // Keys of both forms: inside the record and apart from it.
        let keys: Vec<String> = (0..5_000).flat_map(|n| [format!("k{n}"), format!("{n:0>40}")]).collect();
        for round in 0..2 {
            for key in &keys {
                for part in parts.iter().take(1 + key.len() % 3) {
                    let made = cache.update(key, &[*part], |version| {
                        assert_eq!(version, round);
                        record(key, *part, 1, version + 1)
                    });
                    assert_eq!(made.version, round + 1);
                }
            }
        }
        let mut expected = 0;
        for key in &keys {
            let count = 1 + key.len() % 3;
            expected += count;
            assert_eq!(cache.get_key(key).len(), count);
            for (n, part) in parts.iter().enumerate() {
                let found = cache.get(key, &[*part]).map(|record| (record.key().to_owned(), record.part.clone()));
                let wanted = (n < count).then(|| (key.clone(), part.map(Box::from)));
                assert_eq!(found, wanted);
            }
        }
        assert_eq!(cache.len(), expected);
        assert!(cache.get("k5000", &[None]).is_none());
    }

    #[test]
    fn the_highest_seq_stays_in_whichever_order_records_come() {
        let cache = Cache::<Parted>::new();
        for (seq, part) in [(2, None), (1, None), (3, Some("p")), (5, Some("p")), (4, Some("p"))] {
            cache.load().add(record("k", part, seq, 1));
        }
        assert_eq!(cache.get("k", &[None]).map(|record| record.seq), Some(2));
        assert_eq!(cache.get("k", &[Some("p")]).map(|record| record.seq), Some(5));
        assert_eq!(cache.len(), 2);
    }
}
