//! `verify`: the log, and then the database against memory and the history against the newest items; of a backup, its
//! files against its manifest; of an export, its Parquet files against theirs.
//!
//! The log is looked at first. If it is damaged, or a process has the store open, that is all; otherwise the store is
//! opened as its owner would, which recovers what a crash left, compared, and closed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use persist_collection::{CollectionStore, DatabaseFile};
use persist_core::Verification;
use persist_dated::DatedStore;
use persist_kv::KvStore;
use serde::Serialize;
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::folder::{Folder, Place, date_folders};
use crate::output::{Output, code, list};
use crate::progress::Progress;
use crate::published::Export;
use crate::store::{Shape, Store};
use crate::unfinished::{Unfinished, unfinished};
use crate::wal::Health;

/// What `verify` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Serialize)]
struct Answer {
    ok: bool,
    checked: Vec<Checked>,
}

/// What was found out about a store or a backup.
#[derive(Serialize)]
struct Checked {
    path: PathBuf,
    what: String,
    ok: bool,
    /// Who has the store open, so that only its log was looked at.
    owner: Option<String>,
    /// Records that were compared with their rows; `None` where the database was not looked at.
    records: Option<u64>,
    /// What is wrong.
    found: Vec<String>,
}

/// Checks everything there is at the path.
pub(crate) fn run(args: &Args, output: &Output) -> Result<ExitCode> {
    let found = args.place.find()?;
    let mut checked = Vec::new();
    let stores = found.stores();
    let progress = Progress::of_things("verifying", stores.len() as u64);
    for folder in stores {
        match &folder {
            Folder::Backup(dir) => checked.push(backup(dir, &args.shape)),
            Folder::Exports(root, dates) => {
                for date in dates {
                    checked.push(export(root, date));
                }
            }
            Folder::Unfinished(_) => {}
            store => {
                checked.push(check(store, &args.shape)?);
                if let Folder::Collection(dir) = store {
                    for date in date_folders(dir)?.into_iter().map(|date| dir.join(date)) {
                        if date.join("manifest.json").exists() {
                            checked.push(backup(&date, &args.shape));
                        }
                        checked.extend(unfinished(&date)?.into_iter().map(Checked::unfinished));
                    }
                }
            }
        }
        progress.add(1);
    }
    progress.end();
    checked.extend(unfinished(&found.dir())?.into_iter().map(Checked::unfinished));
    let ok = checked.iter().all(|checked| checked.ok);
    output.answer(&Answer { ok, checked }, |answer| {
        answer.checked.iter().map(Checked::text).collect::<Vec<_>>().join("\n\n")
    })?;
    Ok(code(ok))
}

fn check(folder: &Folder, shape: &Shape) -> Result<Checked> {
    let owner = folder.owner()?;
    let log = Health::of(folder)?;
    let mut checked = Checked {
        path: folder.dir(),
        what: folder.name(),
        ok: log.ok,
        owner,
        records: None,
        found: if log.ok { Vec::new() } else { log.findings() },
    };
    if checked.owner.is_none() && checked.ok {
        match Store::open(folder, shape).and_then(compare) {
            Ok((records, found)) => {
                (checked.records, checked.ok, checked.found) = (Some(records), found.is_empty(), found);
            }
            // Of a base folder the other stores are looked at all the same.
            Err(failure) => {
                let advice = failure.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
                checked.found.push(format!("{failure}{advice}"));
                checked.ok = false;
            }
        }
    }
    Ok(checked)
}

/// Compares memory, database and history, and closes the store. Answers how many records there are and what is wrong.
pub(crate) fn compare(store: Store) -> Result<(u64, Vec<String>)> {
    let (verification, mut found) = match &store {
        Store::Dated(store) => (store.verify()?, Vec::new()),
        Store::Kv(store) => (store.verify()?, Vec::new()),
        Store::Collection(store) => {
            let mut found = Vec::new();
            for (name, file) in [("storage_history", DatabaseFile::Main), ("storage_latest", DatabaseFile::Latest)] {
                let wrong = store.check_database_health(file)?;
                found.extend(wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
            }
            (store.verify()?, found)
        }
    };
    found.extend(wrong(&verification));
    store.close()?;
    Ok((verification.rows, found))
}

fn wrong(verification: &Verification) -> Vec<String> {
    let Verification { duplicates, missing, differing, .. } = verification;
    let mut wrong = Vec::new();
    if *duplicates > 0 {
        wrong.push(format!("{duplicates} ids stand in the table more than once"));
    }
    if !missing.is_empty() {
        wrong.push(format!("the database lacks records of the keys {}", missing.join(", ")));
    }
    if !differing.is_empty() {
        wrong.push(format!("memory and database differ in the keys {}", differing.join(", ")));
    }
    wrong
}

fn backup(dir: &Path, shape: &Shape) -> Checked {
    let verified = purpose(dir).and_then(|purpose| {
        let backup = match purpose.as_str() {
            "collection store" => CollectionStore::verify_backup(dir, &shape.collection(dir)?)?,
            "key-value store" => KvStore::verify_backup(dir, &shape.kv(dir))?,
            _ => DatedStore::verify_backup(dir, &shape.dated(dir))?,
        };
        Ok((purpose, backup.rows))
    });
    let path = dir.to_owned();
    match verified {
        Ok((purpose, rows)) => {
            let what = format!("backup of a {purpose}");
            Checked { path, what, ok: true, owner: None, records: Some(rows), found: Vec::new() }
        }
        Err(failure) => {
            let found = vec![failure.to_string()];
            Checked { path, what: "backup".to_owned(), ok: false, owner: None, records: None, found }
        }
    }
}

fn export(root: &Path, date: &str) -> Checked {
    let read = Export::of(root, date).and_then(|export| match export {
        Some(export) => Ok((export.rows, export.check(root)?)),
        None => Err(Failure::Unfit("it has no manifest any more".to_owned())),
    });
    let (records, found) = match read {
        Ok((rows, found)) => (Some(rows), found),
        Err(failure) => (None, vec![failure.to_string()]),
    };
    let what = format!("export of {date}");
    Checked { path: root.to_owned(), what, ok: found.is_empty(), owner: None, records, found }
}

/// What a backup is of.
pub(crate) fn purpose(dir: &Path) -> Result<String> {
    let path = dir.join("manifest.json");
    let text = std::fs::read(&path).map_err(|error| Failure::reading(&path, error))?;
    let manifest: Option<Value> = serde_json::from_slice(&text).ok();
    let purpose = manifest.and_then(|manifest| Some(manifest.get("purpose")?.as_str()?.to_owned()));
    purpose.ok_or_else(|| Failure::Unfit(format!("{} does not say what it is a backup of", path.display())))
}

impl Checked {
    fn unfinished(unfinished: Unfinished) -> Self {
        let Unfinished { path, what } = unfinished;
        Self { path, what: "unfinished".to_owned(), ok: false, owner: None, records: None, found: vec![what] }
    }

    fn text(&self) -> String {
        let mut entries =
            vec![(if self.ok { "ok" } else { "NOT OK" }, self.path.display().to_string()), ("what", self.what.clone())];
        entries.extend(self.records.map(|records| ("records", records.to_string())));
        entries.extend(self.owner.as_ref().map(|owner| {
            ("owner", format!("{owner} has it open: only the log was checked; the database is its to verify"))
        }));
        entries.extend(self.found.iter().map(|found| ("found", found.clone())));
        list(&entries)
    }
}
