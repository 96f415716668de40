//! The containers that are open during a pass, and the names in them: for paths, and to find a name that stands twice.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use smallvec::SmallVec;

/// Up to so many names are compared one by one, by their tags: up to here that is quicker than hashing them.
const COMPARED: usize = 64;

/// The open containers, outermost first.
#[derive(Debug)]
pub(super) struct Frames<'s> {
    frames: SmallVec<[Frame<'s>; 2]>,
    /// The names of all open objects, each object's behind those of the one around it.
    names: SmallVec<[Cow<'s, str>; 16]>,
    /// The tag of each name: equal for equal names, and seldom for others.
    tags: SmallVec<[u64; 16]>,
    limit: usize,
}

#[derive(Debug)]
struct Frame<'s> {
    object: bool,
    /// Where the frame's own names begin.
    names_from: usize,
    /// The element that is being read, if this is an array.
    element: usize,
    /// Whether a string that stands here next may be a timestamp.
    converts: bool,
    /// All names of an object that has more than are compared one by one.
    seen: Option<HashSet<Cow<'s, str>>>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// The value that is being read.
    Value,
    /// The object whose next name is being read.
    Name,
}

impl<'s> Frames<'s> {
    pub(super) fn new(limit: usize) -> Self {
        Self { frames: SmallVec::new(), names: SmallVec::new(), tags: SmallVec::new(), limit }
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
            self.tags.truncate(frame.names_from);
        }
    }

    pub(super) fn next_element(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.element += 1;
        }
    }

    /// Begins a member of the innermost object; `false` where it has one of that name.
    pub(super) fn name(&mut self, name: Cow<'s, str>, converts: bool) -> bool {
        let Some(frame) = self.frames.last_mut() else { return true };
        frame.converts = converts;
        let before = self.names.get(frame.names_from..).unwrap_or_default();
        let tag = tag(&name);
        let fresh = match &mut frame.seen {
            Some(seen) => seen.insert(name.clone()),
            None if before.len() < COMPARED => {
                let tags = self.tags.get(frame.names_from..).unwrap_or_default();
                !tags.contains(&tag) || !before.contains(&name)
            }
            None => {
                let seen = frame.seen.insert(before.iter().cloned().collect());
                seen.insert(name.clone())
            }
        };
        self.names.push(name);
        self.tags.push(tag);
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
                let names = self.names.get(frame.names_from..inner.map_or(self.names.len(), |inner| inner.names_from));
                step(&mut path, names.and_then(<[_]>::last).map_or("", AsRef::as_ref));
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
