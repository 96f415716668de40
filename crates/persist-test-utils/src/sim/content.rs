//! The bytes of one file: cached, durable, and the changes between the two; what a power cut makes of them.
//!
//! The durable bytes and the pending changes, applied in order, give the cached bytes, save for writes that a failed
//! sync lost. Images share the durable bytes until one of them writes.

use std::sync::Arc;

use crate::rng::Rng;

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Arc<[u8]> },
    Len(usize),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(to, *offset, bytes),
            Self::Len(len) => to.resize(*len, 0),
        }
    }

    /// The length of a file of length `len` after this change.
    fn len_after(&self, len: usize) -> usize {
        match self {
            Self::Write { offset, bytes } => len.max(offset + bytes.len()),
            Self::Len(len) => *len,
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Content {
    cached: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    pending: Vec<Change>,
}

impl Content {
    /// A file whose bytes are all durable.
    pub(super) fn durable(bytes: Arc<Vec<u8>>) -> Self {
        Self { cached: Arc::clone(&bytes), durable: bytes, pending: Vec::new() }
    }

    pub(super) fn cached(&self) -> &[u8] {
        &self.cached
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            put(Arc::make_mut(&mut self.cached), offset, bytes);
            self.pending.push(Change::Write { offset, bytes: bytes.into() });
        }
    }

    pub(super) fn set_len(&mut self, len: usize) {
        if len != self.cached.len() {
            Arc::make_mut(&mut self.cached).resize(len, 0);
            self.pending.push(Change::Len(len));
        }
    }

    pub(super) fn sync_all(&mut self) {
        if !self.pending.is_empty() {
            let durable = Arc::make_mut(&mut self.durable);
            self.pending.drain(..).for_each(|change| change.apply(durable));
        }
    }

    /// As [`Content::sync_all`], but a length below the durable one stays pending, and what it cuts off stays.
    pub(super) fn sync_data(&mut self) {
        let len = self.pending.iter().fold(self.durable.len(), |len, change| change.len_after(len));
        let rest = self.durable.get(len..).unwrap_or_default().to_vec();
        self.sync_all();
        if !rest.is_empty() {
            Arc::make_mut(&mut self.durable).extend_from_slice(&rest);
            self.pending.push(Change::Len(len));
        }
    }

    /// A sync failed: the writes are clean and gone; what `set_len` did is metadata and stays pending.
    pub(super) fn lose_writes(&mut self) {
        self.pending.retain(|change| matches!(change, Change::Len(_)));
    }

    /// The file with none of its pending changes.
    pub(super) fn keep_nothing(&self) -> Self {
        Self::durable(Arc::clone(&self.durable))
    }

    /// The file with all of its pending changes.
    pub(super) fn keep_everything(&self) -> Self {
        let mut all = self.clone();
        all.sync_all();
        Self::durable(all.durable)
    }

    /// The file with some of its pending changes.
    pub(super) fn keep_some(&self, rng: &mut Rng) -> Self {
        if self.pending.is_empty() {
            return self.keep_nothing();
        }
        match rng.below(8) {
            0 => self.keep_nothing(),
            1 => self.keep_everything(),
            2 => Self::durable(Arc::new(self.tear(rng, Tear::NoBytes))),
            3 | 4 => Self::durable(Arc::new(self.tear(rng, Tear::InOrder))),
            _ => Self::durable(Arc::new(self.tear(rng, Tear::Scattered))),
        }
    }

    /// Draws which sectors and which length the disk has.
    fn tear(&self, rng: &mut Rng, kind: Tear) -> Vec<u8> {
        let sector = if rng.coin() { 512 } else { 4096 };
        let pieces = self.pieces(sector);
        let kept = match kind {
            Tear::NoBytes => vec![false; pieces.len()],
            Tear::InOrder => {
                let end = rng.index(pieces.len() + 1);
                (0..pieces.len()).map(|at| at < end).collect()
            }
            Tear::Scattered => scatter(rng, &pieces),
        };
        let reached = kept.iter().rposition(|&kept| kept).map(|last| pieces[last]);
        let lens: Vec<usize> = self
            .pending
            .iter()
            .scan(self.durable.len(), |len, change| {
                *len = change.len_after(*len);
                Some(*len)
            })
            .collect();

        // How many changes the disk's length has seen, and that length.
        let (seen, len) = if let (Tear::InOrder, true, Some(last)) = (kind, rng.coin(), reached) {
            // The file ends with what was written last.
            let before = if last.change == 0 { self.durable.len() } else { lens[last.change - 1] };
            (last.change + 1, before.max(last.end))
        } else {
            let seen = match rng.below(4) {
                0 => 0,
                1 => lens.len(),
                _ => rng.index(lens.len() + 1),
            };
            let before = if seen < 2 { self.durable.len() } else { lens[seen - 2] };
            let len = if seen == 0 { before } else { lens[seen - 1] };
            if len > before && rng.chance(1, 4) {
                let inside = before + rng.index(len - before + 1);
                (seen, before.max(inside / sector * sector))
            } else {
                (seen, len)
            }
        };

        let most = lens.iter().copied().fold(self.durable.len(), usize::max);
        let mut bytes = Vec::with_capacity(most);
        bytes.extend_from_slice(&self.durable);
        bytes.resize(most, 0);
        self.lay(rng, &mut bytes, sector, &pieces, &kept, seen);
        bytes.truncate(len);
        bytes
    }

    /// Puts the kept pieces in place, in order, and what a disk shows where the others are missing.
    fn lay(&self, rng: &mut Rng, bytes: &mut [u8], sector: usize, pieces: &[Piece], kept: &[bool], seen: usize) {
        let mut touched: Vec<usize> = pieces.iter().zip(kept).filter(|p| *p.1).map(|p| p.0.sector).collect();
        touched.sort_unstable();
        let fill = rng.below(4);
        // Below this the disk has bytes that are the file's own; only above it can bytes be missing.
        let mut own = self.durable.len();
        let mut pieces = pieces.iter().zip(kept).peekable();
        for (at, change) in self.pending.iter().enumerate() {
            match change {
                Change::Len(len) => {
                    if at < seen {
                        bytes[*len..].fill(0);
                        own = own.min(*len);
                    }
                }
                Change::Write { offset, bytes: written } => {
                    while let Some((piece, kept)) = pieces.next_if(|(piece, _)| piece.change == at) {
                        let range = piece.start..piece.end;
                        if *kept {
                            bytes[range].copy_from_slice(&written[piece.start - offset..piece.end - offset]);
                        } else if piece.sector * sector >= own && touched.binary_search(&piece.sector).is_err() {
                            match if fill == 3 { rng.below(3) } else { fill } {
                                0 => bytes[range].fill(0),
                                1 => bytes[range].fill(0xff),
                                _ => {
                                    let old = self.durable.get(piece.start..).unwrap_or_default();
                                    let old = &old[..old.len().min(range.len())];
                                    bytes[piece.start..piece.start + old.len()].copy_from_slice(old);
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The pending writes, cut at the sectors' borders, in the order in which they were made.
    fn pieces(&self, sector: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (change, pending) in self.pending.iter().enumerate() {
            if let Change::Write { offset, bytes } = pending {
                let last = offset + bytes.len();
                let mut start = *offset;
                while start < last {
                    let end = last.min((start / sector + 1) * sector);
                    pieces.push(Piece { change, sector: start / sector, start, end });
                    start = end;
                }
            }
        }
        pieces
    }
}

/// How a power cut treats the pending writes of a file.
#[derive(Clone, Copy)]
enum Tear {
    /// None of them made it; changes of the length may have.
    NoBytes,
    /// What was written first made it, up to some sector.
    InOrder,
    /// Sectors here and there made it.
    Scattered,
}

/// The part of one pending write that falls into one sector.
#[derive(Clone, Copy)]
struct Piece {
    change: usize,
    sector: usize,
    start: usize,
    end: usize,
}

/// Which pieces a disk has that writes its sectors in any order: of each sector, the first few.
fn scatter(rng: &mut Rng, pieces: &[Piece]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|&at| pieces[at].sector);
    let mut kept = vec![false; pieces.len()];
    let sixteenths = *rng.pick(&[1, 4, 8, 12, 15]);
    for same in order.chunk_by(|&a, &b| pieces[a].sector == pieces[b].sector) {
        if rng.chance(sixteenths, 16) {
            let first = 1 + rng.index(same.len());
            same[..first].iter().for_each(|&at| kept[at] = true);
        }
    }
    kept
}

fn put(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[offset..end].copy_from_slice(bytes);
}
