//! The export of a date to Parquet files in Hive partitions.
//!
//! All files are written aside, in a folder of the date's own within the root, synced, and then renamed into place one
//! by one: a reader sees each file as it was or as it is, never a part of one. The manifest comes last. Whatever an
//! interrupted export leaves, the next one of that date replaces.

use std::path::{Path, PathBuf};

use persist_core::fs::{Access, Fs, is_there, read, remove_folder, replace, sync_ancestors};
use persist_core::timestamp::date_text;
use persist_core::wal::Ancestor;
use persist_core::{Engine, Error, ErrorKind, Leaf, Result, Timestamp};
use serde::{Deserialize, Serialize};
use time::Date;

use crate::keys;
use crate::model::Dated;
use crate::partition::{folder_of, is_folder};

/// The one file of a folder.
const FILE: &str = "data.parquet";
const FORMAT: u32 = 1;

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    root: PathBuf,
    files: Vec<ExportedFile>,
}

/// One Parquet file of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportedFile {
    /// The file below the root, with `/` between names: `process_name=worker1/date=2025-01-15/data.parquet`.
    pub path: String,
    /// The process name of all its records; `None` is none.
    pub process_name: Option<String>,
    /// How many records it has.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

impl Export {
    /// The root that was exported to.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The files, in order of process name, the one without first.
    pub fn files(&self) -> &[ExportedFile] {
        &self.files
    }

    /// How many records all files have.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }
}

#[derive(Serialize)]
struct Manifest<'a> {
    format: u32,
    /// The id of the store that was exported.
    store: &'a str,
    date: &'a str,
    exported_at: Timestamp,
    /// All writes up to this one are in it.
    seq: u64,
    rows: u64,
    files: &'a [ExportedFile],
}

/// Which writes the export that is there is of.
#[derive(Deserialize)]
struct Earlier {
    store: Option<String>,
    seq: Option<u64>,
}

/// Exports the records of a date below `root`.
pub(crate) fn export(
    fs: &dyn Fs,
    engine: &Engine<Dated>,
    date: Date,
    now: Timestamp,
    root: &Path,
) -> Result<Option<Export>> {
    let date = date_text(date);
    refuse_anothers(fs, &manifest_of(root, &date), engine.lineage())?;
    let aside = root.join(format!(".persist_export-{date}"));
    fs.create_dir_all(root).map_err(|error| Error::io("cannot create the folder", root, error))?;
    remove_folder(fs, &aside)?;
    let exported = write_aside(fs, engine, &aside).and_then(|(seq, leaves)| {
        put_in_place(fs, &leaves, &Moment { store: id(engine), date: &date, now, seq }, root)
    });
    // What was written aside goes, whatever happened; a failure of that must not hide the first.
    let removed = remove_folder(fs, &aside);
    let exported = exported?;
    removed?;
    Ok(exported)
}

fn manifest_of(root: &Path, date: &str) -> PathBuf {
    root.join(format!("_persist_export-{date}.json"))
}

/// Refuses to replace an export that has what this store has not: where the store was removed when it had been exported, and the
/// date made again, that export is all there is of the first.
fn refuse_anothers(fs: &dyn Fs, manifest: &Path, lineage: &[Ancestor]) -> Result<()> {
    if !is_there(fs, manifest)? {
        return Ok(());
    }
    let text = read(fs, manifest).map_err(|error| Error::io("cannot read", manifest, error))?;
    let earlier: Option<Earlier> = serde_json::from_slice(&text).ok();
    let own = earlier.and_then(|Earlier { store, seq }| Some(Ancestor::have(lineage, &store?, seq?)));
    if own == Some(true) {
        return Ok(());
    }
    let message = format!(
        "{} is not known to be of this store, and its export may be all there is of another: export to another root, \
         or move that date out of this one",
        manifest.display()
    );
    Err(Error::config(message))
}

fn id(engine: &Engine<Dated>) -> &str {
    engine.lineage().last().map_or("", |ancestor| ancestor.store.as_str())
}

/// Of which store and moment an export is.
struct Moment<'a> {
    store: &'a str,
    date: &'a str,
    now: Timestamp,
    seq: u64,
}

fn write_aside(fs: &dyn Fs, engine: &Engine<Dated>, aside: &Path) -> Result<(u64, Vec<Leaf>)> {
    fs.create_dir_all(aside).map_err(|error| Error::io("cannot create the folder", aside, error))?;
    match engine.flush() {
        // What is in doubt is not exported.
        Err(error) if error.kind() == ErrorKind::Poisoned => {}
        flushed => flushed?,
    }
    // What is in DuckDB now is in the export, whatever is written meanwhile.
    let seq = engine.stats().watermark;
    let leaves = engine.export(keys::PROCESS_NAME, aside)?;
    for leaf in &leaves {
        let file = fs.open(&leaf.path, Access::Write).map_err(|error| Error::io("cannot open", &leaf.path, error))?;
        file.sync_all().map_err(|error| Error::io("cannot sync", &leaf.path, error))?;
    }
    Ok((seq, leaves))
}

fn put_in_place(fs: &dyn Fs, leaves: &[Leaf], moment: &Moment<'_>, root: &Path) -> Result<Option<Export>> {
    let Moment { store, date, now, seq } = *moment;
    let partition = format!("date={date}");
    let names: Vec<String> = leaves.iter().map(|leaf| folder_of(leaf.value.as_deref())).collect();
    let superfluous = superfluous(fs, root, &partition, &names)?;

    let mut files = Vec::with_capacity(leaves.len());
    for (leaf, name) in leaves.iter().zip(names) {
        let process = root.join(&name);
        let folder = process.join(&partition);
        fs.create_dir_all(&folder).map_err(|error| Error::io("cannot create the folder", &folder, error))?;
        let bytes = fs.open(&leaf.path, Access::Read).and_then(|file| file.len());
        let bytes = bytes.map_err(|error| Error::io("cannot read", &leaf.path, error))?;
        let to = folder.join(FILE);
        fs.rename(&leaf.path, &to).map_err(|error| Error::io("cannot rename into place", &to, error))?;
        sync_folder(fs, &folder)?;
        sync_folder(fs, &process)?;
        let path = format!("{name}/{partition}/{FILE}");
        files.push(ExportedFile { path, process_name: leaf.value.clone(), rows: leaf.rows, bytes });
    }
    for folder in &superfluous {
        let file = folder.join(FILE);
        fs.remove_file(&file).map_err(|error| Error::io("cannot remove", &file, error))?;
        sync_folder(fs, folder)?;
    }
    sync_folder(fs, root)?;
    sync_ancestors(fs, root)?;

    let export = Export { root: root.to_owned(), files };
    let manifest = manifest_of(root, date);
    let text =
        Manifest { format: FORMAT, store, date, exported_at: now, seq, rows: export.rows(), files: &export.files };
    let text = serde_json::to_vec_pretty(&text)
        .map_err(|error| Error::input(format!("cannot write {}: {error}", manifest.display())).with_source(error))?;
    replace(fs, &manifest, &text)?;
    Ok((!export.files.is_empty()).then_some(export))
}

/// The folders of this date that an earlier export filled and this one does not.
///
/// # Errors
/// [`Config`](persist_core::ErrorKind::Config) where another's Parquet files stand in a folder of this date: beside ours, readers would take every
/// record twice.
fn superfluous(fs: &dyn Fs, root: &Path, partition: &str, names: &[String]) -> Result<Vec<PathBuf>> {
    let mut superfluous = Vec::new();
    let processes = fs.list_folders(root).map_err(|error| Error::io("cannot list", root, error))?;
    for name in processes.iter().filter(|name| is_folder(name)) {
        let folder = root.join(name).join(partition);
        if !fs.exists(&folder).map_err(|error| Error::io("cannot look for", &folder, error))? {
            continue;
        }
        let files = fs.list(&folder).map_err(|error| Error::io("cannot list", &folder, error))?;
        if let Some(other) = files.iter().find(|file| file.ends_with(".parquet") && *file != FILE) {
            let other = folder.join(other);
            let message =
                format!("{} is not of this export, and readers would see its records beside ours", other.display());
            return Err(Error::config(message));
        }
        if files.iter().any(|file| file == FILE) && !names.contains(name) {
            superfluous.push(folder);
        }
    }
    Ok(superfluous)
}

fn sync_folder(fs: &dyn Fs, folder: &Path) -> Result<()> {
    fs.sync_dir(folder).map_err(|error| Error::io("cannot sync the folder", folder, error))
}
