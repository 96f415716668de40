//! Random reads of a million records, alone and beside a writer.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use persist_dated::{DatedStore, Durability};

use super::bench::{Bench, fill, unflushed};
use crate::Result;
use crate::drive::{Contender, Figures, drive, in_turns};
use crate::flight::{self, Flight};
use crate::floor::map::{self, Map};
use crate::name::{Name, PERSIST};
use crate::report::Report;

const MAP: Name = Name::floor("hash map");
const ONE_THREAD: Name = PERSIST.variant("1 thread alone");
const ALONE: &str = "get-1m-1-thread";
const BESIDE_A_WRITER: &str = "get-1m-2-threads-writer";
/// So many reads are timed together: the clock costs as much as a read.
const BATCH: u64 = 64;
const KEY_BYTES: usize = 21;

pub(super) fn get(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.wants(ALONE) && !bench.wants(BESIDE_A_WRITER) {
        return Ok(());
    }
    let records = bench.scale.records;
    let dir = bench.folder("get")?;
    let store = unflushed(&dir)?;
    fill(&store, 0..records)?;
    let map = map::of_flights(records);
    let keys = Keys::shuffled(records);
    let (store, map, keys) = (&store, &map, &keys);
    let run = bench.scale.run;
    if bench.wants(ALONE) {
        let contenders: Vec<Contender<'_>> = vec![
            (PERSIST, Box::new(move || drive(1, run, BATCH, |thread, n| from_store(store, keys.at(thread, n))))),
            (MAP, Box::new(move || drive(1, run, BATCH, |thread, n| from_map(map, keys.at(thread, n))))),
        ];
        report.add(ALONE, &in_turns(bench.scale.rounds, contenders)?);
    }
    if bench.wants(BESIDE_A_WRITER) {
        let contenders: Vec<Contender<'_>> = vec![
            (PERSIST, Box::new(move || beside_a_writer(bench, store, keys))),
            (ONE_THREAD, Box::new(move || drive(1, run, BATCH, |thread, n| from_store(store, keys.at(thread, n))))),
            (MAP, Box::new(move || drive(2, run, BATCH, |thread, n| from_map(map, keys.at(thread, n))))),
        ];
        report.add(BESIDE_A_WRITER, &in_turns(bench.scale.rounds, contenders)?);
    }
    Ok(())
}

fn from_store(store: &DatedStore, key: &str) -> Result<()> {
    let record = store.get_key_process(key, None).ok_or("a record is missing")?;
    black_box(record.json().len());
    Ok(())
}

fn from_map(map: &Map, key: &str) -> Result<()> {
    let entry = map.get(key).cloned().ok_or("an entry is missing")?;
    black_box(entry.data.len());
    Ok(())
}

/// Two readers, and one who writes durably, one record after another.
fn beside_a_writer(bench: &Bench, store: &DatedStore, keys: &Keys) -> Result<Figures> {
    let done = AtomicBool::new(false);
    let writer = || -> Result<()> {
        let mut key = String::new();
        for n in 0.. {
            if done.load(Ordering::Relaxed) {
                break;
            }
            flight::key(n % bench.scale.records, &mut key);
            store.put(&key).durability(Durability::Sync).data(&Flight::new(n))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let writing = scope.spawn(writer);
        let figures = drive(2, bench.scale.run, BATCH, |thread, n| from_store(store, keys.at(thread, n)));
        done.store(true, Ordering::Relaxed);
        writing.join().map_err(|_| "the writer panicked")??;
        figures
    })
}

/// The keys of all records, in an order that no cache foresees, one after another in memory.
struct Keys(String);

impl Keys {
    fn shuffled(records: u64) -> Self {
        let mut numbers: Vec<u64> = (0..records).collect();
        let mut state = 0x853C_49E6_748F_EA9B_u64;
        for at in (1..numbers.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            numbers.swap(at, (state >> 33) as usize % (at + 1));
        }
        let (mut all, mut key) = (String::with_capacity(numbers.len() * KEY_BYTES), String::new());
        for n in numbers {
            flight::key(n, &mut key);
            all.push_str(&key);
        }
        Self(all)
    }

    /// The key that a thread reads as its n-th.
    fn at(&self, thread: usize, n: u64) -> &str {
        let records = self.0.len() / KEY_BYTES;
        let at = (n as usize + thread * records / 2) % records * KEY_BYTES;
        self.0.get(at..at + KEY_BYTES).unwrap_or_default()
    }
}
