//! Subscriptions: the durable changes of a store, in order of `seq`, for whoever pulls them.
//!
//! What it keeps true:
//! - A change is given only when it is durable, and each that is still there is given once.
//! - A subscription has no place in a writer's way: it looks into the queue of pending records, and for what a checkpoint
//!   has taken from there into the log's segments, one at a time. What is in neither is [`Missed`](Event::Missed).

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::shared::{Engine, Shared};
use crate::change::Change;
use crate::codec;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::protocol::Window;
use crate::record::Record;
use crate::wal::{Call, Reach, ReadBack};

/// So many records are taken from the queue at a time: its lock is the writers', too.
const WINDOW_RECORDS: usize = 256;

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// With the first change that becomes durable after the call.
    Now,
    /// With the change after this `seq`, which is the last one that was dealt with; 0 for the first of all.
    After(u64),
    /// With the oldest change that is still there.
    Oldest,
}

/// What a subscription gives.
#[derive(Debug, Clone)]
pub enum Event<M: Model> {
    /// A change that is durable.
    Change(Change<M>),
    /// The changes from one `seq` to another, both included, are no longer there or were lost to damage.
    Missed {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
}

impl<M: Model> Event<M> {
    /// The last `seq` that this event is about. Whoever has dealt with it goes on with [`Since::After`] this.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Change(change) => change.seq(),
            Self::Missed { to, .. } => *to,
        }
    }
}

impl<M: Model> Engine<M> {
    /// The durable changes of this store in order of `seq`, each once, from now on or from a `seq` that is still there.
    ///
    /// A change is there until a checkpoint of DuckDB covers it, and with `keep_log` for so long after it was written.
    /// A subscription holds up no writer, however slowly it is read: it is told what it has [missed](Event::Missed).
    ///
    /// To follow the whole state: subscribe from [`Since::Now`], read all records, then take the changes. A change may be
    /// in both; its `seq` or version tells. Do so too where a store was restored from a backup, or opened with
    /// [`TruncateTail`](crate::wal::RecoveryPolicy::TruncateTail): it may give a `seq` anew.
    ///
    /// # Errors
    /// [`Gone`](ErrorKind::Gone), naming the oldest `seq` there is, where the changes after a `seq` are not there any
    /// more. [`Input`](ErrorKind::Input) for a `seq` that was never given out.
    pub fn subscribe(&self, since: Since) -> Result<Subscription<M>> {
        let shared = &self.shared;
        let durable = shared.log.durable_seq();
        let oldest = [shared.pending.oldest(), shared.log.oldest_seq()].into_iter().flatten().min();
        let oldest = oldest.map_or(durable + 1, |oldest| oldest.min(durable + 1));
        let next = match since {
            Since::Now => durable + 1,
            Since::Oldest => oldest,
            Since::After(seq) => {
                let last = shared.log.last_seq();
                if seq > last {
                    let message = format!("seq {seq} was never given out by this store; its last one is {last}");
                    return Err(Error::input(message));
                }
                if seq + 1 < oldest {
                    let message =
                        format!("the changes after seq {seq} are no longer kept; the oldest there is has seq {oldest}");
                    return Err(Error::new(ErrorKind::Gone, message));
                }
                seq + 1
            }
        };
        let shared = Arc::clone(shared);
        let ahead = Ahead { items: Items::Records(VecDeque::new()), until: 0 };
        Ok(Subscription { shared, next, ahead, call: None, bell: Arc::default(), is_over: false })
    }
}

/// The durable changes of a store, from [`Engine::subscribe`].
///
/// It outlives the store: after [`Engine::close`] it gives what memory or the kept log still has, and ends. Until it is
/// dropped it keeps the store's memory. As an iterator it ends at the close without an error, and after any error.
#[derive(Debug)]
pub struct Subscription<M: Model> {
    pub(super) shared: Arc<Shared<M>>,
    /// The `seq` it gives next.
    pub(super) next: u64,
    pub(super) ahead: Ahead<M>,
    call: Option<Call>,
    bell: Arc<Bell>,
    is_over: bool,
}

impl<M: Model> Subscription<M> {
    /// The next event; waits for it.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) after the last change of a store that was closed.
    /// [`Poisoned`](ErrorKind::Poisoned) after the last durable change of one whose log failed.
    /// [`Io`](ErrorKind::Io) where a segment can't be read; the next call tries again.
    pub fn recv(&mut self) -> Result<Event<M>> {
        let waker = Waker::from(Arc::clone(&self.bell));
        loop {
            if let Some(event) = self.poll(&waker)? {
                return Ok(event);
            }
            self.bell.wait();
        }
    }

    /// The next event; waits for it at most so long, and answers `None` then.
    ///
    /// # Errors
    /// As [`Subscription::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Event<M>>> {
        let waker = Waker::from(Arc::clone(&self.bell));
        let start = self.shared.options.clock.monotonic();
        loop {
            if let Some(event) = self.poll(&waker)? {
                return Ok(Some(event));
            }
            let waited = self.shared.options.clock.monotonic().saturating_sub(start);
            if waited >= timeout || !self.bell.wait_for(timeout.saturating_sub(waited)) {
                return self.try_recv();
            }
        }
    }

    /// The next event, or `None` where there is none yet.
    ///
    /// # Errors
    /// As [`Subscription::recv`].
    pub fn try_recv(&mut self) -> Result<Option<Event<M>>> {
        if let Some(event) = self.ready()? {
            return Ok(Some(event));
        }
        self.end()?;
        self.ready()
    }

    /// The last `seq` that was given or missed, or the one it began after: where to go on with [`Since::After`].
    pub fn last_seq(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// The next event; or has `waker` called when there may be one.
    fn poll(&mut self, waker: &Waker) -> Result<Option<Event<M>>> {
        loop {
            if let Some(event) = self.ready()? {
                return Ok(Some(event));
            }
            if !self.is_due(waker)? {
                return Ok(None);
            }
        }
    }

    /// Whether the next change is durable; if not, `waker` will be called.
    pub(super) fn is_due(&mut self, waker: &Waker) -> Result<bool> {
        let is_due = self.shared.log.call_when(self.next, Reach::Durable, waker, &mut self.call);
        self.end()?;
        Ok(is_due)
    }

    /// The error of a log that has ended before the next change.
    fn end(&self) -> Result<()> {
        match self.shared.log.durable() {
            (durable, Some(end)) if durable < self.next => Err(end),
            _ => Ok(()),
        }
    }

    /// The next event, if what it is about is durable.
    fn ready(&mut self) -> Result<Option<Event<M>>> {
        loop {
            if let Some(event) = self.ahead.take(&mut self.next)? {
                return Ok(Some(event));
            }
            let durable = self.shared.log.durable_seq();
            if self.next > durable {
                return Ok(None);
            }
            self.ahead = match self.shared.ahead_in_memory(self.next, durable) {
                Ok(ahead) => ahead,
                Err(until) => self.shared.ahead_on_disk(self.next, until)?,
            };
        }
    }
}

impl<M: Model> Shared<M> {
    /// What the queue has for a subscriber from `next` on; or the last `seq` before it, where it begins later.
    pub(super) fn ahead_in_memory(&self, next: u64, durable: u64) -> Result<Ahead<M>, u64> {
        match self.pending.window(next, durable, WINDOW_RECORDS) {
            Window::Records(records, until) => Ok(Ahead { items: Items::Records(records), until }),
            Window::BeginsAt(oldest) => Err(oldest.map_or(durable, |oldest| durable.min(oldest.saturating_sub(1)))),
        }
    }

    /// What a segment has for a subscriber from `next` to `until`, which is in a segment or nowhere.
    pub(super) fn ahead_on_disk(&self, next: u64, until: u64) -> Result<Ahead<M>> {
        match self.log.segment_from(next).filter(|segment| segment.first_seq <= until) {
            Some(segment) => {
                let until = until.min(segment.last_seq);
                Ok(Ahead { items: Items::Lines(self.log.read_back(&segment, next, until)?), until })
            }
            None => Ok(Ahead { items: Items::Records(VecDeque::new()), until }),
        }
    }
}

impl<M: Model> Iterator for Subscription<M> {
    type Item = Result<Event<M>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let event = self.recv();
        self.is_over = event.is_err();
        match event {
            Err(error) if error.kind() == ErrorKind::Closed => None,
            event => Some(event),
        }
    }
}

impl<M: Model> Drop for Subscription<M> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.shared.log.forget(call);
        }
    }
}

/// What was found ahead of a subscription: all there is up to a `seq`, so that a gap before it is final.
#[derive(Debug)]
pub(super) struct Ahead<M: Model> {
    items: Items<M>,
    until: u64,
}

#[derive(Debug)]
enum Items<M: Model> {
    Records(VecDeque<Arc<Record<M>>>),
    Lines(ReadBack),
}

impl<M: Model> Ahead<M> {
    /// The event for the `seq` `next`, which goes on past it.
    pub(super) fn take(&mut self, next: &mut u64) -> Result<Option<Event<M>>> {
        let seq = match &self.items {
            Items::Records(records) => records.front().map(|record| record.seq),
            Items::Lines(lines) => lines.next_seq(),
        };
        let missed_to = match seq {
            Some(seq) if seq > *next => seq - 1,
            None if self.until >= *next => self.until,
            None => return Ok(None),
            Some(seq) => {
                let record = match &mut self.items {
                    Items::Records(records) => records.pop_front(),
                    Items::Lines(lines) => {
                        lines.take_line().map(|line| codec::record(&line)).transpose()?.map(Arc::new)
                    }
                };
                *next = seq + 1;
                return Ok(record.map(|record| Event::Change(Change::of(record))));
            }
        };
        let from = std::mem::replace(next, missed_to + 1);
        Ok(Some(Event::Missed { from, to: missed_to }))
    }
}

/// Wakes the thread that waits in a subscription.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn wait(&self) {
        let mut rung = self.rung.lock();
        self.heard.wait_while(&mut rung, |rung| !*rung);
        *rung = false;
    }

    /// Answers whether it rang.
    fn wait_for(&self, time: Duration) -> bool {
        let mut rung = self.rung.lock();
        self.heard.wait_while_for(&mut rung, |rung| !*rung, time);
        std::mem::take(&mut *rung)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock() = true;
        self.heard.notify_one();
    }
}
