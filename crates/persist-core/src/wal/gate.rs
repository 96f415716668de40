//! Where threads wait for their lines: at one gate until they are written, and at two until they are durable, one for
//! those whom the sync under way serves, the other for those whom the next one will. So a sync wakes those who are done,
//! all at once, and one of the others to lead.
//!
//! What it keeps true: who waits at a gate hears of everything that happens after it let go of the log's lock.
//!
//! The gates are of the standard library on purpose: its `notify_all` is one system call for all, while parking_lot's
//! hands the waiters on from one to the next through the lock. 64 threads on 2 cores, a bare group commit: 166,000
//! writes a second with parking_lot's condition variable, 194,000 with the standard one, 225,000 with two of them.

use std::sync::PoisonError;

use super::writer::Reach;
use crate::planted::planted;
use crate::sync::gate::{Condvar, Mutex};

/// Whom a leader's turn has served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    /// Those it synced for; nobody waits at the other gate for what it did.
    Synced,
    /// Those who wait for a write; none of those who wait for a sync, but one of them may sync now, if none does.
    Written,
    /// Nobody knows: all have to look.
    Unknown,
}

/// All gates.
#[derive(Debug, Default)]
pub(super) struct Gates([Gate; GATES]);

const GATES: usize = 3;
/// The gate of those who wait for a write; the others are for syncs.
const WRITTEN: usize = 2;

/// Which gate is whose. It stands under the log's lock.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The gate of those whom the present sync serves, or the last one did.
    present: bool,
    /// The sync under way makes durable what is at or below this; 0 where there is none.
    until: u64,
    /// Whether somebody may wait: to wake nobody would be a system call, too.
    waits: [bool; GATES],
}

#[derive(Debug, Default)]
struct Gate {
    openings: Mutex<u64>,
    opened: Condvar,
}

impl Gates {
    /// Waits at the gate of `seq` until that is opened. `release` gives back the log's lock, under which `places` was.
    pub(super) fn wait(&self, place: Place, release: impl FnOnce()) {
        let Some(gate) = self.0.get(place.0) else { return };
        let mut openings = gate.openings.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *openings;
        release();
        while *openings == before {
            openings = gate.opened.wait(openings).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn open(&self, opening: Opening) {
        for (gate, whom) in self.0.iter().zip(opening.0) {
            if whom != Whom::Nobody {
                *gate.openings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            }
            match whom {
                Whom::Nobody => {}
                Whom::One => gate.opened.notify_one(),
                Whom::All => gate.opened.notify_all(),
            }
        }
    }
}

/// A gate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(usize);

/// Whom to wake, at each gate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening([Whom; GATES]);

impl Opening {
    pub(super) fn is_for_nobody(&self) -> bool {
        self.0 == [Whom::Nobody; GATES]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    Nobody,
    One,
    All,
}

impl Places {
    /// A sync begins that makes durable what is at or below `seq`.
    pub(super) fn begin_sync(&mut self, seq: u64) {
        // Whoever waits now waits for the next sync, and this is it.
        self.present = !self.present;
        self.until = seq;
    }

    /// Where to wait for `seq`.
    pub(super) fn place(&mut self, seq: u64, reach: Reach) -> Place {
        let place = match reach {
            Reach::Written => WRITTEN,
            Reach::Durable => usize::from(if seq <= self.until { self.present } else { !self.present }),
        };
        if let Some(waits) = self.waits.get_mut(place) {
            *waits = true;
        }
        Place(place)
    }

    /// Something happened that all have to hear of, whoever leads: whom to wake.
    pub(super) fn wake_all(&mut self) -> Opening {
        Opening(self.waits.map(|waits| if waits { Whom::All } else { Whom::Nobody }))
    }

    /// A turn has ended: whom to wake.
    pub(super) fn end(&mut self, served: Served) -> Opening {
        // Who waits at the gates of syncs is woken by the thread that syncs, when it has.
        let is_synced_by_another = served == Served::Written && self.until > 0;
        if !is_synced_by_another {
            self.until = 0;
        }
        let mut opening = Opening([Whom::Nobody; GATES]);
        for (place, (waits, whom)) in self.waits.iter_mut().zip(&mut opening.0).enumerate() {
            let is_present = place == usize::from(self.present);
            *whom = match (*waits, served) {
                (false, _) => Whom::Nobody,
                _ if place == WRITTEN => Whom::All,
                _ if is_synced_by_another => Whom::Nobody,
                (true, Served::Unknown) => Whom::All,
                (true, Served::Synced) if is_present && !planted("wake-one") => Whom::All,
                // Whoever it is, it leads or waits for another who does: so nobody is left behind.
                (true, _) if planted("lost-wake-up") => Whom::Nobody,
                (true, _) => Whom::One,
            };
            *waits &= *whom != Whom::All;
        }
        opening
    }
}
