//! Property tests: whatever is done in whatever order, the store agrees with the naive one; whatever is accepted reads
//! back equal from memory, after recovery and from DuckDB.

use persist_dated::DatedStore;
use persist_test_utils::copy_as_crash_leaves_it;
use persist_test_utils::interleave::{run, steps};
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

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn any_interleaving_agrees_with_the_naive_model((steps, settings) in steps::<DatedSubject>()) {
        run::<DatedSubject>(&steps, &settings);
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
