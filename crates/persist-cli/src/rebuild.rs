//! `rebuild`: makes the databases of a collection store anew, the history of the newest backup and the log, the newest
//! items of the history.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use persist_collection::CollectionStore;
use persist_core::wal::SegmentId;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::folder::{Folder, date_folders, names};
use crate::inspect::length;
use crate::interrupt::Interrupt;
use crate::output::{Output, counted, list};
use crate::progress::Progress;
use crate::store::{Shape, Store, StoreArgs};
use crate::watched::{Files, Watched};

/// What `rebuild` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// Go on without the records that are in no backup and no log
    #[arg(long)]
    salvage: bool,
    /// Only say what it would be made of; changes nothing
    #[arg(long)]
    dry_run: bool,
}

/// What was made anew, or would be.
#[derive(Debug, Serialize)]
struct Answer {
    path: PathBuf,
    dry_run: bool,
    /// Whether the history is made anew, and not only the newest items.
    history: bool,
    /// The dates whose log it is made of, with how many records each had that were not there.
    dates: Vec<DateTaken>,
    /// The dates that have a backup.
    backups: Vec<String>,
    /// Items that there are now.
    records: Option<u64>,
}

#[derive(Debug, Serialize)]
struct DateTaken {
    date: String,
    records: Option<u64>,
}

/// Rebuilds a collection store.
pub(crate) fn run(args: &Args, output: &Output) -> Result<ExitCode> {
    let folder = args.store.one()?;
    let Folder::Collection(dir) = &folder else {
        let message = format!(
            "{} is a {}: only a collection store keeps what its databases can be made of; this one is made again of a \
             backup: `persist restore BACKUP INTO`",
            folder.dir().display(),
            folder.name()
        );
        return Err(Failure::Unfit(message));
    };
    let mut dates = Vec::new();
    let mut backups = Vec::new();
    for date in date_folders(dir)? {
        if dir.join(&date).join("manifest.json").exists() {
            backups.push(date.clone());
        }
        dates.push(DateTaken { date, records: None });
    }
    let history = !dir.join("storage_history.duckdb").exists();
    let mut answer = Answer { path: dir.clone(), dry_run: args.dry_run, history, dates, backups, records: None };
    if !history {
        answer.dates.clear();
    }
    if !args.dry_run {
        folder.refuse_owner()?;
        let interrupt = Interrupt::noted()?;
        let progress = Progress::of_bytes("rebuilding", if history { kept_log_bytes(dir)? } else { 0 });
        let watched = Watched { files: Files::KeptLog, progress: progress.clone(), interrupt: interrupt.clone() };
        let shape = args.store.shape.salvaging(args.salvage).watched(Arc::new(watched));
        let rebuilt = answer.rebuild(&folder, &shape, &interrupt);
        progress.end();
        if interrupt.is_asked() && rebuilt.is_err() {
            let message = "it was interrupted: the store is as it was; begin anew with `persist rebuild`";
            return Err(Failure::Interrupted(message.to_owned()));
        }
        rebuilt?;
    }
    output.answer(&answer, Answer::text)?;
    Ok(ExitCode::SUCCESS)
}

impl Answer {
    fn rebuild(&mut self, folder: &Folder, shape: &Shape, interrupt: &Interrupt) -> Result<()> {
        let Store::Collection(store) = Store::open(folder, shape)? else {
            return Err(Failure::Unfit(format!("{} is no collection store", folder.dir().display())));
        };
        let store: CollectionStore = *store;
        for date in &mut self.dates {
            date.records = Some(store.rebuild_history_from_wal(&date.date)?);
            if interrupt.is_asked() {
                return Err(Failure::Interrupted("it was interrupted".to_owned()));
            }
        }
        self.records = Some(store.rebuild_latest_from_history()?);
        Ok(store.close()?)
    }

    fn text(&self) -> String {
        let would = if self.dry_run { "would be made anew" } else { "made anew" };
        let what = match self.history {
            true => format!("{would}: storage_history.duckdb, which is missing, and storage_latest.duckdb"),
            false => format!("{would}: storage_latest.duckdb; the history is there"),
        };
        let mut entries = vec![("path", self.path.display().to_string()), ("what", what)];
        if self.history {
            let backups = if self.backups.is_empty() { "none".to_owned() } else { self.backups.join(", ") };
            entries.push(("backups", backups));
        }
        entries.extend(self.dates.iter().map(|DateTaken { date, records }| {
            let records = records.map(|records| format!(", {} that no backup has", counted(records, "record")));
            ("log of", format!("{date}{}", records.unwrap_or_default()))
        }));
        entries.extend(self.records.map(|records| ("records", records.to_string())));
        list(&entries)
    }
}

/// The bytes of the compressed segments of a collection store.
pub(crate) fn kept_log_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for date in date_folders(dir)?.into_iter().map(|date| dir.join(date)) {
        for name in names(&date)? {
            if name.ends_with(".gz") && SegmentId::of_any(&name).is_some() {
                bytes += length(&date.join(name)).unwrap_or_default();
            }
        }
    }
    Ok(bytes)
}

/// The databases that should be in the store's folder by their usual names and are not.
pub(crate) fn missing_databases(folder: &Folder) -> Vec<String> {
    let (dir, names) = match folder {
        Folder::Collection(dir) => (dir.clone(), vec!["storage_history.duckdb", "storage_latest.duckdb"]),
        store => (store.dir(), vec!["data.duckdb"]),
    };
    let missing = names.into_iter().map(|name| dir.join(name)).filter(|path| !path.exists());
    missing.map(|path| format!("{} is missing", path.display())).collect()
}
