//! Allocations of the thread that writes or reads. What other threads of a store allocate is not counted.

use allocation_counter::measure;
use persist_dated::Durability::{Os, Sync};

use crate::bounds;
use crate::disk::Held;
use crate::stores::{FLIGHT, Place, fill, key};

/// Memory is cut into shards that grow on their own: the median of so many writes is one without growth.
const WRITES: usize = 101;
/// Enough for each shard to have space for some.
const BEFORE: usize = 600;

/// The median of what `act` allocates, over the numbers from `BEFORE` on.
fn median(act: impl Fn(usize), figure: impl Fn(allocation_counter::AllocationInfo) -> u64) -> f64 {
    let mut counts: Vec<u64> = (BEFORE..BEFORE + WRITES).map(|n| figure(measure(|| act(n)))).collect();
    counts.sort_unstable();
    counts[WRITES / 2] as f64
}

fn median_count(act: impl Fn(usize)) -> f64 {
    median(act, |info| info.count_total)
}

#[test]
fn a_write_of_a_dated_store() {
    let place = Place::new();
    let store = place.dated();
    fill(&store, 0..BEFORE);
    let keys: Vec<String> = (0..BEFORE + WRITES).map(key).collect();
    let write = |n: usize| drop(store.put(&keys[n]).durability(Os).data(&FLIGHT).unwrap());
    bounds::DATED_FRESH.holds(median_count(write));
    bounds::DATED_AGAIN.holds(median_count(write));
    bounds::WRITE_BYTES.holds(median(write, |info| info.bytes_total));
    bounds::DATED_SYNC.holds(median_count(|n| drop(store.put(&keys[n]).durability(Sync).data(&FLIGHT).unwrap())));
    let of_process = |n: usize| drop(store.put(&keys[n]).process("worker1").durability(Os).data(&FLIGHT).unwrap());
    median_count(of_process);
    bounds::DATED_PROCESS.holds(median_count(of_process));
}

#[test]
fn a_write_of_a_key_value_store() {
    let place = Place::new();
    let store = place.kv();
    let keys: Vec<String> = (0..BEFORE + WRITES).map(key).collect();
    let write = |n: usize| drop(store.put(&keys[n]).durability(Os).data(&FLIGHT).unwrap());
    (0..BEFORE).for_each(write);
    bounds::KV_FRESH.holds(median_count(write));
    bounds::KV_AGAIN.holds(median_count(write));
    bounds::GET.holds(median_count(|n| drop(store.get(&keys[n]).unwrap())));
}

#[test]
fn a_write_and_a_read_of_a_collection_store() {
    let place = Place::new();
    let store = place.collection();
    let items: Vec<String> = (0..BEFORE + WRITES).map(key).collect();
    let put = |n: usize| store.put("form").collection("flights").item(&items[n]).value(227).durability(Os);
    let write = |n: usize| drop(put(n).data(&FLIGHT).unwrap());
    (0..BEFORE).for_each(write);
    bounds::COLLECTION_FRESH.holds(median_count(write));
    bounds::COLLECTION_AGAIN.holds(median_count(write));
    bounds::GET_ITEM.holds(median_count(|n| drop(store.get_item("form", "flights", &items[n]).unwrap().unwrap())));
}

#[test]
fn a_read_of_a_dated_store() {
    let place = Place::new();
    let store = place.dated();
    fill(&store, 0..BEFORE + WRITES);
    let keys: Vec<String> = (0..BEFORE + WRITES).map(key).collect();
    bounds::GET.holds(median_count(|n| drop(store.get_key_process(&keys[n], None).unwrap())));
    bounds::GET_KEY.holds(median_count(|n| assert_eq!(store.get_key(&keys[n]).len(), 1)));
}

#[test]
fn a_batch() {
    let place = Place::new();
    let store = place.dated();
    fill(&store, 0..BEFORE);
    let keys: Vec<Vec<String>> =
        (0..BEFORE + WRITES).map(|n| (0..100).map(|m| format!("{n:010}/{m:010}")).collect()).collect();
    let write = |n: usize| {
        let mut batch = store.batch().durability(Os);
        keys[n].iter().for_each(|key| batch.put(key).data(&FLIGHT).unwrap());
        batch.commit().unwrap();
    };
    bounds::BATCH_FRESH.holds(median_count(write) / 100.0);
    bounds::BATCH_AGAIN.holds(median_count(write) / 100.0);
}

/// They come while a group is being written, so that they gather in the next.
#[test]
fn a_ticket_of_a_thousand() {
    let place = Place::new();
    let store = place.dated();
    // So much that the segment has space for what comes: laying out more would wait for the leader.
    fill(&store, 0..9_000);
    let key = key(0);
    // In the last round the log's buffers have been as long before.
    let mut figure = 0.0;
    for _ in 0..3 {
        let mut tickets = Vec::with_capacity(1_001);
        tickets.push(store.put(&key).submit(&FLIGHT).unwrap());
        place.disk.hold(Held::Sync);
        let submit = || tickets.extend((0..1_000).map(|_| store.put(&key).submit(&FLIGHT).unwrap()));
        figure = measure(submit).count_total as f64 / 1_000.0;
        place.disk.release();
        tickets.into_iter().for_each(|ticket| drop(ticket.wait().unwrap()));
    }
    bounds::TICKET.holds(figure);
}

/// So many that each of memory's 64 shards has the same table.
#[test]
fn what_a_record_keeps() {
    let place = Place::new();
    let store = place.dated();
    let keys: Vec<String> = (0..9_600).map(key).collect();
    let fill = || keys.iter().for_each(|key| drop(store.put(key).durability(Os).data(&FLIGHT).unwrap()));
    bounds::KEPT_BYTES.holds(measure(fill).bytes_current as f64 / 9_600.0);
}
