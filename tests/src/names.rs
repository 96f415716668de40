//! Hostile names: row 21 of the promises, through each verb of a store.
//!
//! Texts that mean something to SQL, to a path or to a reader are keys, parts of ids, values and the name of the store's own
//! folder. Each is refused before anything is written, or is there afterwards as the naive store has it: in memory, in DuckDB,
//! in the history, over a flush, a merge, a crash, a close, an export and a backup. Nothing is made outside the folders that the
//! store was given.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use persist_dated::{Durability, ErrorKind};
use persist_test_utils::oracle::{Call, Id};
use persist_test_utils::subject::Row;
use persist_test_utils::{Oracle, Rng, Settings, Subject, copy_as_crash_leaves_it, hostile_texts};
use serde_json::json;

use crate::folder::in_memory;
use crate::rows::{Counters, Setting};

/// So many names are a case.
const NAMES: usize = 25;

/// One case.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn case<S: Subject>(_: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let mut rng = Rng::new(number);
    let dir = in_memory()?;
    let mut names = hostile_texts(number, NAMES - 5);
    names.extend(["", "caf\u{e9}", "cafe\u{301}", "__HIVE_DEFAULT_PARTITION__"].map(str::to_owned));
    names.push("n".repeat(300));
    let is_folder = |name: &&String| {
        !matches!(name.as_str(), "" | "." | "..") && name.len() < 200 && !name.contains(['/', '\0', '?'])
    };
    let folder = dir.path().join(names.iter().find(is_folder).map_or("store", String::as_str));
    let mut named = Named::<S> { oracle: Oracle::new(), names: &names, refused: 0, of: std::marker::PhantomData };
    let open = |at: &Path| S::open(at, 1, &Settings::default()).map_err(|error| format!("{}: {error}", at.display()));
    let store = open(&folder)?;
    let durability = |rng: &mut Rng| if rng.chance(1, 5) { Durability::Sync } else { Durability::Os };
    for name in &names {
        named.call(&store, &named.put(name, &mut rng), durability(&mut rng))?;
    }
    for name in &names {
        let other = rng.pick(&names).clone();
        let call = match rng.below(6) {
            0 => Call::Remove(named.id(name), None),
            1 => Call::RemoveKey(name.clone()),
            2 if S::HAS_COLLECTIONS => Call::RemoveWithin(name.clone(), Some(other)),
            3 => Call::Batch(vec![named.put(name, &mut rng), named.put(&other, &mut rng)]),
            _ => named.put(name, &mut rng),
        };
        named.call(&store, &call, durability(&mut rng))?;
    }
    named.check(&store).map_err(|broken| format!("written: {broken}"))?;
    let crashed = dir.path().join("crashed");
    store.sync().map_err(|error| error.to_string())?;
    copy_as_crash_leaves_it(&folder, &crashed);
    named.check(&open(&crashed)?).map_err(|broken| format!("after a crash: {broken}"))?;
    store.compact().map_err(|error| format!("a merge: {error}"))?;
    named.check(&store).map_err(|broken| format!("merged: {broken}"))?;

    let lake = dir.path().join("lake");
    if let Some(exported) = store.export(&lake).map_err(|error| format!("an export: {error}"))? {
        let read = if exported == 0 { 0 } else { store.exported(&lake).map_err(|error| error.to_string())? };
        if (exported, read) != (named.oracle.len() as u64, named.oracle.len() as u64) {
            return Err(format!("{} records, {exported} exported, {read} read", named.oracle.len()));
        }
    }
    let backup = dir.path().join("backup");
    store.backup(&backup).map_err(|error| format!("a backup: {error}"))?;
    store.close().map_err(|error| format!("I6: closing: {error}"))?;
    named.check(&open(&folder)?).map_err(|broken| format!("closed: {broken}"))?;
    let restored = dir.path().join("restored");
    S::restore(&backup, &restored, 1, &Settings::default()).map_err(|error| format!("a restore: {error}"))?;
    named.check(&open(&restored)?).map_err(|broken| format!("restored: {broken}"))?;

    let given: BTreeSet<PathBuf> = [folder, crashed, lake, backup, restored].into();
    let entries = std::fs::read_dir(dir.path()).map_err(|error| error.to_string())?;
    let others: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| !given.contains(path)).collect();
    counters.add("names", names.len() as u64);
    counters.add("refused", named.refused);
    if others.is_empty() { Ok(()) } else { Err(format!("outside of what the store was given: {others:?}")) }
}

struct Named<'a, S> {
    oracle: Oracle,
    names: &'a [String],
    refused: u64,
    of: std::marker::PhantomData<fn() -> S>,
}

impl<S: Subject> Named<'_, S> {
    /// The id of which everything is called so.
    fn id(&self, name: &str) -> Id {
        (name.to_owned(), S::id("", 0).1.iter().map(|_| Some(name.to_owned())).collect())
    }

    fn put(&self, name: &str, rng: &mut Rng) -> Call {
        let id = self.id(name);
        let fields = json!({ "n": rng.below(100), "text": name, "username": name, "status": rng.pick(self.names) });
        Call::Put(id.clone(), S::data(&id, fields.as_object().cloned().unwrap_or_default()), None)
    }

    /// Does it on the store and on the naive one, unless it is refused.
    fn call(&mut self, store: &S, call: &Call, durability: Durability) -> Result<(), String> {
        match store.perform(call, durability) {
            Err(error) if error.kind() == ErrorKind::Input => self.refused += 1,
            Err(error) => return Err(format!("{call:?}: {error}")),
            Ok(outcome) => {
                let wanted = self.oracle.call(call).map(|mut changes| {
                    changes.sort();
                    changes
                });
                if outcome != wanted {
                    return Err(format!("{call:?} answers {outcome:?}, not {wanted:?}"));
                }
            }
        }
        Ok(())
    }

    fn check(&self, store: &S) -> Result<(), String> {
        let failed = |error| format!("I6: {error}");
        let wanted: Vec<Row> =
            self.oracle.rows().map(|(id, version, data)| (id.clone(), version, data.clone())).collect();
        let same = |what: &str, found: Vec<Row>| {
            if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?}, not {wanted:?}")) }
        };
        same("memory", store.rows("").map_err(failed)?)?;
        same("DuckDB", store.table().map_err(failed)?)?;
        for name in self.names {
            let id = self.id(name);
            let found = store.get(&id).map_err(failed)?;
            let here = self.oracle.get(&id).map(|(version, data)| (version, data.clone()));
            if found != here {
                return Err(format!("{id:?}: {found:?}, not {here:?}"));
            }
            let begin = |(id, ..): &&Row| id.0.starts_with(name.as_str());
            let (found, here) = (store.rows(name).map_err(failed)?, wanted.iter().filter(begin).count());
            if found.len() != here || !found.iter().all(|row| begin(&row)) {
                return Err(format!("what begins with {name:?}: {found:?}"));
            }
            let keys: BTreeSet<&String> = found.iter().map(|(id, ..)| &id.0).collect();
            if store.keys(name).map_err(failed)?.iter().collect::<BTreeSet<_>>() != keys {
                return Err(format!("the keys that begin with {name:?} are others than {keys:?}"));
            }
            if let (Some(history), Some((version, _))) = (store.history_of(&id).map_err(failed)?, self.oracle.get(&id))
                && history.last().map(|told| told.changed.version()) != Some(version)
            {
                return Err(format!("the history of {id:?} is {history:?}"));
            }
        }
        let problems = store.problems().map_err(failed)?;
        if problems.is_empty() { Ok(()) } else { Err(format!("{problems:?}")) }
    }
}
