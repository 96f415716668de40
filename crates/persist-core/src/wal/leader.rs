//! What the leader does: it makes room for lines, writes and syncs groups, closes segments and starts new ones.
//!
//! It lets go of the lock while it works on files. `ahead.rs` does for it, in time, what takes long.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ahead::LaidOut;
use super::gate::{Gates, Served};
use super::line::{self, Tail};
use super::name::SegmentId;
use super::news;
use super::writer::{Active, Group, Log, Segment, Shared, Spare};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Access, File, sync_dir_of, sync_dirs_of, write_all_at};
use crate::planted::planted;
use crate::sync::atomic::Ordering;
use crate::sync::{Condvar, MutexGuard};

/// The first step in which a segment is laid out; each further one is as long as the segment is by then. One that comes
/// after a full one is laid out to that one's length in one piece, because each step costs a sync.
const LAYOUT_STEP_BYTES: u64 = 256 * 1024;
/// What is laid out where a whole step does not fit the disk any more.
pub(super) const LAYOUT_LEAST_BYTES: u64 = 4096;
/// So many groups does a leader write for others who do not need them synced.
const GROUPS_OF_A_TURN: usize = 4;
/// Readers skip blank lines, so a segment may be filled with them and still be plain JSON lines.
static FILL: [u8; 64 * 1024] = [b'\n'; 64 * 1024];

impl Log {
    /// Makes the caller the leader for this work, which serves whom `served` says if it succeeds.
    pub(super) fn lead(
        &self,
        shared: &mut MutexGuard<'_, Shared>,
        served: Served,
        work: impl FnOnce(&mut MutexGuard<'_, Shared>) -> Result<()>,
    ) -> Result<()> {
        self.check_process(shared)?;
        shared.leading = true;
        self.take_turn(shared, (served, true), work, |shared| shared.leading = false)
    }

    /// Writes the group as the leader, and then syncs it, while others may lead.
    pub(super) fn sync_group(&self, shared: &mut MutexGuard<'_, Shared>) -> Result<()> {
        self.check_process(shared)?;
        // What others write from here on is not for this sync, even if they do before it begins.
        let last_seq = shared.next_seq.saturating_sub(1);
        shared.syncing = true;
        shared.places.begin_sync(last_seq);
        let work = |shared: &mut MutexGuard<'_, Shared>| {
            shared.leading = true;
            if planted("ack-before-sync") {
                self.note_durable(shared, last_seq);
            }
            // The calls are for when this thread is done: one may lead to a wait for the very sync that it is to make.
            let write = |shared: &mut MutexGuard<'_, Shared>| self.write_group(shared);
            self.take_turn(shared, (Served::Written, false), write, |shared| shared.leading = false)?;
            let Some(active) = &shared.active else { return Ok(()) };
            let (file, position) = (Arc::clone(&active.file), active.position);
            let synced = MutexGuard::unlocked(shared, || {
                if planted("skip-fsync") {
                    return Ok(());
                }
                file.sync_data().or_else(|error| if planted("retry-after-eio") { file.sync_data() } else { Err(error) })
            });
            shared.syncs += 1;
            let Some(active) = &mut shared.active else { return Ok(()) };
            if let Err(error) = synced {
                let error = Error::io("cannot sync", &active.path, error);
                return Err(self.fail(shared, &error));
            }
            active.synced = position;
            let last_seq = if planted("publish-too-far") { shared.next_seq.saturating_sub(1) } else { last_seq };
            self.note_durable(shared, last_seq);
            Ok(())
        };
        self.take_turn(shared, (Served::Synced, true), work, |shared| shared.syncing = false)
    }

    /// `calls` says whether those who asked to be called are, at the end of the turn.
    fn take_turn(
        &self,
        shared: &mut MutexGuard<'_, Shared>,
        (served, calls): (Served, bool),
        work: impl FnOnce(&mut MutexGuard<'_, Shared>) -> Result<()>,
        end: fn(&mut Shared),
    ) -> Result<()> {
        let (changed, gates) = (&self.changed, &self.gates);
        let mut turn = Turn { changed, gates, shared, served: Served::Unknown, calls, end, is_over: false };
        let done = work(turn.shared);
        turn.is_over = true;
        if done.is_ok() {
            turn.served = served;
        }
        done
    }

    // From here on down: only the leader.

    pub(super) fn make_room(&self, shared: &mut MutexGuard<'_, Shared>, bytes: u64) -> Result<()> {
        let mut step = LAYOUT_STEP_BYTES;
        if shared.is_full(bytes, &self.options) {
            let active = shared.active.as_ref();
            step = step.max(active.map_or(0, |active| active.position + shared.group.bytes_at_most));
            self.close_segment(shared)?;
        }
        let Some(active) = &shared.active else { return self.start_segment(shared, bytes, step) };
        let (file, path, laid_out) = (Arc::clone(&active.file), active.path.clone(), active.laid_out);
        let least = (active.position + shared.group.bytes_at_most + bytes).next_multiple_of(LAYOUT_LEAST_BYTES);
        let step = (laid_out * 2).min(self.options.full_bytes()).max(least);
        let (laid_out, synced) = MutexGuard::unlocked(shared, || {
            let reached = lay_out(file.as_ref(), laid_out, step)
                .map(|()| step)
                .or_else(|_| lay_out(file.as_ref(), laid_out, least).map(|()| least))
                .map_err(|error| Error::io("no space in", &path, error))?;
            Ok::<_, Error>((reached, file.sync_data()))
        })?;
        // The same sync was to make durable whatever `Os` lines the segment holds: they are in doubt now.
        synced.map_err(|error| self.fail(shared, &Error::io("cannot sync", &path, error)))?;
        if let Some(active) = &mut shared.active {
            active.laid_out = laid_out;
        }
        Ok(())
    }

    fn start_segment(&self, shared: &mut MutexGuard<'_, Shared>, bytes: u64, step: u64) -> Result<()> {
        let ready = match shared.ahead.take() {
            Some(ready) => ready,
            None => {
                let (id, path) = shared.next_name(self.options.names);
                let least = bytes.next_multiple_of(LAYOUT_LEAST_BYTES);
                let step = step.next_multiple_of(LAYOUT_LEAST_BYTES).min(self.options.full_bytes()).max(least);
                MutexGuard::unlocked(shared, || self.make_segment(id, path, step, least))?
            }
        };
        let mut ready = ready;
        if let Some(name) = self.options.names.newest_file() {
            // Whatever has that name has no line: one that had was given its number when it was closed.
            let newest = shared.dir.join(name);
            if let Err(error) = MutexGuard::unlocked(shared, || self.rename(&ready.path, &newest)) {
                // It is as good for who tries next.
                shared.ahead.put_back(ready);
                return Err(error);
            }
            let synced = MutexGuard::unlocked(shared, || sync_dir_of(self.fs.as_ref(), &newest));
            ready.path = newest;
            synced?;
        }
        let LaidOut { id, path, file, bytes: laid_out } = ready;
        let first_seq = shared.next_seq;
        shared.segment = id.0;
        let (position, synced, lines) = (0, 0, 0);
        shared.active = Some(Active { id, path, file, first_seq, position, laid_out, synced, lines, closing: false });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.fs.rename(from, to).map_err(|error| Error::io("cannot rename into place", to, error))
    }

    /// Makes a segment that takes `bytes` bytes, or if there is no space for those `least`, durably.
    pub(super) fn make_segment(&self, id: SegmentId, path: PathBuf, bytes: u64, least: u64) -> Result<LaidOut> {
        let file = self.fs.open(&path, Access::CreateNew).map_err(|error| Error::io("cannot create", &path, error))?;
        let ready = lay_out(file.as_ref(), 0, bytes)
            .map(|()| bytes)
            .or_else(|_| lay_out(file.as_ref(), 0, least).map(|()| least))
            .map_err(|error| Error::io("no space in", &path, error))
            .and_then(|bytes| {
                if !planted("layout-unsynced") {
                    file.sync_all().map_err(|error| Error::io("cannot sync", &path, error))?;
                }
                if !planted("segment-name-unsynced") {
                    sync_dir_of(self.fs.as_ref(), &path)?;
                }
                Ok(bytes)
            });
        match ready {
            Ok(bytes) => Ok(LaidOut { id, path, file: Arc::from(file), bytes }),
            Err(error) => {
                // No line is in it: an empty segment that stays behind changes nothing.
                let _ = self.fs.remove_file(&path);
                Err(error)
            }
        }
    }

    pub(super) fn close_segment(&self, shared: &mut MutexGuard<'_, Shared>) -> Result<()> {
        match &mut shared.active {
            Some(active) if active.lines > 0 => active.closing = true,
            _ => return Ok(()),
        }
        self.write_group(shared)?;
        // It stays in place until it is closed: subscribers may read it meanwhile.
        let Some(active) = &shared.active else { return Ok(()) };
        let (file, mut path, position) = (Arc::clone(&active.file), active.path.clone(), active.position);
        // When the log is closed, no other segment comes for the name.
        let is_last = shared.refusal.is_some();
        let named = self.options.names.newest_file().filter(|_| !is_last);
        let numbered = named.map(|_| path.with_file_name(self.options.names.file(active.id)));
        let synced = MutexGuard::unlocked(shared, || {
            if !planted("rotate-uncut") {
                file.set_len(position)?;
            }
            if planted("rotate-unsynced") { Ok(()) } else { file.sync_all() }
        });
        shared.syncs += 1;
        synced.map_err(|error| self.fail(shared, &Error::io("cannot close the segment", &path, error)))?;
        let written = shared.written;
        self.note_durable(shared, written);
        if let Some(numbered) = numbered {
            // Nothing is in doubt where this fails: it is all in the file that stays, and whoever needs a new one tries again.
            MutexGuard::unlocked(shared, || self.rename(&path, &numbered))?;
            let synced = MutexGuard::unlocked(shared, || sync_dir_of(self.fs.as_ref(), &numbered));
            synced.map_err(|error| self.fail(shared, &error))?;
            path = numbered;
        }
        let Some(active) = shared.active.take() else { return Ok(()) };
        // No other has taken a line since the last of this one.
        let (last_seq, last_at) = (shared.written, shared.last_at);
        shared.closed.push(Segment { path, first_seq: active.first_seq, last_seq, last_at, bytes: position });
        Ok(())
    }

    /// Closes the segment, or removes it where it has taken no line, and what was made ready after it.
    pub(super) fn end_segment(&self, shared: &mut MutexGuard<'_, Shared>) -> Result<()> {
        self.close_segment(shared)?;
        let unused = [shared.active.take().map(|active| active.path), shared.ahead.take().map(|ahead| ahead.path)];
        for path in unused.iter().flatten() {
            // If it stays behind, that changes nothing.
            let _ = MutexGuard::unlocked(shared, || self.fs.remove_file(path));
        }
        Ok(())
    }

    /// Writes what waits, and what comes meanwhile: who is put to sleep and woken to lead costs more than a write. Not for
    /// ever: the leader has an answer to give, too.
    pub(super) fn write_groups(&self, shared: &mut MutexGuard<'_, Shared>) -> Result<()> {
        for _ in 0..GROUPS_OF_A_TURN {
            self.write_group(shared)?;
            if shared.group.head.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Writes what waits, if anything does.
    pub(super) fn write_group(&self, shared: &mut MutexGuard<'_, Shared>) -> Result<()> {
        let durable = shared.durable;
        let last_seq = shared.next_seq.saturating_sub(1);
        let state = &mut **shared;
        let Some(active) = &mut state.active else { return Ok(()) };
        let Some((body, marks, stamp)) = state.group.head.take() else { return Ok(()) };
        let Spare { mut bytes, rest } = std::mem::take(&mut state.spare);
        let mut group = std::mem::replace(&mut state.group, Group { rest, ..Group::default() });
        let segment = (active.position == 0).then_some((self.store.as_str(), active.id));
        let tail = Tail {
            at: stamp.at,
            marks,
            synced: Some(if planted("synced-is-a-hope") { last_seq } else { durable }),
            segment,
            seq: stamp.seq,
        };
        bytes.extend_from_slice(&body.text);
        line::finish(&mut bytes, body.checksum, &tail);
        bytes.extend_from_slice(&group.rest);
        let (file, offset) = (Arc::clone(&active.file), active.position);
        active.position += bytes.len() as u64;
        let done = MutexGuard::unlocked(shared, || write_all_at(file.as_ref(), offset, &bytes));
        if let Err(error) = done {
            let path = shared.active.as_ref().map(|active| active.path.clone()).unwrap_or_default();
            return Err(self.fail(shared, &Error::io("cannot write", &path, error)));
        }
        shared.groups += 1;
        shared.written = last_seq;
        self.written.store(last_seq, Ordering::Release);
        bytes.clear();
        group.rest.clear();
        shared.spare = Spare { bytes, rest: group.rest };
        Ok(())
    }

    fn note_durable(&self, shared: &mut Shared, seq: u64) {
        shared.durable = seq;
        self.durable.store(seq, Ordering::Release);
    }

    pub(super) fn fail(&self, shared: &mut Shared, error: &Error) -> Error {
        tracing::error!(%error, "the log is poisoned");
        if !planted("no-poison") {
            shared.refuse(ErrorKind::Poisoned, &error.to_string());
        }
        match shared.usable() {
            Err(error) => error,
            Ok(()) => Error::new(ErrorKind::Poisoned, error.to_string()),
        }
    }

    pub(super) fn remove(&self, going: &mut Vec<Segment>) -> Result<usize> {
        let mut removed: Vec<PathBuf> = Vec::new();
        while let Some(segment) = going.last() {
            let path = &segment.path;
            match self.fs.remove_file(path) {
                // Somebody was here before; that must not keep the others from going.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                done => done.map_err(|error| Error::io("cannot remove", path, error))?,
            }
            removed.extend(going.pop().map(|segment| segment.path));
        }
        sync_dirs_of(self.fs.as_ref(), removed.iter().map(PathBuf::as_path))?;
        Ok(removed.len())
    }
}

/// The turn of one who leads or syncs. It ends, and the others go on, even where the work panics: what became of the files
/// is unknown then.
struct Turn<'a, 'b> {
    changed: &'a Condvar,
    gates: &'a Gates,
    shared: &'a mut MutexGuard<'b, Shared>,
    served: Served,
    calls: bool,
    end: fn(&mut Shared),
    is_over: bool,
}

impl Drop for Turn<'_, '_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared.refuse(ErrorKind::Poisoned, "a thread panicked while it wrote");
        }
        (self.end)(self.shared);
        let opening = self.shared.places.end(self.served);
        let calls = if self.calls { self.shared.due_calls() } else { Vec::new() };
        self.changed.notify_all();
        if !opening.is_for_nobody() || !calls.is_empty() {
            // Who is done needs the log's lock no more, and is not to wait for it.
            MutexGuard::unlocked(self.shared, || {
                self.gates.open(opening);
                news::make(calls);
            });
        }
    }
}

pub(super) fn lay_out(file: &dyn File, from: u64, to: u64) -> std::io::Result<()> {
    let mut at = from;
    while at < to {
        let most = usize::try_from(to - at).unwrap_or(usize::MAX).min(FILL.len());
        write_all_at(file, at, FILL.get(..most).unwrap_or_default())?;
        at += most as u64;
    }
    Ok(())
}
