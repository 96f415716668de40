//! Batches are whole for whoever looks: readers from memory, one key or several, and SQL while flushes run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use persist_dated::{DatedConfig, DatedStore, Durability};
use persist_test_utils::Rng;
use serde_json::json;

use crate::quiet;

const READERS: usize = 2;
const LONG: Duration = Duration::from_secs(2);

/// Says that it is over, also where the writer panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One thread writes batches, as `write(n)`, for a while and at least so many; others look all that time, as `look(reader)`,
/// and at least as often.
fn while_written(least: u64, write: impl Fn(u64) + Sync, look: impl Fn(usize) + Sync) {
    let (is_over, looked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for reader in 0..READERS {
            let (is_over, looked, look) = (&is_over, &looked, &look);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    look(reader);
                    looked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _over = Over(&is_over);
        let start = Instant::now();
        let is_enough = |n: u64| start.elapsed() > LONG && n >= least && looked.load(Ordering::Relaxed) >= least;
        let enough = (1..).inspect(|n| write(*n)).find(|n| is_enough(*n) || start.elapsed() > 30 * LONG);
        let looked = looked.load(Ordering::Relaxed);
        assert!(
            enough >= Some(least) && looked >= least,
            "{enough:?} were written, and {looked} times somebody looked"
        );
    });
}

fn number(store: &DatedStore, key: &str, process: Option<&str>) -> Option<u64> {
    store.get_key_process(key, process).map(|record| record.field("n").unwrap().unwrap())
}

fn open(dir: &tempfile::TempDir) -> DatedStore {
    DatedStore::open("2025-01-15", quiet(dir.path()).durability(Durability::Os)).unwrap()
}

#[test]
fn readers_of_a_key_see_all_of_a_batch_or_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let processes: Vec<String> = (0..9).map(|process| format!("p{process}")).collect();
    while_written(
        100,
        |n| {
            if n % 5 == 0 {
                store.remove_key("k").unwrap();
                return;
            }
            let mut batch = store.batch();
            for process in &processes {
                batch.put("k").process(process).data(&json!({ "n": n })).unwrap();
            }
            batch.commit().unwrap();
        },
        |_| {
            let records = store.get_key("k");
            let numbers: Vec<u64> = records.values().map(|record| record.field("n").unwrap().unwrap()).collect();
            assert!(
                numbers.is_empty() || (numbers.len() == 9 && numbers.iter().all(|n| *n == numbers[0])),
                "{numbers:?}"
            );
        },
    );
}

#[test]
fn who_sees_one_record_of_a_batch_sees_the_others_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let seeds = AtomicU64::new(1);
    let keys: Vec<String> = (0..40).map(|key| format!("key{key}")).collect();
    while_written(
        100,
        |n| {
            let mut batch = store.batch();
            for key in &keys {
                batch.put(key).data(&json!({ "n": n })).unwrap();
            }
            batch.commit().unwrap();
        },
        |reader| {
            // In some order: what is read later is never older.
            let mut order: Vec<&String> = keys.iter().collect();
            match reader {
                0 => order.reverse(),
                _ => Rng::new(seeds.fetch_add(1, Ordering::Relaxed)).shuffle(&mut order),
            }
            let numbers: Vec<Option<u64>> = order.iter().map(|key| number(&store, key, None)).collect();
            assert!(numbers.is_sorted(), "{numbers:?}");
        },
    );
}

/// A transfer between two accounts never shows as money made or lost.
#[test]
fn a_batch_that_moves_something_is_seen_to_move_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    store.store("from", &json!({"n": 1_000_000})).unwrap();
    store.store("to", &json!({"n": 0})).unwrap();
    let moved = AtomicU64::new(0);
    let transfer = |amount: u64| loop {
        let (from, to) = (store.get_key_process("from", None).unwrap(), store.get_key_process("to", None).unwrap());
        let n = |record: &persist_dated::Record| record.field::<u64>("n").unwrap().unwrap();
        let mut batch = store.batch();
        batch.put("from").if_version(from.version()).data(&json!({"n": n(&from) - amount})).unwrap();
        batch.put("to").if_version(to.version()).data(&json!({"n": n(&to) + amount})).unwrap();
        if batch.commit().is_ok() {
            moved.fetch_add(amount, Ordering::Relaxed);
            return;
        }
    };
    while_written(50, |n| transfer(1 + n % 3), |reader| transfer(reader as u64 % 2));
    let moved = moved.into_inner();
    assert_eq!(number(&store, "to", None), Some(moved));
    assert_eq!(number(&store, "from", None), Some(1_000_000 - moved));
}

/// Batches of every size beside a flush's own limit of `batch_size` records, and two that are larger than any
/// transaction of the flush thread.
#[test]
fn sql_never_shows_half_of_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    let config = DatedConfig::new(dir.path())
        .durability(Durability::Os)
        .batch_size(7)
        .flush_interval(Duration::from_millis(5))
        .max_wal_size_bytes(64 * 1024);
    let store = DatedStore::open("2025-01-15", config).unwrap();
    let of_size = |n: u64| match n {
        4 | 11 => 25_000,
        _ => 1 + n * 7 % 50,
    };
    while_written(
        15,
        |n| {
            // Each batch replaces the one before it, removals included, and says how many it has.
            let mut batch = store.batch();
            let of = of_size(n);
            for row in 0..of {
                batch.put(&format!("row{row}")).data(&json!({"n": n, "of": of})).unwrap();
            }
            for row in of..of_size(n - 1) {
                batch.remove(&format!("row{row}"), None);
            }
            batch.commit().unwrap();
            if n % 9 == 0 {
                store.flush().unwrap();
            }
        },
        |_| {
            let sql = "SELECT count(*) AS rows, count(DISTINCT data->>'n') AS batches, \
                       min((data->>'of')::BIGINT) AS wanted, sum(version)::BIGINT AS versions FROM storage";
            let rows = store.query(sql).unwrap();
            let figure = |name: &str| rows.get(0, name).unwrap().as_i64().unwrap_or(0);
            if figure("rows") > 0 {
                assert_eq!((figure("rows"), figure("batches")), (figure("wanted"), 1), "half of a batch");
            }
        },
    );
    assert!(store.verify().unwrap().is_ok());
}
