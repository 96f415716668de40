//! What one writer of the kill test does: actions without end, which follow from the writer's number alone. So parent and
//! child know of each state of a writer's records after how many actions it is: each that changes anything shows.

use std::marker::PhantomData;

use persist_test_utils::oracle::{Call, Changed, Conflict, Expect, Id};
use persist_test_utils::{Oracle, Rng, Subject};
use serde_json::{Value, json};

use crate::writer::WRITERS;

/// For so many actions a record stays before it is removed: more than can be under way at once.
pub(crate) const LIFE: u64 = 8;

/// The next thing a writer does.
#[derive(Debug)]
pub(crate) enum Action {
    /// A call on the writer's own records, and its answer: nobody else touches them.
    Own(Call, Result<Vec<Changed>, Conflict>),
    /// One more in the writer's place of the counter that all writers share, by compare and set.
    Count,
}

/// A writer as it is after some of its actions.
#[derive(Debug)]
pub(crate) struct Script<S> {
    writer: u64,
    /// How many actions were done.
    pub(crate) done: u64,
    /// The writer's own records.
    pub(crate) records: Oracle,
    /// How often it has counted.
    pub(crate) counted: u64,
    /// What was done to the writer's own records, in order, each with the number of its action.
    pub(crate) past: Vec<(u64, Changed)>,
    of: PhantomData<fn() -> S>,
}

impl<S> Clone for Script<S> {
    fn clone(&self) -> Self {
        let (records, past) = (self.records.clone(), self.past.clone());
        Self { writer: self.writer, done: self.done, records, counted: self.counted, past, of: PhantomData }
    }
}

impl<S: Subject> Script<S> {
    pub(crate) fn new(writer: u64) -> Self {
        Self { writer, done: 0, records: Oracle::new(), counted: 0, past: Vec::new(), of: PhantomData }
    }

    /// Goes on by one action, and answers it.
    pub(crate) fn next(&mut self) -> Action {
        let mut rng = Rng::new((self.writer << 48) ^ self.done);
        self.done += 1;
        if rng.chance(1, 10) {
            self.counted += 1;
            return Action::Count;
        }
        let mut put = Vec::new();
        let call = if rng.chance(1, 4) {
            let calls = 1 + rng.below(9);
            Call::Batch((0..calls).map(|_| self.one(&mut rng, &mut put)).collect())
        } else {
            self.one(&mut rng, &mut put)
        };
        let mut answer = self.records.call(&call);
        if let Ok(changes) = &mut answer {
            changes.sort();
            self.past.extend(changes.iter().map(|change| (self.done, change.clone())));
        }
        Action::Own(call, answer)
    }

    /// One call; `put` are the ids that the same batch has put before.
    fn one(&self, rng: &mut Rng, put: &mut Vec<Id>) -> Call {
        let id = self.some_id(rng);
        let expect = match (rng.below(8), self.records.get(&id)) {
            (0, None) => Some(Expect::Absent),
            (0, Some((version, _))) => Some(Expect::Version(version)),
            // Never so: a conflict.
            (1, None) if rng.chance(1, 4) => Some(Expect::Version(1)),
            (1, Some(_)) if rng.chance(1, 4) => Some(Expect::Absent),
            _ => None,
        };
        let is_old = |(other, _, data): (&Id, u32, &Value)| {
            let action = data["action"].as_u64().unwrap_or(0);
            other.0 != id.0 || action + LIFE < self.done
        };
        match rng.below(16) {
            // A record lives for some actions, or nobody could tell from what is there that it was put and removed.
            0..=4 if put.iter().any(|(key, _)| *key == id.0) || !self.records.rows().all(is_old) => {}
            0 if S::HAS_COLLECTIONS && rng.chance(1, 2) => return Call::RemoveWithin(id.0, id.1[0].clone()),
            0 => return Call::RemoveKey(id.0),
            1..=4 => return Call::Remove(id, expect.filter(|expect| *expect != Expect::Absent)),
            _ => {}
        }
        put.push(id.clone());
        let fields = json!({"action": self.done, "put": put.len(), "filler": "x".repeat(rng.index(600))});
        let data = S::data(&id, fields.as_object().cloned().unwrap_or_default());
        Call::Put(id, data, expect)
    }

    /// What the keys of this writer begin with, and no other's.
    pub(crate) fn prefix(&self) -> String {
        format!("w{}-", self.writer)
    }

    /// Where it counts in the counter.
    pub(crate) fn place(&self) -> usize {
        (self.writer % WRITERS) as usize
    }

    /// New ids come in slowly.
    fn some_id(&self, rng: &mut Rng) -> Id {
        let key = format!("{}{}", self.prefix(), rng.below(10 + self.done / 20));
        S::id(&key, rng.below(S::PER_KEY))
    }
}
