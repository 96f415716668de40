//! One writer: it does on a store what its script says, and is found again in what a crash left.

use std::collections::VecDeque;
use std::time::Duration;

use persist_dated::{DatedStore, Durability, Error, ErrorKind, Record};
use persist_test_utils::Rng;
use persist_test_utils::oracle::{Changed, Conflict};
use serde_json::{Value, json};

use crate::perform::{Outcome, Waiting, perform, submit};
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

/// A writer at work. `tell` is told of each action that is acknowledged.
pub(crate) struct Writer<'a, T> {
    store: &'a DatedStore,
    script: Script,
    rng: Rng,
    /// It flushes or compacts after one in so many actions.
    chores: u64,
    tell: T,
    /// What was submitted: the number of the action, its ticket, and the answer it has to give.
    under_way: VecDeque<(u64, Waiting, Answer)>,
}

impl<'a, T: FnMut(u64) -> Result<(), Ended>> Writer<'a, T> {
    pub(crate) fn new(store: &'a DatedStore, script: Script, rng: Rng, chores: u64, tell: T) -> Self {
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
                (self.tell)(number)?;
            }
            Action::Own(call, answer) => {
                let durability = match self.rng.below(4) {
                    0 => Durability::Os,
                    1 => Durability::Interval(Duration::from_millis(5)),
                    _ => Durability::Sync,
                };
                // Once it has begun to submit, it goes on until so many are under way.
                if self.rng.chance(1, 12) || !self.under_way.is_empty() {
                    self.under_way.push_back((number, submit(self.store, &call, durability)?, answer));
                    if self.under_way.len() as u64 == UNDER_WAY {
                        self.wait_for_all()?;
                    }
                } else {
                    let outcome = perform(self.store, &call, durability);
                    self.take(number, outcome, &answer)?;
                }
            }
        }
        match self.rng.below(self.chores) {
            0 => self.store.flush()?,
            1 => self.store.compact()?,
            _ => {}
        }
        Ok(())
    }

    fn wait_for_all(&mut self) -> Result<(), Ended> {
        while let Some((number, waiting, answer)) = self.under_way.pop_front() {
            self.take(number, waiting(), &answer)?;
        }
        Ok(())
    }

    fn take(&mut self, number: u64, outcome: Outcome, answer: &Answer) -> Result<(), Ended> {
        let outcome = outcome?;
        if outcome != *answer {
            let what = format!("action {number} of {}: {outcome:?}, not {answer:?}", self.script.prefix());
            return Err(Ended::Wrong(what));
        }
        (self.tell)(number)
    }

    fn count(&self) -> Result<(), Ended> {
        loop {
            let record = self.store.get_key_process(COUNTER, None);
            let mut counts = counts(record.as_deref())?;
            counts[self.script.place()] += 1;
            let put = self.store.put(COUNTER);
            let (put, version) = match &record {
                Some(record) => (put.if_version(record.version()), record.version()),
                None => (put.if_absent(), 0),
            };
            match put.data(&json!({ "counts": counts })) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    if error.present_version().is_none_or(|present| present <= version) {
                        let what = format!("a conflict with {:?} on version {version}", error.present_version());
                        return Err(Ended::Wrong(what));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn counts(counter: Option<&Record>) -> Result<Vec<u64>, Error> {
    let counts = counter.map_or(Ok(None), |record| record.field("counts"))?;
    Ok(counts.unwrap_or_else(|| vec![0; WRITERS as usize]))
}

/// Finds how far each script has come in what a crash left, and goes on to there; that is not less than was acknowledged,
/// and no further than what was under way. Compares memory, DuckDB and the counter, too.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn find(store: &DatedStore, acknowledged: &[u64], scripts: &mut [Script]) -> Result<(), String> {
    let counter = store.get_key_process(COUNTER, None);
    let counts = counts(counter.as_deref()).map_err(|error| error.to_string())?;
    for (acknowledged, script) in acknowledged.iter().zip(scripts.iter_mut()) {
        go_on_to_what_is_there(store, *acknowledged, counts[script.place()], script)?;
    }
    let versions = counter.map_or(0, |record| u64::from(record.version()));
    if versions != counts.iter().sum::<u64>() {
        return Err(format!("I2: {counts:?} were counted, in {versions} versions: an update was lost or doubled"));
    }
    let own: u64 = scripts.iter().map(|script| script.records.len() as u64).sum();
    let of_rows = scripts.iter().flat_map(|script| script.records.rows()).map(|(_, version, _)| u64::from(version));
    let wanted = (own + u64::from(versions > 0), of_rows.sum::<u64>() + versions);
    let (ids, sum) = in_sql(store)?;
    if (ids, sum) != wanted || store.len() as u64 != ids {
        return Err(format!("I2: {ids} rows of {sum} versions in DuckDB, {} in memory, not {wanted:?}", store.len()));
    }
    let verified = store.verify().map_err(|error| error.to_string())?;
    if !verified.is_ok() {
        return Err(format!("I2: memory and DuckDB differ: {verified:?}"));
    }
    Ok(())
}

fn in_sql(store: &DatedStore) -> Result<(u64, u64), String> {
    let sql = "SELECT count(*) AS ids, coalesce(sum(version), 0)::BIGINT AS versions FROM storage";
    let rows: Vec<Value> = store.query(sql).and_then(|rows| rows.to()).map_err(|error| error.to_string())?;
    let figure = |name: &str| rows.first().and_then(|row| row[name].as_u64()).unwrap_or(0);
    Ok((figure("ids"), figure("versions")))
}

fn go_on_to_what_is_there(store: &DatedStore, acked: u64, counted: u64, script: &mut Script) -> Result<(), String> {
    while script.done < acked {
        script.next();
    }
    let (mut here, mut found, mut told) = (script.clone(), None, String::new());
    for ahead in 0..=UNDER_WAY {
        if ahead > 0 {
            here.next();
        }
        match difference(store, counted, &here) {
            // The furthest: actions that change nothing leave no trace.
            None => found = Some(here.clone()),
            Some(difference) => told += &format!("\nafter {}: {difference}", here.done),
        }
    }
    *script = found.ok_or_else(|| {
        format!(
            "I1, I4, I5: {acked} actions of {} were acknowledged, and what is there is not what they leave, nor that and \
             up to {UNDER_WAY} more:{told}",
            script.prefix()
        )
    })?;
    Ok(())
}

/// What is there that the script does not leave, or the other way round.
fn difference(store: &DatedStore, counted: u64, script: &Script) -> Option<String> {
    if script.counted != counted {
        return Some(format!("counted {counted} times, not {}", script.counted));
    }
    let wrong = script.records.rows().find(|((key, fields), version, data)| {
        let record = store.get_key_process(key, fields[0].as_deref());
        record.is_none_or(|record| record.version() != *version || record.to::<Value>().ok().as_ref() != Some(*data))
    });
    if let Some((id, version, _)) = wrong {
        let found = store.get_key_process(&id.0, id.1[0].as_deref()).map(|record| record.version());
        return Some(format!("{id:?} should have version {version}, not {found:?}, or has other data"));
    }
    let present = store.iter_with_prefix(&script.prefix()).count();
    (present != script.records.len()).then(|| format!("{present} records, not {}", script.records.len()))
}
