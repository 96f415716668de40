//! Linearizability: what eight threads are answered about one id could have come from a store that does one thing at a
//! time, also where the answers were given before and after a crash.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use persist_dated::{DatedStore, Durability, ErrorKind, Record, Result};
use persist_test_utils::linear::{Answer, Call, Operation, Time, check};
use persist_test_utils::oracle::{Conflict, Expect};
use persist_test_utils::{FlakyDisk, Rng, copy_as_crash_leaves_it};
use serde_json::json;

use crate::quiet;

const THREADS: u64 = 8;

fn value(record: &Record) -> (u32, u64) {
    (record.version(), record.field("value").unwrap().unwrap())
}

/// How a call is made: each of the ways has to be linearizable beside the others.
#[derive(Debug, Clone, Copy)]
struct How {
    durability: Durability,
    /// As the only write of a batch.
    in_batch: bool,
    /// With a ticket that is waited for.
    by_ticket: bool,
}

impl How {
    fn any(rng: &mut Rng) -> Self {
        let durability = if rng.chance(1, 30) { Durability::Sync } else { Durability::Os };
        Self { durability, in_batch: rng.chance(1, 6), by_ticket: rng.chance(1, 6) }
    }
}

/// `None` where nobody knows what became of it.
fn call(store: &DatedStore, key: &str, call: Call, how: How) -> Option<Answer> {
    let done = match call {
        Call::Get => Ok(Answer::Got(store.get_key_process(key, None).map(|record| value(&record)))),
        Call::Put(value, expect) => put(store, key, value, expect, how),
        Call::Remove(expect) => remove(store, key, expect, how),
    };
    match done {
        Ok(answer) => Some(answer),
        Err(error) if error.kind() == ErrorKind::Conflict => Some(Answer::Refused(Conflict(error.present_version()))),
        Err(error) if error.kind() == ErrorKind::Poisoned => None,
        Err(error) => panic!("{error}"),
    }
}

macro_rules! expecting {
    ($put:expr, $expect:expr) => {
        match $expect {
            None => $put,
            Some(Expect::Absent) => $put.if_absent(),
            Some(Expect::Version(version)) => $put.if_version(version),
        }
    };
}

fn put(store: &DatedStore, key: &str, value: u64, expect: Option<Expect>, how: How) -> Result<Answer> {
    let data = json!({ "value": value });
    let version = if how.in_batch {
        let mut batch = store.batch().durability(how.durability);
        expecting!(batch.put(key), expect).timestamp("2025-01-15").data(&data)?;
        let changes = if how.by_ticket { batch.submit()?.wait()? } else { batch.commit()? };
        changes[0].version()
    } else {
        let put = expecting!(store.put(key), expect).timestamp("2025-01-15").durability(how.durability);
        if how.by_ticket { put.submit(&data)?.wait()?.version() } else { put.data(&data)?.version() }
    };
    Ok(Answer::Put(version))
}

fn remove(store: &DatedStore, key: &str, expect: Option<Expect>, how: How) -> Result<Answer> {
    let removed = match expect {
        Some(Expect::Version(version)) => store.remove_if_version(key, None, version)?,
        // Of several records of a key there is one here.
        _ if how.in_batch => store.remove_key(key)?.pop(),
        _ => store.remove(key, None)?,
    };
    Ok(Answer::Removed(removed.map(|record| value(&record))))
}

/// What a thread does next with an id of which it knows this version.
fn next_call(rng: &mut Rng, values: &AtomicU64, known: Option<u32>) -> Call {
    let put = |expect| Call::Put(values.fetch_add(1, Ordering::Relaxed), expect);
    match rng.below(12) {
        0 | 1 => put(None),
        2 | 3 => put(Some(Expect::Absent)),
        4..=6 => put(Some(Expect::Version(known.unwrap_or(1)))),
        7 => put(Some(Expect::Version(1 + rng.below(6) as u32))),
        8 => Call::Remove(None),
        9 => Call::Remove(Some(Expect::Version(known.unwrap_or(1)))),
        _ => Call::Get,
    }
}

/// The version that an answer leaves its caller knowing.
fn known(answer: Answer) -> Option<u32> {
    match answer {
        Answer::Put(version) => Some(version),
        Answer::Got(found) => found.map(|(version, _)| version),
        Answer::Refused(Conflict(present)) => present,
        Answer::Removed(_) => None,
    }
}

#[test]
fn ten_thousand_histories_of_eight_threads_are_linearizable() {
    const HISTORIES: u64 = 10_000;
    const EACH: u64 = 3;
    let dir = tempfile::tempdir().unwrap();
    let config = quiet(dir.path()).max_wal_size_bytes(256 * 1024).batch_size(20_000);
    let store = DatedStore::open("2025-01-15", config).unwrap();
    let (time, values, barrier) = (Time::default(), AtomicU64::new(1), Barrier::new(THREADS as usize));
    let of_thread = |thread: u64| {
        let mut rng = Rng::new(thread);
        let mut histories = Vec::with_capacity(HISTORIES as usize);
        for history in 0..HISTORIES {
            let key = format!("h{history}");
            let mut version = None;
            barrier.wait();
            let operations: Vec<Operation> = (0..EACH)
                .map(|_| {
                    let next = next_call(&mut rng, &values, version);
                    let how = How::any(&mut rng);
                    let operation = time.take(next, || call(&store, &key, next, how));
                    version = operation.answer.and_then(known).or(version);
                    operation
                })
                .collect();
            histories.push(operations);
        }
        histories
    };
    let all: Vec<Vec<Vec<Operation>>> = std::thread::scope(|scope| {
        let of_thread = &of_thread;
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || of_thread(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (mut overlaps, mut conflicts) = (0, 0);
    for history in 0..HISTORIES as usize {
        let mut operations: Vec<Operation> = all.iter().flat_map(|thread| thread[history].clone()).collect();
        check(&operations).unwrap_or_else(|story| panic!("history {history}: {story}"));
        operations.sort_by_key(|operation| operation.start);
        overlaps += operations.windows(2).filter(|pair| pair[1].start < pair[0].end).count();
        conflicts += operations.iter().filter(|operation| matches!(operation.answer, Some(Answer::Refused(_)))).count();
    }
    assert!(overlaps > 10_000 && conflicts > 10_000, "{overlaps} overlaps, {conflicts} conflicts");
    assert!(store.verify().unwrap().is_ok());
}

/// A disk that from the `n`th write of the log on does that no more, or syncs no more.
fn disk_that_ends(at: i64, what: &'static str) -> FlakyDisk {
    let left = AtomicI64::new(at);
    FlakyDisk::new(move |operation, path| {
        let is_log = path.extension().is_some_and(|extension| extension == "jsonl");
        if operation == what && is_log && left.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    })
}

/// Three times over: eight threads write the same ids until the disk ends, the process with it, and what is recovered
/// goes on. An operation without an answer took effect before that, or never; all others did, as they were answered.
#[test]
fn histories_go_on_over_crashes_and_stay_linearizable() {
    const IDS: u64 = 40;
    let (mut unanswered, mut came_true) = (0, 0);
    for round in 0..15_u64 {
        let (time, values) = (Time::default(), AtomicU64::new(1));
        let mut dice = Rng::new(round);
        let mut folder = tempfile::tempdir().unwrap();
        let mut histories: Vec<Vec<Operation>> = vec![Vec::new(); IDS as usize];
        for generation in 0..3_u64 {
            let what = *dice.pick(&["write", "sync"]);
            let disk = disk_that_ends(3 + dice.below(120) as i64, what);
            let config = quiet(folder.path()).max_wal_size_bytes(64 * 1024).fs(Arc::new(disk));
            let store = DatedStore::open("2025-01-15", config).unwrap();
            if generation > 0 {
                for (id, history) in histories.iter_mut().enumerate() {
                    let found =
                        time.take(Call::Get, || call(&store, &format!("i{id}"), Call::Get, How::any(&mut dice)));
                    let seen = match found.answer {
                        Some(Answer::Got(Some((_, value)))) => Some(value),
                        _ => None,
                    };
                    let is_of =
                        |operation: &&Operation| matches!(operation.call, Call::Put(value, _) if Some(value) == seen);
                    came_true += history.iter().filter(is_of).filter(|operation| operation.answer.is_none()).count();
                    history.push(found);
                }
            }
            let of_thread = |thread: u64| {
                let mut rng = Rng::new(round << 16 | generation << 8 | thread);
                let mut ids: Vec<u64> = (0..2 * IDS).map(|id| id % IDS).collect();
                rng.shuffle(&mut ids);
                let mut done = Vec::new();
                for id in ids {
                    // What plain reads show may be in doubt, and gone after a crash: only writes say what is there.
                    let next = loop {
                        let version = Some(1 + rng.below(12) as u32);
                        match next_call(&mut rng, &values, version) {
                            Call::Get => {}
                            next => break next,
                        }
                    };
                    let how = How { durability: *rng.pick(&[Durability::Sync, Durability::Os]), ..How::any(&mut rng) };
                    let operation = time.take(next, || call(&store, &format!("i{id}"), next, how));
                    done.push((id, operation));
                    if operation.answer.is_none() {
                        break;
                    }
                }
                done
            };
            let done: Vec<(u64, Operation)> = std::thread::scope(|scope| {
                let of_thread = &of_thread;
                let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || of_thread(thread))).collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
            let next = tempfile::tempdir().unwrap();
            copy_as_crash_leaves_it(folder.path(), next.path());
            drop(store);
            folder = next;
            let end = time.now();
            for (id, mut operation) in done {
                if operation.answer.is_none() {
                    (unanswered, operation.end) = (unanswered + 1, end);
                }
                histories[id as usize].push(operation);
            }
        }
        for (id, history) in histories.iter().enumerate() {
            check(history).unwrap_or_else(|story| panic!("round {round}, id {id}: {story}"));
        }
    }
    assert!(unanswered > 60 && came_true > 3, "{unanswered} without an answer, {came_true} of them seen");
}
