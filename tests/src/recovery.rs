//! A crash while a store recovers from another: row 4 of the promises, over whole stores.
//!
//! What a crash left is opened on a disk that stops at one of the operations or steps of the opening, or of what the store
//! does by itself right after; a copy of what that leaves is opened in the same way, and the last one on a good disk.

use std::sync::Arc;
use std::time::Duration;

use persist_test_utils::{Rng, Settings, Subject};

use crate::rows::{Counters, Setting};
use crate::script::Script;
use crate::stop::{copy, crashed, recovers, settings, stopping};

/// An opening has about so many operations; what comes after has some more.
const OPERATIONS: u64 = 30;
/// So many openings at most are crashed, one in the other.
const DEPTH: u64 = 5;
/// So long an opening that was not stopped lives.
const LIFE: Duration = Duration::from_millis(30);

/// One case.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn case<S: Subject>(_: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let (mut left, acknowledged) = crashed::<S>(number, counters)?;
    let mut rng = Rng::new(number ^ 0x4000_0000);
    let day = 1 + rng.below(28) as u8;
    let depth = if rng.chance(1, 3) { rng.range(2..DEPTH + 1) } else { 1 };
    for _ in 0..depth {
        let disk = stopping(rng.below(OPERATIONS), |_, _| true).tearing(rng.index(2_300));
        let opened = S::open(left.path(), day, &Settings { fs: Arc::new(disk), ..settings() });
        counters.add("openings stopped", u64::from(opened.is_err()));
        if opened.is_ok() {
            std::thread::sleep(Duration::from_micros(rng.range(0..LIFE.as_micros() as u64)));
        }
        // Of what the store is that is open, if it is: a drop would close it.
        let next = copy(left.path())?;
        drop(opened);
        left = next;
    }
    recovers::<S>(left.path(), day, [&[acknowledged], &[acknowledged]], &mut [Script::new(number)], counters)
}
