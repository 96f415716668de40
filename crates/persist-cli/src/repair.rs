//! `repair`: makes a store that does not open, or holds less than it should, fit again, as far as that can be done with
//! what there is. It says what it found, what it did, and what is lost.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use persist_collection::CollectionStore;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::folder::Folder;
use crate::interrupt::Interrupt;
use crate::output::{Output, code, counted, list};
use crate::progress::Progress;
use crate::rebuild::{kept_log_bytes, missing_databases};
use crate::store::{Store, StoreArgs};
use crate::verify::compare;
use crate::wal::Health;
use crate::watched::{Files, Watched};

/// What `repair` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// Go on without the records that are lost to damage of the log, or are in no backup and no log
    #[arg(long)]
    salvage: bool,
    /// Only say what there is to mend; changes nothing
    #[arg(long)]
    dry_run: bool,
}

/// What was found and done.
#[derive(Debug, Serialize)]
struct Answer {
    path: PathBuf,
    what: String,
    /// Whether nothing was changed but only looked at.
    dry_run: bool,
    /// Whether the store is sound now.
    ok: bool,
    /// What was wrong, or is.
    found: Vec<String>,
    /// What was done about it.
    done: Vec<String>,
    /// First and last `seq` of what is lost.
    lost: Vec<(u64, u64)>,
    /// Where damaged files are now.
    kept_as: Vec<PathBuf>,
    /// Records, or items, that there are; `None` where the database was not looked at.
    records: Option<u64>,
}

/// Repairs a store. What is still wrong with it is exit code 1.
pub(crate) fn run(args: &Args, output: &Output) -> Result<ExitCode> {
    let folder = args.store.one()?;
    if !args.dry_run {
        folder.refuse_owner()?;
    }
    let log = Health::of(&folder)?;
    let mut answer = Answer {
        path: folder.dir(),
        what: folder.name(),
        dry_run: args.dry_run,
        ok: log.ok,
        found: log.findings(),
        done: Vec::new(),
        lost: log.lost.clone(),
        kept_as: Vec::new(),
        records: None,
    };
    if args.dry_run {
        let missing = missing_databases(&folder);
        answer.ok &= missing.is_empty();
        answer.found.extend(missing);
    } else {
        if !log.ok && !args.salvage {
            let message = format!(
                "the log of {} is damaged: {}. `repair --salvage` keeps every good line, before and after the damage, \
                 and gives the rest up",
                folder.dir().display(),
                log.findings().join("; ")
            );
            return Err(Failure::Store(persist_core::Error::new(persist_core::ErrorKind::Corrupt, message)));
        }
        match &folder {
            Folder::Collection(dir) => answer.repair_collection(dir, args)?,
            store => answer.repair_log(store, args)?,
        }
    }
    let ok = answer.ok;
    output.answer(&answer, Answer::text)?;
    Ok(code(ok))
}

impl Answer {
    /// Has a collection store find and make anew its damaged files.
    fn repair_collection(&mut self, dir: &std::path::Path, args: &Args) -> Result<()> {
        let interrupt = Interrupt::noted()?;
        let progress = Progress::of_bytes("repairing", kept_log_bytes(dir)?);
        let watched = Watched { files: Files::KeptLog, progress: progress.clone(), interrupt };
        let shape = args.store.shape.salvaging(args.salvage).watched(Arc::new(watched));
        let repaired = CollectionStore::repair(shape.collection(dir)?);
        progress.end();
        let report = repaired?;
        if !report.history.is_empty() {
            let from = report.backup.as_ref().map_or("the log alone".to_owned(), |backup| {
                format!("the backup {} and {} of the log", backup.dir.display(), counted(report.from_log, "record"))
            });
            self.done.push(format!("made storage_history.duckdb anew of {from}"));
        }
        if !report.history.is_empty() || !report.latest.is_empty() {
            self.done.push("made storage_latest.duckdb anew of the history".to_owned());
        }
        self.found.extend(report.history.into_iter().chain(report.latest));
        self.lost.extend(report.lost);
        self.kept_as = report.kept_as;
        (self.ok, self.records) = (true, Some(report.rows));
        Ok(())
    }

    /// Opens the store, which recovers its log, and compares the log's records with the database.
    fn repair_log(&mut self, folder: &Folder, args: &Args) -> Result<()> {
        let store = match Store::open(folder, &args.store.shape.salvaging(args.salvage)) {
            Err(failure) if !missing_databases(folder).is_empty() => {
                let message = format!(
                    "{failure}. Without its database, a {} is made again of a backup: `persist restore BACKUP INTO`",
                    folder.name()
                );
                return Err(Failure::Unfit(message));
            }
            opened => opened?,
        };
        let recovery = store.recovery();
        if recovery.records > 0 {
            self.done.push(format!("brought {} of the log into the database", counted(recovery.records, "record")));
        }
        let left_out = recovery.left_out.iter().filter_map(|stretch| stretch.kept_as.clone());
        for file in left_out {
            if !self.kept_as.contains(&file) {
                self.kept_as.push(file);
            }
        }
        if !recovery.lost.is_empty() {
            self.done.push("gave up what is lost, which the log says from now on".to_owned());
        }
        self.lost.clone_from(&recovery.lost);
        let (records, wrong) = compare(store)?;
        (self.records, self.ok) = (Some(records), wrong.is_empty());
        self.found.extend(wrong);
        Ok(())
    }

    fn text(&self) -> String {
        let state = match (self.ok, self.dry_run, self.found.is_empty()) {
            (true, _, true) => "sound",
            (true, true, _) => "sound but for what a crash leaves, which opening it mends",
            (true, false, _) => "sound again",
            (false, ..) => "NOT SOUND",
        };
        let mut entries =
            vec![("path", self.path.display().to_string()), ("what", self.what.clone()), ("state", state.to_owned())];
        entries.extend(self.found.iter().map(|found| ("found", found.clone())));
        entries.extend(self.done.iter().map(|done| ("done", done.clone())));
        entries.extend(self.lost.iter().map(|(from, to)| ("lost", format!("seq {from} to {to}"))));
        entries.extend(self.kept_as.iter().map(|file| ("kept as", file.display().to_string())));
        entries.extend(self.records.map(|records| ("records", records.to_string())));
        list(&entries)
    }
}
