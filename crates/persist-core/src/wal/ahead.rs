//! What is made ready before a writer needs it, by a thread that nobody waits for: more of the segment laid out, the next
//! segment, and syncs of what nobody wants synced yet. Otherwise a write that needs a new segment waits for the sync of
//! the last one's lines and for that of what is laid out: 14 ms for each 10 MiB.
//!
//! What it keeps true: it changes nothing of what a line may count on. A segment that is ready has no line, and is made in
//! the same way as one that is made in time; if it can't be had, the writer that needs it tries again and is told why.

use std::path::PathBuf;
use std::sync::Arc;

use super::leader::{LAYOUT_LEAST_BYTES, lay_out};
use super::name::{SegmentId, SegmentNames};
use super::writer::{Log, LogOptions, Reach, Shared};
use crate::error::{Error, ErrorKind};
use crate::fs::File;
use crate::sync::MutexGuard;

/// When so many bytes are written and not synced, they are: a segment then is closed without much to wait for.
const UNSYNCED_BYTES: u64 = 2 * 1024 * 1024;
/// So much is laid out and synced at a time: whoever has lines to sync waits no longer than that takes.
const PIECE_BYTES: u64 = 1024 * 1024;

/// What is made ready.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Somebody was asked to work ahead, and has not begun.
    is_asked: bool,
    /// A thread lays out. No other closes or starts a segment meanwhile.
    is_under_way: bool,
    /// There was no space. Nobody tries again before the next segment.
    is_refused: bool,
    next: Option<LaidOut>,
}

/// A segment that has no line.
#[derive(Debug)]
pub(super) struct LaidOut {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    pub(super) bytes: u64,
}

impl Ahead {
    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// The next segment, if it is ready; what comes ahead then is for the one after it.
    pub(super) fn take(&mut self) -> Option<LaidOut> {
        self.is_refused = false;
        self.next.take()
    }

    /// Gives it back, where it could not be used yet.
    pub(super) fn put_back(&mut self, ready: LaidOut) {
        self.next = Some(ready);
    }
}

impl Shared {
    /// Whether somebody is to be asked to work ahead; it says so once.
    pub(super) fn wants_work_ahead(&mut self, options: &LogOptions) -> bool {
        let wants = !self.ahead.is_asked && (self.wants_sync() || self.wants_room(options));
        self.ahead.is_asked |= wants;
        wants
    }

    fn wants_sync(&self) -> bool {
        !self.syncing && self.active.as_ref().is_some_and(|active| active.position - active.synced > UNSYNCED_BYTES)
    }

    /// Whether half of what is laid out is used up.
    fn wants_room(&self, options: &LogOptions) -> bool {
        let Ahead { is_under_way: false, is_refused: false, next, .. } = &self.ahead else { return false };
        self.active.as_ref().is_some_and(|active| {
            active.position + self.group.bytes_at_most > active.laid_out / 2
                && (active.laid_out < options.full_bytes()
                    || next.as_ref().is_none_or(|next| next.bytes < options.full_bytes()))
        })
    }

    /// The number of a new segment, and its path.
    pub(super) fn next_name(&mut self, names: SegmentNames) -> (SegmentId, PathBuf) {
        let id = self.next_segment;
        // The number is used up whatever happens, so that a file that can't even be removed is in nobody's way.
        self.next_segment = id.next();
        (id, self.dir.join(names.file(id)))
    }
}

impl LogOptions {
    /// What a segment is laid out to.
    pub(super) fn full_bytes(&self) -> u64 {
        self.max_segment_bytes.next_multiple_of(LAYOUT_LEAST_BYTES)
    }
}

impl Log {
    /// Does a piece of what is due: lays out some of what will be needed soon, and syncs what is written. Answers whether
    /// more is to be laid out.
    pub fn work_ahead(&self) -> bool {
        let mut shared = self.shared.lock();
        shared.ahead.is_asked = false;
        while shared.is_busy() && shared.refusal.is_none() {
            self.changed.wait(&mut shared);
        }
        if shared.refusal.is_none() && shared.wants_room(&self.options) {
            shared.ahead.is_under_way = true;
            let working = Working { log: self, shared: &mut shared };
            self.lay_out_ahead(working.shared);
            drop(working);
        }
        let (more, written) = (shared.wants_room(&self.options), shared.written);
        if shared.refusal.is_none() && shared.wants_sync() {
            drop(shared);
            // A failure has poisoned the log, which tells whoever writes.
            let _ = self.wait(written, Reach::Durable);
        }
        more
    }

    fn lay_out_ahead(&self, shared: &mut MutexGuard<'_, Shared>) {
        let full = self.options.full_bytes();
        let Some(active) = &shared.active else { return };
        if active.laid_out < full {
            let (file, from) = (Arc::clone(&active.file), active.laid_out);
            let to = (from + PIECE_BYTES).min(full);
            if MutexGuard::unlocked(shared, || extend(file.as_ref(), from, to)).is_err() {
                shared.ahead.is_refused = true;
                return;
            }
            // Whoever syncs this file answers for its lines too: an error is told to one caller, and the next is told
            // that all is well. So it is synced as a turn of those who sync lines, or not at all.
            while (shared.leading || shared.syncing) && shared.refusal.is_none() {
                self.changed.wait(shared);
            }
            if shared.refusal.is_none()
                && self.sync_group(shared).is_ok()
                && let Some(active) = &mut shared.active
            {
                active.laid_out = to;
            }
            return;
        }
        let made = match shared.ahead.next.take() {
            None => {
                let (id, path) = shared.next_name(self.options.names);
                let piece = full.min(PIECE_BYTES);
                MutexGuard::unlocked(shared, || self.make_segment(id, path, piece, piece))
            }
            Some(mut next) => MutexGuard::unlocked(shared, || {
                let to = (next.bytes + PIECE_BYTES).min(full);
                let done = extend(next.file.as_ref(), next.bytes, to).and_then(|()| next.file.sync_data());
                if let Err(error) = done {
                    // No line is in it: an empty segment that stays behind changes nothing.
                    let _ = self.fs.remove_file(&next.path);
                    return Err(Error::io("cannot lay out", &next.path, error));
                }
                next.bytes = to;
                Ok(next)
            }),
        };
        match made {
            Ok(next) => shared.ahead.next = Some(next),
            Err(_) => shared.ahead.is_refused = true,
        }
    }
}

/// Lays out more of a file, or leaves it as long as it was: nobody needs the space yet, and others may.
fn extend(file: &dyn File, from: u64, to: u64) -> std::io::Result<()> {
    lay_out(file, from, to).inspect_err(|_| drop(file.set_len(from)))
}

/// Work that is under way. It ends, and the others go on, even where it panics: what became of the files is unknown then.
struct Working<'a, 'b> {
    log: &'a Log,
    shared: &'a mut MutexGuard<'b, Shared>,
}

impl Drop for Working<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.refuse(ErrorKind::Poisoned, "a thread panicked while it laid out the log");
        }
        self.shared.ahead.is_under_way = false;
        self.log.changed.notify_all();
    }
}
