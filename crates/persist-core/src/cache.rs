//! Every record of a store, in memory: all reads are served from here.
//!
//! What it keeps true: of the records of one id, the one with the highest `seq` stays, in whichever order they come. A
//! removal is a record too, which no read shows: it stays so that the id's versions go on counting.
//!
//! The map is cut into shards, each under its own lock, so that readers on several cores and a writer seldom meet. An
//! entry is one pointer: the key stands in the record only. Records of one key stand together, so that all of a key can
//! be read at once; a key with a single record, the usual case, needs nothing more for that.

mod table;

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::RwLock;

use crate::model::Model;
use crate::planted::planted;
use crate::record::Record;
use table::{Hashed, Table};

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
    groups: Table<Group<M>>,
    /// Counted here and not for all shards at once, or cores that fill them would take the count from each other.
    count: Count,
}

/// How many records there are, and how many ids are remembered as removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) records: usize,
    pub(crate) removals: usize,
}

impl Count {
    fn of<M: Model>(&mut self, record: &Record<M>) -> &mut usize {
        if record.is_removal() { &mut self.removals } else { &mut self.records }
    }
}

/// The records of one key, and the part of the key's hash that places them in the table. It lies where the tag would leave
/// a gap, so an entry has 16 bytes; a table that grows need not look at its records, of which each would be a cache miss.
#[derive(Debug)]
enum Group<M: Model> {
    One(u32, Arc<Record<M>>),
    Many(u32, Box<HashTable<Arc<Record<M>>>>),
}

impl<M: Model> Group<M> {
    #[inline]
    fn is(&self, key: &str) -> bool {
        match self {
            Self::One(_, record) => record.key.as_bytes() == key.as_bytes(),
            // A group never loses its last record.
            Self::Many(_, records) => {
                records.iter().next().is_some_and(|record| record.key.as_bytes() == key.as_bytes())
            }
        }
    }

    fn key(&self) -> &str {
        match self {
            Self::One(_, record) => record.key(),
            Self::Many(_, records) => records.iter().next().map_or("", |record| record.key()),
        }
    }

    /// Those that were not removed.
    fn records(&self) -> impl Iterator<Item = &Arc<Record<M>>> {
        let (one, many) = match self {
            Self::One(_, record) => (Some(record), None),
            Self::Many(_, records) => (None, Some(records.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten()).filter(|record| !record.is_removal())
    }
}

impl<M: Model> Hashed for Group<M> {
    #[inline]
    fn hash(&self) -> u32 {
        match self {
            Self::One(hash, _) | Self::Many(hash, _) => *hash,
        }
    }
}

impl<M: Model> Cache<M> {
    pub(crate) fn new() -> Self {
        let empty = || RwLock::new(Shard { groups: Table::new(), count: Count::default() });
        Self { shards: (0..SHARDS).map(|_| empty()).collect(), hasher: DefaultHashBuilder::default() }
    }

    /// How many records there are, and how many removals.
    pub(crate) fn count(&self) -> Count {
        self.shards.iter().fold(Count::default(), |sum, shard| {
            let Count { records, removals } = shard.read().count;
            Count { records: sum.records + records, removals: sum.removals + removals }
        })
    }

    /// The record of this key and these fields of its part.
    pub(crate) fn get(&self, key: &str, fields: &[Option<&str>]) -> Option<Arc<Record<M>>> {
        self.find(key, fields.iter().copied(), |record| (!record.is_removal()).then(|| Arc::clone(record)))?
    }

    /// The last thing that happened to an id, be it that it was removed.
    pub(crate) fn last(&self, key: &str, part: &M::Part) -> Option<Arc<Record<M>>> {
        self.find(key, part_fields::<M>(part), Arc::clone)
    }

    #[inline]
    fn find<'a, T>(
        &self,
        key: &str,
        fields: impl Iterator<Item = Option<&'a str>> + Clone,
        take: impl FnOnce(&Arc<Record<M>>) -> T,
    ) -> Option<T> {
        let (shard, hash) = self.shard(key)?;
        let shard = shard.read();
        let is_it = |record: &Arc<Record<M>>| same(part_fields::<M>(&record.part), fields.clone());
        let record = match shard.groups.get(hash, |group| group.is(key))? {
            Group::One(_, record) => Some(record).filter(|record| is_it(record)),
            Group::Many(_, records) => records.find(self.hash_fields(fields.clone()), is_it),
        };
        record.map(take)
    }

    /// The records of a key whose part `is_wanted`, in no particular order.
    pub(crate) fn get_key(&self, key: &str, is_wanted: impl Fn(&M::Part) -> bool) -> Vec<Arc<Record<M>>> {
        let Some((shard, hash)) = self.shard(key) else { return Vec::new() };
        let shard = shard.read();
        let group = shard.groups.get(hash, |group| group.is(key));
        let wanted =
            |group: &Group<M>| group.records().filter(|record| is_wanted(&record.part)).map(Arc::clone).collect();
        group.map(wanted).unwrap_or_default()
    }

    /// The `seq` of the last thing that happened to any record of a key, be it that it was removed; 0 where nothing did.
    pub(crate) fn last_seq_of(&self, key: &str) -> u64 {
        let Some((shard, hash)) = self.shard(key) else { return 0 };
        let shard = shard.read();
        match shard.groups.get(hash, |group| group.is(key)) {
            None => 0,
            Some(Group::One(_, record)) => record.seq,
            Some(Group::Many(_, records)) => records.iter().map(|record| record.seq).max().unwrap_or(0),
        }
    }

    /// Puts records in, in this order. Nobody sees some of them and then, of another key, what was before.
    pub(crate) fn apply(&self, records: &[Arc<Record<M>>]) {
        if let [record] = records {
            let Some((shard, hash)) = self.shard(record.key()) else { return };
            return self.put(&mut shard.write(), hash, record);
        }
        let mut placed: Vec<_> = records.iter().map(|record| (self.hasher.hash_one(record.key()), record)).collect();
        placed.sort_by_key(|(hash, _)| shard_of(*hash));
        // All locks are taken, in the order of the shards, before the first is given back.
        let mut locked = Vec::new();
        for of_shard in placed.chunk_by(|(one, _), (other, _)| shard_of(*one) == shard_of(*other)) {
            let Some(shard) = of_shard.first().and_then(|(hash, _)| self.shards.get(shard_of(*hash))) else { return };
            let mut shard = shard.write();
            for (hash, record) in of_shard {
                self.put(&mut shard, *hash as u32, record);
            }
            if !planted("cache-by-halves") {
                locked.push(shard);
            }
        }
    }

    /// Takes many records, of which one stays out where one of its id with a higher `seq` is there.
    pub(crate) fn load(&self) -> Load<'_, M> {
        Load { cache: self, waiting: (0..SHARDS).map(|_| Vec::new()).collect(), count: 0 }
    }

    /// The records whose key begins with `prefix`, a shard at a time, in no particular order. No lock is held while the
    /// caller has one. Each record that is there throughout is given once; one that is written or removed meanwhile in
    /// its old or new form, or not at all.
    pub(crate) fn records(&self, prefix: &str) -> impl Iterator<Item = Arc<Record<M>>> {
        self.shards.iter().flat_map(move |shard| {
            let shard = shard.read();
            let groups = shard.groups.iter().filter(|group| group.key().starts_with(prefix));
            groups.flat_map(|group| group.records().map(Arc::clone)).collect::<Vec<_>>()
        })
    }

    /// The keys that begin with `prefix` and have a record, each once; as [`records`](Cache::records).
    pub(crate) fn keys(&self, prefix: &str) -> impl Iterator<Item = String> {
        self.shards.iter().flat_map(move |shard| {
            let shard = shard.read();
            let groups = shard.groups.iter().filter(|group| group.key().starts_with(prefix));
            groups.filter_map(|group| Some(group.records().next()?.key().to_owned())).collect::<Vec<_>>()
        })
    }

    /// Forgets the removals that `is_old` says so of. Answers how many.
    pub(crate) fn forget(&self, is_old: impl Fn(&Record<M>) -> bool) -> usize {
        let is_forgotten = |record: &Arc<Record<M>>| record.is_removal() && is_old(record);
        let mut forgotten = 0;
        for shard in &self.shards {
            let Shard { groups, count } = &mut *shard.write();
            let before = count.removals;
            groups.retain(|group| match group {
                Group::One(_, record) if is_forgotten(record) => {
                    count.removals -= 1;
                    false
                }
                Group::One(..) => true,
                Group::Many(_, records) => {
                    let all = records.len();
                    records.retain(|record| !is_forgotten(record));
                    count.removals -= all - records.len();
                    !records.is_empty()
                }
            });
            forgotten += before - count.removals;
        }
        forgotten
    }

    fn put(&self, shard: &mut Shard<M>, hash: u32, record: &Arc<Record<M>>) {
        self.put_if(shard, hash, record, |_| true);
    }

    fn put_if(&self, shard: &mut Shard<M>, hash: u32, new: &Arc<Record<M>>, replaces: impl Fn(&Record<M>) -> bool) {
        let Shard { groups, count } = shard;
        let Some(group) = groups.get_mut(hash, |group| group.is(new.key())) else {
            groups.insert(Group::One(hash, Arc::clone(new)));
            *count.of(new) += 1;
            return;
        };
        let rehash = |record: &Arc<Record<M>>| self.hash_record(record);
        let present = match group {
            Group::One(_, present) if present.part == new.part => present,
            Group::One(hash, present) => {
                let mut records = HashTable::with_capacity(2);
                records.insert_unique(rehash(present), Arc::clone(present), rehash);
                records.insert_unique(rehash(new), Arc::clone(new), rehash);
                *group = Group::Many(*hash, Box::new(records));
                *count.of(new) += 1;
                return;
            }
            Group::Many(_, records) => match records.entry(rehash(new), |record| record.part == new.part, rehash) {
                Entry::Occupied(present) => present.into_mut(),
                Entry::Vacant(entry) => {
                    entry.insert(Arc::clone(new));
                    *count.of(new) += 1;
                    return;
                }
            },
        };
        if replaces(present) {
            *count.of(present) -= 1;
            *count.of(new) += 1;
            *present = Arc::clone(new);
        }
    }

    #[inline]
    fn shard(&self, key: &str) -> Option<(&RwLock<Shard<M>>, u32)> {
        let hash = self.hasher.hash_one(key);
        Some((self.shards.get(shard_of(hash))?, hash as u32))
    }

    fn hash_fields<'a>(&self, fields: impl Iterator<Item = Option<&'a str>>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        fields.for_each(|field| field.hash(&mut hasher));
        hasher.finish()
    }

    fn hash_record(&self, record: &Record<M>) -> u64 {
        self.hash_fields(part_fields::<M>(&record.part))
    }
}

/// Many records on their way in. They are sorted by shard and put in some hundreds at a time: cores that load together
/// seldom want the same shard, and its table stays near while it is filled. What waits is put in when this is dropped.
#[derive(Debug)]
pub(crate) struct Load<'c, M: Model> {
    cache: &'c Cache<M>,
    waiting: Vec<Vec<(u32, Arc<Record<M>>)>>,
    count: usize,
}

impl<M: Model> Load<'_, M> {
    pub(crate) fn add(&mut self, record: Arc<Record<M>>) {
        let hash = self.cache.hasher.hash_one(record.key());
        let Some(waiting) = self.waiting.get_mut(shard_of(hash)) else { return };
        waiting.push((hash as u32, record));
        self.count += 1;
        if self.count >= LOADED_TOGETHER {
            self.put();
        }
    }

    fn put(&mut self) {
        for (shard, waiting) in self.cache.shards.iter().zip(&mut self.waiting) {
            let shard = &mut *shard.write();
            shard.groups.reserve(waiting.len());
            for (hash, record) in waiting.drain(..) {
                self.cache.put_if(shard, hash, &record, |present| present.seq <= record.seq);
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

fn part_fields<M: Model>(part: &M::Part) -> impl Iterator<Item = Option<&str>> + Clone {
    (0..M::PART_FIELDS.len()).map(|field| M::part_text(part, field))
}

/// Whether these are the same fields. (`Iterator::eq` wants both to live as long.)
pub(crate) fn same<'a, 'b>(
    mut one: impl Iterator<Item = Option<&'a str>>,
    mut other: impl Iterator<Item = Option<&'b str>>,
) -> bool {
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(field), Some(of_other)) if field == of_other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::model::{Column, Source};

    #[derive(Debug)]
    pub(super) struct Parted;
    impl Model for Parted {
        type Part = Option<Box<str>>;
        type Value = ();
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
        Arc::new(Record { key, part, data: "{}".into(), value: (), seq, at: 0, version })
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
                    let version = cache.last(key, &part.map(Box::from)).map_or(0, |last| last.version);
                    assert_eq!(version, round);
                    cache.apply(&[record(key, *part, 1, version + 1)]);
                }
            }
        }
        let mut expected = 0;
        for key in &keys {
            let count = 1 + key.len() % 3;
            expected += count;
            assert_eq!(cache.get_key(key, |_| true).len(), count);
            for (n, part) in parts.iter().enumerate() {
                let found = cache.get(key, &[*part]).map(|record| (record.key().to_owned(), record.part.clone()));
                let wanted = (n < count).then(|| (key.clone(), part.map(Box::from)));
                assert_eq!(found, wanted);
            }
        }
        assert_eq!(cache.count(), Count { records: expected, removals: 0 });
        assert_eq!(cache.records("").count(), expected);
        assert_eq!(cache.keys("k499").count(), 11);
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
        assert_eq!(cache.count().records, 2);
    }

    fn removal(key: &str, part: Option<&str>, seq: u64) -> Arc<Record<Parted>> {
        let (key, part) = (Key::from(key), part.map(Box::from));
        Arc::new(Record { key, part, data: "".into(), value: (), seq, at: seq as i64, version: 2 })
    }

    #[test]
    fn removals_are_counted_hidden_and_forgotten_alone() {
        let cache = Cache::<Parted>::new();
        cache.apply(&[record("a", None, 1, 1), record("a", Some("p"), 2, 1), record("b", None, 3, 1)]);
        cache.apply(&[removal("a", None, 4), removal("b", None, 5), removal("c", None, 6)]);
        assert_eq!(cache.count(), Count { records: 1, removals: 3 });
        assert!(cache.get("a", &[None]).is_none() && cache.get_key("b", |_| true).is_empty());
        assert_eq!(cache.last("a", &None).map(|last| last.version), Some(2));
        assert_eq!(cache.keys("").collect::<Vec<_>>(), ["a"]);
        assert_eq!(cache.forget(|removal| removal.at <= 5), 2);
        assert_eq!(cache.count(), Count { records: 1, removals: 1 });
        assert!(cache.last("a", &None).is_none() && cache.last("c", &None).is_some());
        assert_eq!(cache.get_key("a", |_| true).len(), 1);
        cache.apply(&[record("c", None, 7, 3), record("b", None, 8, 1)]);
        assert_eq!(cache.count(), Count { records: 3, removals: 0 });
    }
}
