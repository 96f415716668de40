//! Storing, reading, flushing, closing: the specification's way of use.

use persist_dated::{DatedStore, Durability, ErrorKind, Timestamp, TimestampPolicy, keys};
use serde_json::{Value, json};

use crate::{open, quiet};

#[test]
fn the_example_of_the_specification_works() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let data = json!({
        "name": "data_processing", "progress": 75, "process_name": "worker1", "status": "running",
        "username": "alice", "timestamp": "2025-01-15T10:30:00Z",
    });
    store.store("task_status", &data).unwrap();
    let other = json!({"name": "data_validation", "progress": 50});
    let put = store.put("task_status").process("worker2").username("bob").timestamp("2025-01-15T10:35:00");
    put.data(&other).unwrap();

    let all = store.get_key("task_status");
    assert_eq!(all.keys().map(Option::as_deref).collect::<Vec<_>>(), [Some("worker1"), Some("worker2")]);
    let first: Value = store.get_key_process("task_status", Some("worker1")).unwrap().to().unwrap();
    assert_eq!(first["timestamp"], "2025-01-15T10:30:00+00:00");
    let second: Value = all[&Some("worker2".into())].to().unwrap();
    assert_eq!(second["username"], "bob");
    assert_eq!(second["timestamp"], "2025-01-15T10:35:00+00:00");
    assert_eq!(second["process_name"], "worker2");
    assert!(store.get_key("nothing").is_empty());
    assert!(store.get_key_process("task_status", None).is_none());

    let rows = store
        .query(
            "SELECT process_name, status, username, timestamp, version, data->>'progress' AS p FROM storage ORDER BY 1",
        )
        .unwrap();
    let rows: Vec<Value> = rows.to().unwrap();
    assert_eq!(rows[0]["status"], "running");
    assert_eq!(rows[0]["p"], "75");
    assert_eq!(rows[1]["username"], "bob");
    assert_eq!(rows[1]["version"], 1);
    store.close().unwrap();
}

#[test]
fn an_argument_beats_a_field_and_a_field_beats_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let data = json!({"process_name": "p", "username": "u", "status": "s", "status_int": 1, "timestamp": "2020-01-01"});
    let record = store.store("k", &data).unwrap();
    assert_eq!(record.part().as_deref(), Some("p"));
    assert_eq!(record.to::<Value>().unwrap()["timestamp"], "2020-01-01T00:00:00+00:00");

    let given = time::macros::datetime!(2021-02-03 04:05:06 +02:00);
    let put = store.put("k").process("P").username("U").status("S").status_int(2).timestamp(given);
    let record: Value = put.data(&data).unwrap().to().unwrap();
    let wanted = json!({
        "process_name": "P", "username": "U", "status": "S", "status_int": 2, "timestamp": "2021-02-03T04:05:06+02:00",
    });
    assert_eq!(record, wanted);

    let before = Timestamp::from(time::OffsetDateTime::now_utc());
    let record: Value = store.store("bare", &json!({})).unwrap().to().unwrap();
    let now: Timestamp = record["timestamp"].as_str().unwrap().parse().unwrap();
    assert!(now >= before && now <= Timestamp::from(time::OffsetDateTime::now_utc()));
    assert_eq!(record[keys::PROCESS_NAME], Value::Null);
    assert!(record.get(keys::USERNAME).is_none());
    assert_eq!(store.put("k").no_process().data(&data).unwrap().part(), &None);
}

#[test]
fn no_process_name_is_one_id_and_versions_count_its_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 1..=3 {
        assert_eq!(store.store("k", &json!({"n": n})).unwrap().version(), n);
        store.flush().unwrap();
    }
    store.put("k").process("").data(&json!({"n": 9})).unwrap();
    store.compact().unwrap();
    store.store("k", &json!({"n": 4})).unwrap();
    let rows: Vec<Value> = store
        .query("SELECT process_name AS p, version AS v, data->>'n' AS n FROM storage ORDER BY 1")
        .unwrap()
        .to()
        .unwrap();
    assert_eq!(rows, [json!({"p": "", "v": 1, "n": "9"}), json!({"p": null, "v": 4, "n": "4"})]);
    store.close().unwrap();
    let store = open(dir.path());
    assert_eq!(store.get_key_process("k", None).unwrap().version(), 4);
    assert_eq!(store.store("k", &json!({})).unwrap().version(), 5);
    assert_eq!(store.get_key("k").len(), 2);
}

#[test]
fn timestamps_are_normalized_at_every_depth_under_each_policy() {
    let data = json!({"a": {"when": ["2025-01-15 10:30", "20250115"]}, "day": "2025-01-15", "timestamp": "2025-01-15"});
    let stored = |policy| {
        let dir = tempfile::tempdir().unwrap();
        let store = DatedStore::open("2025-01-15", quiet(dir.path()).timestamps(policy)).unwrap();
        store.store("k", &data).unwrap();
        let mut data: Value = store.get_key_process("k", None).unwrap().to().unwrap();
        data.as_object_mut().unwrap().remove("process_name");
        data
    };
    let when = "2025-01-15T10:30:00+00:00";
    let day = "2025-01-15T00:00:00+00:00";
    assert_eq!(stored(TimestampPolicy::All), json!({"a": {"when": [when, "20250115"]}, "day": day, "timestamp": day}));
    assert_eq!(
        stored(TimestampPolicy::Fields(["day".to_owned()].into())),
        json!({"a": {"when": ["2025-01-15 10:30", "20250115"]}, "day": day, "timestamp": day})
    );
    assert_eq!(
        stored(TimestampPolicy::Off),
        json!({"a": {"when": ["2025-01-15 10:30", "20250115"]}, "day": "2025-01-15", "timestamp": day})
    );
}

#[test]
fn close_leaves_the_table_the_database_and_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..100 {
        store.put(&format!("k{n}")).process("p").data(&json!({"n": n})).unwrap();
    }
    store.close().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(dir.path().join("2025-01-15"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".lock", "data.duckdb", "data.duckdb.lock", "status.json", "store.json"]);
    let store = open(dir.path());
    assert_eq!(store.len(), 100);
    let stats = store.stats();
    assert_eq!((stats.base_rows, stats.delta_rows, stats.watermark), (100, 0, 100));
    assert_eq!(store.store("k0", &json!({})).unwrap().seq(), Some(101), "seq never starts again");
}

#[test]
fn stats_tell_what_waits_and_what_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..10 {
        store.put(&format!("k{n}")).data(&json!({})).unwrap();
    }
    let stats = store.stats();
    assert_eq!((stats.cache_size, stats.pending_writes, stats.current_wal_count), (10, 10, 10));
    assert_eq!((stats.wal_files_count, stats.wal_sequence, stats.writes), (1, 1, 10));
    assert!(stats.current_wal_size > 1000 && stats.unflushed_bytes > 1000 && stats.syncs >= 10);
    assert!(stats.unflushed_age.is_some() && stats.last_flush.is_none());
    assert_eq!((stats.last_seq, stats.durable_seq, stats.watermark), (10, 10, 0));
    store.flush().unwrap();
    let stats = store.stats();
    assert_eq!((stats.pending_writes, stats.unflushed_bytes, stats.unflushed_age), (0, 0, None));
    assert_eq!((stats.watermark, stats.delta_rows, stats.base_rows), (10, 10, 0));
    assert!(stats.last_flush.is_some() && stats.last_flush_error.is_none());
    store.compact().unwrap();
    let stats = store.stats();
    assert_eq!((stats.delta_rows, stats.base_rows, stats.checkpointed_seq, stats.wal_files_count), (0, 10, 10, 0));
    let status: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("2025-01-15/status.json")).unwrap()).unwrap();
    assert_eq!(status["stats"]["watermark"], 10);
    assert_eq!(status["pid"], std::process::id());
}

#[test]
fn the_worker_flushes_by_count_and_by_interval_without_being_asked() {
    let wait_for = |store: &DatedStore, watermark: u64| {
        let start = std::time::Instant::now();
        while store.stats().watermark < watermark {
            assert!(start.elapsed().as_secs() < 20, "no flush came: {:?}", store.stats());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let store = DatedStore::open("2025-01-15", quiet(dir.path()).batch_size(10)).unwrap();
    (0..10).for_each(|n| drop(store.store(&format!("k{n}"), &json!({})).unwrap()));
    wait_for(&store, 10);
    drop(store);
    let interval = std::time::Duration::from_millis(50);
    let store = DatedStore::open("2025-01-15", quiet(dir.path()).flush_interval(interval)).unwrap();
    store.store("late", &json!({})).unwrap();
    wait_for(&store, 11);
}

#[test]
fn segments_rotate_and_go_when_a_checkpoint_covers_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = DatedStore::open("2025-01-15", quiet(dir.path()).max_wal_size_bytes(4096)).unwrap();
    (0..200).for_each(|n| drop(store.store(&format!("k{n}"), &json!({"n": n})).unwrap()));
    let stats = store.stats();
    assert!(stats.wal_files_count > 5 && stats.wal_sequence as usize == stats.wal_files_count, "{stats:?}");
    assert!(stats.current_wal_size <= 4096);
    store.compact().unwrap();
    assert_eq!(store.stats().wal_files_count, 0);
    store.store("next", &json!({})).unwrap();
    assert_eq!(store.stats().wal_sequence, stats.wal_sequence + 1, "numbers go on");
}

#[test]
fn each_durability_acknowledges_and_sync_covers_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let put = |durability| store.put("k").durability(durability).data(&json!({})).unwrap().seq().unwrap();
    let seq = put(Durability::Os);
    assert!(store.stats().durable_seq < seq, "nobody asked for a sync");
    store.sync().unwrap();
    assert_eq!(store.stats().durable_seq, seq);
    put(Durability::Os);
    let seq = put(Durability::Sync);
    assert_eq!(store.stats().durable_seq, seq);
    let seq = put(Durability::Interval(std::time::Duration::from_millis(30)));
    assert!(store.stats().durable_seq < seq);
    let start = std::time::Instant::now();
    while store.stats().durable_seq < seq {
        assert!(start.elapsed().as_secs() < 20, "the interval passed without a sync");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn queries_see_every_write_before_them_and_run_select_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..20 {
        store.put("k").process("p").durability(Durability::Os).data(&json!({"n": n})).unwrap();
        let rows = store.query("SELECT data->>'n' AS n, version AS v FROM storage").unwrap();
        assert_eq!(rows.to::<Value>().unwrap(), [json!({"n": n.to_string(), "v": n + 1})]);
        if n % 7 == 3 {
            store.compact().unwrap();
        }
    }
    for sql in ["DELETE FROM storage", "SELECT 1; SELECT 2", "DROP TABLE storage", "", "ATTACH 'x.db'"] {
        assert_eq!(store.query(sql).unwrap_err().kind(), ErrorKind::Input, "{sql}");
    }
    assert_eq!(store.query_arrow("SELECT * FROM storage").unwrap()[0].num_rows(), 1);
    assert!(store.verify().unwrap().is_ok());
}

#[test]
fn writes_are_busy_while_duckdb_falls_behind_and_go_on_after() {
    let dir = tempfile::tempdir().unwrap();
    let config = quiet(dir.path()).max_unflushed_bytes(20_000).busy_timeout(std::time::Duration::from_secs(20));
    let store = DatedStore::open("2025-01-15", config).unwrap();
    let text = "x".repeat(1000);
    for n in 0..200 {
        store.put(&format!("k{n}")).durability(Durability::Os).data(&json!({"text": text})).unwrap();
        assert!(store.stats().unflushed_bytes < 30_000);
    }
    assert_eq!(store.query("SELECT count(*) AS n FROM storage").unwrap().get(0, "n"), Some(&json!(200)));
}

#[test]
fn the_lines_of_a_store_are_those_that_the_format_describes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = json!({"due": "2025-02-01", "progress": 75, "status": "running", "timestamp": "2025-01-15T10:30:00Z"});
    store.put("task").process("worker1").data(&first).unwrap();
    let other = |progress| {
        let data = json!({"process_name": "worker2", "progress": progress, "timestamp": "2025-01-15T10:30:00.0015"});
        store.put("task").username("bob").data(&data).unwrap();
    };
    other(50);
    other(60);
    let log = std::fs::read_to_string(dir.path().join("2025-01-15/wal_000001.jsonl")).unwrap();
    let described = include_str!("../../../../docs/format.md").lines().filter(|line| line.starts_with("{\"key\""));
    // Up to our tail, with the members of the data in one order: json! and the document have each their own.
    let body = |line: &str| {
        let (body, _) = line.split_once(",\"at\":").unwrap();
        let (before, rest) = body.split_once("\"data\":").unwrap();
        let (data, after) = rest.split_once("},").unwrap();
        let data: Value = serde_json::from_str(&format!("{data}}}")).unwrap();
        format!("{before}{data}{after}")
    };
    let written: Vec<String> = log.lines().filter(|line| !line.is_empty()).map(body).collect();
    assert_eq!(written, described.map(body).collect::<Vec<_>>());
}

#[test]
fn a_store_that_is_printed_says_which_it_is_and_shows_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.store("a", &json!({"password": "secret"})).unwrap();
    let text = format!("{store:?}");
    assert!(text.contains("dated store of 2025-01-15") && !text.contains("secret"), "{text}");
    assert!(text.len() < 2_000, "{text}");
    assert!(!format!("{:?}", store.put("b")).contains("secret"));
}
