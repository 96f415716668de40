//! Whatever is done in whatever order, the store agrees with the naive one: in memory, after recovery, in DuckDB.

use persist_kv::{Durability, KvStore};
use persist_test_utils::{Oracle, copy_as_crash_leaves_it};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Value, json};

use crate::quiet;

#[derive(Debug, Clone)]
enum Step {
    Store { key: u8, durability: Durability },
    Flush,
    Compact,
    Crash,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let durability = prop_oneof![Just(Durability::Sync), Just(Durability::Os)];
    prop_oneof![
        20 => (0..6_u8, durability).prop_map(|(key, durability)| Step::Store { key, durability }),
        3 => Just(Step::Flush),
        2 => Just(Step::Compact),
        2 => Just(Step::Crash),
        1 => Just(Step::Reopen),
    ]
}

struct Run {
    /// Each crash goes on in a folder of its own.
    folders: Vec<tempfile::TempDir>,
    store: Option<KvStore>,
    oracle: Oracle,
    writes: u64,
}

impl Run {
    fn new() -> Self {
        let mut run = Self { folders: Vec::new(), store: None, oracle: Oracle::new(), writes: 0 };
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
            Step::Store { key, durability } => {
                self.writes += 1;
                let (key, data) = (format!("k{key}"), json!({"n": self.writes}));
                let record = self.store().put(&key).durability(durability).data(&data).unwrap();
                let version = self.oracle.put(&key, &[], data);
                assert_eq!((record.version(), record.seq()), (version, Some(self.writes)));
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
