//! Property tests: whatever is done in whatever order, the store agrees with the naive one; whatever is accepted reads
//! back equal from memory, after recovery and from DuckDB.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use persist_dated::{DatedConfig, DatedStore, Durability, IntoTimestamp};
use persist_test_utils::oracle::{Call, Changed, Conflict, Expect, Id};
use persist_test_utils::subject::Waiting;
use persist_test_utils::{Oracle, Subject, copy_as_crash_leaves_it};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Map, Value, json};

use crate::quiet;
use crate::subject::DatedSubject;

pub(crate) fn config(cases: u32) -> ProptestConfig {
    let seeds = FileFailurePersistence::SourceParallel("proptest-regressions");
    ProptestConfig { cases, failure_persistence: Some(Box::new(seeds)), max_shrink_iters: 200, ..Default::default() }
}

#[derive(Debug, Clone)]
enum Step {
    /// One of the verbs, and how it is acknowledged.
    Write {
        call: Call,
        how: How,
    },
    /// Waits for all that is under way.
    Wait,
    ForgetRemoved,
    Sync,
    Flush,
    Compact,
    Query,
    Crash,
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Sync,
    Os,
    Interval,
    /// With a ticket, which is waited for some time later or not at all.
    Ticket,
}

fn some_id() -> impl Strategy<Value = Id> {
    (0..6_u8, 0..4_u64).prop_map(|(key, n)| DatedSubject::id(&format!("k{key}"), n))
}

fn expect() -> impl Strategy<Value = Option<Expect>> {
    prop_oneof![5 => Just(None), 1 => Just(Some(Expect::Absent)), 3 => (1..5_u32).prop_map(|v| Some(Expect::Version(v)))]
}

/// A call, its data still to be told apart from that of others.
fn call() -> impl Strategy<Value = Call> {
    let one = || {
        prop_oneof![
            10 => (some_id(), expect()).prop_map(|(id, expect)| Call::Put(id, Value::Null, expect)),
            4 => (some_id(), expect()).prop_map(|(id, expect)| {
                Call::Remove(id, expect.filter(|expect| *expect != Expect::Absent))
            }),
            1 => (0..6_u8).prop_map(|key| Call::RemoveKey(format!("k{key}"))),
        ]
    };
    prop_oneof![4 => one(), 1 => vec(one(), 0..9).prop_map(Call::Batch)]
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![2 => Just(How::Sync), 2 => Just(How::Os), 1 => Just(How::Interval), 2 => Just(How::Ticket)];
    prop_oneof![
        24 => (call(), how).prop_map(|(call, how)| Step::Write { call, how }),
        2 => Just(Step::Wait),
        1 => Just(Step::ForgetRemoved),
        1 => Just(Step::Sync),
        3 => Just(Step::Flush),
        2 => Just(Step::Compact),
        1 => Just(Step::Query),
        2 => Just(Step::Crash),
        1 => Just(Step::Reopen),
    ]
}

/// Gives each put data that says which it is.
fn tell_apart(call: &Call, last: &mut u64) -> Call {
    match call {
        Call::Put(id, _, expect) => {
            *last += 1;
            Call::Put(id.clone(), DatedSubject::data(id, Map::from_iter([("n".to_owned(), json!(last))])), *expect)
        }
        Call::Batch(calls) => Call::Batch(calls.iter().map(|call| tell_apart(call, last)).collect()),
        other => other.clone(),
    }
}

struct Run {
    /// Each crash goes on in a folder of its own.
    folders: Vec<tempfile::TempDir>,
    records_per_segment: u64,
    batch_size: usize,
    store: Option<DatedSubject>,
    oracle: Oracle,
    puts: u64,
    /// What nobody has waited for yet, and what it has to answer.
    under_way: Vec<(Waiting, Result<Vec<Changed>, Conflict>)>,
    /// What a crash may leave instead of what the oracle says: the last acknowledged state, and each on the way.
    possible: Vec<Oracle>,
}

impl Run {
    fn config(&self) -> DatedConfig {
        let dir: PathBuf = self.folders.last().unwrap().path().to_owned();
        quiet(&dir).max_wal_records(self.records_per_segment).batch_size(self.batch_size)
    }

    fn open(&mut self) {
        self.store = Some(DatedSubject(DatedStore::open("2025-01-15", self.config()).unwrap()));
    }

    fn store(&self) -> &DatedStore {
        &self.store.as_ref().unwrap().0
    }

    fn write(&mut self, call: &Call, how: How) {
        let call = tell_apart(call, &mut self.puts);
        let before = self.oracle.clone();
        let mut expected = self.oracle.call(&call);
        if let Ok(changes) = &mut expected {
            changes.sort();
        }
        let durability = match how {
            How::Sync => Durability::Sync,
            How::Os => Durability::Os,
            How::Interval => Durability::Interval(Duration::from_millis(1)),
            How::Ticket => {
                let waiting = self.store.as_ref().unwrap().submit(&call, Durability::Sync).unwrap();
                self.under_way.push((waiting, expected));
                self.possible.push(before);
                return;
            }
        };
        assert_eq!(self.store.as_ref().unwrap().perform(&call, durability).unwrap(), expected, "{call:?}");
        assert_eq!(self.store().stats().last_seq, self.oracle.writes());
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
    fn crash(&mut self) {
        let next = tempfile::tempdir().unwrap();
        copy_as_crash_leaves_it(self.folders.last().unwrap().path(), next.path());
        self.store = None;
        self.under_way.clear();
        self.folders.push(next);
        self.open();
        let last = self.store().stats().last_seq;
        if last != self.oracle.writes() {
            let is_there = |state: &Oracle| state.writes() == last;
            let left = self.possible.iter().rev().find(|state| is_there(state));
            self.oracle = left.unwrap_or_else(|| panic!("seq {last} is within a call, or before an answer")).clone();
        }
        self.possible.clear();
        self.check();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Write { call, how } => self.write(call, *how),
            Step::Wait => self.wait(),
            Step::ForgetRemoved => {
                let forgotten = self.store().forget_removed("2999-01-01".into_timestamp().unwrap()).unwrap();
                assert_eq!(forgotten, self.oracle.forget_removed());
            }
            Step::Sync => self.store().sync().unwrap(),
            Step::Flush => self.store().flush().unwrap(),
            Step::Compact => self.store().compact().unwrap(),
            Step::Query => self.check_sql(),
            Step::Crash => self.crash(),
            Step::Reopen => {
                self.store.take().unwrap().close().unwrap();
                self.wait();
                self.open();
                self.check();
            }
        }
    }

    fn check(&self) {
        let store = self.store();
        assert!(!store.recovery().is_damaged() && store.recovery().left_out.is_empty(), "{}", store.recovery());
        assert_eq!(store.len(), self.oracle.len());
        for ((key, fields), version, data) in self.oracle.rows() {
            let record = store.get_key_process(key, fields[0].as_deref()).expect("a record is missing");
            assert_eq!((record.version(), &record.to::<Value>().unwrap()), (version, data));
        }
        let mut keys: Vec<String> = store.keys().collect();
        keys.sort();
        let wanted: BTreeSet<&String> = self.oracle.rows().map(|((key, _), ..)| key).collect();
        assert!(keys.iter().eq(wanted), "{keys:?}");
        assert_eq!(store.stats().removed_ids, self.oracle.removed());
    }

    fn check_sql(&self) {
        let sql = "SELECT key, process_name, version, data FROM storage ORDER BY key, process_name NULLS FIRST";
        let rows = self.store().query(sql).unwrap();
        let found: Vec<Value> = rows.iter().map(|row| Value::Array(row.to_vec())).collect();
        let wanted: Vec<Value> =
            self.oracle.rows().map(|((key, fields), version, data)| json!([key, fields[0], version, data])).collect();
        let parsed = |mut row: Value| {
            if let Some(text) = row[3].as_str() {
                row[3] = serde_json::from_str(text).unwrap();
            }
            row
        };
        assert_eq!(found.into_iter().map(parsed).collect::<Vec<_>>(), wanted);
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn any_interleaving_agrees_with_the_naive_model(
        steps in vec(step(), 1..60),
        records_per_segment in 1..12_u64,
        batch_size in prop_oneof![Just(3_usize), Just(1_000_000)],
    ) {
        let mut run = Run {
            folders: vec![tempfile::tempdir().unwrap()],
            records_per_segment,
            batch_size,
            store: None,
            oracle: Oracle::new(),
            puts: 0,
            under_way: Vec::new(),
            possible: Vec::new(),
        };
        run.open();
        steps.iter().for_each(|step| run.step(step));
        run.wait();
        run.check();
        run.check_sql();
        assert!(run.store().verify().unwrap().is_ok());
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z]{0,8}",
        Just("2025-01-15".to_owned()),
        Just("\u{feff}\u{2028}\r\n\u{0}\"\\".to_owned()),
        Just("'; DROP TABLE storage; --".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no such number", |n| n.is_finite()).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((text(), inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn what_is_accepted_reads_back_equal_from_everywhere(
        records in vec((text(), proptest::option::of(text()), vec((text(), value()), 0..6)), 1..20),
    ) {
        let live = tempfile::tempdir().unwrap();
        let dead = tempfile::tempdir().unwrap();
        let store = DatedStore::open("2025-01-15", quiet(live.path())).unwrap();
        let mut accepted = Vec::new();
        for (key, process, members) in &records {
            let data: Map<String, Value> = members.iter().cloned().collect();
            let mut put = store.put(key).no_process();
            if let Some(process) = process {
                put = put.process(process);
            }
            // A special field may be of the wrong type by chance.
            if let Ok(record) = put.data(&data) {
                for (name, value) in &data {
                    let is_special = ["process_name", "timestamp", "status", "status_int", "username"].contains(&&**name);
                    let read: Value = record.to().unwrap();
                    if !is_special && !value.to_string().contains("2025-01-15") {
                        prop_assert_eq!(&read[name], value);
                    }
                }
                accepted.retain(|(k, p, _): &(String, Option<String>, String)| (k, p) != (key, process));
                accepted.push((key.clone(), process.clone(), record.json().to_owned()));
            }
        }
        let check = |store: &DatedStore, place: &str| {
            assert_eq!(store.len(), accepted.len(), "{place}");
            for (key, process, json) in &accepted {
                let record = store.get_key_process(key, process.as_deref());
                assert_eq!(record.unwrap().json(), json, "{place}");
            }
        };
        check(&store, "memory");
        copy_as_crash_leaves_it(live.path(), dead.path());
        let recovered = DatedStore::open("2025-01-15", quiet(dead.path())).unwrap();
        check(&recovered, "recovered");
        prop_assert!(recovered.verify().unwrap().is_ok());
        store.close().unwrap();
        let reopened = DatedStore::open("2025-01-15", quiet(live.path())).unwrap();
        check(&reopened, "read back from DuckDB");
        let valid = reopened.query("SELECT count(*) AS n FROM storage WHERE json_valid(data)").unwrap();
        prop_assert_eq!(valid.get(0, "n"), Some(&json!(accepted.len())));
    }
}
