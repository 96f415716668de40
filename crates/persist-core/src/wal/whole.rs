//! Leaves in a recovered log only batches that are whole: a batch is replayed to its last line or not at all.
//!
//! The lines of a batch are written together and never span segments, so one that is not whole was being written when
//! the machine stopped, or is damaged. What is there of it is cut off with the torn end, or lost with what is missing.

use super::judge::{Break, Verdict};
use super::recover::{At, Recovered, Recovery};
use crate::error::Result;
use crate::planted::planted;

impl Verdict {
    /// Whether the line of this `seq` was taken out of the chain's middle.
    pub(super) fn has_dropped(&self, seq: u64) -> bool {
        let next = self.dropped.partition_point(|(_, to)| *to < seq);
        self.dropped.get(next).is_some_and(|(from, _)| *from <= seq)
    }
}

/// A batch of which lines are still to come.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// Where it begins in the chain that is being built.
    start: usize,
    first_seq: u64,
    last_seq: u64,
    next: u32,
    of: u32,
}

/// The chain as it is built anew.
#[derive(Debug, Default)]
struct Built {
    chain: Vec<At>,
    lost: Vec<(usize, u64, u64)>,
    dropped: Vec<(u64, u64)>,
    open: Option<Open>,
}

impl Built {
    /// Takes back the lines of a batch that goes on nowhere, and answers its first `seq`.
    fn drop_open(&mut self) -> Option<u64> {
        let open = self.open.take()?;
        self.chain.truncate(open.start);
        self.dropped.push((open.first_seq, open.last_seq));
        Some(open.first_seq)
    }

    /// Notes that `from..=to` is lost, and with it what there is of a batch that it belongs to.
    fn lose(&mut self, from: u64, to: u64) {
        let from = self.drop_open().unwrap_or(from);
        match self.lost.last_mut() {
            Some((before, _, end)) if *before == self.chain.len() && end.saturating_add(1) >= from => *end = to,
            _ => self.lost.push((self.chain.len(), from, to)),
        }
    }
}

impl Recovery<'_> {
    /// Takes the lines of batches that are not whole out of the chain.
    pub(super) fn leave_whole_batches(&self, found: &mut Recovered, verdict: &mut Verdict) -> Result<()> {
        if planted("half-a-batch") {
            return Ok(());
        }
        let mut built = Built { chain: Vec::with_capacity(found.chain.len()), ..Built::default() };
        let mut notes = std::mem::take(&mut verdict.lost).into_iter().peekable();
        // The rest of a batch whose beginning was flushed before is whole; one whose beginning was lost is not.
        let mut after_loss = false;
        for (index, at) in found.chain.iter().copied().enumerate() {
            while let Some((_, from, to)) = notes.next_if(|(before, ..)| *before <= index) {
                built.lose(from, to);
                after_loss = true;
            }
            let Some(place) = found.place(at).copied() else { continue };
            if let Some(open) = built.open
                && place.marks.batch.is_none_or(|batch| (batch.number, batch.of) != (open.next, open.of))
            {
                let begins = Break { segment: at.segment, offset: place.start };
                self.damaged(found, verdict, || (begins, "the batch before it is not whole".to_owned()))?;
                built.lose(open.first_seq, open.last_seq);
            }
            match place.marks.batch {
                Some(batch) if built.open.is_none() && after_loss && batch.number > 1 => {
                    built.dropped.push((place.seq, place.seq));
                    built.lose(place.seq, place.seq);
                    continue;
                }
                Some(batch) if batch.number < batch.of => {
                    let start = built.chain.len();
                    let open = built.open.get_or_insert(Open {
                        start,
                        first_seq: place.seq,
                        last_seq: place.seq,
                        next: batch.number,
                        of: batch.of,
                    });
                    (open.last_seq, open.next) = (place.seq, batch.number + 1);
                }
                _ => built.open = None,
            }
            after_loss = false;
            built.chain.push(at);
        }
        for (_, from, to) in notes {
            built.lose(from, to);
        }
        // With nothing after it, it is the end of the log that is not whole.
        if let Some(first) = built.drop_open() {
            built.dropped.pop();
            verdict.last = first.saturating_sub(1);
        }
        (found.chain, verdict.lost, verdict.dropped) = (built.chain, built.lost, built.dropped);
        Ok(())
    }
}
