//! The thread that does what nobody waits for: it saves changed tables by time and by the log's size, syncs the log for
//! writes that were acknowledged before they were on the disk, and lays the log out ahead.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use persist_core::clock::Clock;
use persist_core::{Error, Result};

use crate::checkpoint;
use crate::config::Config;
use crate::shared::Shared;

/// What the thread is to do.
#[derive(Debug)]
pub(crate) struct Signal {
    clock: Arc<dyn Clock>,
    save_interval: Option<Duration>,
    save_log_bytes: Option<u64>,
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    /// When the log is to be synced, on the monotonic clock.
    sync: Option<Duration>,
    /// When changed tables are to be saved.
    save: Option<Duration>,
    /// What the log has taken since it was last archived by size.
    bytes: u64,
    ahead: bool,
    /// There is the thread.
    is_heard: bool,
    stop: bool,
    sleeps: bool,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Stop,
    Ahead,
    Sync,
    Save,
    Checkpoint,
}

impl Signal {
    /// The log has so many bytes of earlier runs already.
    pub(crate) fn new(config: &Config, bytes: u64) -> Self {
        Self {
            clock: Arc::clone(&config.clock),
            save_interval: config.save_interval,
            save_log_bytes: config.save_log_bytes,
            wanted: Mutex::new(Wanted { bytes, ..Wanted::default() }),
            changed: Condvar::new(),
        }
    }

    /// The log has taken so many bytes.
    pub(crate) fn note_written(&self, bytes: u64, wants_work_ahead: bool) {
        let mut wanted = self.wanted.lock();
        wanted.bytes += bytes;
        wanted.ahead |= wants_work_ahead;
        let is_full = self.save_log_bytes.is_some_and(|most| wanted.bytes >= most);
        let is_first = wanted.save.is_none() && self.save_interval.is_some();
        if is_first {
            wanted.save = self.save_interval.map(|interval| self.clock.monotonic().saturating_add(interval));
        }
        let wakes = (is_full || is_first || wants_work_ahead) && std::mem::replace(&mut wanted.sleeps, false);
        drop(wanted);
        if wakes {
            self.changed.notify_one();
        }
    }

    /// The log is to be synced when so long has passed.
    pub(crate) fn want_sync_within(&self, interval: Duration) {
        let due = self.clock.monotonic().saturating_add(interval);
        let mut wanted = self.wanted.lock();
        wanted.sync = Some(wanted.sync.map_or(due, |earlier| earlier.min(due)));
        if std::mem::replace(&mut wanted.sleeps, false) {
            self.changed.notify_one();
        }
    }

    /// Whether there is the thread.
    pub(crate) fn is_heard(&self) -> bool {
        self.wanted.lock().is_heard
    }

    fn stop(&self) {
        let mut wanted = self.wanted.lock();
        (wanted.stop, wanted.is_heard) = (true, false);
        drop(wanted);
        self.changed.notify_one();
    }

    /// Waits for what is due next.
    fn next(&self) -> Due {
        let mut wanted = self.wanted.lock();
        loop {
            let now = self.clock.monotonic();
            if wanted.stop {
                return Due::Stop;
            }
            if wanted.sync.is_some_and(|due| due <= now) {
                wanted.sync = None;
                return Due::Sync;
            }
            if std::mem::take(&mut wanted.ahead) {
                return Due::Ahead;
            }
            if self.save_log_bytes.is_some_and(|most| wanted.bytes >= most) {
                (wanted.bytes, wanted.save) = (0, None);
                return Due::Checkpoint;
            }
            if wanted.save.is_some_and(|due| due <= now) {
                wanted.save = None;
                return Due::Save;
            }
            let due = [wanted.sync, wanted.save].into_iter().flatten().min();
            wanted.sleeps = true;
            match due {
                Some(due) => drop(self.changed.wait_for(&mut wanted, due.saturating_sub(now))),
                None => self.changed.wait(&mut wanted),
            }
            wanted.sleeps = false;
        }
    }
}

/// The thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread, if there is anything for it to do.
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Option<Self>> {
        let Some(storage) = &shared.storage else { return Ok(None) };
        let config = &shared.config;
        let is_interval = matches!(config.durability, persist_core::Durability::Interval(_));
        if config.save_interval.is_none() && config.save_log_bytes.is_none() && !is_interval {
            return Ok(None);
        }
        let signal = Arc::clone(&storage.signal);
        let (weak, its) = (Arc::downgrade(shared), Arc::clone(&signal));
        let thread = std::thread::Builder::new().name("persist-table".to_owned()).spawn(move || work(&weak, &its));
        let thread = thread.map_err(|error| Error::config("cannot start a thread").with_source(error))?;
        signal.wanted.lock().is_heard = true;
        Ok(Some(Self { signal, thread: Some(thread) }))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.signal.stop();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

fn work(shared: &Weak<Shared>, signal: &Signal) {
    loop {
        let due = signal.next();
        let Some(shared) = shared.upgrade().filter(|_| due != Due::Stop) else { return };
        let Some(storage) = &shared.storage else { return };
        let done = catch_unwind(AssertUnwindSafe(|| match due {
            Due::Stop => Ok(()),
            Due::Ahead => {
                if storage.log.work_ahead() {
                    signal.wanted.lock().ahead = true;
                }
                Ok(())
            }
            Due::Sync => storage.log.sync(),
            Due::Save => checkpoint::save(&shared, storage, false),
            Due::Checkpoint => checkpoint::checkpoint(&shared, storage).map(drop),
        }));
        match done {
            Ok(Ok(())) => {}
            // Whoever writes, saves or closes is told again.
            Ok(Err(error)) => tracing::error!(%error, "the database could not be kept up"),
            Err(_) => storage.log.poison("the thread that saves panicked"),
        }
    }
}
