//! The writing end of the log: group commit, rotation, poison. What the leader does with files is in `leader.rs`.
//!
//! What it keeps true:
//! - One thread at a time, the *leader*, writes lines, closes segments and starts others. It is whoever needs something
//!   written and finds no leader; it writes for all whose lines stand in the shared group, and the others wait.
//! - One thread at a time syncs lines, for all that are written by then. Others may write meanwhile, if they need no sync;
//!   who does waits, and finds the lines of all who came during the sync in one group.
//! - A line gets its `seq` only once there is space for it in a segment, so that a full disk refuses a write before
//!   anything of it is visible.
//! - A segment is synced to its last byte before the next one takes its first.
//! - A write or sync of records that failed is never tried again: it poisons the log. (Kernels mark pages clean after
//!   a failed fsync, so the second try would report a success that never happened.)
//!
//! It knows nothing of what a line means, and it never reads one back: that is `reader.rs` and `recover.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crc32fast::Hasher;

use super::ahead::Ahead;
use super::gate::{Gates, Places, Served};
use super::line::{self, Marks, TAIL_MAX_BYTES, Tail};
use super::name::{SegmentId, SegmentNames};
use super::news::{self, News};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{File, Fs, make_durable_folder};
use crate::planted::planted;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Condvar, LOOKS, Mutex, MutexGuard};

/// A log that is opened with a line after this one has it from somebody else. It is read, but there is no saying for how
/// many lines more there would be a `seq`.
const LAST_SEQ: u64 = u64::MAX / 2;
const FORKED: &str = "the process was forked from the one that opened the store";

/// When the log goes on to a new segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogOptions {
    /// The size in bytes past which a segment is closed. A larger record has a segment of its own.
    pub max_segment_bytes: u64,
    /// The number of records after which a segment is closed; `None` leaves it to the size.
    pub max_segment_records: Option<u64>,
    /// How the segments are called.
    pub names: SegmentNames,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { max_segment_bytes: 10 * 1024 * 1024, max_segment_records: None, names: SegmentNames::default() }
    }
}

/// Where a log goes on, as recovery found it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStart {
    /// The `seq` of the next record.
    pub next_seq: u64,
    /// The number of the next segment.
    pub next_segment: SegmentId,
    /// The latest write time so far, in microseconds since 1970-01-01 UTC.
    pub last_at: i64,
    /// The segments that are kept and take no more lines.
    pub closed: Vec<Segment>,
    /// The segments that recovery passed over, as a checkpoint covers them and they are only kept; oldest first.
    pub kept: Vec<Segment>,
}

impl Default for LogStart {
    fn default() -> Self {
        Self { next_seq: 1, next_segment: SegmentId(1), last_at: i64::MIN, closed: Vec::new(), kept: Vec::new() }
    }
}

/// A segment that takes no more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// The lowest `seq` in it.
    pub first_seq: u64,
    /// The highest `seq` in it.
    pub last_seq: u64,
    /// When its last line was written, in microseconds since 1970-01-01 UTC.
    pub last_at: i64,
    /// What it takes on the disk.
    pub bytes: u64,
}

/// The body of a line: a JSON object without its closing brace, and its checksum, which is computed before any lock.
#[derive(Debug, Clone)]
pub struct Body {
    pub(super) text: Vec<u8>,
    pub(super) checksum: Hasher,
}

impl Body {
    /// Takes the text of a JSON object, without its closing brace and on one line.
    pub fn new(text: Vec<u8>) -> Self {
        debug_assert!(text.starts_with(b"{\"") && !text.contains(&b'\n'));
        let mut checksum = Hasher::new();
        checksum.update(&text);
        Self { text, checksum }
    }

    /// At most so many bytes will the line take in a segment.
    pub fn line_bytes_at_most(&self) -> usize {
        self.text.len() + TAIL_MAX_BYTES
    }
}

/// What the log gave a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The line's place in the log.
    pub seq: u64,
    /// When it was written, in microseconds since 1970-01-01 UTC; never less than an earlier line's.
    pub at: i64,
}

/// How far a line must have come for [`Log::wait`] to return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// `write(2)` took it: it survives the death of the process, not a power cut.
    Written,
    /// It was synced, and with it all lines before it.
    Durable,
}

/// Figures of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LogStats {
    /// Lines taken since the log was opened.
    pub lines: u64,
    /// Groups written since the log was opened.
    pub groups: u64,
    /// Syncs of records since the log was opened.
    pub syncs: u64,
    /// The number of the segment that takes lines now, or of the last one.
    pub segment: u64,
    /// Bytes of lines in that segment.
    pub segment_bytes: u64,
    /// Lines in that segment.
    pub segment_lines: u64,
    /// Segments on the disk, the one that takes lines included, those that are only kept not.
    pub segments: usize,
    /// Segments that are kept although a checkpoint covers them.
    pub kept_segments: usize,
    /// What those take on the disk.
    pub kept_bytes: u64,
    /// The `seq` of the newest line.
    pub last_seq: u64,
    /// The highest `seq` that is known to be durable.
    pub durable_seq: u64,
}

/// A write-ahead log.
///
/// ```
/// use std::sync::Arc;
/// use persist_core::{clock::SystemClock, fs::Disk, wal::{Body, Log, LogOptions, LogStart, Marks, Reach}};
/// # let dir = tempfile::tempdir()?;
/// let log = Log::new(
///     Arc::new(Disk), Arc::new(SystemClock::default()), dir.path(), "00ff", LogOptions::default(), LogStart::default(),
/// );
/// let body = Body::new(br#"{"key":"k","data":{}"#.to_vec());
/// let stamp = log.begin(body.line_bytes_at_most())?.push(body, Marks::default());
/// log.wait(stamp.seq, Reach::Durable)?; // on disk
/// assert_eq!(stamp.seq, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Log {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: String,
    pub(super) options: LogOptions,
    pub(super) shared: Mutex<Shared>,
    pub(super) changed: Condvar,
    /// Where those wait who wait for a line; all others wait for `changed`.
    pub(super) gates: Gates,
    /// What `Shared` calls durable, for those who come from a gate.
    pub(super) durable: AtomicU64,
    /// What `Shared` calls written, for those who look before they sleep.
    pub(super) written: AtomicU64,
    /// Whose it is.
    process: u32,
}

#[derive(Debug)]
pub(super) struct Shared {
    /// Where the next segment goes.
    pub(super) dir: PathBuf,
    pub(super) next_seq: u64,
    pub(super) last_at: i64,
    pub(super) next_segment: SegmentId,
    pub(super) active: Option<Active>,
    pub(super) closed: Vec<Segment>,
    pub(super) kept: Vec<Segment>,
    pub(super) group: Group,
    pub(super) spare: Spare,
    /// The segment that took the last line, or takes the next.
    pub(super) segment: u64,
    /// A thread writes, or closes and starts segments.
    pub(super) leading: bool,
    /// A thread syncs the segment that takes lines.
    pub(super) syncing: bool,
    /// What is made ready before it is needed.
    pub(super) ahead: Ahead,
    pub(super) places: Places,
    pub(super) news: News,
    pub(super) written: u64,
    pub(super) durable: u64,
    pub(super) refusal: Option<(ErrorKind, String)>,
    pub(super) lines: u64,
    pub(super) groups: u64,
    pub(super) syncs: u64,
}

/// The segment that takes lines.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    pub(super) first_seq: u64,
    /// Where the next group goes.
    pub(super) position: u64,
    pub(super) laid_out: u64,
    /// Where the last group ended that is synced.
    pub(super) synced: u64,
    /// Lines in it, those of the waiting group included.
    pub(super) lines: u64,
    /// It takes no more lines: whatever came now would miss the last group.
    pub(super) closing: bool,
}

/// The lines that wait to be written together.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The first line, whose tail is completed when the group is written: only then is it known what is durable.
    pub(super) head: Option<(Body, Marks, Stamp)>,
    pub(super) rest: Vec<u8>,
    pub(super) bytes_at_most: u64,
}

/// Memory for the group after the one that is being written.
#[derive(Debug, Default)]
pub(super) struct Spare {
    /// What is written: a group from its first line on.
    pub(super) bytes: Vec<u8>,
    pub(super) rest: Vec<u8>,
}

impl Log {
    /// A log that writes segments into `dir`, which must exist. Files are made with the first line.
    pub fn new(
        fs: Arc<dyn Fs>,
        clock: Arc<dyn Clock>,
        dir: &Path,
        store: &str,
        options: LogOptions,
        start: LogStart,
    ) -> Self {
        let durable = start.next_seq.saturating_sub(1);
        let refusal = (start.next_seq > LAST_SEQ).then(|| {
            let message =
                format!("its newest line has the seq {durable}, which no store reaches: it takes no more lines");
            (ErrorKind::Corrupt, format!("the log in {}: {message}", dir.display()))
        });
        let shared = Shared {
            dir: dir.to_owned(),
            next_seq: start.next_seq,
            last_at: start.last_at,
            next_segment: start.next_segment,
            active: None,
            closed: start.closed,
            kept: start.kept,
            group: Group::default(),
            spare: Spare::default(),
            segment: start.next_segment.0.saturating_sub(1),
            leading: false,
            syncing: false,
            ahead: Ahead::default(),
            places: Places::default(),
            news: News::default(),
            written: durable,
            durable,
            refusal,
            lines: 0,
            groups: 0,
            syncs: 0,
        };
        Self {
            fs,
            clock,
            store: store.to_owned(),
            options,
            shared: Mutex::new(shared),
            changed: Condvar::new(),
            gates: Gates::default(),
            durable: AtomicU64::new(durable),
            written: AtomicU64::new(durable),
            process: std::process::id(),
        }
    }

    /// Finds space for lines of together at most `bytes` bytes and holds the log for them: no other line comes between.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) where there is no space: nothing was written, and the log goes on when there is.
    /// [`Poisoned`](ErrorKind::Poisoned) after a failed write or sync; [`Closed`](ErrorKind::Closed).
    pub fn begin(&self, bytes: usize) -> Result<Append<'_>> {
        let bytes = bytes as u64;
        let mut shared = self.shared.lock();
        loop {
            shared.usable()?;
            if shared.has_room(bytes, &self.options) {
                return Ok(Append { log: self, shared });
            }
            if shared.is_busy() {
                self.check_process(&mut shared)?;
                self.changed.wait(&mut shared);
            } else {
                self.lead(&mut shared, Served::Unknown, |shared| self.make_room(shared, bytes))?;
            }
        }
    }

    /// As [`Log::begin`], but `None` where that would have to wait for space.
    ///
    /// # Errors
    /// As [`Log::begin`].
    pub fn begin_at_once(&self, bytes: usize) -> Result<Option<Append<'_>>> {
        let shared = self.shared.lock();
        shared.usable()?;
        Ok(shared.has_room(bytes as u64, &self.options).then_some(Append { log: self, shared }))
    }

    /// Waits until the line `seq`, and with it all before it, has come so far, and does what is needed for that. A `seq`
    /// that no line has yet stands for the newest.
    ///
    /// # Errors
    /// [`Poisoned`](ErrorKind::Poisoned) where it could not: the line is in doubt until the log is recovered.
    pub fn wait(&self, seq: u64, reach: Reach) -> Result<()> {
        let mut shared = self.shared.lock();
        let seq = seq.min(shared.next_seq.saturating_sub(1));
        let mut has_looked = false;
        loop {
            if shared.reached(reach) >= seq {
                return Ok(());
            }
            if let Some((ErrorKind::Poisoned, _)) = shared.refusal {
                return shared.usable();
            }
            match reach {
                Reach::Written if !shared.leading => {
                    let led = self.lead(&mut shared, Served::Written, |shared| self.write_groups(shared));
                    // What failed may have been another's line, after this one's.
                    if shared.reached(reach) < seq {
                        led?;
                    }
                    continue;
                }
                Reach::Written if !std::mem::replace(&mut has_looked, true) => {
                    drop(shared);
                    self.look_out(seq);
                }
                Reach::Durable if !shared.leading && !shared.syncing => {
                    self.sync_group(&mut shared)?;
                    continue;
                }
                _ => {
                    self.check_process(&mut shared)?;
                    let place = shared.places.place(seq, reach);
                    self.gates.wait(place, || drop(shared));
                }
            }
            if self.has_reached(seq, reach) {
                return Ok(());
            }
            shared = self.shared.lock();
        }
    }

    /// Waits for about as long as a write takes, or until `seq` is written.
    fn look_out(&self, seq: u64) {
        for _ in 0..LOOKS {
            if self.has_reached(seq, Reach::Written) {
                return;
            }
            std::hint::spin_loop();
        }
    }

    /// It takes no lock.
    fn has_reached(&self, seq: u64, reach: Reach) -> bool {
        let reached = match reach {
            Reach::Written => &self.written,
            Reach::Durable => &self.durable,
        };
        reached.load(Ordering::Acquire) >= seq
    }

    /// Whether everything up to `seq` is durable. It takes no lock.
    pub fn is_durable(&self, seq: u64) -> bool {
        self.has_reached(seq, Reach::Durable)
    }

    /// Whether [`Log::wait`] would return at once, be it with an error.
    pub fn has_come(&self, seq: u64, reach: Reach) -> bool {
        if self.is_durable(seq) {
            return true;
        }
        let mut shared = self.shared.lock();
        // Whoever waits is told why.
        let is_refused = self.check_process(&mut shared).is_err();
        is_refused || shared.reached(reach) >= seq || matches!(shared.refusal, Some((ErrorKind::Poisoned, _)))
    }

    /// Makes all lines so far durable.
    ///
    /// # Errors
    /// As [`Log::wait`].
    pub fn sync(&self) -> Result<()> {
        self.wait(self.last_seq(), Reach::Durable)
    }

    /// Closes the present segment, if it has any line; the next line starts another.
    ///
    /// # Errors
    /// As [`Log::wait`].
    pub fn rotate(&self) -> Result<()> {
        let mut shared = self.shared.lock();
        self.wait_for_turn(&mut shared)?;
        self.lead(&mut shared, Served::Unknown, |shared| self.close_segment(shared))
    }

    /// Closes the present segment; the next line starts another in `dir`, which is made if there is none. To bring the log
    /// back, recovery has to be told of both folders.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) where the folder can't be made: the log goes on where it was. Else as [`Log::wait`].
    pub fn move_to(&self, dir: &Path) -> Result<()> {
        if self.shared.lock().dir == dir {
            return Ok(());
        }
        make_durable_folder(self.fs.as_ref(), dir)?;
        let mut shared = self.shared.lock();
        self.wait_for_turn(&mut shared)?;
        self.lead(&mut shared, Served::Unknown, |shared| {
            self.end_segment(shared)?;
            dir.clone_into(&mut shared.dir);
            Ok(())
        })
    }

    /// The folder that the next segment goes to.
    pub fn dir(&self) -> PathBuf {
        self.shared.lock().dir.clone()
    }

    /// Removes the closed segments whose lines are all at or below `seq`, and says how many.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io); what could not be removed is tried again by the next call.
    pub fn remove_up_to(&self, seq: u64) -> Result<usize> {
        let mut shared = self.shared.lock();
        let (mut going, staying) = std::mem::take(&mut shared.closed).into_iter().partition(|s| s.last_seq <= seq);
        shared.closed = staying;
        drop(shared);
        let done = self.remove(&mut going);
        let mut shared = self.shared.lock();
        shared.closed.extend(going);
        shared.closed.sort_by_key(|segment| segment.last_seq);
        done
    }

    /// Refuses all further lines with [`Poisoned`](ErrorKind::Poisoned), also after a close. The first reason stays.
    pub fn poison(&self, reason: &str) {
        let mut shared = self.shared.lock();
        shared.refuse(ErrorKind::Poisoned, reason);
        let (opening, calls) = (shared.places.wake_all(), shared.due_calls());
        drop(shared);
        self.changed.notify_all();
        self.gates.open(opening);
        news::make(calls);
    }

    /// Makes all lines durable, closes the segment and refuses further lines.
    ///
    /// # Errors
    /// As [`Log::wait`]; the log is closed then, too.
    pub fn close(&self) -> Result<()> {
        let mut shared = self.shared.lock();
        self.wait_for_turn(&mut shared)?;
        // First: a line that came between would neither be refused nor be in the segment.
        shared.refuse(ErrorKind::Closed, "the store was closed");
        self.lead(&mut shared, Served::Unknown, |shared| self.end_segment(shared))
    }

    /// Waits until segments may be closed and started.
    fn wait_for_turn(&self, shared: &mut MutexGuard<'_, Shared>) -> Result<()> {
        while shared.is_busy() {
            self.check_process(shared)?;
            self.changed.wait(shared);
        }
        shared.usable()
    }

    /// Refuses everything in a process that was forked from the one that made the log. It has none of the other threads, so
    /// that nobody would come whom it waits for, and its writes would go over those of the process that goes on.
    pub(super) fn check_process(&self, shared: &mut Shared) -> Result<()> {
        if self.is_forked() {
            shared.refuse(ErrorKind::Poisoned, FORKED);
            // Of what the other process has under way nothing comes to its end here.
            (shared.leading, shared.syncing) = (false, false);
            return shared.usable();
        }
        Ok(())
    }

    /// The error of this process, if it was forked from the one that made the log.
    pub fn forked(&self) -> Option<Error> {
        self.is_forked().then(|| Error::new(ErrorKind::Poisoned, FORKED))
    }

    fn is_forked(&self) -> bool {
        std::process::id() != self.process && !planted("child-goes-on")
    }

    /// The error that further lines would get, if any.
    pub fn refusal(&self) -> Option<Error> {
        self.shared.lock().usable().err()
    }

    /// The `seq` of the newest line that was taken.
    pub fn last_seq(&self) -> u64 {
        self.shared.lock().next_seq.saturating_sub(1)
    }

    /// The log's figures.
    pub fn stats(&self) -> LogStats {
        let shared = self.shared.lock();
        let active = shared.active.as_ref();
        LogStats {
            lines: shared.lines,
            groups: shared.groups,
            syncs: shared.syncs,
            segment: shared.segment,
            segment_bytes: active.map_or(0, |active| active.position),
            segment_lines: active.map_or(0, |active| active.lines),
            segments: shared.closed.len() + usize::from(active.is_some()),
            kept_segments: shared.kept.len(),
            kept_bytes: shared.kept.iter().map(|kept| kept.bytes).sum(),
            last_seq: shared.next_seq.saturating_sub(1),
            durable_seq: shared.durable,
        }
    }

    /// The closed segments that are still there, oldest first.
    pub fn closed_segments(&self) -> Vec<Segment> {
        self.shared.lock().closed.clone()
    }
}

impl Shared {
    pub(super) fn usable(&self) -> Result<()> {
        match &self.refusal {
            None => Ok(()),
            Some((kind @ ErrorKind::Poisoned, reason)) => Err(Error::new(
                *kind,
                format!("an earlier write failed ({reason}); reads go on, open the store again to write"),
            )),
            Some((kind, reason)) => Err(Error::new(*kind, reason.clone())),
        }
    }

    /// The highest `seq` that has come so far.
    pub(super) fn reached(&self, reach: Reach) -> u64 {
        match reach {
            Reach::Written => self.written,
            Reach::Durable => self.durable,
        }
    }

    pub(super) fn refuse(&mut self, kind: ErrorKind, reason: &str) {
        let is_worse = |present| kind == ErrorKind::Poisoned && present == ErrorKind::Closed;
        if self.refusal.as_ref().is_none_or(|(present, _)| is_worse(*present)) {
            self.refusal = Some((kind, reason.to_owned()));
        }
    }

    pub(super) fn is_full(&self, bytes: u64, options: &LogOptions) -> bool {
        self.active.as_ref().is_some_and(|active| {
            active.lines > 0
                // One that could not be closed takes no more lines.
                && (active.closing
                    || active.position + self.group.bytes_at_most + bytes > options.max_segment_bytes
                    || options.max_segment_records.is_some_and(|most| active.lines >= most))
        })
    }

    /// Whether segments must not be closed or started, nor laid out further.
    pub(super) fn is_busy(&self) -> bool {
        self.leading || self.syncing || self.ahead.is_under_way()
    }

    fn has_room(&self, bytes: u64, options: &LogOptions) -> bool {
        !self.is_full(bytes, options)
            && self.active.as_ref().is_some_and(|active| {
                (!active.closing || planted("lines-after-closing"))
                    && (active.position + self.group.bytes_at_most + bytes <= active.laid_out
                        || planted("seq-before-space"))
            })
    }
}

/// The log, held for lines that have their space.
#[derive(Debug)]
pub struct Append<'a> {
    log: &'a Log,
    shared: MutexGuard<'a, Shared>,
}

impl Append<'_> {
    /// Whether [`Log::work_ahead`] is to be called, soon and by a thread that nobody waits for. It says so once until then.
    pub fn wants_work_ahead(&mut self) -> bool {
        self.shared.wants_work_ahead(&self.log.options)
    }

    /// Takes a line. It is written by the next [`Log::wait`] that needs it, not here.
    pub fn push(&mut self, body: Body, marks: Marks) -> Stamp {
        let shared = &mut *self.shared;
        let is_within_batch = marks.batch.is_some_and(|batch| batch.number > 1);
        // A batch has one moment, so that none divides it.
        let at = if is_within_batch {
            shared.last_at
        } else {
            let now = self.log.clock.unix_micros();
            if planted("clock-goes-back") { now } else { now.max(shared.last_at) }
        };
        let stamp = Stamp { seq: shared.next_seq, at };
        shared.last_at = at;
        shared.next_seq += 1;
        shared.lines += 1;
        if let Some(active) = &mut shared.active {
            active.lines += 1;
        }
        let group = &mut shared.group;
        group.bytes_at_most += body.line_bytes_at_most() as u64;
        if group.head.is_none() {
            group.head = Some((body, marks, stamp));
        } else {
            group.rest.extend_from_slice(&body.text);
            let tail = Tail { at, marks, synced: None, segment: None, seq: stamp.seq };
            line::finish(&mut group.rest, body.checksum, &tail);
        }
        stamp
    }
}
