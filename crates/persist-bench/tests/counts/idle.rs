//! What a store does when nobody asks anything of it.

use std::time::Duration;

use persist_dated::Durability;

use crate::bounds;
use crate::stores::{FLIGHT, Place, fill, key, settle};

const WHILE: Duration = Duration::from_secs(2);

#[test]
fn an_idle_store_touches_no_file_and_wakes_no_thread() {
    let place = Place::new();
    let store = place.dated_by_default();
    fill(&store, 0..100);
    store.flush().unwrap();
    settle(|| store.stats());
    // Written and not flushed yet, which is as idle for the next seconds.
    (0..10).for_each(|n| drop(store.put(&key(n)).data(&FLIGHT).unwrap()));
    std::thread::sleep(Duration::from_millis(500));
    let (files, wakes) = (place.disk.log().all() + place.disk.other().all(), wakes());
    std::thread::sleep(WHILE);
    bounds::IDLE_FILES.holds((place.disk.log().all() + place.disk.other().all() - files) as f64);
    bounds::IDLE_WAKES.holds((self::wakes() - wakes) as f64);
}

#[test]
fn a_write_that_is_synced_later_is_synced_once() {
    let place = Place::new();
    let store = place.dated_by_default();
    fill(&store, 0..1);
    let before = place.disk.log();
    let put = store.put("k").durability(Durability::Interval(Duration::from_millis(50)));
    put.data(&FLIGHT).unwrap();
    std::thread::sleep(WHILE);
    let syncs = place.disk.log().since(before).syncs;
    assert!(syncs > 0);
    bounds::INTERVAL_SYNCS.holds(syncs as f64);
}

/// How often the threads of the store were woken so far, as Linux counts it.
fn wakes() -> u64 {
    if !cfg!(target_os = "linux") {
        return 0;
    }
    let mut wakes = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let thread = thread.unwrap().path();
        let read = |name: &str| std::fs::read_to_string(thread.join(name));
        // A thread may end meanwhile.
        let (Ok(name), Ok(status)) = (read("comm"), read("status")) else { continue };
        if name.starts_with("persist-") {
            let count =
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok());
            wakes.extend(count.map(|count: u64| (name, count)));
        }
    }
    assert_eq!(wakes.len(), 3, "the threads of a store");
    wakes.iter().map(|(_, count)| count).sum()
}
