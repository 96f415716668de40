//! Group commit: how many writes and syncs of the log serve how many callers.

use std::time::Duration;

use persist_dated::{DatedStore, Durability};

use crate::bounds;
use crate::disk::{Counts, Held};
use crate::stores::{FLIGHT, Place, fill, key, wait_until};

/// Few enough for half of the space that the first write lays out: then more is laid out.
const ROUNDS: usize = 2;

/// What `threads` that each write once cost the log, when all of them come while the first is being served. Summed over
/// the rounds.
fn at_once(place: &Place, store: &DatedStore, threads: usize, durability: Durability, held: Held) -> Counts {
    fill(store, 0..1);
    let before = place.disk.log();
    for _ in 0..ROUNDS {
        let until = store.stats().last_seq + threads as u64;
        place.disk.hold(held);
        std::thread::scope(|scope| {
            for n in 0..threads {
                scope.spawn(move || store.put(&key(n)).durability(durability).data(&FLIGHT).unwrap());
            }
            wait_until(|| store.stats().last_seq == until);
            place.disk.release();
        });
    }
    place.disk.log().since(before)
}

#[test]
fn sixty_four_threads_share_a_sync() {
    let place = Place::new();
    let store = place.dated();
    let counts = at_once(&place, &store, 64, Durability::Sync, Held::Sync);
    let writes = (64 * ROUNDS) as f64;
    assert_eq!(counts.fills, 0, "the space was to suffice");
    assert!(counts.syncs >= ROUNDS as u64);
    bounds::SYNCS_64.holds(counts.syncs as f64 / writes);
    bounds::WRITES_64.holds(counts.writes as f64 / writes);
}

#[test]
fn sixty_four_threads_share_syncs_as_they_come() {
    let place = Place::new();
    let store = place.dated();
    fill(&store, 0..1);
    place.disk.sync_takes(Duration::from_millis(5));
    let before = place.disk.log();
    std::thread::scope(|scope| {
        for thread in 0..64 {
            let store = &store;
            scope.spawn(move || (0..20).for_each(|_| drop(store.put(&key(thread)).data(&FLIGHT).unwrap())));
        }
    });
    let counts = place.disk.log().since(before);
    bounds::SYNCS_64_FREE.holds(counts.syncs as f64 / (64.0 * 20.0));
}

#[test]
fn eight_threads_share_a_write() {
    let place = Place::new();
    let store = place.dated();
    let counts = at_once(&place, &store, 8, Durability::Os, Held::Write);
    assert!(counts.writes >= ROUNDS as u64);
    bounds::OS_WRITES_8.holds(counts.writes as f64 / (8 * ROUNDS) as f64);
    assert_eq!(counts.syncs, 0);
}

#[test]
fn a_thousand_tickets_share_syncs() {
    let place = Place::new();
    let store = place.dated();
    fill(&store, 0..9_000);
    let first = store.put(&key(0)).submit(&FLIGHT).unwrap();
    place.disk.hold(Held::Sync);
    let before = place.disk.log();
    let tickets: Vec<_> = (0..1_000).map(|n| store.put(&key(n)).submit(&FLIGHT).unwrap()).collect();
    place.disk.release();
    first.wait().unwrap();
    tickets.into_iter().for_each(|ticket| drop(ticket.wait().unwrap()));
    let counts = place.disk.log().since(before);
    bounds::SYNCS_TICKETS.holds(counts.syncs as f64 / 1_000.0);
}

/// What the operating system counts is what went through [`Fs`](persist_core::fs::Fs).
#[test]
fn one_thread_writes_once_for_each_write() {
    let place = Place::new();
    let store = place.dated();
    fill(&store, 0..1);
    let (before, calls_before) = (place.disk.log(), calls_of_this_thread());
    fill(&store, 0..10_000);
    let (counts, calls) = (place.disk.log().since(before), calls_of_this_thread());
    if let (Some(calls_before), Some(calls)) = (calls_before, calls) {
        // What is laid out another thread does, if it comes in time; and before it syncs that, it writes what waits.
        let may_be = counts.writes - counts.fills - counts.syncs..=counts.writes;
        assert!(may_be.contains(&(calls - calls_before)), "write(2) of this thread beside those through `Fs`");
    }
    bounds::OS_WRITES_1.holds((counts.writes - counts.fills) as f64 / 10_000.0);
}

/// Calls like `write(2)` that this thread has made so far, as Linux counts them.
fn calls_of_this_thread() -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    // Some kernels do not count.
    let io = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("syscw: ")?.parse().ok())
}
