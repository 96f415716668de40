//! Whatever is done in whatever order, the store agrees with the naive one, which is a list of all writes: in memory, in
//! both tables, in what it tells of the past.

use std::collections::BTreeMap;

use persist_collection::{Change, CollectionStore, Durability, Record, Scalar, Timestamp};
use persist_test_utils::copy_as_crash_leaves_it;
use persist_test_utils::oracle::{Conflict, Expect};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Value, json};

use crate::{quiet, rows};

/// Key, collection, item.
type Id = (String, String, String);

#[derive(Debug, Clone)]
enum Call {
    Put(Id, u32, Option<Expect>),
    Remove(Id, Option<u32>),
    RemoveCollection(String, String),
    RemoveKey(String),
    Batch(Vec<Call>),
}

#[derive(Debug, Clone)]
enum Step {
    Write(Call, Durability),
    Read(Id),
    ReadCollection(String, String),
    Flush,
    Refresh,
    RebuildLatest,
    Roll(u8),
    Past,
    Crash(u8),
    Reopen(u8),
}

/// A write: what was put, by its number, or a removal.
#[derive(Debug, Clone)]
struct Write {
    id: Id,
    version: u32,
    put: Option<u32>,
}

/// All writes, in order. Everything else is told of them.
#[derive(Debug, Clone, Default)]
struct Naive(Vec<Write>);

impl Naive {
    /// The last write of each id among those that `counts` says count, without removals.
    fn latest(&self, counts: impl Fn(usize, &Write) -> bool) -> BTreeMap<&Id, &Write> {
        let mut latest = BTreeMap::new();
        for (_, write) in self.0.iter().enumerate().filter(|(at, write)| counts(*at, write)) {
            latest.insert(&write.id, write);
        }
        latest.retain(|_, write| write.put.is_some());
        latest
    }

    fn get(&self, id: &Id) -> Option<&Write> {
        self.0.iter().rev().find(|write| write.id == *id).filter(|write| write.put.is_some())
    }

    fn write(&mut self, id: &Id, put: Option<u32>) {
        let version = self.0.iter().filter(|write| write.id == *id).count() as u32 + 1;
        self.0.push(Write { id: id.clone(), version, put });
    }

    fn expect(&self, id: &Id, expect: Option<Expect>) -> Result<(), Conflict> {
        let present = self.get(id).map(|write| write.version);
        match expect {
            Some(Expect::Absent) if present.is_some() => Err(Conflict(present)),
            Some(Expect::Version(version)) if present != Some(version) => Err(Conflict(present)),
            _ => Ok(()),
        }
    }

    fn call(&mut self, call: &Call) -> Result<(), Conflict> {
        match call {
            Call::Put(id, n, expect) => {
                self.expect(id, *expect)?;
                self.write(id, Some(*n));
            }
            Call::Remove(id, version) => {
                self.expect(id, version.map(Expect::Version))?;
                if self.get(id).is_some() {
                    self.write(id, None);
                }
            }
            Call::RemoveCollection(key, collection) => self.remove(|id| id.0 == *key && id.1 == *collection),
            Call::RemoveKey(key) => self.remove(|id| id.0 == *key),
            Call::Batch(calls) => {
                let mut after = self.clone();
                calls.iter().try_for_each(|call| after.call(call))?;
                *self = after;
            }
        }
        Ok(())
    }

    fn remove(&mut self, is_removed: impl Fn(&Id) -> bool) {
        let ids: Vec<Id> = self.latest(|_, write| is_removed(&write.id)).into_keys().cloned().collect();
        ids.iter().for_each(|id| self.write(id, None));
    }
}

/// What the n-th put writes besides its number.
fn value(n: u32) -> Option<Scalar> {
    match n % 5 {
        0 => Some(Scalar::Int(i64::from(n) - 500)),
        1 => Some(Scalar::Float(f64::from(n) / 8.0)),
        2 => Some(Scalar::Text(format!("text {n}").into())),
        3 => Some(Scalar::Int(i64::MAX - i64::from(n))),
        _ => None,
    }
}

/// Not in the order of the writes.
fn timestamp(n: u32) -> Timestamp {
    Timestamp::from_unix_micros(1_600_000_000_000_000 + i64::from(n * 7 % 10) * 86_400_000_000)
}

fn some_key() -> impl Strategy<Value = String> {
    (0..3_u8).prop_map(|key| format!("k{key}"))
}

fn some_collection() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just("a".to_owned()), Just("b".to_owned())]
}

fn some_id() -> impl Strategy<Value = Id> {
    (some_key(), some_collection(), (0..3_u8).prop_map(|item| format!("i{item}")))
}

fn call() -> impl Strategy<Value = Call> {
    let one = || {
        let expect = prop_oneof![
            5 => Just(None),
            1 => Just(Some(Expect::Absent)),
            2 => (1..5_u32).prop_map(|version| Some(Expect::Version(version))),
        ];
        let version = prop_oneof![3 => Just(None), 1 => (1..5_u32).prop_map(Some)];
        prop_oneof![
            10 => (some_id(), 0..1000_u32, expect).prop_map(|(id, n, expect)| Call::Put(id, n, expect)),
            4 => (some_id(), version).prop_map(|(id, version)| Call::Remove(id, version)),
            1 => (some_key(), some_collection()).prop_map(|(key, collection)| Call::RemoveCollection(key, collection)),
            1 => some_key().prop_map(Call::RemoveKey),
        ]
    };
    prop_oneof![4 => one(), 1 => vec(one(), 0..7).prop_map(Call::Batch)]
}

fn step() -> impl Strategy<Value = Step> {
    let durability = prop_oneof![Just(Durability::Sync), Just(Durability::Os)];
    prop_oneof![
        24 => (call(), durability).prop_map(|(call, durability)| Step::Write(call, durability)),
        4 => some_id().prop_map(Step::Read),
        2 => (some_key(), some_collection()).prop_map(|(key, collection)| Step::ReadCollection(key, collection)),
        3 => Just(Step::Flush),
        2 => Just(Step::Refresh),
        1 => Just(Step::RebuildLatest),
        1 => (20..29_u8).prop_map(Step::Roll),
        1 => Just(Step::Past),
        2 => (20..29_u8).prop_map(Step::Crash),
        2 => (20..29_u8).prop_map(Step::Reopen),
    ]
}

macro_rules! put {
    ($to:expr, $id:expr, $n:expr, $expect:expr) => {{
        let put = $to.put(&$id.0).collection(&$id.1).item(&$id.2).value(value(*$n)).timestamp(timestamp(*$n));
        match $expect {
            None => put,
            Some(Expect::Absent) => put.if_absent(),
            Some(Expect::Version(version)) => put.if_version(*version),
        }
    }};
}

/// Does what is asked for with the store's verbs.
fn perform(store: &CollectionStore, call: &Call, durability: Durability) -> persist_collection::Result<()> {
    match call {
        Call::Put(id, n, expect) => put!(store, id, n, expect).durability(durability).data(&json!({"n": n})).map(drop),
        Call::Remove(id, None) => store.remove_item(&id.0, &id.1, &id.2).map(drop),
        Call::Remove(id, Some(version)) => store.remove_item_if_version(&id.0, &id.1, &id.2, *version).map(drop),
        Call::RemoveCollection(key, collection) => store.remove_collection(key, collection).map(drop),
        Call::RemoveKey(key) => store.remove_key(key).map(drop),
        Call::Batch(calls) => {
            let mut batch = store.batch().durability(durability);
            for call in calls {
                match call {
                    Call::Put(id, n, expect) => put!(batch, id, n, expect).data(&json!({"n": n}))?,
                    Call::Remove(id, None) => batch.remove_item(&id.0, &id.1, &id.2),
                    Call::Remove(id, Some(version)) => {
                        batch.remove_item_if_version(&id.0, &id.1, &id.2, *version);
                    }
                    Call::RemoveCollection(key, collection) => batch.remove_collection(key, collection),
                    Call::RemoveKey(key) => batch.remove_key(key),
                    Call::Batch(_) => unreachable!("a batch in a batch"),
                }
            }
            batch.commit().map(drop)
        }
    }
}

/// Id, version and number of what was put.
fn told(record: &Record) -> (Id, u32, u32) {
    let n = record.field("n").unwrap().unwrap();
    assert_eq!((record.typed_value(), record.timestamp()), (&value(n), Some(timestamp(n))));
    let name = record.part();
    ((record.key().to_owned(), name.collection().to_owned(), name.item().to_owned()), record.version(), n)
}

fn wanted(writes: BTreeMap<&Id, &Write>) -> Vec<(Id, u32, u32)> {
    writes.into_values().map(|write| (write.id.clone(), write.version, write.put.unwrap())).collect()
}

struct Run {
    /// Each crash goes on in a folder of its own.
    folders: Vec<tempfile::TempDir>,
    records_per_segment: u64,
    batch_size: usize,
    store: Option<CollectionStore>,
    naive: Naive,
}

impl Run {
    fn open(&mut self, day: u8) {
        let config = quiet(self.folders.last().unwrap().path());
        let config = config.max_wal_records(self.records_per_segment).batch_size(self.batch_size);
        let store = CollectionStore::open(format!("2025-12-{day}").as_str(), config).unwrap();
        assert!(!store.recovery().is_damaged() && store.recovery().left_out.is_empty(), "{}", store.recovery());
        self.store = Some(store);
    }

    fn store(&self) -> &CollectionStore {
        self.store.as_ref().unwrap()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Write(call, durability) => {
                let performed = perform(self.store(), call, *durability);
                let performed = performed.map_err(|error| Conflict(error.present_version()));
                // Those that a removal of many removes have no order of their own.
                let before = self.naive.0.len();
                assert_eq!(performed, self.naive.call(call), "{call:?}");
                assert_eq!(self.store().stats().last_seq, self.naive.0.len() as u64);
                self.reorder(before);
            }
            Step::Read(id) => self.check_item(id),
            Step::ReadCollection(key, collection) => {
                let read = self.store().get_key_in(key, collection).unwrap();
                let found: Vec<_> = read.values().map(|record| told(record)).collect();
                let is_in = |_, write: &Write| write.id.0 == *key && write.id.1 == *collection;
                assert_eq!(found, wanted(self.naive.latest(is_in)));
            }
            Step::Flush => self.store().flush().unwrap(),
            Step::Refresh => self.store().refresh_latest().unwrap(),
            Step::RebuildLatest => {
                let rebuilt = self.store().rebuild_latest_from_history().unwrap();
                assert_eq!(rebuilt as usize, self.naive.latest(|_, _| true).len());
            }
            Step::Roll(day) => self.store().roll_to(format!("2025-12-{day}").as_str()).unwrap(),
            Step::Past => self.check_past(),
            Step::Crash(day) => {
                let next = tempfile::tempdir().unwrap();
                copy_as_crash_leaves_it(self.folders.last().unwrap().path(), next.path());
                self.store = None;
                self.folders.push(next);
                self.open(*day);
            }
            Step::Reopen(day) => {
                self.store.take().unwrap().close().unwrap();
                self.open(*day);
            }
        }
    }

    /// Brings the removals of one call, from `from` on, into the order in which the store made them.
    fn reorder(&mut self, from: usize) {
        if self.naive.0.len() < from + 2 {
            return;
        }
        let sql = format!(
            "SELECT key, collection_name, item_name FROM storage_history WHERE persist_seq > {from} ORDER BY persist_seq"
        );
        let made: Vec<Id> = rows(self.store(), &sql)
            .iter()
            .map(|row| {
                let text = |n: usize| row[n].as_str().unwrap().to_owned();
                (text(0), text(1), text(2))
            })
            .collect();
        let mut writes = self.naive.0.split_off(from);
        for id in made {
            let at = writes.iter().position(|write| write.id == id).expect("a write of another id");
            self.naive.0.push(writes.remove(at));
        }
        assert!(writes.is_empty());
    }

    fn check_item(&self, id: &Id) {
        let read = self.store().get_item(&id.0, &id.1, &id.2).unwrap();
        let wanted = self.naive.get(id).map(|write| (write.id.clone(), write.version, write.put.unwrap()));
        assert_eq!(read.map(|record| told(&record)), wanted);
    }

    fn check_sql(&self) {
        let columns =
            "key, collection_name, item_name, version, (data->>'n')::INTEGER, value_int, value_float, value_string";
        let row = |write: &Write, version: u32| {
            let value = write.put.and_then(value);
            let (int, float, text) = match &value {
                Some(Scalar::Int(value)) => (json!(value), Value::Null, Value::Null),
                Some(Scalar::Float(value)) => (Value::Null, json!(value), Value::Null),
                Some(Scalar::Text(text)) => (Value::Null, Value::Null, json!(text)),
                None => (Value::Null, Value::Null, Value::Null),
            };
            let (key, collection, item) = &write.id;
            vec![json!(key), json!(collection), json!(item), json!(version), json!(write.put), int, float, text]
        };
        let history = rows(self.store(), &format!("SELECT {columns} FROM storage_history ORDER BY persist_seq"));
        assert_eq!(history, self.naive.0.iter().map(|write| row(write, write.version)).collect::<Vec<_>>());
        let latest = rows(self.store(), &format!("SELECT {columns} FROM storage_latest ORDER BY ALL"));
        let wanted = self.naive.latest(|_, _| true).into_values().map(|write| row(write, 1));
        assert_eq!(latest, wanted.collect::<Vec<_>>());
    }

    fn check_past(&self) {
        let Some(last) = self.naive.0.last() else { return };
        let history = self.store().history(&last.id.0, &last.id.1, &last.id.2).unwrap();
        let found: Vec<_> =
            history.iter().map(|change| (change.version(), change.record().map(|r| told(r).2))).collect();
        let of_id = self.naive.0.iter().filter(|write| write.id == last.id);
        assert_eq!(found, of_id.map(|write| (write.version, write.put)).collect::<Vec<_>>());
        assert!(history.is_sorted_by_key(Change::seq));

        // Removals are made long after all the timestamps.
        let moment = timestamp(last.version);
        let found: Vec<_> = self.store().as_of(moment).unwrap().iter().map(|record| told(record)).collect();
        let is_before = |_, write: &Write| write.put.is_some_and(|n| timestamp(n) <= moment);
        assert_eq!(found, wanted(self.naive.latest(is_before)));

        let ats = rows(self.store(), "SELECT updated_at FROM storage_history ORDER BY persist_seq");
        let ats: Vec<Timestamp> = ats.iter().map(|row| Timestamp::parse(row[0].as_str().unwrap()).unwrap()).collect();
        let moment = ats[ats.len() / 2];
        let found: Vec<_> = self.store().as_of_written(moment).unwrap().iter().map(|record| told(record)).collect();
        assert_eq!(found, wanted(self.naive.latest(|at, _| ats[at] <= moment)));
    }

    fn check(&self) {
        let store = self.store();
        let all = wanted(self.naive.latest(|_, _| true));
        for (id, ..) in &all {
            self.check_item(id);
        }
        for key in ["k0", "k1", "k2"] {
            let read = store.get_key(key).unwrap();
            let found: Vec<_> = read.values().flat_map(|items| items.values()).map(|record| told(record)).collect();
            assert_eq!(found, wanted(self.naive.latest(|_, write| write.id.0 == key)));
        }
        let mut found: Vec<_> = store.iter().unwrap().map(|record| told(&record)).collect();
        found.sort();
        assert_eq!(found, all);
        assert!(store.verify().unwrap().is_ok());
    }
}

fn config() -> ProptestConfig {
    let seeds = FileFailurePersistence::SourceParallel("proptest-regressions");
    ProptestConfig {
        cases: 16,
        failure_persistence: Some(Box::new(seeds)),
        max_shrink_iters: 100,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_interleaving_agrees_with_the_naive_model(
        steps in vec(step(), 1..60),
        records_per_segment in 1..12_u64,
        batch_size in prop_oneof![Just(3_usize), Just(1_000_000)],
    ) {
        let folders = vec![tempfile::tempdir().unwrap()];
        let mut run = Run { folders, records_per_segment, batch_size, store: None, naive: Naive::default() };
        run.open(20);
        steps.iter().for_each(|step| run.step(step));
        run.check_sql();
        run.check_past();
        run.check();
        for file in [persist_collection::DatabaseFile::Main, persist_collection::DatabaseFile::Latest] {
            assert_eq!(run.store().check_database_health(file).unwrap(), Vec::<String>::new());
        }
        let latest = wanted(run.naive.latest(|_, _| true));
        run.step(&Step::Reopen(29));
        run.check_sql();
        assert_eq!(wanted(run.naive.latest(|_, _| true)), latest);
    }
}
