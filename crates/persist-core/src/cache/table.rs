//! A table of entries that know a part of their hash: where a shard of the cache keeps its own.
//!
//! What it keeps true: an entry lies at the place its hash says, or after it with no free place between, the first place
//! following the last; and there are free places. So a search ends at the first of them.
//!
//! An entry lies beside its hash, so a search is one cache miss, and another at a record only where the hash is the one
//! looked for. In a table that keeps its tags apart it is one more: of a million records, 3.5 M reads a second against
//! 4.7. A place is the hash's share of the length, so any length will do: a table grows by a quarter, front to back, and
//! is never less than 0.64 full. That is 20 to 25 bytes for an entry of 16, where doubling makes it 19 to 39.

/// What a table may hold.
pub(super) trait Hashed {
    /// Always the same for one entry.
    fn hash(&self) -> u32;
}

/// A table.
#[derive(Debug)]
pub(super) struct Table<T> {
    places: Vec<Option<T>>,
    used: usize,
}

impl<T: Hashed> Table<T> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), used: 0 }
    }

    /// The entry with this hash that `is_it` says so of.
    #[inline]
    pub(super) fn get(&self, hash: u32, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        let (before, from) = self.places.split_at_checked(self.place(hash))?;
        for place in from.iter().chain(before) {
            let entry = place.as_ref()?;
            if entry.hash() == hash && is_it(entry) {
                return Some(entry);
            }
        }
        None
    }

    /// As [`Table::get`].
    pub(super) fn get_mut(&mut self, hash: u32, is_it: impl Fn(&T) -> bool) -> Option<&mut T> {
        let place = self.place(hash);
        let (before, from) = self.places.split_at_mut_checked(place)?;
        for place in from.iter_mut().chain(before) {
            let entry = place.as_mut()?;
            if entry.hash() == hash && is_it(entry) {
                return Some(entry);
            }
        }
        None
    }

    /// Puts an entry in that is not there.
    pub(super) fn insert(&mut self, entry: T) {
        self.reserve(1);
        self.put(entry);
    }

    /// Grows, if need be, for so many more entries.
    pub(super) fn reserve(&mut self, more: usize) {
        let entries = self.used + more;
        if entries * 5 > self.places.len() * 4 {
            self.resize((self.places.len() * 5 / 4).max(entries * 5 / 4 + 1));
        }
    }

    /// Keeps the entries that `is_kept` says so of.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&mut T) -> bool) {
        let before = self.used;
        for place in &mut self.places {
            if place.as_mut().is_some_and(|entry| !is_kept(entry)) {
                *place = None;
                self.used -= 1;
            }
        }
        if self.used < before {
            // Those that stay may lie nearer to their places now, and have to.
            self.resize((self.used * 3 / 2).max(8));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }

    fn resize(&mut self, length: usize) {
        let places = std::iter::repeat_with(|| None).take(length).collect();
        self.used = 0;
        for entry in std::mem::replace(&mut self.places, places).into_iter().flatten() {
            self.put(entry);
        }
    }

    fn put(&mut self, entry: T) {
        let place = self.place(entry.hash());
        let Some((before, from)) = self.places.split_at_mut_checked(place) else { return };
        if let Some(free) = from.iter_mut().chain(before).find(|place| place.is_none()) {
            *free = Some(entry);
            self.used += 1;
        }
    }

    #[inline]
    fn place(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.places.len() as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    impl Hashed for (u32, u32) {
        fn hash(&self) -> u32 {
            self.0
        }
    }

    /// Hashes that fall together, at the front, at the end, and anywhere.
    fn hashes() -> impl Strategy<Value = u32> {
        prop_oneof![0..4_u32, u32::MAX - 3..=u32::MAX, any::<u32>()]
    }

    proptest! {
        #[test]
        fn a_table_has_what_was_put_in_and_kept(steps in prop::collection::vec((hashes(), 0..200_u32), 0..400)) {
            let (mut table, mut model) = (Table::new(), HashMap::new());
            for (hash, id) in steps {
                if id == 0 {
                    table.retain(|entry: &mut (u32, u32)| !entry.1.is_multiple_of(3));
                    model.retain(|_, id: &mut u32| !id.is_multiple_of(3));
                } else if model.insert((hash, id % 5), id).is_none() {
                    table.insert((hash, id));
                } else if let Some(entry) = table.get_mut(hash, |entry| entry.1 % 5 == id % 5) {
                    entry.1 = id;
                }
                prop_assert!(table.used < table.places.len().max(1), "a table without a free place");
            }
            for ((hash, rest), id) in &model {
                prop_assert_eq!(table.get(*hash, |entry| entry.1 % 5 == *rest), Some(&(*hash, *id)));
                prop_assert_eq!(table.get(*hash, |_| false), None);
            }
            prop_assert_eq!((table.iter().count(), table.used), (model.len(), model.len()));
        }
    }

    #[test]
    fn a_table_is_never_nearly_empty_and_never_full() {
        let mut table = Table::new();
        for n in 0..100_000_u32 {
            table.insert((n.wrapping_mul(0x9E37_79B9), n));
            let full = table.used as f64 / table.places.len() as f64;
            assert!(n < 100 || (0.63..=0.81).contains(&full), "{full} after {n}");
        }
        assert_eq!(size_of::<Option<super::super::Group<super::super::tests::Parted>>>(), 16);
    }

    #[test]
    fn a_table_that_keeps_all_stays_as_it_is() {
        let mut table = Table::new();
        (0..1_000_u32).for_each(|n| table.insert((n.wrapping_mul(0x9E37_79B9), n)));
        let places = table.places.as_ptr();
        table.retain(|_| true);
        assert_eq!(table.places.as_ptr(), places);
        table.retain(|(_, n)| *n != 7);
        assert_ne!(table.places.as_ptr(), places);
    }
}
