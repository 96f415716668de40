//! The containers that are open during a pass, and the names in them: for paths, and to find a name that stands twice.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt::Write as _;

/// Up to so many names are compared one by one, by their tags: up to here that is quicker than hashing them.
const COMPARED: usize = 64;
/// A thread keeps lists that take no more than this for its next record.
const KEPT_BYTES: usize = 64 * 1024;

thread_local! {
    static KEPT: Cell<Frames> = Cell::default();
}

/// The open containers, outermost first.
#[derive(Debug, Default)]
pub(super) struct Frames {
    frames: Vec<Frame>,
    names: Names,
    limit: usize,
}

/// The names of all open objects, each object's behind those of the one around it.
#[derive(Debug, Default)]
struct Names {
    texts: Vec<u8>,
    /// Where the text of each name ends. It begins where that of the one before ends.
    ends: Vec<usize>,
    /// The tag of each name: equal for equal names, and seldom for others.
    tags: Vec<u64>,
}

#[derive(Debug)]
struct Frame {
    object: bool,
    /// Where the frame's own names begin.
    names_from: usize,
    /// The element that is being read, if this is an array.
    element: usize,
    /// Whether a string that stands here next may be a timestamp.
    converts: bool,
    /// All names of an object that has more than are compared one by one.
    seen: Option<HashSet<Box<[u8]>>>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// The value that is being read.
    Value,
    /// The object whose next name is being read.
    Name,
}

impl Names {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn push(&mut self, name: &str, tag: u64) {
        self.texts.extend_from_slice(name.as_bytes());
        self.ends.push(self.texts.len());
        self.tags.push(tag);
    }

    /// Forgets the names from this one on.
    fn truncate(&mut self, from: usize) {
        self.texts.truncate(self.start(from));
        self.ends.truncate(from);
        self.tags.truncate(from);
    }

    /// The names from this one on.
    fn from(&self, from: usize) -> impl Iterator<Item = &[u8]> {
        let mut start = self.start(from);
        self.ends.iter().skip(from).map(move |end| {
            let name = self.texts.get(start..*end).unwrap_or_default();
            start = *end;
            name
        })
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }
}

impl Frames {
    pub(super) fn new(limit: usize) -> Self {
        // Not where the thread ends, in the destructor of a value of its own.
        let mut kept = KEPT.try_with(Cell::take).unwrap_or_default();
        kept.frames.clear();
        kept.names.truncate(0);
        kept.limit = limit;
        kept
    }

    /// Ends the use of these.
    pub(super) fn end(self) {
        if self.names.texts.capacity() + self.frames.capacity() * size_of::<Frame>() <= KEPT_BYTES {
            let _ = KEPT.try_with(|kept| kept.set(self));
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn depth(&self) -> usize {
        self.frames.len()
    }

    /// Whether the innermost container is an object; `None` where none is open.
    pub(super) fn innermost(&self) -> Option<bool> {
        self.frames.last().map(|frame| frame.object)
    }

    /// Whether a string that stands here may be a timestamp.
    pub(super) fn converts(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.converts)
    }

    /// Whether the innermost object has no member yet.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.last().is_none_or(|frame| frame.names_from == self.names.len())
    }

    /// Opens a container; `false` where that would be one too deep.
    pub(super) fn open(&mut self, object: bool) -> bool {
        if self.frames.len() >= self.limit {
            return false;
        }
        // An array stands for its elements, so that a policy of fields reaches into it; an object's members are named.
        let converts = !object && self.converts();
        self.frames.push(Frame { object, names_from: self.names.len(), element: 0, converts, seen: None });
        true
    }

    pub(super) fn close(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.names.truncate(frame.names_from);
        }
    }

    pub(super) fn next_element(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.element += 1;
        }
    }

    /// Begins a member of the innermost object; `false` where it has one of that name.
    pub(super) fn name(&mut self, name: &str, converts: bool) -> bool {
        let Some(frame) = self.frames.last_mut() else { return true };
        frame.converts = converts;
        let (names, from) = (&mut self.names, frame.names_from);
        let tag = tag(name);
        let fresh = match &mut frame.seen {
            Some(seen) => seen.insert(name.as_bytes().into()),
            None if names.len() - from < COMPARED => {
                let tags = names.tags.get(from..).unwrap_or_default();
                !tags.contains(&tag) || !names.from(from).any(|before| before == name.as_bytes())
            }
            None => {
                let seen = frame.seen.insert(names.from(from).map(Box::from).collect());
                seen.insert(name.as_bytes().into())
            }
        };
        names.push(name, tag);
        fresh
    }

    /// Where the pass is: `data.legs[2].time`.
    #[cold]
    pub(super) fn path(&self, within: Within) -> String {
        let mut path = String::from("data");
        for (depth, frame) in self.frames.iter().enumerate() {
            let inner = self.frames.get(depth + 1);
            if !frame.object {
                let _ = write!(path, "[{}]", frame.element);
            } else if inner.is_some() || within == Within::Value {
                let last = inner.map_or(self.names.len(), |inner| inner.names_from).saturating_sub(1);
                let name = self.names.from(last.max(frame.names_from)).next().unwrap_or_default();
                step(&mut path, &String::from_utf8_lossy(name));
            }
        }
        path
    }
}

/// The last eight bytes, where names that have much in common differ, and the length.
fn tag(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let end = match bytes.last_chunk::<8>() {
        Some(end) => u64::from_le_bytes(*end),
        None => bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    end ^ (bytes.len() as u64) << 56
}

/// Adds a member's name to a path, in quotes where it would be misread.
pub(super) fn step(path: &mut String, name: &str) {
    let shown: String = name.chars().take(64).collect();
    let plain = !shown.is_empty() && shown.chars().all(|char| char.is_alphanumeric() || matches!(char, '_' | '-'));
    let more = if shown.len() < name.len() { "…" } else { "" };
    let _ = if plain { write!(path, ".{shown}{more}") } else { write!(path, "[{shown:?}{more}]") };
}
