//! The names of a world: folders as they are seen, as they are durable, and the changes between the two.
//!
//! A change is one step of up to two names (a rename takes one away and gives another), durable as a whole or not at
//! all. Changes of one name keep their order: a later one is durable only with all earlier ones. A folder is a name in
//! the folder above it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::fault::{errno, os};
use crate::rng::Rng;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(u64),
    Dir(u64),
}

const ROOT: u64 = 0;

type Tree = BTreeMap<u64, BTreeMap<OsString, Node>>;

/// A name in a folder.
type Place = (u64, OsString);

#[derive(Clone)]
struct Change(Vec<(Place, Option<Node>)>);

impl Change {
    fn apply(&self, tree: &mut Tree) {
        for ((dir, name), node) in &self.0 {
            let names = tree.entry(*dir).or_default();
            match node {
                Some(node) => names.insert(name.clone(), *node),
                None => names.remove(name),
            };
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Names {
    cached: Tree,
    durable: Tree,
    pending: Vec<Change>,
    last_id: u64,
}

impl Names {
    /// An identity for a file or folder, never given before.
    pub(super) fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// What a path stands for; ENOENT where there is nothing.
    pub(super) fn find(&self, path: &Path) -> io::Result<Node> {
        let mut at = Node::Dir(ROOT);
        for name in parts(path) {
            let Node::Dir(dir) = at else { return Err(os(errno::ENOTDIR)) };
            at = self.node(dir, name).ok_or_else(|| os(errno::ENOENT))?;
        }
        Ok(at)
    }

    /// The file at a path; EISDIR where it is a folder.
    pub(super) fn find_file(&self, path: &Path) -> io::Result<u64> {
        match self.find(path)? {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(os(errno::EISDIR)),
        }
    }

    /// The folder at a path; ENOTDIR where it is a file.
    pub(super) fn find_dir(&self, path: &Path) -> io::Result<u64> {
        match self.find(path)? {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(os(errno::ENOTDIR)),
        }
    }

    /// Gives a new file its name.
    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        let place = self.place(path)?;
        if self.node(place.0, &place.1).is_some() {
            return Err(os(errno::EEXIST));
        }
        let file = self.new_id();
        self.change(vec![(place, Some(Node::File(file)))]);
        Ok(file)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        let (from, to) = (self.place(from)?, self.place(to)?);
        match (node, self.node(to.0, &to.1)) {
            _ if from == to => return Ok(()),
            (Node::File(_), Some(Node::Dir(_))) => return Err(os(errno::EISDIR)),
            (Node::Dir(_), Some(_)) => return Err(os(errno::EEXIST)),
            _ => {}
        }
        self.change(vec![(from, None), (to, Some(node))]);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find_file(path)?;
        let place = self.place(path)?;
        self.change(vec![(place, None)]);
        Ok(())
    }

    /// Makes a folder and those above it; EROFS where one has to be made and that is not allowed.
    pub(super) fn create_dirs(&mut self, path: &Path, allowed: bool) -> io::Result<()> {
        let mut dir = ROOT;
        for name in parts(path) {
            dir = match self.node(dir, name) {
                Some(Node::Dir(next)) => next,
                Some(Node::File(_)) => return Err(os(errno::ENOTDIR)),
                None if !allowed => return Err(os(errno::EROFS)),
                None => {
                    let next = self.new_id();
                    self.change(vec![((dir, name.to_owned()), Some(Node::Dir(next)))]);
                    next
                }
            };
        }
        Ok(())
    }

    /// Makes the changes in a folder durable.
    pub(super) fn sync(&mut self, dir: u64) {
        self.commit(|place| place.0 == dir);
    }

    /// Makes the names along a path durable, by decree.
    pub(super) fn settle(&mut self, path: &Path) {
        let mut dir = ROOT;
        for name in parts(path) {
            self.commit(|place| place.0 == dir && place.1 == name);
            match self.node(dir, name) {
                Some(Node::Dir(next)) => dir = next,
                _ => break,
            }
        }
    }

    /// The files in a folder, sorted.
    pub(super) fn files_in(&self, dir: u64) -> impl Iterator<Item = &OsStr> {
        let names = self.cached.get(&dir).into_iter().flatten();
        names.filter(|(_, node)| matches!(node, Node::File(_))).map(|(name, _)| name.as_os_str())
    }

    /// The folders in a folder, sorted.
    pub(super) fn folders_in(&self, dir: u64) -> impl Iterator<Item = &OsStr> {
        let names = self.cached.get(&dir).into_iter().flatten();
        names.filter(|(_, node)| matches!(node, Node::Dir(_))).map(|(name, _)| name.as_os_str())
    }

    /// Every file that is seen, with its path, sorted.
    pub(super) fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        let mut dirs = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, dir)) = dirs.pop() {
            for (name, node) in self.cached.get(&dir).into_iter().flatten() {
                match node {
                    Node::File(file) => files.push((path.join(name), *file)),
                    Node::Dir(dir) => dirs.push((path.join(name), *dir)),
                }
            }
        }
        files.sort_unstable();
        files
    }

    /// The files that a name stands for: seen, durable, or on the way to be.
    pub(super) fn referred(&self) -> BTreeSet<u64> {
        let seen = self.cached.values().chain(self.durable.values()).flat_map(BTreeMap::values);
        let coming = self.pending.iter().flat_map(|change| &change.0).filter_map(|(_, node)| node.as_ref());
        seen.chain(coming).filter_map(|node| if let Node::File(file) = node { Some(*file) } else { None }).collect()
    }

    /// The names with none of the pending changes.
    pub(super) fn keep_nothing(&self) -> Self {
        self.keep(|_| false)
    }

    /// The names with all pending changes.
    pub(super) fn keep_everything(&self) -> Self {
        self.keep(|_| true)
    }

    /// The names with some of the pending changes.
    pub(super) fn keep_some(&self, rng: &mut Rng) -> Self {
        let eighths = *rng.pick(&[1, 3, 5, 7]);
        let mut undone: BTreeSet<&Place> = BTreeSet::new();
        self.keep(|change| {
            let kept = rng.chance(eighths, 8) && !change.0.iter().any(|(place, _)| undone.contains(place));
            if !kept {
                undone.extend(change.0.iter().map(|(place, _)| place));
            }
            kept
        })
    }

    fn keep<'a>(&'a self, mut kept: impl FnMut(&'a Change) -> bool) -> Self {
        let mut tree = self.durable.clone();
        self.pending.iter().filter(|change| kept(change)).for_each(|change| change.apply(&mut tree));
        // A folder whose own name was lost takes its files with it.
        let mut reached = Tree::new();
        let mut dirs = vec![ROOT];
        while let Some(dir) = dirs.pop() {
            if let Some(names) = tree.remove(&dir) {
                dirs.extend(
                    names.values().filter_map(|node| if let Node::Dir(dir) = node { Some(*dir) } else { None }),
                );
                reached.insert(dir, names);
            }
        }
        Self { cached: reached.clone(), durable: reached, pending: Vec::new(), last_id: self.last_id }
    }

    fn node(&self, dir: u64, name: &OsStr) -> Option<Node> {
        self.cached.get(&dir)?.get(name).copied()
    }

    /// The folder that a path's last name is in, and that name.
    fn place(&self, path: &Path) -> io::Result<Place> {
        let mut names = parts(path);
        let name = names.pop().ok_or_else(|| os(errno::EISDIR))?;
        let dir = self.find_dir(&names.iter().collect::<PathBuf>())?;
        Ok((dir, name.to_owned()))
    }

    fn change(&mut self, change: Vec<(Place, Option<Node>)>) {
        let change = Change(change);
        change.apply(&mut self.cached);
        self.pending.push(change);
    }

    /// Makes durable the changes of the chosen places, and the earlier ones they build on.
    fn commit(&mut self, chosen: impl Fn(&Place) -> bool) {
        let mut needed: BTreeSet<Place> = BTreeSet::new();
        let mut taken = vec![false; self.pending.len()];
        for (change, taken) in self.pending.iter().zip(&mut taken).rev() {
            if change.0.iter().any(|(place, _)| chosen(place) || needed.contains(place)) {
                *taken = true;
                needed.extend(change.0.iter().map(|(place, _)| place.clone()));
            }
        }
        let mut taken = taken.into_iter();
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let take = taken.next() == Some(true);
            if take {
                change.apply(durable);
            }
            !take
        });
    }
}

/// The names along a path. Relative paths start at the root too.
fn parts(path: &Path) -> Vec<&OsStr> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    parts
}
