//! Doing it, and comparing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use persist_core::{Durability, ErrorKind, Timestamp};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use super::steps::{How, Step, puts, tell_apart};
use crate::copy_as_crash_leaves_it;
use crate::oracle::{Call, Changed, Conflict, Id, Oracle};
use crate::subject::{Row, Settings, Subject, Told, Waiting};

/// Does it, compares all along, and at the end through a close and an opening.
///
/// # Panics
/// Where the store does not agree with the naive one.
pub fn run<S: Subject>(steps: &[Step], settings: &Settings) {
    let mut run = Run::<S> {
        folders: vec![tempdir().unwrap()],
        settings: settings.clone(),
        store: None,
        oracle: Oracle::new(),
        past: Vec::new(),
        puts: 0,
        under_way: Vec::new(),
        possible: Vec::new(),
        has_all_logs: settings.backups,
        backups: Vec::new(),
    };
    run.open(1);
    steps.iter().for_each(|step| run.step(step));
    run.wait();
    run.check();
    run.check_past(50);
    run.step(&Step::Reopen(28));
    assert_eq!(run.store().problems().unwrap(), Vec::<String>::new());
}

struct Run<S> {
    /// Each crash and each restored backup goes on in a folder of its own.
    folders: Vec<TempDir>,
    settings: Settings,
    store: Option<S>,
    oracle: Oracle,
    /// All writes: of what each was and, where the store keeps them, in its order.
    past: Vec<(Changed, Option<Value>)>,
    puts: u64,
    /// What nobody has waited for yet, and what it has to answer.
    under_way: Vec<(Waiting, Result<Vec<Changed>, Conflict>)>,
    /// What a crash may leave instead of what the oracle says: the last acknowledged state, and each on the way.
    possible: Vec<Oracle>,
    /// Whether the history can be made anew: its newest backup and the logs since are there.
    has_all_logs: bool,
    /// The folders of the backups, and what there was then.
    backups: Vec<(PathBuf, Oracle)>,
}

impl<S: Subject> Run<S> {
    fn dir(&self) -> PathBuf {
        self.folders.last().unwrap().path().join("store")
    }

    fn open(&mut self, day: u8) {
        let store = S::open(&self.dir(), day, &self.settings).unwrap();
        assert!(!store.recovery().is_damaged() && store.recovery().left_out.is_empty(), "{}", store.recovery());
        self.store = Some(store);
    }

    fn store(&self) -> &S {
        self.store.as_ref().unwrap()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Write(call, how) => self.write(call, *how),
            Step::Wait => self.wait(),
            Step::Read(id) => self.check_key(id),
            Step::Sync => self.store().sync().unwrap(),
            Step::Flush => self.store().flush().unwrap(),
            Step::Compact => self.store().compact().unwrap(),
            Step::Query => self.check_sql(),
            Step::Forget => {
                if let Some(forgotten) = self.store().forget_removed().unwrap() {
                    assert_eq!(forgotten, self.oracle.forget_removed());
                }
            }
            Step::Rebuild => {
                if let Some(rebuilt) = self.store().rebuild_latest().unwrap() {
                    assert_eq!(rebuilt, self.oracle.len() as u64);
                }
            }
            Step::Past(percent) => self.check_past(*percent),
            Step::Roll(day) => self.store().roll_to(*day).unwrap(),
            Step::Backup => {
                let dir = self.folders.last().unwrap().path().join(format!("backup-{}", self.backups.len()));
                let seq = self.store().backup(&dir).unwrap();
                assert_eq!(seq, self.past.len() as u64, "it has all that was written before, and nothing else");
                self.backups.push((dir, self.oracle.clone()));
            }
            Step::Restore(day, stays) => self.restore(*day, *stays),
            Step::RestoreTo(day, percent) => self.restore_to(*day, *percent),
            Step::LoseHistory(day, by_hand) => self.lose_history(*day, *by_hand),
            Step::Crash(day) => self.crash(*day),
            Step::Reopen(day) => {
                self.store.take().unwrap().close().unwrap();
                self.wait();
                self.open(*day);
                self.has_all_logs |= self.settings.backups;
                self.check();
            }
        }
    }

    fn write(&mut self, call: &Call, how: How) {
        let call = tell_apart::<S>(call, &mut self.puts);
        let before = self.oracle.clone();
        let mut expected = self.oracle.call(&call);
        if let Ok(changes) = &mut expected {
            // Each put by the data that it had, and removals of many in any order: the store says in which.
            let mut data = puts(&call);
            self.past.extend(changes.iter().map(|changed| match changed {
                Changed::Put(..) => (changed.clone(), Some(data.remove(0))),
                Changed::Removed(..) => (changed.clone(), None),
            }));
            changes.sort();
        }
        let durability = match how {
            How::Sync => Durability::Sync,
            How::Os => Durability::Os,
            How::Interval => Durability::Interval(Duration::from_millis(1)),
            How::Ticket => {
                let waiting = self.store().submit(&call, Durability::Sync).unwrap();
                self.under_way.push((waiting, expected));
                self.possible.push(before);
                return;
            }
        };
        assert_eq!(self.store().perform(&call, durability).unwrap(), expected, "{call:?}");
        assert_eq!(self.store().last_seq(), self.oracle.writes());
        if self.oracle.writes() > before.writes() {
            // With it all that was written before is acknowledged.
            self.possible.clear();
        }
    }

    fn wait(&mut self) {
        for (waiting, expected) in self.under_way.drain(..) {
            assert_eq!(waiting().unwrap(), expected);
        }
        self.possible.clear();
    }

    /// Goes on with what a crash left: the calls under way are there up to one of them, each whole or not at all.
    fn crash(&mut self, day: u8) {
        let next = tempdir().unwrap();
        copy_as_crash_leaves_it(&self.dir(), &next.path().join("store"));
        self.store = None;
        self.under_way.clear();
        self.folders.push(next);
        self.open(day);
        let last = self.store().last_seq();
        if last != self.oracle.writes() {
            let is_there = |state: &Oracle| state.writes() == last;
            let left = self.possible.iter().rev().find(|state| is_there(state));
            self.oracle = left.unwrap_or_else(|| panic!("seq {last} is within a call, or before an answer")).clone();
            self.past.truncate(last as usize);
        }
        self.possible.clear();
        self.check();
    }

    /// What a backup has is the fold of all writes up to its `seq`.
    fn restore(&mut self, day: u8, stays: bool) {
        let Some((backup, then)) = self.backups.last().cloned() else { return };
        let seq = then.writes();
        self.wait();
        self.settle_order();
        let next = tempdir().unwrap();
        assert_eq!(S::verify_backup(&backup, &self.settings).unwrap(), seq);
        assert_eq!(S::restore(&backup, &next.path().join("store"), day, &self.settings).unwrap(), seq);
        let (present, past) = (self.store.take(), self.past.clone());
        let oracle = std::mem::replace(&mut self.oracle, then);
        self.past.truncate(seq as usize);
        self.folders.push(next);
        self.open(day);
        self.check();
        self.check_past(70);
        if stays {
            // Its first own backup comes when it is closed.
            self.has_all_logs = false;
            return;
        }
        self.store.take().unwrap().close().unwrap();
        self.folders.pop();
        (self.store, self.oracle, self.past) = (present, oracle, past);
    }

    fn restore_to(&mut self, day: u8, percent: u8) {
        self.wait();
        let Some(told) = self.settle_order() else { return };
        if !self.has_all_logs || told.is_empty() {
            return;
        }
        let moment = told[told.len() * usize::from(percent) / 100].at;
        let then: Vec<&Told> = told.iter().filter(|write| write.at <= moment).collect();
        let (scratch, settings) = (tempdir().unwrap(), self.settings.clone());
        let restored = match S::restore_to(&self.dir(), moment, scratch.path(), day, &settings) {
            Ok(seq) => seq,
            // The log goes back to the oldest backup, which has more.
            Err(error) if error.kind() == ErrorKind::Gone && then.len() < told.len() => return,
            Err(error) => panic!("{moment}: {error}"),
        };
        assert_eq!(restored, Some(then.len() as u64));
        let store = S::open(scratch.path(), day, &settings).unwrap();
        assert_eq!(store.history().unwrap().unwrap(), then.iter().copied().cloned().collect::<Vec<_>>());
        assert_eq!(store.rows("").unwrap(), fold(then.into_iter()));
        assert_eq!(store.problems().unwrap(), Vec::<String>::new());
    }

    fn lose_history(&mut self, day: u8, by_hand: bool) {
        self.wait();
        if !self.has_all_logs || self.settle_order().is_none() {
            return;
        }
        let next = tempdir().unwrap();
        copy_as_crash_leaves_it(&self.dir(), &next.path().join("store"));
        self.store = None;
        self.folders.push(next);
        self.store = S::lose_history(&self.dir(), day, &self.settings, by_hand).unwrap();
        self.check();
    }

    /// The key of an id, and the id.
    fn check_key(&self, id: &Id) {
        let get = |(version, data): (u32, &Value)| (version, data.clone());
        assert_eq!(self.store().get(id).unwrap(), self.oracle.get(id).map(get));
        let of_key = |row: &Row| row.0.0 == id.0;
        let found: Vec<Row> = self.store().rows(&id.0).unwrap().into_iter().filter(of_key).collect();
        assert_eq!(found, self.rows().into_iter().filter(of_key).collect::<Vec<_>>());
    }

    /// The records that there have to be.
    fn rows(&self) -> Vec<Row> {
        self.oracle.rows().map(|(id, version, data)| (id.clone(), version, data.clone())).collect()
    }

    fn check(&mut self) {
        let (store, rows) = (self.store(), self.rows());
        assert_eq!(store.last_seq(), self.oracle.writes());
        for (id, version, data) in &rows {
            assert_eq!(store.get(id).unwrap().as_ref(), Some(&(*version, data.clone())), "{id:?}");
        }
        assert_eq!(store.rows("").unwrap(), rows);
        let mut keys: Vec<String> = rows.into_iter().map(|(id, ..)| id.0).collect();
        keys.dedup();
        assert_eq!(store.keys("").unwrap(), keys);
        self.check_sql();
        assert_eq!(self.store().problems().unwrap(), Vec::<String>::new());
    }

    fn check_sql(&mut self) {
        assert_eq!(self.store().table().unwrap(), self.rows());
        self.settle_order();
    }

    /// Compares the history with all writes, once those are in the order of the store: of what one call removes, it decides.
    fn settle_order(&mut self) -> Option<Vec<Told>> {
        let told = self.store().history().unwrap()?;
        assert_eq!(told.len(), self.past.len());
        for (at, told) in told.iter().enumerate() {
            let removal = |(changed, _): &(Changed, Option<Value>)| matches!(changed, Changed::Removed(..));
            let run = self.past[at..].iter().take_while(|write| removal(write)).count().max(1);
            let place = self.past[at..at + run].iter().position(|(changed, _)| *changed == told.changed);
            let Some(place) = place else { panic!("{told:?}, not {:?}", self.past[at]) };
            self.past.swap(at, at + place);
            assert_eq!((told.seq, &told.data), (at as u64 + 1, &self.past[at].1), "{told:?}");
        }
        assert!(told.is_sorted_by_key(|told| told.at));
        assert_eq!(fold(told.iter()), self.rows(), "the newest records are the fold of the history");
        Some(told)
    }

    fn check_past(&mut self, percent: u8) {
        let Some(told) = self.settle_order() else { return };
        if told.is_empty() {
            return;
        }
        let picked = &told[told.len() * usize::from(percent) / 100];
        let of_id: Vec<Told> = told.iter().filter(|write| write.changed.id() == picked.changed.id()).cloned().collect();
        assert_eq!(self.store().history_of(picked.changed.id()).unwrap(), Some(of_id));
        for moment in [picked.at, Timestamp::from_unix_micros(picked.at.unix_micros() - 1)] {
            let found = self.store().as_of(moment, true).unwrap();
            assert_eq!(found, Some(fold(told.iter().filter(|write| write.at <= moment))), "as written at {moment}");
        }
        let timestamp = |write: &Told| {
            write.data.as_ref().map_or(write.at, |data| Timestamp::parse(data["timestamp"].as_str().unwrap()).unwrap())
        };
        for moment in [timestamp(picked), Timestamp::from_unix_micros(timestamp(picked).unix_micros() - 1)] {
            let found = self.store().as_of(moment, false).unwrap();
            assert_eq!(found, Some(fold(told.iter().filter(|write| timestamp(write) <= moment))), "as of {moment}");
        }
    }
}

/// The last of these writes of each id.
fn fold<'a>(writes: impl Iterator<Item = &'a Told>) -> Vec<Row> {
    let mut last: BTreeMap<&Id, &Told> = BTreeMap::new();
    last.extend(writes.map(|write| (write.changed.id(), write)));
    let row = |(id, write): (&Id, &Told)| Some((id.clone(), write.changed.version(), write.data.clone()?));
    last.into_iter().filter_map(row).collect()
}
