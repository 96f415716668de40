//! What an interrupted backup, export or restore has left in a folder, by the names that `docs/format.md` gives to what is
//! being written. It may also be under way in another process.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::Result;
use crate::folder::{is_date, names};
use crate::output::list;

/// Something that was begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Unfinished {
    /// The folder.
    pub(crate) path: PathBuf,
    /// What it is, and what to do.
    pub(crate) what: String,
}

impl Unfinished {
    /// It for people.
    pub(crate) fn text(&self) -> String {
        list(&[("UNFINISHED", self.path.display().to_string()), ("what", self.what.clone())])
    }
}

/// What was not finished in a folder, and in those of its dates that are no stores.
pub(crate) fn unfinished(dir: &Path) -> Result<Vec<Unfinished>> {
    let names = names(dir)?;
    let has = |name: &str| names.iter().any(|there| there == name);
    let mut found = Vec::new();
    let mut add = |what: String| found.push(Unfinished { path: dir.to_owned(), what });
    if has("manifest.json.new") {
        add("a backup that is whole and half put in place: open its store, which finishes it, or rename what ends in .new, \
             manifest.json.new last"
            .to_owned());
    } else if has("manifest.json.tmp") && !has("manifest.json") {
        add("a backup that was not finished: nothing of it counts; remove what is in the folder, and back up again"
            .to_owned());
    } else if !has("store.json") && !has("manifest.json") && names.iter().any(|name| name.ends_with(".duckdb.new")) {
        add("a store that was not finished, new or restored: nothing of it counts; do again what made it".to_owned());
    }
    for date in names.iter().filter_map(|name| name.strip_prefix(".persist_export-")).filter(|date| is_date(date)) {
        add(format!(
            "the export of {date} was not finished: of its files some may be new and others old, each of them whole; \
             export that date again"
        ));
    }
    if !has("store.json") {
        for date in names.iter().filter(|name| is_date(name)).map(|date| dir.join(date)) {
            if date.is_dir() && !date.join("store.json").exists() {
                found.extend(unfinished(&date)?);
            }
        }
    }
    Ok(found)
}
