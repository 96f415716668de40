//! What the threads of the log's group commit, and of flushes and checkpoints, meet at. Only this file says whose locks
//! these are.
//!
//! Built with `--cfg persist_schedules` they are shuttle's, which lets one thread run at a time and chooses at each of them
//! which goes on: so a test explores the order of things, finds who waits for ever, and can do it again.

#[cfg(persist_schedules)]
mod explored;

#[cfg(persist_schedules)]
pub(crate) use explored::{Condvar, LOOKS, Mutex, MutexGuard, atomic, gate, sleep};
#[cfg(not(persist_schedules))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(persist_schedules))]
pub(crate) use std::sync::atomic;
#[cfg(all(feature = "duckdb", not(persist_schedules)))]
pub(crate) use std::thread::sleep;

/// For the log's gates, which want a condition variable of the system's own.
#[cfg(not(persist_schedules))]
pub(crate) mod gate {
    pub(crate) use std::sync::{Condvar, Mutex};
}

/// So often does a thread whose line is not written look whether the leader is done, before it sleeps: the leader's
/// write takes a microsecond, to be put to sleep and woken several.
#[cfg(not(persist_schedules))]
pub(crate) const LOOKS: u32 = 256;
