//! Who is to be called when the log has come to a `seq`: subscribers, and writers that do not wait on a thread.
//!
//! What it keeps true:
//! - A call that was asked for is made once: when its `seq` is durable, or when it never will be. It is made with no lock
//!   held.
//! - It costs those who write nothing where nobody asked, and calls none whose `seq` is not reached.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use super::writer::{Log, Reach, Shared};
use crate::error::Error;
use crate::planted::planted;
use crate::sync::atomic::Ordering;

/// A call that was asked for with [`Log::call_when`].
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Call {
    reach: Reach,
    place: Place,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
struct Place {
    seq: u64,
    id: u64,
}

/// The calls that are still to be made. It stands under the log's lock.
#[derive(Debug, Default)]
pub(super) struct News {
    written: BTreeMap<Place, Waker>,
    durable: BTreeMap<Place, Waker>,
    last_id: u64,
}

impl News {
    fn calls(&mut self, reach: Reach) -> &mut BTreeMap<Place, Waker> {
        match reach {
            Reach::Written => &mut self.written,
            Reach::Durable => &mut self.durable,
        }
    }

    fn forget(&mut self, call: &Call) -> Option<Waker> {
        self.calls(call.reach).remove(&call.place)
    }
}

/// Takes out the calls up to `seq`.
fn take_due(calls: &mut BTreeMap<Place, Waker>, seq: u64, due: &mut Vec<Waker>) {
    if calls.first_key_value().is_some_and(|(place, _)| place.seq <= seq) {
        let later = calls.split_off(&Place { seq, id: u64::MAX });
        due.extend(std::mem::replace(calls, later).into_values());
    }
}

/// Makes calls that are due. One that panics is its owner's loss, and not that of those who are called after it.
pub(super) fn make(calls: Vec<Waker>) {
    for call in calls {
        if planted("waker-unguarded") {
            call.wake();
        } else if catch_unwind(AssertUnwindSafe(|| call.wake())).is_err() {
            tracing::error!("a waker panicked");
        }
    }
}

impl Log {
    /// Has `waker` called, once, when all lines up to `seq` have come so far, or when the log has ended before. Answers
    /// whether that is so already; no call is made then. It brings nothing so far: that is for who [waits](Log::wait).
    ///
    /// `call` is the same variable at each time of asking, `None` at first: a call asked for earlier is not made any more.
    pub fn call_when(&self, seq: u64, reach: Reach, waker: &Waker, call: &mut Option<Call>) -> bool {
        // Dropped after the lock is given back, as a waker may own what asks the log again.
        let mut _earlier = None;
        let mut shared = self.shared.lock();
        _earlier = call.take().and_then(|earlier| shared.news.forget(&earlier));
        // Whoever waits is told why.
        let is_refused = self.check_process(&mut shared).is_err();
        if is_refused || shared.reached(reach) >= seq || shared.has_ended() {
            return true;
        }
        shared.news.last_id += 1;
        let place = Place { seq, id: shared.news.last_id };
        *call = Some(Call { reach, place });
        shared.news.calls(reach).insert(place, waker.clone());
        false
    }

    /// Makes a call no more that was asked for.
    pub fn forget(&self, call: Call) {
        let _forgotten = self.shared.lock().news.forget(&call);
    }

    /// The highest `seq` that is durable, without waiting for the log's lock.
    pub fn durable_seq(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// The highest `seq` that is durable; and why there will be no higher one, where the log has ended.
    pub fn durable(&self) -> (u64, Option<Error>) {
        let mut shared = self.shared.lock();
        // An error is the end that is told.
        let _ = self.check_process(&mut shared);
        let end = if shared.has_ended() { shared.usable().err() } else { None };
        (shared.durable, end)
    }
}

impl Shared {
    /// Whether nothing more will be durable: a close, too, ends only when its last sync has.
    fn has_ended(&self) -> bool {
        self.refusal.is_some() && !self.leading && !self.syncing
    }

    /// Takes out the calls that are to be made now.
    pub(super) fn due_calls(&mut self) -> Vec<Waker> {
        let (written, durable) = if self.has_ended() { (u64::MAX, u64::MAX) } else { (self.written, self.durable) };
        let mut due = Vec::new();
        take_due(&mut self.news.written, written, &mut due);
        if due.is_empty() || !planted("forgotten-call") {
            take_due(&mut self.news.durable, durable, &mut due);
        }
        due
    }
}
