//! Which keys DuckDB may have: a Bloom filter, so that the first write to a new key asks no database.

/// Bits for each key, and how many of them are set: about one key in 300 that is not there seems to be.
const BITS_PER_KEY: usize = 12;
const SET_PER_KEY: u32 = 6;

/// A set of hashes that may answer that it has one that it has not, and never the other way round.
#[derive(Debug)]
pub(super) struct KnownKeys {
    /// As many as a power of two.
    words: Vec<u64>,
}

impl KnownKeys {
    pub(super) fn new(hashes: &[u64]) -> Self {
        let words = (hashes.len() * BITS_PER_KEY).div_ceil(64).next_power_of_two();
        let mut known = Self { words: vec![0; words] };
        for hash in hashes {
            for (word, bit) in known.places(*hash) {
                if let Some(word) = known.words.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        known
    }

    pub(super) fn may_have(&self, hash: u64) -> bool {
        self.places(hash).all(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }

    /// The words and bits of a hash, of which all bits are as good as random.
    fn places(&self, hash: u64) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (step, mask) = (hash.rotate_left(32) | 1, self.words.len() - 1);
        (0..SET_PER_KEY).map(move |n| {
            let place = hash.wrapping_add(step.wrapping_mul(u64::from(n)));
            ((place >> 6) as usize & mask, 1 << (place & 63))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duck::key_hash;

    #[test]
    fn every_key_that_was_added_is_known_and_few_others_are() {
        for count in [0, 1, 10, 1_000, 50_000] {
            let hash = |n: u64| key_hash(&format!("customer/{n}"));
            let known = KnownKeys::new(&(0..count).map(hash).collect::<Vec<_>>());
            assert!((0..count).all(|n| known.may_have(hash(n))));
            let wrong = (count..count + 50_000).filter(|n| known.may_have(hash(*n))).count();
            assert!(wrong < 500, "{wrong} of 50,000 with {count}");
        }
    }
}
