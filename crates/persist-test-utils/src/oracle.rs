//! The naive store that a real one is compared with: a map in memory, without a log, threads or a database.

use std::collections::BTreeMap;

use serde_json::Value;

/// An id: the key, and the fields of the part in the model's order.
pub type Id = (String, Vec<Option<String>>);

/// What a write asks of the present record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expect {
    /// That there is none.
    Absent,
    /// That there is one of this version.
    Version(u32),
}

/// The version that stood there instead; `None` where there was no record. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conflict(pub Option<u32>);

/// What an id holds, and how often it was written. A removal is a write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot<T> {
    writes: u32,
    data: Option<T>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { writes: 0, data: None }
    }
}

impl<T> Slot<T> {
    /// The present record: its version and its data.
    pub fn get(&self) -> Option<(u32, &T)> {
        self.data.as_ref().map(|data| (self.writes, data))
    }

    /// Puts data here; answers its version.
    ///
    /// # Errors
    /// The conflict.
    pub fn put(&mut self, expect: Option<Expect>, data: T) -> Result<u32, Conflict> {
        self.check(expect)?;
        *self = Self { writes: self.writes + 1, data: Some(data) };
        Ok(self.writes)
    }

    /// Removes what is here, if anything is; answers its version and data.
    ///
    /// # Errors
    /// The conflict.
    pub fn remove(&mut self, expect: Option<Expect>) -> Result<Option<(u32, T)>, Conflict> {
        self.check(expect)?;
        let Some(data) = self.data.take() else { return Ok(None) };
        self.writes += 1;
        Ok(Some((self.writes - 1, data)))
    }

    fn check(&self, expect: Option<Expect>) -> Result<(), Conflict> {
        let present = self.get().map(|(version, _)| version);
        match expect {
            Some(Expect::Absent) if present.is_some() => Err(Conflict(present)),
            Some(Expect::Version(version)) if present != Some(version) => Err(Conflict(present)),
            _ => Ok(()),
        }
    }
}

/// Something that is asked of a store.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Put this data.
    Put(Id, Value, Option<Expect>),
    /// Remove the record.
    Remove(Id, Option<Expect>),
    /// Remove all records of the key.
    RemoveKey(String),
    /// Remove those of them whose part begins with this field.
    RemoveWithin(String, Option<String>),
    /// All of these, one after another, or none.
    Batch(Vec<Call>),
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// A record was put and has this version.
    Put(Id, u32),
    /// A record was removed. So often has its id been written, the removal included.
    Removed(Id, u32),
}

impl Changed {
    /// What was changed.
    pub fn id(&self) -> &Id {
        match self {
            Self::Put(id, _) | Self::Removed(id, _) => id,
        }
    }

    /// How often it has been written by then.
    pub fn version(&self) -> u32 {
        match self {
            Self::Put(_, version) | Self::Removed(_, version) => *version,
        }
    }
}

/// What every store has to hold after the same writes, whatever happened in between.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Oracle {
    rows: BTreeMap<Id, Slot<Value>>,
    writes: u64,
}

impl Oracle {
    /// A store that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a record; answers its version.
    pub fn put(&mut self, key: &str, fields: &[Option<&str>], data: Value) -> u32 {
        let id = (key.to_owned(), fields.iter().map(|field| field.map(str::to_owned)).collect());
        match self.call(&Call::Put(id, data, None)).as_deref() {
            Ok([Changed::Put(_, version)]) => *version,
            done => unreachable!("{done:?}"),
        }
    }

    /// Does what is asked for. Answers the changes in order: a removal of what is not there is none.
    ///
    /// # Errors
    /// The first conflict; nothing was changed.
    pub fn call(&mut self, call: &Call) -> Result<Vec<Changed>, Conflict> {
        let changed = self.make(call)?;
        self.writes += changed.len() as u64;
        Ok(changed)
    }

    fn make(&mut self, call: &Call) -> Result<Vec<Changed>, Conflict> {
        let changed = match call {
            Call::Put(id, data, expect) => {
                let version = self.rows.entry(id.clone()).or_default().put(*expect, data.clone())?;
                vec![Changed::Put(id.clone(), version)]
            }
            Call::Remove(id, expect) => {
                let removed = self.rows.entry(id.clone()).or_default().remove(*expect)?;
                removed.into_iter().map(|(version, _)| Changed::Removed(id.clone(), version + 1)).collect()
            }
            Call::RemoveKey(key) => self.remove_all(|id| id.0 == *key)?,
            Call::RemoveWithin(key, field) => self.remove_all(|id| id.0 == *key && id.1.first() == Some(field))?,
            Call::Batch(calls) => {
                let mut after = self.clone();
                let changed = calls.iter().map(|call| after.make(call)).collect::<Result<Vec<_>, _>>()?.concat();
                *self = after;
                changed
            }
        };
        Ok(changed)
    }

    fn remove_all(&mut self, is_removed: impl Fn(&Id) -> bool) -> Result<Vec<Changed>, Conflict> {
        let ids: Vec<Id> = self.rows().map(|(id, ..)| id.clone()).filter(is_removed).collect();
        let removals = ids.into_iter().map(|id| self.make(&Call::Remove(id, None)));
        Ok(removals.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Forgets what was removed, and answers how many ids: the next write of such an id is its first.
    pub fn forget_removed(&mut self) -> usize {
        let removed = self.removed();
        self.rows.retain(|_, slot| slot.get().is_some());
        removed
    }

    /// The number of ids that were removed and not forgotten.
    pub fn removed(&self) -> usize {
        self.rows.values().filter(|slot| slot.writes > 0 && slot.get().is_none()).count()
    }

    /// Every present id with its version and data, in order.
    pub fn rows(&self) -> impl Iterator<Item = (&Id, u32, &Value)> {
        self.rows.iter().filter_map(|(id, slot)| slot.get().map(|(version, data)| (id, version, data)))
    }

    /// The record of an id: its version and data.
    pub fn get(&self, id: &Id) -> Option<(u32, &Value)> {
        self.rows.get(id)?.get()
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.rows().count()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of writes so far, which is the `seq` of the last.
    pub fn writes(&self) -> u64 {
        self.writes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(key: &str) -> Id {
        (key.to_owned(), vec![None])
    }

    fn put(key: &str, n: u32, expect: Option<Expect>) -> Call {
        Call::Put(id(key), json!(n), expect)
    }

    fn remove(key: &str, expect: Option<Expect>) -> Call {
        Call::Remove(id(key), expect)
    }

    #[test]
    fn versions_count_on_over_a_removal_until_it_is_forgotten() {
        let mut oracle = Oracle::new();
        assert_eq!((oracle.put("a", &[None], json!(1)), oracle.put("a", &[None], json!(2))), (1, 2));
        assert_eq!(oracle.call(&remove("a", None)), Ok(vec![Changed::Removed(id("a"), 3)]));
        assert_eq!((oracle.call(&remove("a", None)), oracle.len(), oracle.get(&id("a"))), (Ok(vec![]), 0, None));
        assert_eq!((oracle.put("a", &[None], json!(3)), oracle.writes()), (4, 4));
        oracle.call(&remove("a", None)).unwrap();
        assert_eq!((oracle.removed(), oracle.forget_removed(), oracle.removed()), (1, 1, 0));
        assert_eq!((oracle.put("a", &[None], json!(4)), oracle.writes()), (1, 6));
    }

    #[test]
    fn a_condition_that_does_not_hold_changes_nothing_and_names_what_is_there() {
        let (absent, version) = (Some(Expect::Absent), |version| Some(Expect::Version(version)));
        let mut oracle = Oracle::new();
        assert_eq!(oracle.call(&put("a", 0, version(1))), Err(Conflict(None)));
        assert_eq!(oracle.call(&put("a", 1, absent)), Ok(vec![Changed::Put(id("a"), 1)]));
        assert_eq!(oracle.call(&put("a", 2, absent)), Err(Conflict(Some(1))));
        assert_eq!(oracle.call(&remove("a", version(2))), Err(Conflict(Some(1))));
        assert_eq!(oracle.call(&remove("a", version(1))), Ok(vec![Changed::Removed(id("a"), 2)]));
        assert_eq!(oracle.call(&put("a", 2, version(2))), Err(Conflict(None)));
        assert_eq!(oracle.call(&put("a", 2, absent)), Ok(vec![Changed::Put(id("a"), 3)]));
        assert_eq!(oracle.writes(), 3);
    }

    #[test]
    fn a_batch_is_made_in_order_or_not_at_all() {
        let mut oracle = Oracle::new();
        let batch = [put("a", 1, None), put("a", 2, None), remove("b", None), put("c", 1, None), remove("c", None)];
        let made = [
            Changed::Put(id("a"), 1),
            Changed::Put(id("a"), 2),
            Changed::Put(id("c"), 1),
            Changed::Removed(id("c"), 2),
        ];
        assert_eq!(oracle.call(&Call::Batch(batch.into())), Ok(made.into()));
        assert_eq!((oracle.get(&id("a")), oracle.len(), oracle.writes()), (Some((2, &json!(2))), 1, 4));
        let before = oracle.clone();
        let refused = [put("b", 3, None), put("a", 4, Some(Expect::Absent))];
        assert_eq!(oracle.call(&Call::Batch(refused.into())), Err(Conflict(Some(2))));
        assert_eq!(oracle, before);
    }

    #[test]
    fn a_removal_of_a_key_takes_all_its_records_and_no_others() {
        let mut oracle = Oracle::new();
        for (key, part) in [("a", None), ("a", Some("p")), ("a", Some("q")), ("b", None), ("b", Some("p"))] {
            oracle.put(key, &[part], json!(part));
        }
        let within = Call::RemoveWithin("a".to_owned(), Some("q".to_owned()));
        assert_eq!((oracle.call(&within).unwrap().len(), oracle.call(&within).unwrap().len()), (1, 0));
        let removed = oracle.call(&Call::RemoveKey("a".to_owned())).unwrap();
        assert_eq!(removed.len(), 2);
        assert_eq!((oracle.len(), oracle.call(&Call::RemoveKey("a".to_owned())), oracle.writes()), (2, Ok(vec![]), 8));
    }
}
