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

/// A change that a batch asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Of which id.
    pub id: Id,
    /// The new data; `None` removes the record.
    pub data: Option<Value>,
    /// What has to be there before.
    pub expect: Option<Expect>,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed {
    /// A record has this version now.
    Put(Id, u32),
    /// A record is gone; it had this version and this data.
    Removed(Id, u32, Value),
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
    ///
    /// # Errors
    /// The conflict.
    pub fn put(&mut self, id: Id, expect: Option<Expect>, data: Value) -> Result<u32, Conflict> {
        let version = self.rows.entry(id).or_default().put(expect, data)?;
        self.writes += 1;
        Ok(version)
    }

    /// Removes a record; answers the version and the data it had. Where there is none, nothing changes.
    ///
    /// # Errors
    /// The conflict.
    pub fn remove(&mut self, id: Id, expect: Option<Expect>) -> Result<Option<(u32, Value)>, Conflict> {
        let removed = self.rows.entry(id).or_default().remove(expect)?;
        self.writes += u64::from(removed.is_some());
        Ok(removed)
    }

    /// Removes all records of a key; answers their versions and data.
    pub fn remove_key(&mut self, key: &str) -> BTreeMap<Id, (u32, Value)> {
        let ids: Vec<Id> = self.rows().map(|(id, ..)| id.clone()).filter(|(of, _)| of == key).collect();
        let removed = ids.into_iter().filter_map(|id| Some((id.clone(), self.remove(id, None).ok()??)));
        removed.collect()
    }

    /// Makes all changes, one after another, or none.
    ///
    /// # Errors
    /// The first conflict.
    pub fn batch(&mut self, changes: &[Change]) -> Result<Vec<Changed>, Conflict> {
        let mut after = self.clone();
        let mut changed = Vec::new();
        for Change { id, data, expect } in changes.iter().cloned() {
            match data {
                Some(data) => changed.push(Changed::Put(id.clone(), after.put(id, expect, data)?)),
                None => {
                    let removed = after.remove(id.clone(), expect)?;
                    changed.extend(removed.map(|(version, data)| Changed::Removed(id, version, data)));
                }
            }
        }
        *self = after;
        Ok(changed)
    }

    /// Forgets what was removed: the next write of such an id is its first.
    pub fn forget_removed(&mut self) {
        self.rows.retain(|_, slot| slot.get().is_some());
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

    fn put(key: &str, n: u32) -> Change {
        Change { id: id(key), data: Some(json!(n)), expect: None }
    }

    #[test]
    fn versions_count_on_over_a_removal_until_it_is_forgotten() {
        let mut oracle = Oracle::new();
        assert_eq!(oracle.put(id("a"), None, json!(1)), Ok(1));
        assert_eq!(oracle.put(id("a"), None, json!(2)), Ok(2));
        assert_eq!(oracle.remove(id("a"), None), Ok(Some((2, json!(2)))));
        assert_eq!((oracle.remove(id("a"), None), oracle.len(), oracle.get(&id("a"))), (Ok(None), 0, None));
        assert_eq!((oracle.put(id("a"), None, json!(3)), oracle.writes()), (Ok(4), 4));
        oracle.remove(id("a"), None).unwrap();
        oracle.forget_removed();
        assert_eq!((oracle.put(id("a"), None, json!(4)), oracle.writes()), (Ok(1), 6));
    }

    #[test]
    fn a_condition_that_does_not_hold_changes_nothing_and_names_what_is_there() {
        let mut oracle = Oracle::new();
        assert_eq!(oracle.put(id("a"), Some(Expect::Version(1)), json!(0)), Err(Conflict(None)));
        assert_eq!(oracle.put(id("a"), Some(Expect::Absent), json!(1)), Ok(1));
        assert_eq!(oracle.put(id("a"), Some(Expect::Absent), json!(2)), Err(Conflict(Some(1))));
        assert_eq!(oracle.remove(id("a"), Some(Expect::Version(2))), Err(Conflict(Some(1))));
        assert_eq!(oracle.remove(id("a"), Some(Expect::Version(1))), Ok(Some((1, json!(1)))));
        assert_eq!(oracle.put(id("a"), Some(Expect::Version(2)), json!(2)), Err(Conflict(None)));
        assert_eq!((oracle.put(id("a"), Some(Expect::Absent), json!(2)), oracle.writes()), (Ok(3), 3));
    }

    #[test]
    fn a_batch_is_made_in_order_or_not_at_all() {
        let mut oracle = Oracle::new();
        let removal = |key| Change { id: id(key), data: None, expect: None };
        let changed = oracle.batch(&[put("a", 1), put("a", 2), removal("b"), put("c", 1), removal("c")]);
        let made = [
            Changed::Put(id("a"), 1),
            Changed::Put(id("a"), 2),
            Changed::Put(id("c"), 1),
            Changed::Removed(id("c"), 1, json!(1)),
        ];
        assert_eq!((changed.as_deref(), oracle.len(), oracle.writes()), (Ok(made.as_slice()), 1, 4));
        let before = oracle.clone();
        let refused = Change { expect: Some(Expect::Absent), ..put("a", 4) };
        assert_eq!(oracle.batch(&[put("b", 3), refused]), Err(Conflict(Some(2))));
        assert_eq!(oracle, before);
    }

    #[test]
    fn a_removal_of_a_key_takes_all_its_records_and_no_others() {
        let mut oracle = Oracle::new();
        for (key, part) in [("a", None), ("a", Some("p")), ("b", None)] {
            oracle.put((key.to_owned(), vec![part.map(str::to_owned)]), None, json!(part)).unwrap();
        }
        let removed: Vec<_> = oracle.remove_key("a").into_values().collect();
        assert_eq!(removed, [(1, json!(null)), (1, json!("p"))]);
        assert_eq!((oracle.len(), oracle.remove_key("a").len(), oracle.writes()), (1, 0, 5));
    }
}
