//! Whether what several threads were answered about one id could have come from a store that does one thing at a time,
//! each between its call and its answer: linearizability, decided as Wing and Gong do, with a memory of what was tried.
//!
//! For small histories: up to 64 operations, and the time grows with how many of them overlap.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::oracle::{Conflict, Expect, Slot};

/// What was asked. Each put of a history has a value of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Put this value.
    Put(u64, Option<Expect>),
    /// Remove the record.
    Remove(Option<Expect>),
    /// Read the record.
    Get,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The value was put; its version.
    Put(u32),
    /// The version and value of the record that was removed; `None` where there was none.
    Removed(Option<(u32, u64)>),
    /// The version and value of the record that was read; `None` where there was none.
    Got(Option<(u32, u64)>),
    /// The condition did not hold, and nothing was written.
    Refused(Conflict),
}

/// One operation of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// What was asked.
    pub call: Call,
    /// What was answered; `None` where no answer came, as in a crash: it took effect by its end, or never.
    pub answer: Option<Answer>,
    /// When it was called.
    pub start: u64,
    /// When the answer came, or could come no more.
    pub end: u64,
}

/// The time that all threads of a history share: each look at it is a moment of its own.
#[derive(Debug, Default)]
pub struct Time(AtomicU64);

impl Time {
    /// The next moment.
    pub fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    /// Calls, and notes when.
    pub fn take(&self, call: Call, answer: impl FnOnce() -> Option<Answer>) -> Operation {
        let start = self.now();
        let answer = answer();
        Operation { call, answer, start, end: self.now() }
    }
}

/// Finds an order in which the operations give these answers one after another. The id holds nothing before.
///
/// # Errors
/// The history, where there is no such order.
///
/// # Panics
/// Where there are more than 64 operations.
pub fn check(operations: &[Operation]) -> Result<(), String> {
    assert!(operations.len() <= 64, "{} operations are too many", operations.len());
    let mut search = Search { operations, tried: HashSet::new(), furthest: 0 };
    let all = u64::MAX.checked_shr(64 - operations.len() as u32).unwrap_or(0);
    if search.finds(all, &Slot::default()) { Ok(()) } else { Err(search.story(all)) }
}

struct Search<'a> {
    operations: &'a [Operation],
    /// What was left to do, and where, when it led nowhere.
    tried: HashSet<(u64, Slot<u64>)>,
    /// The operations of the longest order that was found.
    furthest: u64,
}

impl Search<'_> {
    fn finds(&mut self, left: u64, slot: &Slot<u64>) -> bool {
        if left == 0 {
            return true;
        }
        if !self.tried.insert((left, slot.clone())) {
            return false;
        }
        let operations = self.operations;
        let waiting = || (0..operations.len()).filter(|at| left & (1 << at) != 0);
        // The next one began before any of the others had ended.
        let first_end = waiting().map(|at| operations[at].end).min().unwrap_or(u64::MAX);
        waiting().filter(|at| operations[*at].start <= first_end).any(|at| {
            let (mut after, operation) = (slot.clone(), &operations[at]);
            let rest = left & !(1 << at);
            let answer = apply(operation.call, &mut after);
            let fits = operation.answer.is_none_or(|given| given == answer);
            if fits && (!rest).count_ones() > self.furthest.count_ones() {
                self.furthest = !rest;
            }
            (fits && self.finds(rest, &after)) || (operation.answer.is_none() && self.finds(rest, slot))
        })
    }

    fn story(&self, all: u64) -> String {
        let mut story = format!(
            "no order explains these {} operations; {} at most, those marked with *:",
            self.operations.len(),
            (self.furthest & all).count_ones()
        );
        let mut order: Vec<usize> = (0..self.operations.len()).collect();
        order.sort_by_key(|at| self.operations[*at].start);
        for at in order {
            let Operation { call, answer, start, end } = self.operations[at];
            let mark = if self.furthest & (1 << at) == 0 { ' ' } else { '*' };
            // Writing to a String can't fail.
            let _ = write!(story, "\n{mark} {start:>4}..{end:<4} {call:?} -> {answer:?}");
        }
        story
    }
}

fn apply(call: Call, slot: &mut Slot<u64>) -> Answer {
    let done = match call {
        Call::Put(value, expect) => slot.put(expect, value).map(Answer::Put),
        Call::Remove(expect) => slot.remove(expect).map(Answer::Removed),
        Call::Get => Ok(Answer::Got(slot.get().map(|(version, value)| (version, *value)))),
    };
    done.unwrap_or_else(Answer::Refused)
}

#[cfg(test)]
mod tests;
