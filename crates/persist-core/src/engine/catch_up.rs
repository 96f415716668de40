//! Bringing the lines of a log into a database that no engine has open: one that is being restored or rebuilt.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec;
use crate::duck::{Appender, Database};
use crate::error::Result;
use crate::model::Model;
use crate::record::Record;
use crate::wal::ReadBack;

/// The most records, and bytes of them, in one transaction.
const MAX_BATCH_RECORDS: usize = 20_000;
const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;

/// A database that takes the lines of segments in any order, each line once.
#[derive(Debug)]
pub(super) struct CatchUp<M: Model> {
    // Before the database: its connection would keep the instance.
    appender: Appender,
    database: Database,
    has: Seqs,
    lost: Seqs,
    /// The lowest `seq` that is known of and is not to be in it.
    beyond: Option<u64>,
    last_at: i64,
    /// The records of the next transaction.
    records: Vec<Arc<Record<M>>>,
    bytes: usize,
    /// What there is of a batch whose last line is still to come.
    batch: Vec<Arc<Record<M>>>,
}

impl<M: Model> CatchUp<M> {
    pub(super) fn new(database: Database) -> Result<Self> {
        let state = database.state()?;
        let mut has = Seqs::default();
        has.add(1, state.watermark);
        let (appender, last_at) = (database.appender()?, state.at);
        let (records, batch) = (Vec::new(), Vec::new());
        Ok(Self { appender, database, has, lost: Seqs::default(), beyond: None, last_at, records, bytes: 0, batch })
    }

    /// Says that the record of this `seq` is not to be in it, which no line may show.
    pub(super) fn end_before(&mut self, seq: u64) {
        self.beyond = Some(self.beyond.map_or(seq, |beyond| beyond.min(seq)));
    }

    /// Says that the records up to this `seq` are to be in it, if no later one is seen that is not.
    pub(super) fn expect_up_to(&mut self, seq: u64) {
        if self.beyond.is_none() && self.has.last() < seq {
            self.beyond = Some(seq.saturating_add(1));
        }
    }

    /// Brings in the lines of a segment that are not there yet, up to one that was written after `until`, in microseconds
    /// since 1970 UTC; a batch whole or not at all. Answers how many.
    pub(super) fn take(&mut self, mut lines: ReadBack, until: i64) -> Result<u64> {
        let mut taken = 0;
        while let Some(line) = lines.take_line() {
            if line.at > until {
                self.end_before(line.seq);
                break;
            }
            if let Some(from) = line.lost_from {
                self.has.add(from, line.seq);
                self.lost.add(from, line.seq);
            } else if !self.has.contains(line.seq) {
                let place = line.marks.batch;
                if place.is_none_or(|batch| batch.number == 1) {
                    self.batch.clear();
                }
                if place.is_some_and(|batch| batch.number as usize != self.batch.len() + 1) {
                    // A line of it is not there, so it is left out.
                    self.batch.clear();
                    continue;
                }
                self.batch.push(Arc::new(codec::record::<M>(&line)?));
                if place.is_none_or(|batch| batch.number == batch.of) {
                    taken += self.take_batch()?;
                }
            }
        }
        self.batch.clear();
        self.append()?;
        Ok(taken)
    }

    fn take_batch(&mut self) -> Result<u64> {
        let taken = self.batch.len() as u64;
        for record in &self.batch {
            self.has.add(record.seq, record.seq);
            self.last_at = self.last_at.max(record.at);
            self.bytes += record.data.len();
        }
        self.records.append(&mut self.batch);
        if self.records.len() >= MAX_BATCH_RECORDS || self.bytes >= MAX_BATCH_BYTES {
            self.append()?;
        }
        Ok(taken)
    }

    fn append(&mut self) -> Result<()> {
        self.appender.append(&self.records, self.has.last(), self.last_at)?;
        self.records.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Goes on without the records up to this `seq` that are not in it: theirs is not given again.
    pub(super) fn go_on_after(&mut self, seq: u64) -> Result<()> {
        if self.has.last() < seq {
            self.has.add(self.has.last() + 1, seq);
        }
        self.append()
    }

    /// The `seq`s of the records that are in the database, and of those that the log says are lost.
    pub(super) fn has(&self) -> &Seqs {
        &self.has
    }

    /// The `seq`s that should be in it, as there are later ones, and are not.
    pub(super) fn missing(&self) -> Vec<(u64, u64)> {
        let mut whole = self.has.clone();
        self.beyond.iter().for_each(|beyond| whole.add(*beyond, *beyond));
        whole.gaps()
    }

    /// The `seq`s that the log says are lost.
    pub(super) fn lost(&self) -> &Seqs {
        &self.lost
    }

    /// The database, without what holds it open besides.
    pub(super) fn end(self) -> Database {
        self.database
    }
}

/// A set of `seq`s, as ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seqs {
    /// The last of each range, by its first. No two touch.
    ranges: BTreeMap<u64, u64>,
}

impl Seqs {
    /// Adds a range; nothing where it is empty.
    pub(super) fn add(&mut self, mut first: u64, mut last: u64) {
        if first > last {
            return;
        }
        // Those that it touches become part of it.
        while let Some((&from, &to)) = self.ranges.range(..=last.saturating_add(1)).next_back() {
            if to.saturating_add(1) < first {
                break;
            }
            self.ranges.remove(&from);
            (first, last) = (first.min(from), last.max(to));
        }
        self.ranges.insert(first, last);
    }

    pub(super) fn contains(&self, seq: u64) -> bool {
        self.covers(seq, seq)
    }

    pub(super) fn covers(&self, first: u64, last: u64) -> bool {
        self.ranges.range(..=first).next_back().is_some_and(|(_, end)| last <= *end)
    }

    /// The highest; 0 where there is none.
    pub(super) fn last(&self) -> u64 {
        self.ranges.last_key_value().map_or(0, |(_, last)| *last)
    }

    pub(super) fn ranges(&self) -> Vec<(u64, u64)> {
        self.ranges.iter().map(|(first, last)| (*first, *last)).collect()
    }

    /// What is missing between 1 and the highest.
    pub(super) fn gaps(&self) -> Vec<(u64, u64)> {
        let mut next = 1;
        let mut gaps = Vec::new();
        for (first, last) in &self.ranges {
            if next < *first {
                gaps.push((next, first - 1));
            }
            next = last.saturating_add(1);
        }
        gaps
    }
}

/// Ranges of `seq`s as an error or a report says them: "3, 7 to 9".
pub(super) fn listed(ranges: &[(u64, u64)]) -> String {
    let text = ranges.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        _ => format!("{first} to {last}"),
    });
    text.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_together_in_any_order() {
        let mut seqs = Seqs::default();
        assert_eq!((seqs.last(), seqs.gaps()), (0, vec![]));
        for (first, last) in [(7, 9), (1, 2), (12, 12), (3, 3), (8, 10), (5, 4)] {
            seqs.add(first, last);
        }
        assert_eq!(seqs.ranges(), [(1, 3), (7, 10), (12, 12)]);
        assert_eq!((seqs.gaps(), seqs.last()), (vec![(4, 6), (11, 11)], 12));
        assert_eq!(listed(&seqs.gaps()), "4 to 6, 11");
        for seq in 0..=13 {
            assert_eq!(seqs.contains(seq), matches!(seq, 1..=3 | 7..=10 | 12), "{seq}");
        }
        seqs.add(4, 11);
        assert_eq!((seqs.ranges(), seqs.gaps()), (vec![(1, 12)], vec![]));
        seqs.add(u64::MAX, u64::MAX);
        assert_eq!(seqs.gaps(), [(13, u64::MAX - 1)]);
    }
}
