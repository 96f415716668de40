//! Whatever is done in whatever order, the store agrees with the naive one: in memory, after recovery, in DuckDB.

use persist_kv::{Change, Durability, ErrorKind, KvStore};
use persist_test_utils::oracle::{Call, Changed, Conflict, Expect, Id};
use persist_test_utils::{Oracle, copy_as_crash_leaves_it};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Value, json};

use crate::quiet;

#[derive(Debug, Clone)]
enum Step {
    Write(Call, Durability),
    Flush,
    Compact,
    Crash,
    Reopen,
}

fn id(key: &str) -> Id {
    (key.to_owned(), Vec::new())
}

fn call() -> impl Strategy<Value = Call> {
    let version = || prop_oneof![3 => Just(None), 1 => (1..5_u32).prop_map(|version| Some(Expect::Version(version)))];
    let expect = move || prop_oneof![4 => version(), 1 => Just(Some(Expect::Absent))];
    let key = || (0..6_u8).prop_map(|key| id(&format!("k{key}")));
    let one = move || {
        prop_oneof![
            3 => (key(), any::<u32>(), expect()).prop_map(|(id, n, expect)| Call::Put(id, json!({"n": n}), expect)),
            1 => (key(), version()).prop_map(|(id, expect)| Call::Remove(id, expect)),
        ]
    };
    prop_oneof![4 => one(), 1 => vec(one(), 0..5).prop_map(Call::Batch)]
}

fn step() -> impl Strategy<Value = Step> {
    let durability = prop_oneof![Just(Durability::Sync), Just(Durability::Os)];
    prop_oneof![
        20 => (call(), durability).prop_map(|(call, durability)| Step::Write(call, durability)),
        3 => Just(Step::Flush),
        2 => Just(Step::Compact),
        2 => Just(Step::Crash),
        1 => Just(Step::Reopen),
    ]
}

/// Does what is asked for with the store's verbs.
fn perform(store: &KvStore, call: &Call, durability: Durability) -> Result<Vec<Changed>, Conflict> {
    let made = match call {
        Call::Put((key, _), data, expect) => {
            let put = store.put(key).durability(durability);
            let put = match expect {
                None => put,
                Some(Expect::Absent) => put.if_absent(),
                Some(Expect::Version(version)) => put.if_version(*version),
            };
            put.data(data).map(|record| vec![Changed::Put(id(key), record.version())])
        }
        Call::Remove((key, _), expect) => {
            let removed = match expect {
                Some(Expect::Version(version)) => store.remove_if_version(key, *version),
                _ => store.remove(key),
            };
            removed.map(|record| record.into_iter().map(|r| Changed::Removed(id(key), r.version() + 1)).collect())
        }
        Call::Batch(calls) => {
            let mut batch = store.batch().durability(durability);
            for call in calls {
                match call {
                    Call::Put((key, _), data, None) => batch.put(key).data(data),
                    Call::Put((key, _), data, Some(Expect::Absent)) => batch.put(key).if_absent().data(data),
                    Call::Put((key, _), data, Some(Expect::Version(version))) => {
                        batch.put(key).if_version(*version).data(data)
                    }
                    Call::Remove((key, _), Some(Expect::Version(version))) => {
                        batch.remove_if_version(key, *version);
                        Ok(())
                    }
                    Call::Remove((key, _), _) => {
                        batch.remove(key);
                        Ok(())
                    }
                    other => unreachable!("{other:?}"),
                }
                .unwrap();
            }
            let changed = |change: &Change<_>| match change.record() {
                Some(record) => Changed::Put(id(record.key()), record.version()),
                None => Changed::Removed(id(change.key()), change.version()),
            };
            batch.commit().map(|changes| changes.iter().map(changed).collect())
        }
        other => unreachable!("{other:?}"),
    };
    made.map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        Conflict(error.present_version())
    })
}

struct Run {
    /// Each crash goes on in a folder of its own.
    folders: Vec<tempfile::TempDir>,
    store: Option<KvStore>,
    oracle: Oracle,
}

impl Run {
    fn new() -> Self {
        let mut run = Self { folders: Vec::new(), store: None, oracle: Oracle::new() };
        run.folders.push(tempfile::tempdir().unwrap());
        run.open();
        run
    }

    fn open(&mut self) {
        let dir = self.folders.last().unwrap().path();
        let config = quiet(dir).max_wal_records(5).batch_size(8);
        self.store = Some(KvStore::open(dir.join("data.duckdb"), config).unwrap());
        self.check();
    }

    fn store(&self) -> &KvStore {
        self.store.as_ref().unwrap()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write(ref call, durability) => {
                assert_eq!(perform(self.store(), call, durability), self.oracle.call(call), "{call:?}");
                assert_eq!(self.store().stats().last_seq, self.oracle.writes());
            }
            Step::Flush => self.store().flush().unwrap(),
            Step::Compact => self.store().compact().unwrap(),
            Step::Crash => {
                let next = tempfile::tempdir().unwrap();
                copy_as_crash_leaves_it(self.folders.last().unwrap().path(), next.path());
                self.store = None;
                self.folders.push(next);
                self.open();
            }
            Step::Reopen => {
                self.store.take().unwrap().close().unwrap();
                self.open();
            }
        }
    }

    fn check(&self) {
        let store = self.store();
        assert!(!store.recovery().is_damaged() && store.recovery().left_out.is_empty(), "{}", store.recovery());
        assert_eq!(store.len(), self.oracle.len());
        for ((key, _), version, data) in self.oracle.rows() {
            let record = store.get(key).expect("a record is missing");
            assert_eq!((record.version(), &record.to::<Value>().unwrap()), (version, data));
        }
    }

    fn check_sql(&self) {
        let rows = self.store().query("SELECT key, version, (data->>'n')::BIGINT FROM storage ORDER BY key").unwrap();
        let found: Vec<Value> = rows.iter().map(|row| json!(row)).collect();
        let wanted = self.oracle.rows().map(|((key, _), version, data)| json!([key, version, data["n"]]));
        assert_eq!(found, wanted.collect::<Vec<_>>());
        assert!(self.store().verify().unwrap().is_ok());
    }
}

fn config() -> ProptestConfig {
    let seeds = FileFailurePersistence::SourceParallel("proptest-regressions");
    ProptestConfig { cases: 16, failure_persistence: Some(Box::new(seeds)), ..Default::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_interleaving_agrees_with_the_naive_model(steps in vec(step(), 1..60)) {
        let mut run = Run::new();
        steps.iter().for_each(|step| run.step(step));
        run.check();
        run.check_sql();
    }
}
