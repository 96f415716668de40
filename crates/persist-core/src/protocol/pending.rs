//! The records that DuckDB does not hold for certain, in order of `seq`.
//!
//! A record stays here until a checkpoint covers it, not only until it is flushed: where DuckDB's instance has to be
//! opened again, its own log is not trusted, and the records since the last checkpoint are flushed once more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::base::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::planted::planted;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex};

/// The queue.
#[derive(Debug)]
pub struct Pending<R: Entry> {
    queue: Mutex<Queue<R>>,
    fewer: Condvar,
    unflushed_bytes: AtomicU64,
    /// Of all that is in the queue.
    held_bytes: AtomicU64,
    /// The last checkpoint that was due failed.
    is_failing: AtomicBool,
    room: Room,
}

/// How many bytes may wait, roughly.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// To be flushed.
    pub unflushed: u64,
    /// To be flushed or to be covered by a checkpoint, while checkpoints fail. One that takes long, behind a merge of many
    /// rows, comes to its end.
    pub held: u64,
}

#[derive(Debug)]
struct Queue<R: Entry> {
    records: VecDeque<Arc<R>>,
    /// How many of them, from the oldest on, are flushed.
    flushed: usize,
    /// The first and last `seq` of each batch of several records, which are flushed together.
    batches: VecDeque<(u64, u64)>,
    wake_sent: bool,
    /// Nothing is forgotten any more.
    is_held: bool,
}

/// What the queue has for a subscriber.
#[derive(Debug)]
pub enum Window<R: Entry> {
    /// All records from the `seq` asked for up to this one.
    Records(VecDeque<Arc<R>>, u64),
    /// The queue begins later, with this `seq` if with any.
    BeginsAt(Option<u64>),
}

impl<R: Entry> Queue<R> {
    /// The last `seq` of what has to be flushed with the records before `seq`, if they end inside a batch.
    fn end_of_batch(&self, seq: u64) -> Option<u64> {
        let after = self.batches.partition_point(|(first, _)| *first < seq);
        let (_, last) = self.batches.get(after.checked_sub(1)?)?;
        (seq <= *last).then_some(*last)
    }
}

/// What waits to be flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// How many records.
    pub records: usize,
    /// What they take, roughly.
    pub bytes: u64,
    /// When the oldest of them was written, in microseconds since 1970-01-01 UTC.
    pub oldest: Option<i64>,
}

impl<R: Entry> Pending<R> {
    /// A queue of what recovery replayed: records in the order of `seq`, and the first and last `seq` of each batch.
    pub fn new(records: VecDeque<Arc<R>>, batches: VecDeque<(u64, u64)>, room: Room) -> Self {
        let bytes = records.iter().map(|record| record.bytes()).sum();
        Self {
            queue: Mutex::new(Queue { records, flushed: 0, batches, wake_sent: false, is_held: false }),
            fewer: Condvar::new(),
            unflushed_bytes: AtomicU64::new(bytes),
            held_bytes: AtomicU64::new(bytes),
            is_failing: AtomicBool::new(false),
            room,
        }
    }

    /// Whether more waits than may.
    pub fn is_over(&self) -> bool {
        self.is_unflushed_over() || self.is_held_over()
    }

    fn is_unflushed_over(&self) -> bool {
        self.unflushed_bytes.load(Ordering::Relaxed) > self.room.unflushed
    }

    fn is_held_over(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
            && self.held_bytes.load(Ordering::Relaxed) > self.room.held
            && !planted("held-without-end")
    }

    /// Waits while more waits than may.
    ///
    /// # Errors
    /// [`Busy`](ErrorKind::Busy) where it still does then.
    pub fn wait_for_room(&self, timeout: Duration) -> Result<()> {
        let mut queue = self.queue.lock();
        self.fewer.wait_while_for(&mut queue, |_| self.is_over(), timeout);
        let bytes = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed);
        let excess = if self.is_unflushed_over() {
            let (waiting, most) = (bytes(&self.unflushed_bytes), self.room.unflushed);
            format!("{waiting} bytes wait to be flushed into DuckDB, more than the {most} allowed")
        } else if self.is_held_over() {
            let (waiting, most) = (bytes(&self.held_bytes), self.room.held);
            format!("{waiting} bytes wait for a checkpoint of DuckDB, more than the {most} allowed")
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Busy, format!("{excess}; try later")))
    }

    /// Takes the records of one step. Answers whether the worker is to be woken, once for each `batch` records or `bytes`.
    pub fn push(&self, records: &[Arc<R>], batch: usize, bytes: u64) -> bool {
        let size = records.iter().map(|record| record.bytes()).sum();
        let mut queue = self.queue.lock();
        queue.records.extend(records.iter().map(Arc::clone));
        if let [first, .., last] = records {
            queue.batches.push_back((first.seq(), last.seq()));
        }
        self.held_bytes.fetch_add(size, Ordering::Relaxed);
        let unflushed = self.unflushed_bytes.fetch_add(size, Ordering::Relaxed) + size;
        let due = queue.records.len() - queue.flushed >= batch || unflushed > bytes;
        due && !std::mem::replace(&mut queue.wake_sent, true)
    }

    /// The oldest unflushed records, none above `seq`: at most so many, and of at most so many bytes if more than one,
    /// and then up to the end of the batch that they end in. `seq` is never inside a batch.
    pub fn batch(&self, seq: u64, records: usize, bytes: u64) -> Vec<Arc<R>> {
        let mut queue = self.queue.lock();
        queue.wake_sent = false;
        let (mut most, mut left) = (records, bytes);
        let mut until = seq;
        let mut taken = Vec::new();
        for record in queue.records.iter().skip(queue.flushed) {
            let size = record.bytes();
            if most == 0 || (size > left && !taken.is_empty()) {
                match queue.end_of_batch(record.seq()).filter(|_| !planted("flush-splits-batch")) {
                    Some(end) if until == seq || until == end => until = end,
                    _ => break,
                }
            }
            if record.seq() > until {
                break;
            }
            most = most.saturating_sub(1);
            left = left.saturating_sub(size);
            taken.push(Arc::clone(record));
        }
        taken
    }

    /// Notes that DuckDB has committed everything up to `seq`.
    pub fn flushed(&self, seq: u64) {
        self.move_to(seq);
        if planted("queue-forgets-at-flush") {
            self.checkpointed(seq);
        }
        self.fewer.notify_all();
    }

    /// Notes that DuckDB was opened again and holds everything up to `seq`, and nothing after it.
    pub fn rewind(&self, seq: u64) {
        self.move_to(seq);
    }

    /// Notes whether checkpoints fail.
    pub fn note_failing(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::Relaxed);
        if !is_failing {
            let _queue = self.queue.lock();
            self.fewer.notify_all();
        }
    }

    /// Forgets the records that a checkpoint covers.
    pub fn checkpointed(&self, seq: u64) {
        let mut queue = self.queue.lock();
        if queue.is_held {
            return;
        }
        let covered = queue.records.partition_point(|record| record.seq() <= seq).min(queue.flushed);
        let gone: Vec<_> = queue.records.drain(..covered).collect();
        queue.flushed -= covered;
        let ended = queue.batches.partition_point(|(_, last)| *last <= seq);
        queue.batches.drain(..ended);
        drop(queue);
        // Here, outside the lock that every writer needs.
        self.held_bytes.fetch_sub(gone.iter().map(|record| record.bytes()).sum(), Ordering::Relaxed);
        drop(gone);
        // Who is just about to wait has the lock.
        drop(self.queue.lock());
        self.fewer.notify_all();
    }

    /// Forgets no record from now on: the store is being closed.
    pub fn hold(&self) {
        self.queue.lock().is_held = true;
    }

    /// The `seq` of the oldest record.
    pub fn oldest(&self) -> Option<u64> {
        self.queue.lock().records.front().map(|record| record.seq())
    }

    /// The records from `from` to `to`, at most so many.
    pub fn window(&self, from: u64, to: u64, most: usize) -> Window<R> {
        let queue = self.queue.lock();
        let oldest = queue.records.front().map(|record| record.seq());
        if oldest.is_none_or(|oldest| oldest > from) {
            return Window::BeginsAt(oldest);
        }
        let first = queue.records.partition_point(|record| record.seq() < from);
        let records: VecDeque<_> =
            queue.records.range(first..).take_while(|record| record.seq() <= to).take(most).cloned().collect();
        let until = if records.len() < most { to } else { records.back().map_or(to, |record| record.seq()) };
        Window::Records(records, until)
    }

    /// What waits to be flushed.
    pub fn waiting(&self) -> Waiting {
        let queue = self.queue.lock();
        Waiting {
            records: queue.records.len() - queue.flushed,
            bytes: self.unflushed_bytes.load(Ordering::Relaxed),
            oldest: queue.records.get(queue.flushed).map(|record| record.at()),
        }
    }

    fn move_to(&self, seq: u64) {
        let mut queue = self.queue.lock();
        let before = queue.flushed;
        let after = queue.records.partition_point(|record| record.seq() <= seq);
        let between =
            |from: usize, to: usize| -> u64 { queue.records.range(from..to).map(|record| record.bytes()).sum() };
        if after >= before {
            self.unflushed_bytes.fetch_sub(between(before, after), Ordering::Relaxed);
        } else {
            self.unflushed_bytes.fetch_add(between(after, before), Ordering::Relaxed);
        }
        queue.flushed = after;
    }
}

#[cfg(test)]
mod tests {
    const ROOM: Room = Room { unflushed: u64::MAX, held: u64::MAX };

    use super::*;

    #[derive(Debug)]
    struct Plain(u64);

    impl Entry for Plain {
        fn seq(&self) -> u64 {
            self.0
        }

        fn at(&self) -> i64 {
            self.0 as i64
        }

        fn bytes(&self) -> u64 {
            131
        }
    }

    fn record(seq: u64) -> Arc<Plain> {
        Arc::new(Plain(seq))
    }

    fn seqs(batch: &[Arc<Plain>]) -> Vec<u64> {
        batch.iter().map(|record| record.seq()).collect()
    }

    #[test]
    fn records_stay_until_a_checkpoint_covers_them_and_come_again_after_a_rewind() {
        let pending = Pending::new(VecDeque::new(), VecDeque::new(), ROOM);
        for seq in 1..=6 {
            pending.push(&[record(seq)], 100, u64::MAX);
        }
        assert_eq!(seqs(&pending.batch(4, 3, u64::MAX)), [1, 2, 3]);
        pending.flushed(3);
        pending.checkpointed(2);
        assert_eq!(seqs(&pending.batch(5, 9, u64::MAX)), [4, 5]);
        pending.flushed(6);
        assert_eq!(pending.waiting(), Waiting { records: 0, bytes: 0, oldest: None });
        pending.rewind(2);
        assert_eq!(seqs(&pending.batch(9, 9, u64::MAX)), [3, 4, 5, 6]);
        assert_eq!(pending.waiting().oldest, Some(3));
    }

    #[test]
    fn a_window_has_all_records_it_answers_for_or_says_where_the_queue_begins() {
        let pending = Pending::new([2, 3, 6, 7].map(record).into(), VecDeque::new(), ROOM);
        let window = |from, to, most| match pending.window(from, to, most) {
            Window::Records(records, until) => {
                Ok((records.iter().map(|record| record.seq()).collect::<Vec<_>>(), until))
            }
            Window::BeginsAt(oldest) => Err(oldest),
        };
        assert_eq!(window(1, 7, 9), Err(Some(2)));
        assert_eq!(window(2, 7, 9), Ok((vec![2, 3, 6, 7], 7)));
        assert_eq!(window(3, 6, 9), Ok((vec![3, 6], 6)));
        assert_eq!(window(4, 7, 1), Ok((vec![6], 6)));
        assert_eq!(window(8, 9, 9), Ok((vec![], 9)));
        pending.flushed(7);
        pending.checkpointed(6);
        assert_eq!((window(2, 7, 9), pending.oldest()), (Err(Some(7)), Some(7)));
        pending.hold();
        pending.checkpointed(7);
        assert_eq!(pending.oldest(), Some(7));
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_but_never_empty() {
        let pending = Pending::new(VecDeque::from([record(1), record(2), record(3)]), VecDeque::new(), ROOM);
        assert_eq!(seqs(&pending.batch(9, 9, 1)), [1]);
        assert_eq!(seqs(&pending.batch(9, 9, 2 * record(1).bytes())), [1, 2]);
    }

    #[test]
    fn a_batch_of_the_store_is_never_split() {
        let records: Vec<_> = (1..=9).map(record).collect();
        let pending = Pending::new(VecDeque::new(), VecDeque::new(), ROOM);
        for step in [&records[..1], &records[1..4], &records[4..5], &records[5..7], &records[7..]] {
            pending.push(step, 100, u64::MAX);
        }
        for (most, wanted) in [(1, 1), (2, 4), (3, 4), (4, 4), (5, 5), (6, 7), (7, 7), (8, 9), (9, 9)] {
            assert_eq!(seqs(&pending.batch(9, most, u64::MAX)).last(), Some(&wanted), "at most {most}");
            assert_eq!(seqs(&pending.batch(9, 100, most as u64 * record(1).bytes())).last(), Some(&wanted));
        }
        pending.flushed(4);
        pending.checkpointed(4);
        assert_eq!(seqs(&pending.batch(9, 2, u64::MAX)), [5, 6, 7]);
        assert_eq!(pending.queue.lock().batches, [(6, 7), (8, 9)]);
    }

    #[test]
    fn the_worker_is_woken_once_for_each_batch() {
        let pending = Pending::new(VecDeque::new(), VecDeque::new(), ROOM);
        let woken: Vec<bool> = (1..=5).map(|seq| pending.push(&[record(seq)], 3, u64::MAX)).collect();
        assert_eq!(woken, [false, false, true, false, false]);
        pending.batch(9, 9, u64::MAX);
        assert!(pending.push(&[record(6)], 3, u64::MAX));
    }

    #[test]
    fn too_much_waiting_is_busy_until_it_is_flushed() {
        let pending_of =
            |unflushed, held| Pending::new(VecDeque::from([record(1)]), VecDeque::new(), Room { unflushed, held });
        let wait = |pending: &Pending<Plain>| pending.wait_for_room(Duration::from_millis(1));
        wait(&pending_of(10_000, 10_000)).unwrap();
        let pending = pending_of(10, 10_000);
        assert_eq!(wait(&pending).unwrap_err().kind(), ErrorKind::Busy);
        pending.flushed(1);
        wait(&pending).unwrap();
        let pending = pending_of(10_000, 10);
        pending.flushed(1);
        wait(&pending).unwrap();
        pending.note_failing(true);
        let error = wait(&pending).unwrap_err();
        assert!(error.kind() == ErrorKind::Busy && error.to_string().contains("checkpoint"), "{error}");
        pending.checkpointed(1);
        wait(&pending).unwrap();
    }
}
