//! `backup` and `restore`: a store as it stands as a folder of its own, and a store made of such a folder, or of another
//! store's backups and log as of a moment.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use persist_collection::CollectionStore;
use persist_core::fs::{Disk, Fs};
use persist_core::{Backup, Timestamp};
use persist_dated::DatedStore;
use persist_kv::KvStore;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::folder::{Folder, names};
use crate::inspect::length;
use crate::interrupt::Interrupt;
use crate::output::{Output, list, size};
use crate::progress::Progress;
use crate::store::{Shape, Store, StoreArgs, absolute, today};
use crate::verify::purpose;
use crate::watched::{Files, Watched};

/// What `backup` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The folder that becomes the backup; it is made, or holds nothing
    #[arg(value_name = "TO")]
    to: PathBuf,
}

/// What `restore` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// A backup; with --to the folder of a collection store
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// The folder of the new store, or the base folder of the new date; it has no store yet
    #[arg(value_name = "INTO")]
    into: PathBuf,
    /// As the store stood at this moment, ISO 8601, by when the records were written; of a collection store
    #[arg(long, value_name = "MOMENT")]
    to: Option<String>,
    /// Go on without the records that are in no backup and no log
    #[arg(long, requires = "to")]
    salvage: bool,
    /// Only check the backup, whole; makes nothing
    #[arg(long, conflicts_with = "to")]
    dry_run: bool,
    #[command(flatten)]
    shape: Shape,
}

/// What a backup has.
#[derive(Debug, Serialize)]
struct BackedUp {
    path: PathBuf,
    /// What it is a backup of.
    of: String,
    seq: u64,
    rows: u64,
    /// When its last record was written.
    written: Timestamp,
    /// When it was made.
    at: Timestamp,
    bytes: u64,
}

/// What was restored.
#[derive(Debug, Serialize)]
struct Restored {
    /// The new store's folder.
    path: PathBuf,
    dry_run: bool,
    what: String,
    /// The backup it began with; `None` where the log had everything.
    backup: Option<BackedUp>,
    /// The last record that is in it.
    seq: u64,
    /// Records that came from the log.
    from_log: u64,
}

impl BackedUp {
    fn of(backup: Backup) -> Self {
        let bytes = backup.files.iter().map(|file| file.bytes).sum();
        let Backup { dir: path, purpose: of, seq, rows, written, at, .. } = backup;
        Self { path, of, seq, rows, written, at, bytes }
    }

    fn entries(&self) -> Vec<(&'static str, String)> {
        vec![
            ("backup", self.path.display().to_string()),
            ("of", self.of.clone()),
            ("seq", format!("{}, written at {}", self.seq, self.written)),
            ("records", self.rows.to_string()),
            ("made at", self.at.to_string()),
            ("size", size(self.bytes)),
        ]
    }
}

/// Backs a store up.
pub(crate) fn backup(args: &BackupArgs, output: &Output) -> Result<ExitCode> {
    let folder = args.store.one_without_owner()?;
    let to = absolute(&args.to);
    let is_new = !to.exists();
    let interrupt = Interrupt::noted()?;
    // Each byte is written, and read back.
    let progress = Progress::of_bytes("backing up", 2 * database_bytes(&folder, &args.store.shape)?);
    let files = Files::Below(to.clone());
    let watched = Watched { files, progress: progress.clone(), interrupt: interrupt.clone() };
    let backed_up = back_up(&folder, &args.store.shape.watched(Arc::new(watched)), &to);
    progress.end();
    match backed_up {
        Ok(backup) => {
            output.answer(&BackedUp::of(backup), |answer| list(&answer.entries()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            if is_new {
                // Only one that is empty goes.
                let _ = Disk.remove_dir(&to);
            }
            if interrupt.is_asked() {
                let message = format!("it was interrupted: there is no backup in {}", to.display());
                return Err(Failure::Interrupted(message));
            }
            Err(failure)
        }
    }
}

fn back_up(folder: &Folder, shape: &Shape, to: &Path) -> Result<Backup> {
    let store = Store::open(folder, shape)?;
    let made = match &store {
        Store::Dated(store) => store.backup(to),
        Store::Collection(store) => store.backup(to),
        Store::Kv(store) => store.backup(to),
    };
    // It is closed in order, whatever became of the backup.
    let closed = store.close();
    let made = made?;
    closed.map(|()| made)
}

fn database_bytes(folder: &Folder, shape: &Shape) -> Result<u64> {
    let dir = folder.dir();
    let in_folder = names(&dir)?.into_iter().filter(|name| name.ends_with(".duckdb")).map(|name| dir.join(name));
    Ok(in_folder.chain(shape.database.clone()).filter_map(|file| length(&file)).sum())
}

/// Makes a store of a backup, or of another store as of a moment.
pub(crate) fn restore(args: &RestoreArgs, output: &Output) -> Result<ExitCode> {
    let progress = Progress::of_unknown(if args.dry_run { "checking" } else { "restoring" });
    let restored = match &args.to {
        Some(moment) => restore_to(args, moment),
        None => restore_backup(args),
    };
    progress.end();
    output.answer(&restored?, Restored::text)?;
    Ok(ExitCode::SUCCESS)
}

fn restore_backup(args: &RestoreArgs) -> Result<Restored> {
    let folder = Folder::find(&args.from, None)?;
    let Folder::Backup(from) = &folder else {
        let message =
            format!("{} is a {}, no backup: name one, or the moment with --to", folder.dir().display(), folder.name());
        return Err(Failure::Unfit(message));
    };
    let (shape, of) = (&args.shape, purpose(from)?);
    let into = absolute(&args.into);
    let date = of.strip_prefix("dated store of ");
    let path = date.map_or(into.clone(), |date| into.join(date));
    refuse_store(&path)?;
    let database = shape.database.as_ref().map_or_else(|| into.join("data.duckdb"), |file| absolute(file));
    let backup = match (of.as_str(), date, args.dry_run) {
        ("collection store", _, true) => CollectionStore::verify_backup(from, &shape.collection(&into)?)?,
        ("collection store", _, false) => CollectionStore::restore(from, &today(), shape.collection(&into)?)?,
        ("key-value store", _, true) => KvStore::verify_backup(from, &shape.kv(&into))?,
        ("key-value store", _, false) => KvStore::restore(from, database, shape.kv(&into))?,
        (_, Some(_), true) => DatedStore::verify_backup(from, &shape.dated(&into))?,
        (_, Some(date), false) => DatedStore::restore(from, date, shape.dated(&into))?,
        (other, ..) => {
            return Err(Failure::Unfit(format!("{} is a backup of a {other}: this is none of ours", from.display())));
        }
    };
    let (seq, backup) = (backup.seq, Some(BackedUp::of(backup)));
    Ok(Restored { path, dry_run: args.dry_run, what: of, backup, seq, from_log: 0 })
}

fn restore_to(args: &RestoreArgs, moment: &str) -> Result<Restored> {
    let folder = Folder::find(&args.from, None)?;
    let Folder::Collection(from) = &folder else {
        let message = format!(
            "{} is a {}: only a collection store keeps backups and log that go back to any moment; leave --to out to \
             restore a backup",
            folder.dir().display(),
            folder.name()
        );
        return Err(Failure::Unfit(message));
    };
    let into = absolute(&args.into);
    refuse_store(&into)?;
    let config = args.shape.salvaging(args.salvage).collection(&into)?;
    let restored = CollectionStore::restore_to(from, moment, &today(), config)?;
    let backup = restored.backup.map(BackedUp::of);
    let (seq, from_log) = (restored.seq, restored.from_log);
    Ok(Restored { path: into, dry_run: false, what: folder.name(), backup, seq, from_log })
}

/// Refuses to restore over a store, which whoever has it open would be told of first.
fn refuse_store(dir: &Path) -> Result<()> {
    if !dir.join("store.json").exists() {
        return Ok(());
    }
    let folder = Folder::find(dir, None)?;
    let owner = folder.owner()?.map(|owner| format!(", and {owner} has it open")).unwrap_or_default();
    let message = format!(
        "there is a {} in {} already{owner}: restore into another folder, and put it in place yourself",
        folder.name(),
        dir.display()
    );
    Err(Failure::Unfit(message))
}

impl Restored {
    fn text(&self) -> String {
        let done = if self.dry_run { "could be restored to" } else { "restored" };
        let mut entries = vec![(done, self.path.display().to_string()), ("what", self.what.clone())];
        entries.extend(self.backup.iter().flat_map(BackedUp::entries));
        if self.backup.is_none() {
            entries.push(("backup", "none: the log had everything".to_owned()));
        }
        entries.push(("from log", self.from_log.to_string()));
        entries.push(("up to seq", self.seq.to_string()));
        list(&entries)
    }
}
