//! Random reads of a million records, alone and beside a writer.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use persist_dated::{DatedStore, Durability};

use super::bench::{Bench, fill, unflushed};
use super::peers;
use crate::Result;
use crate::drive::{Contender, Figures, drive, in_turns};
use crate::flight::{self, Flight};
use crate::floor::map::{self, Map};
use crate::name::{Name, PERSIST};
use crate::peer::{self, Peer, Session};
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
    let filled = peers::all_filled(bench)?;
    let keys = Keys::shuffled(records);
    let (store, map, keys, run) = (&store, &map, &keys, bench.scale.run);
    let ours = move |threads| {
        let order = keys.order();
        drive(threads, run, BATCH, |thread, n| from_store(store, order.at(thread, n)))
    };
    let bare = move |threads| {
        let order = keys.order();
        drive(threads, run, BATCH, |thread, n| from_map(map, order.at(thread, n)))
    };
    let peers = || peer::ALL.iter().zip(&filled);
    if bench.wants(ALONE) {
        let mut contenders: Vec<Contender<'_>> =
            vec![(PERSIST, Box::new(move || ours(1))), (MAP, Box::new(move || bare(1)))];
        for (kind, (_, peer)) in peers() {
            contenders.push((kind.name, Box::new(move || from_peer(run, peer.as_ref(), 1, keys))));
        }
        report.add(ALONE, &in_turns(bench.scale.rounds, contenders)?);
    }
    if bench.wants(BESIDE_A_WRITER) {
        let mut key = String::new();
        let beside = move || {
            let write = |n| {
                flight::key(n % records, &mut key);
                store.put(&key).durability(Durability::Sync).data(&Flight::new(n))?;
                Ok(())
            };
            beside_a_writer(write, || ours(2))
        };
        let mut contenders: Vec<Contender<'_>> = vec![
            (PERSIST, Box::new(beside)),
            (ONE_THREAD, Box::new(move || ours(1))),
            (MAP, Box::new(move || bare(2))),
        ];
        for (kind, (_, peer)) in peers() {
            let beside = move || {
                let (mut session, mut key) = (peer.session()?, String::new());
                let write = |n| {
                    flight::key(n % records, &mut key);
                    session.put(&key, &serde_json::to_vec(&Flight::new(n))?)
                };
                beside_a_writer(write, || from_peer(run, peer.as_ref(), 2, keys))
            };
            contenders.push((kind.name, Box::new(beside)));
        }
        report.add(BESIDE_A_WRITER, &in_turns(bench.scale.rounds, contenders)?);
    }
    for (dir, peer) in filled {
        drop(peer);
        std::fs::remove_dir_all(dir)?;
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

fn from_peer(run: Duration, peer: &dyn Peer, threads: usize, keys: &Keys) -> Result<Figures> {
    let session = || -> Result<Mutex<Box<dyn Session + '_>>> { Ok(Mutex::new(peer.session()?)) };
    let sessions = (0..threads).map(|_| session()).collect::<Result<Vec<_>>>()?;
    let order = keys.order();
    drive(threads, run, BATCH, |thread, n| {
        let session = sessions.get(thread).ok_or("a thread without a session")?;
        let length = session.lock().get(order.at(thread, n))?.ok_or("a record is missing")?;
        black_box(length);
        Ok(())
    })
}

/// Reads while another thread writes, one record after another.
fn beside_a_writer(
    mut write: impl FnMut(u64) -> Result<()> + Send,
    read: impl Fn() -> Result<Figures>,
) -> Result<Figures> {
    let done = &AtomicBool::new(false);
    let writer = move || -> Result<()> {
        for n in 0.. {
            if done.load(Ordering::Relaxed) {
                break;
            }
            write(n)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let writing = scope.spawn(writer);
        let figures = read();
        done.store(true, Ordering::Relaxed);
        writing.join().map_err(|_| "the writer panicked")??;
        figures
    })
}

/// The keys of all records, in an order that no cache foresees, one after another in memory.
struct Keys {
    text: String,
    runs: AtomicUsize,
}

/// The order in which one run reads.
struct Order<'a> {
    text: &'a str,
    from: usize,
}

impl Keys {
    fn shuffled(records: u64) -> Self {
        let mut numbers: Vec<u64> = (0..records).collect();
        let mut state = 0x853C_49E6_748F_EA9B_u64;
        for at in (1..numbers.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            numbers.swap(at, (state >> 33) as usize % (at + 1));
        }
        let (mut text, mut key) = (String::with_capacity(numbers.len() * KEY_BYTES), String::new());
        for n in numbers {
            flight::key(n, &mut key);
            text.push_str(&key);
        }
        Self { text, runs: AtomicUsize::new(0) }
    }

    /// One that begins elsewhere each time, lest a slow store read the same few keys in each run, and find them cached.
    fn order(&self) -> Order<'_> {
        let from = self.runs.fetch_add(1, Ordering::Relaxed) * (self.text.len() / KEY_BYTES * 5 / 13 + 1);
        Order { text: &self.text, from }
    }
}

impl Order<'_> {
    /// The key that a thread reads as its n-th.
    fn at(&self, thread: usize, n: u64) -> &str {
        let records = self.text.len() / KEY_BYTES;
        let at = (self.from + n as usize + thread * records / 2) % records * KEY_BYTES;
        self.text.get(at..at + KEY_BYTES).unwrap_or_default()
    }
}
