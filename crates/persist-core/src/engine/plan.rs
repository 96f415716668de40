//! What a request does to each id, worked out under the log's lock, before anything of it is written.
//!
//! Only who holds that lock changes the cache, so what is found here is still so when the lines are pushed.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashSet, HashTable};

use super::request::{Condition, Effect, Few, What, Write};
use crate::cache::Cache;
use crate::codec;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::model::Model;
use crate::record::Record;
use crate::wal::{Append, BatchPlace, Body, Marks};

/// The column `version` is a 32-bit integer.
const MAX_VERSION: u32 = i32::MAX as u32;

/// What a request comes to.
#[derive(Debug)]
pub(super) struct Plan<M: Model> {
    lines: Few<Planned<M>>,
    /// Of each id that the lines change, the last of them.
    latest: HashTable<usize>,
    hasher: DefaultHashBuilder,
    /// What the answer rests on besides its own lines: the highest `seq` of what was found.
    pub(super) rests_on: u64,
}

/// A line that is to be written.
#[derive(Debug)]
struct Planned<M: Model> {
    key: Key,
    part: M::Part,
    /// Empty for a removal.
    data: Box<str>,
    value: M::Value,
    body: Body,
    version: u32,
    before: Before<M>,
}

/// The record that a line replaces or removes.
#[derive(Debug)]
enum Before<M: Model> {
    None,
    Record(Arc<Record<M>>),
    /// What an earlier line of the plan writes.
    Planned(usize),
}

/// How an id stands: its version so far, and its record, if there is one.
struct State<M: Model> {
    version: u32,
    record: Before<M>,
}

impl<M: Model> State<M> {
    fn present_version(&self) -> Option<u32> {
        (!matches!(self.record, Before::None)).then_some(self.version)
    }
}

impl<M: Model> Plan<M> {
    /// Works out what the writes do, one after the other. Where a condition is not met the error stands in the plan's
    /// place, beside the `seq` of what it rests on.
    pub(super) fn of(writes: Few<Write<M>>, cache: &Cache<M>) -> Result<Self, (u64, Error)> {
        let lines = Few::with_capacity(writes.len());
        let hasher = DefaultHashBuilder::default();
        let mut plan = Self { lines, latest: HashTable::new(), hasher, rests_on: 0 };
        let is_alone = writes.len() == 1;
        for write in writes {
            plan.add(write, cache, is_alone).map_err(|error| (plan.rests_on, error))?;
        }
        Ok(plan)
    }

    /// Pushes the lines, and answers what became of each id.
    pub(super) fn push(self, log: &mut Append<'_>) -> Few<Effect<M>> {
        let of = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        let mut effects: Few<Effect<M>> = Few::with_capacity(self.lines.len());
        for (line, number) in self.lines.into_iter().zip(1..) {
            let Planned { key, part, data, value, body, version, before } = line;
            let batch = (of > 1).then_some(BatchPlace { number, of });
            let stamp = log.push(body, Marks::version(version).removal(data.is_empty()).batch(batch));
            let before = match before {
                Before::None => None,
                Before::Record(record) => Some(record),
                Before::Planned(at) => effects.get(at).map(|effect| Arc::clone(&effect.now)),
            };
            let now = Arc::new(Record { key, part, data, value, seq: stamp.seq, at: stamp.at, version });
            effects.push(Effect { now, before });
        }
        effects
    }

    fn add(&mut self, write: Write<M>, cache: &Cache<M>, is_alone: bool) -> Result<()> {
        let Write { key, what, condition } = write;
        match what {
            What::Put(part, data, value, body) => {
                let state = self.state(&key, &part, cache, condition.is_some());
                check(&key, condition, &state)?;
                let version = next(&state);
                self.plan(Planned { key, part, data, value, body, version, before: state.record }, is_alone);
            }
            What::Remove(part, body) => {
                let state = self.state(&key, &part, cache, true);
                check(&key, condition, &state)?;
                self.remove(key, part, body, state, is_alone);
            }
            What::RemoveKey(_, removals) => {
                // Also where nothing is left: that others removed it may be in doubt.
                self.rests_on = self.rests_on.max(cache.last_seq_of(key.as_str()));
                for (part, body) in removals {
                    let state = self.state(&key, &part, cache, true);
                    self.remove(key.clone(), part, body, state, false);
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: Key, part: M::Part, body: Body, state: State<M>, is_alone: bool) {
        if !matches!(state.record, Before::None) {
            let version = next(&state);
            self.plan(
                Planned { key, part, data: "".into(), value: M::Value::default(), body, version, before: state.record },
                is_alone,
            );
        }
    }

    fn plan(&mut self, line: Planned<M>, is_alone: bool) {
        let at = self.lines.len();
        if !is_alone {
            let hash = self.hasher.hash_one((line.key.as_str(), &line.part));
            let Self { lines, latest, hasher, .. } = self;
            let is_same = |other: &usize| lines.get(*other).is_some_and(|other| other.is(&line.key, &line.part));
            let rehash = |at: &usize| lines.get(*at).map_or(0, |line| hasher.hash_one((line.key.as_str(), &line.part)));
            match latest.entry(hash, is_same, rehash) {
                hashbrown::hash_table::Entry::Occupied(mut entry) => *entry.get_mut() = at,
                hashbrown::hash_table::Entry::Vacant(entry) => drop(entry.insert(at)),
            }
        }
        self.lines.push(line);
    }

    /// How an id stands after the lines so far. `matters`: the answer says something of what was there.
    fn state(&mut self, key: &Key, part: &M::Part, cache: &Cache<M>, matters: bool) -> State<M> {
        if let Some((at, line)) = self.latest_of(key, part) {
            let record = if line.data.is_empty() { Before::None } else { Before::Planned(at) };
            return State { version: line.version, record };
        }
        let Some(last) = cache.last(key.as_str(), part) else { return State { version: 0, record: Before::None } };
        if matters {
            self.rests_on = self.rests_on.max(last.seq);
        }
        State { version: last.version, record: if last.is_removal() { Before::None } else { Before::Record(last) } }
    }

    fn latest_of(&self, key: &Key, part: &M::Part) -> Option<(usize, &Planned<M>)> {
        if self.latest.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one((key.as_str(), part));
        let at = self.latest.find(hash, |at| self.lines.get(*at).is_some_and(|line| line.is(key, part)))?;
        Some((*at, self.lines.get(*at)?))
    }
}

/// Finds the records that the removal of a key may remove: those in memory, and those that a write before it makes.
/// Answers how many bytes the lines of all writes take at most.
pub(super) fn find_keys<M: Model>(writes: &mut [Write<M>], cache: &Cache<M>) -> usize {
    for at in 0..writes.len() {
        let Some((write, before)) = writes.get_mut(..=at).and_then(<[_]>::split_last_mut) else { continue };
        let What::RemoveKey(fields, removals) = &mut write.what else { continue };
        let stored = cache.get_key(write.key.as_str(), |part| begins_with::<M>(part, fields));
        let made = before.iter().filter(|other| other.key == write.key).filter_map(|other| match &other.what {
            What::Put(part, ..) => Some(part),
            What::Remove(..) | What::RemoveKey(..) => None,
        });
        let made = made.filter(|part| begins_with::<M>(part, fields));
        let parts: HashSet<&M::Part> = stored.iter().map(|record| record.part()).chain(made).collect();
        let removal = |part: &M::Part| (part.clone(), codec::removal::<M>(write.key.as_str(), part));
        *removals = parts.into_iter().map(removal).collect();
    }
    writes.iter().map(Write::bytes_at_most).sum()
}

/// Whether [`find_keys`] has found all there are.
pub(super) fn has_found_keys<M: Model>(writes: &[Write<M>], cache: &Cache<M>) -> bool {
    writes.iter().all(|write| match &write.what {
        What::RemoveKey(fields, removals) => {
            let found: HashSet<&M::Part> = removals.iter().map(|(part, _)| part).collect();
            let is_new = |part: &M::Part| begins_with::<M>(part, fields) && !found.contains(part);
            cache.get_key(write.key.as_str(), is_new).is_empty()
        }
        What::Put(..) | What::Remove(..) => true,
    })
}

fn begins_with<M: Model>(part: &M::Part, fields: &[Option<Box<str>>]) -> bool {
    fields.iter().enumerate().all(|(at, field)| M::part_text(part, at) == field.as_deref())
}

impl<M: Model> Planned<M> {
    fn is(&self, key: &Key, part: &M::Part) -> bool {
        self.key == *key && self.part == *part
    }
}

fn next<M: Model>(state: &State<M>) -> u32 {
    state.version.saturating_add(1).min(MAX_VERSION)
}

fn check<M: Model>(key: &Key, condition: Option<Condition>, state: &State<M>) -> Result<()> {
    let present = state.present_version();
    let wanted = match condition {
        None => return Ok(()),
        Some(Condition::Absent) if present.is_none() => return Ok(()),
        Some(Condition::Version(version)) if present == Some(version) => return Ok(()),
        Some(Condition::Absent) => "absent".to_owned(),
        Some(Condition::Version(version)) => format!("there with version {version}"),
    };
    Err(Error::conflict(key.as_str(), &wanted, present))
}
