//! The syncer: one thread that does for the log what nobody waits for: it makes writes with a ticket durable, and those
//! acknowledged before they are, and makes ready what writers will need.
//!
//! Who waits for a write leads its sync; see `wal::writer`. The syncer does so for the others, and whatever comes while
//! it syncs is served by its next sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::open::Task;
use super::shared::Shared;
use crate::clock::Clock;
use crate::model::Model;
use crate::wal::{Log, Reach};

/// Where so many writes came while a sync ran, more are on their way: the next sync waits for them …
const STREAM: u64 = 8;
/// … as long as there are more at each look …
const LOOK: Duration = Duration::from_micros(25);
/// … and so many times as long as the last one took, at most.
const PATIENCE: u32 = 4;

/// What the syncer is to do.
#[derive(Debug)]
pub(super) struct Syncer {
    log: Arc<Log>,
    clock: Arc<dyn Clock>,
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    /// Everything up to this `seq` is to be durable.
    durable: u64,
    /// Everything up to this `seq` is to be written.
    written: u64,
    /// When everything is to be durable, on the monotonic clock.
    due: Option<Duration>,
    /// The log has something to make ready.
    ahead: bool,
    sleeps: bool,
    stop: bool,
}

impl Syncer {
    pub(super) fn new(log: Arc<Log>, clock: Arc<dyn Clock>) -> Self {
        Self { log, clock, wanted: Mutex::default(), changed: Condvar::new() }
    }

    /// Has the log brought so far, soon.
    pub(super) fn want(&self, seq: u64, reach: Reach) {
        self.tell(|wanted| match reach {
            Reach::Durable => wanted.durable = wanted.durable.max(seq),
            Reach::Written => wanted.written = wanted.written.max(seq),
        });
    }

    /// Has everything made durable that is there when so long has passed.
    pub(super) fn want_within(&self, interval: Duration) {
        let due = self.clock.monotonic().saturating_add(interval);
        self.tell(|wanted| wanted.due = Some(wanted.due.map_or(due, |earlier| earlier.min(due))));
    }

    /// Has the log make ready what writers will need.
    pub(super) fn work_ahead(&self) {
        self.tell(|wanted| wanted.ahead = true);
    }

    pub(super) fn stop(&self) {
        self.tell(|wanted| wanted.stop = true);
    }

    fn tell(&self, what: impl FnOnce(&mut Wanted)) {
        let mut wanted = self.wanted.lock();
        what(&mut wanted);
        let wakes = std::mem::replace(&mut wanted.sleeps, false);
        drop(wanted);
        if wakes {
            self.changed.notify_one();
        }
    }

    /// Lets the log work ahead, if it wants to.
    fn works_ahead(&self, wanted: &mut MutexGuard<'_, Wanted>) -> bool {
        let works = std::mem::take(&mut wanted.ahead);
        if works {
            let more = MutexGuard::unlocked(wanted, || self.log.work_ahead());
            wanted.ahead |= more;
        }
        works
    }

    fn work(&self) {
        let (mut durable, mut written) = (self.log.last_seq(), 0);
        let mut last_took = Duration::ZERO;
        loop {
            let mut wanted = self.wanted.lock();
            let everything = loop {
                if wanted.stop {
                    return;
                }
                let left = wanted.due.map(|due| due.saturating_sub(self.clock.monotonic()));
                if left == Some(Duration::ZERO) {
                    // Cleared first: a write that comes during the sync sets it anew.
                    wanted.due = None;
                    break true;
                }
                if wanted.durable > durable || wanted.written > written {
                    break false;
                }
                if self.works_ahead(&mut wanted) {
                    continue;
                }
                wanted.sleeps = true;
                match left {
                    Some(left) => drop(self.changed.wait_for(&mut wanted, left)),
                    None => self.changed.wait(&mut wanted),
                }
                wanted.sleeps = false;
            };
            if wanted.durable > durable.saturating_add(STREAM) {
                self.gather(&mut wanted, last_took.saturating_mul(PATIENCE));
            }
            (durable, written) = (wanted.durable.max(durable), wanted.written.max(written));
            // A piece between two syncs: those who never pause need the space too.
            self.works_ahead(&mut wanted);
            drop(wanted);
            let start = self.clock.monotonic();
            // A failure has poisoned the log, which tells whoever waits.
            let done = if everything { self.log.sync() } else { self.log.wait(durable, Reach::Durable) };
            if let Err(error) = done.and_then(|()| self.log.wait(written, Reach::Written)) {
                tracing::error!(%error, "cannot sync the log");
            }
            last_took = self.clock.monotonic().saturating_sub(start);
        }
    }

    /// Waits while writes keep coming, that one sync may serve more of them.
    fn gather(&self, wanted: &mut MutexGuard<'_, Wanted>, most: Duration) {
        let start = self.clock.monotonic();
        let mut before = 0;
        while wanted.durable > before && !wanted.stop && self.clock.monotonic().saturating_sub(start) < most {
            before = wanted.durable;
            self.changed.wait_for(wanted, LOOK);
        }
    }
}

/// The syncer's thread.
pub(super) struct SyncerThread<M: Model>(pub(super) Arc<Shared<M>>);

impl<M: Model> Task for SyncerThread<M> {
    fn run(self) {
        if catch_unwind(AssertUnwindSafe(|| self.0.syncer.work())).is_err() {
            self.0.log.poison("the syncer of the log panicked");
        }
    }
}
