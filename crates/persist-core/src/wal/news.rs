//! Who is to be called when the log is durable up to a `seq`: subscribers, and writers that do not wait on a thread.
//!
//! What it keeps true:
//! - A call that was asked for is made once: when its `seq` is durable, or when it never will be. It is made with no lock
//!   held.
//! - It costs those who write nothing where nobody asked, and calls none whose `seq` is not reached.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::task::Waker;

use super::writer::{Log, Shared};
use crate::error::Error;

/// A call that was asked for with [`Log::call_when_durable`].
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub struct Call {
    seq: u64,
    id: u64,
}

/// The calls that are still to be made. It stands under the log's lock.
#[derive(Debug, Default)]
pub(super) struct News {
    calls: BTreeMap<Call, Waker>,
    last_id: u64,
}

impl News {
    /// Takes out the calls that are due.
    fn due(&mut self, durable: u64, is_over: bool) -> Vec<Waker> {
        let is_due = |call: &Call| is_over || call.seq <= durable;
        if !self.calls.first_key_value().is_some_and(|(call, _)| is_due(call)) {
            return Vec::new();
        }
        let last = Call { seq: if is_over { u64::MAX } else { durable }, id: u64::MAX };
        let later = self.calls.split_off(&last);
        std::mem::replace(&mut self.calls, later).into_values().collect()
    }
}

impl Log {
    /// Has `waker` called, once, when all lines up to `seq` are durable, or when the log has ended before. Answers whether
    /// that is so already; no call is made then. It makes nothing durable: that is for who [waits](Log::wait).
    ///
    /// `call` is the same variable at each time of asking, `None` at first: a call asked for earlier is not made any more.
    pub fn call_when_durable(&self, seq: u64, waker: &Waker, call: &mut Option<Call>) -> bool {
        // Dropped after the lock is given back, as a waker may own what asks the log again.
        let mut _earlier = None;
        let mut shared = self.shared.lock();
        _earlier = call.take().and_then(|earlier| shared.news.calls.remove(&earlier));
        if shared.durable >= seq || shared.has_ended() {
            return true;
        }
        shared.news.last_id += 1;
        let id = shared.news.last_id;
        shared.news.calls.insert(*call.insert(Call { seq, id }), waker.clone());
        false
    }

    /// Makes a call no more that was asked for.
    pub fn forget(&self, call: Call) {
        let _forgotten = self.shared.lock().news.calls.remove(&call);
    }

    /// The highest `seq` that is durable, without waiting for the log's lock.
    pub fn durable_seq(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// The highest `seq` that is durable; and why there will be no higher one, where the log has ended.
    pub fn durable(&self) -> (u64, Option<Error>) {
        let shared = self.shared.lock();
        let end = if shared.has_ended() { shared.usable().err() } else { None };
        (shared.durable, end)
    }
}

impl Shared {
    /// Whether nothing more will be durable: a close, too, ends only when its last sync has.
    fn has_ended(&self) -> bool {
        self.refusal.is_some() && !self.leading
    }

    /// Takes out the calls that are to be made now.
    pub(super) fn due_calls(&mut self) -> Vec<Waker> {
        let is_over = self.has_ended();
        self.news.due(self.durable, is_over)
    }
}
