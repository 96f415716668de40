//! One writer: it does on a store what its script says, and is found again in what a crash left.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use persist_dated::{Durability, Error};
use persist_test_utils::oracle::{Call, Changed, Conflict, Expect};
use persist_test_utils::subject::{Outcome, Row, Told, Waiting};
use persist_test_utils::{Rng, Subject};
use serde_json::json;

use crate::script::{Action, LIFE, Script};

/// So many actions of a writer may be under way without an answer: one, or some with tickets.
pub(crate) const UNDER_WAY: u64 = LIFE;
/// The record in which all writers count, by compare and set.
pub(crate) const COUNTER: &str = "counter";
/// The writers that it has a place for.
pub(crate) const WRITERS: u64 = 4;

/// Why a writer can't go on.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The store refused.
    Store(Error),
    /// It answered something else than it had to.
    Wrong(String),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Wrong(what) => f.write_str(what),
        }
    }
}

/// What a call has to answer.
type Answer = Result<Vec<Changed>, Conflict>;

/// What a writer tells.
#[derive(Debug)]
pub(crate) enum Says<'a> {
    /// This action is acknowledged, and all before it; if it is durable, so are they.
    Done { number: u64, is_durable: bool },
    /// This backup or export is done.
    Made(&'a Path),
}

/// A writer at work. `tell` is told what is done.
pub(crate) struct Writer<'a, S, T> {
    store: &'a S,
    script: Script<S>,
    rng: Rng,
    chores: Chores,
    tell: T,
    /// What was submitted: the number of the action, its ticket, and the answer it has to give.
    under_way: VecDeque<(Asked, Waiting)>,
}

/// An action that was begun: its number, how it is to be acknowledged, and the answer it has to give.
#[derive(Debug)]
struct Asked(u64, Durability, Answer);

/// What a writer does besides, after one in so many actions each: it flushes, compacts, makes a backup or an export in a
/// folder of its own in these, goes on in the log of another day, syncs.
#[derive(Debug, Clone)]
pub(crate) struct Chores {
    pub(crate) one_in: u64,
    pub(crate) backups: PathBuf,
    pub(crate) exports: PathBuf,
}

impl<'a, S: Subject, T: FnMut(Says<'_>) -> Result<(), Ended>> Writer<'a, S, T> {
    pub(crate) fn new(store: &'a S, script: Script<S>, rng: Rng, chores: Chores, tell: T) -> Self {
        Self { store, script, rng, chores, tell, under_way: VecDeque::new() }
    }

    /// Does the next action of the script.
    pub(crate) fn step(&mut self) -> Result<(), Ended> {
        let action = self.script.next();
        let number = self.script.done;
        match action {
            Action::Count => {
                self.wait_for_all()?;
                self.count()?;
                (self.tell)(Says::Done { number, is_durable: true })?;
            }
            Action::Own(call, answer) => {
                let durability = match self.rng.below(4) {
                    0 => Durability::Os,
                    1 => Durability::Interval(Duration::from_millis(5)),
                    _ => Durability::Sync,
                };
                // Once it has begun to submit, it goes on until so many are under way.
                if self.rng.chance(1, 12) || !self.under_way.is_empty() {
                    let ticket = self.store.submit(&call, durability)?;
                    self.under_way.push_back((Asked(number, durability, answer), ticket));
                    if self.under_way.len() as u64 == UNDER_WAY {
                        self.wait_for_all()?;
                    }
                } else {
                    let outcome = self.store.perform(&call, durability);
                    self.take(Asked(number, durability, answer), outcome)?;
                }
            }
        }
        let folder = format!("{}{number}", self.script.prefix());
        match self.rng.below(self.chores.one_in) {
            0 => self.store.flush()?,
            1 => self.store.compact()?,
            2 => {
                let folder = self.chores.backups.join(folder);
                self.store.backup(&folder)?;
                (self.tell)(Says::Made(&folder))?;
            }
            3 => self.store.roll_to(1 + self.rng.below(28) as u8)?,
            4 => {
                let folder = self.chores.exports.join(folder);
                if self.store.export(&folder)?.is_some() {
                    (self.tell)(Says::Made(&folder))?;
                }
            }
            5 => {
                self.wait_for_all()?;
                self.store.sync()?;
                (self.tell)(Says::Done { number, is_durable: true })?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Waits for what was submitted.
    pub(crate) fn wait_for_all(&mut self) -> Result<(), Ended> {
        while let Some((asked, waiting)) = self.under_way.pop_front() {
            self.take(asked, waiting())?;
        }
        Ok(())
    }

    fn take(&mut self, Asked(number, durability, answer): Asked, outcome: Outcome) -> Result<(), Ended> {
        let outcome = outcome?;
        if outcome != answer {
            let what = format!("action {number} of {}: {outcome:?}, not {answer:?}", self.script.prefix());
            return Err(Ended::Wrong(what));
        }
        // Who wrote nothing has synced nothing.
        let is_durable = durability == Durability::Sync && outcome.is_ok_and(|changes| !changes.is_empty());
        (self.tell)(Says::Done { number, is_durable })
    }

    fn count(&self) -> Result<(), Ended> {
        let id = S::id(COUNTER, 0);
        loop {
            let (version, mut counts) = counter(self.store)?;
            counts[self.script.place()] += 1;
            let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
            let data = json!({ "counts": counts }).as_object().cloned().unwrap_or_default();
            match self.store.perform(&Call::Put(id.clone(), S::data(&id, data), Some(expect)), Durability::Sync)? {
                Ok(_) => return Ok(()),
                Err(Conflict(Some(present))) if present > version => {}
                Err(conflict) => return Err(Ended::Wrong(format!("{conflict:?} on version {version} of the counter"))),
            }
        }
    }
}

/// The version of the counter, and what it says.
fn counter<S: Subject>(store: &S) -> Result<(u32, Vec<u64>), Error> {
    let record = store.get(&S::id(COUNTER, 0))?;
    let (version, data) = record.unwrap_or((0, json!({"counts": vec![0; WRITERS as usize]})));
    Ok((version, serde_json::from_value(data["counts"].clone()).unwrap_or_default()))
}

/// Finds how far each script has come in what a crash left, and goes on to there; that is not less than has to be there,
/// and no further than what was acknowledged and under way. Compares memory, DuckDB and the counter, too.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn find<S: Subject>(
    store: &S,
    least: &[u64],
    acknowledged: &[u64],
    scripts: &mut [Script<S>],
) -> Result<(), String> {
    let failed = |error: Error| format!("I6: {error}");
    let (versions, counts) = counter(store).map_err(failed)?;
    for ((least, acknowledged), script) in least.iter().zip(acknowledged).zip(scripts.iter_mut()) {
        go_on_to_what_is_there(store, *least..=*acknowledged + UNDER_WAY, counts[script.place()], script)?;
    }
    let versions = u64::from(versions);
    if versions != counts.iter().sum::<u64>() {
        return Err(format!("I2: {counts:?} were counted, in {versions} versions: an update was lost or doubled"));
    }
    let rows = store.rows("").map_err(failed)?;
    let own: usize = scripts.iter().map(|script| script.records.len()).sum();
    if rows.len() != own + usize::from(versions > 0) {
        return Err(format!("I2: {} records are there, and {own} are known", rows.len()));
    }
    let table = store.table().map_err(failed)?;
    if table != rows {
        return Err(format!("I2: DuckDB has {table:?}, memory {rows:?}"));
    }
    let problems = store.problems().map_err(failed)?;
    if !problems.is_empty() {
        return Err(format!("I2, I3: {problems:?}"));
    }
    let Some(told) = store.history().map_err(failed)? else { return Ok(()) };
    for script in scripts.iter() {
        check_history(told.iter().filter(|told| told.changed.id().0.starts_with(&script.prefix())), script)?;
    }
    if told.iter().zip(1..).any(|(told, seq)| told.seq != seq) {
        return Err("I2: a write is missing in the history, or there twice".to_owned());
    }
    if told.len() as u64 != versions + scripts.iter().map(|script| script.records.writes()).sum::<u64>() {
        return Err(format!("I2: there are {} writes in the history, of others too", told.len()));
    }
    Ok(())
}

/// The history of a writer's own records is what its script did to them, each once, in order.
fn check_history<'a, S: Subject>(mut told: impl Iterator<Item = &'a Told>, script: &Script<S>) -> Result<(), String> {
    for changes in script.past.chunk_by(|one, other| one.0 == other.0) {
        // Within an action those of one removal have no order.
        let mut of_action: Vec<_> = told.by_ref().take(changes.len()).collect();
        of_action.sort_by_key(|told| &told.changed);
        let is_right = |((action, changed), told): (&(u64, Changed), &&Told)| {
            *changed == told.changed && told.data.as_ref().is_none_or(|data| data["action"] == *action)
        };
        if of_action.len() != changes.len() || !changes.iter().zip(&of_action).all(is_right) {
            return Err(format!("I2: the history says {of_action:?} where {changes:?} was done"));
        }
    }
    told.next().map_or(Ok(()), |more| Err(format!("I2: the history says {more:?} beyond what was done")))
}

fn go_on_to_what_is_there<S: Subject>(
    store: &S,
    bounds: RangeInclusive<u64>,
    counted: u64,
    script: &mut Script<S>,
) -> Result<(), String> {
    while script.done < *bounds.start() {
        script.next();
    }
    let rows = store.rows(&script.prefix()).map_err(|error| format!("I6: {error}"))?;
    let (mut here, mut found, mut told) = (script.clone(), None, String::new());
    for number in bounds.clone() {
        if here.done < number {
            here.next();
        }
        match difference(&rows, counted, &here) {
            // The furthest: actions that change nothing leave no trace.
            None => found = Some(here.clone()),
            Some(difference) => told += &format!("\nafter {}: {difference}", here.done),
        }
    }
    *script = found.ok_or_else(|| {
        format!(
            "I1, I4, I5: at least {} and at most {} actions of {} were done, and what is there is not what any of these \
             leave:{told}",
            bounds.start(),
            bounds.end(),
            script.prefix()
        )
    })?;
    Ok(())
}

/// What is there that the script does not leave, or the other way round.
fn difference<S: Subject>(rows: &[Row], counted: u64, script: &Script<S>) -> Option<String> {
    if script.counted != counted {
        return Some(format!("counted {counted} times, not {}", script.counted));
    }
    let wanted = script.records.rows();
    let same = |((id, version, data), wanted): (&Row, _)| (id, *version, data) == wanted;
    if let Some((found, (id, version, _))) = rows.iter().zip(wanted).find(|(found, wanted)| !same((found, *wanted))) {
        return Some(format!("{id:?} should have version {version}; there is {found:?}"));
    }
    (rows.len() != script.records.len()).then(|| format!("{} records, not {}", rows.len(), script.records.len()))
}
