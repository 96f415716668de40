//! All reading of time, so that a test can set it, step it back and let midnight pass.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// Where persist reads the time.
pub trait Clock: Debug + Send + Sync {
    /// The wall clock: microseconds since 1970-01-01 UTC, negative before. It may step back.
    fn unix_micros(&self) -> i64;
    /// Time since some fixed moment; never steps back. Intervals and ages are measured with it.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clocks.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn unix_micros(&self) -> i64 {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()),
            Err(before) => i64::try_from(before.duration().as_micros()).map(|micros| -micros),
        };
        micros.unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is moved.
///
/// ```
/// use persist_core::clock::{Clock, ManualClock};
/// let clock = ManualClock::new(1_736_937_000_000_000);
/// clock.advance(std::time::Duration::from_secs(1));
/// assert_eq!(clock.unix_micros(), 1_736_937_001_000_000);
/// ```
#[derive(Debug)]
pub struct ManualClock(Mutex<(i64, Duration)>);

impl ManualClock {
    /// Starts at this wall-clock time, in microseconds since 1970-01-01 UTC.
    pub fn new(unix_micros: i64) -> Self {
        Self(Mutex::new((unix_micros, Duration::ZERO)))
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock();
        now.0 = now.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX));
        now.1 = now.1.saturating_add(by);
    }

    /// Sets the wall clock, backwards too; the monotonic clock stays.
    pub fn set(&self, unix_micros: i64) {
        self.0.lock().0 = unix_micros;
    }
}

impl Clock for ManualClock {
    fn unix_micros(&self) -> i64 {
        self.0.lock().0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().1
    }
}
