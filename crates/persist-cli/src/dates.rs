//! `dates ls`, `dates drop`, `dates archive`: which dates a base folder has, and letting go of old ones.
//!
//! No date goes that a process has open, or whose store was not closed, so that its log may have what its database lacks.
//! All of them are looked at before the first goes. A date goes by a rename, so that it is there whole or not at all.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use persist_core::fs::{Disk, Fs as _, remove_folder};
use persist_core::lock::Lock;
use persist_core::text::table;
use persist_core::{Error, Sandbox, SandboxPart, SandboxTable, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::export::export;
use crate::failure::{Failure, Result};
use crate::folder::{Folder, as_date, names};
use crate::inspect::length;
use crate::output::{Output, counted, size};
use crate::published::Export;
use crate::source::{is_closed, parts};
use crate::store::{Shape, absolute};

/// The folder that a date's has become while it is removed.
const DROPPED: &str = ".persist_drop-";

/// What can be done with the dates of a base folder.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// List the dates
    Ls(BaseArgs),
    /// Remove dates with all that their stores have
    Drop(DropArgs),
    /// Export dates to Parquet files, compare those with the stores record by record, and remove the dates
    Archive(ArchiveArgs),
}

/// Whose dates.
#[derive(Debug, clap::Args)]
pub(crate) struct BaseArgs {
    /// The base folder of dated stores
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// Which dates go.
#[derive(Debug, clap::Args)]
struct Chosen {
    /// These
    #[arg(long = "date", value_name = "DATE", value_parser = as_date)]
    dates: Vec<String>,
    /// All before this one
    #[arg(long, value_name = "DATE", value_parser = as_date)]
    before: Option<String>,
    /// All but the newest so many
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// What `dates drop` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct DropArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    chosen: Chosen,
}

/// What `dates archive` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct ArchiveArgs {
    #[command(flatten)]
    base: BaseArgs,
    /// The root of the Parquet files
    #[arg(value_name = "ROOT")]
    root: PathBuf,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Serialize)]
struct Listed {
    path: PathBuf,
    dates: Vec<Date>,
}

/// A date of a base folder.
#[derive(Serialize)]
struct Date {
    date: String,
    bytes: u64,
    /// Records at the last flush.
    records: Option<u64>,
    last_flush: Option<Timestamp>,
    /// Whether its store was closed, so that its log has nothing that its database lacks.
    closed: bool,
    owner: Option<String>,
}

#[derive(Serialize)]
struct Gone {
    path: PathBuf,
    /// Where they were archived.
    archive: Option<PathBuf>,
    dropped: Vec<String>,
}

/// Does it.
pub(crate) fn run(verb: &Verb, output: &Output) -> Result<ExitCode> {
    match verb {
        Verb::Ls(args) => ls(args, output),
        Verb::Drop(args) => {
            let (base, chosen) = args.chosen.of(&args.base)?;
            let go = |folder: &Folder| drop_date(folder, |_| Ok(()));
            args.chosen.all(&base, chosen, "drop", None, output, &go)
        }
        Verb::Archive(args) => {
            let (base, chosen) = args.chosen.of(&args.base)?;
            let root = absolute(&args.root);
            chosen.iter().try_for_each(|date| refuse_within(&root, &base.join(date)))?;
            let go = |folder: &Folder| {
                export(folder, &args.shape, &root)?;
                drop_date(folder, |date| verify_archived(folder, date, &root, &args.shape))
            };
            args.chosen.all(&base, chosen, "archive and drop", Some(&root), output, &go)
        }
    }
}

impl BaseArgs {
    fn dates(&self) -> Result<(PathBuf, Vec<String>)> {
        match Folder::find(&self.path, None)? {
            Folder::Dates(base, dates) => Ok((base, dates)),
            other => {
                let message = format!("{} is a {}: name the base folder", other.dir().display(), other.name());
                Err(Failure::Unfit(message))
            }
        }
    }
}

impl Chosen {
    /// The base folder, and the dates in it that go.
    fn of(&self, base: &BaseArgs) -> Result<(PathBuf, Vec<String>)> {
        let (base, there) = base.dates()?;
        if let Some(missing) = self.dates.iter().find(|date| !there.contains(date)) {
            return Err(Failure::Unfit(format!("{} has no store of {missing}", base.display())));
        }
        let kept = match (&self.before, self.keep, self.dates.as_slice()) {
            (Some(_), None, []) | (None, None, [_, ..]) => 0,
            (None, Some(keep), []) => keep,
            _ => return Err(Failure::Usage("say which: --before DATE, or --keep N, or --date DATE".to_owned())),
        };
        let is_chosen = |date: &&String| match &self.before {
            Some(before) => *date < before,
            None => self.dates.is_empty() || self.dates.contains(date),
        };
        let chosen = there.iter().take(there.len().saturating_sub(kept)).filter(is_chosen).cloned().collect();
        Ok((base, chosen))
    }

    /// Looks at all dates, asks, and has one after the other go.
    fn all(
        &self,
        base: &Path,
        chosen: Vec<String>,
        what: &str,
        archive: Option<&Path>,
        output: &Output,
        go: &dyn Fn(&Folder) -> Result<()>,
    ) -> Result<ExitCode> {
        let folder = |date: &String| Folder::Dated { base: base.to_owned(), date: date.clone() };
        chosen.iter().try_for_each(|date| refuse(&folder(date)))?;
        if !chosen.is_empty() && !self.yes {
            ask(&format!(
                "{what} {} of {}: {}",
                counted(chosen.len() as u64, "date"),
                base.display(),
                chosen.join(", ")
            ))?;
        }
        // What an interrupted run has left.
        for left in names(base)?.iter().filter(|name| name.starts_with(DROPPED)) {
            let left = base.join(left);
            refuse_link(&left)?;
            remove_folder(&Disk, &left)?;
        }
        let mut dropped = Vec::new();
        for date in chosen {
            if let Err(failure) = go(&folder(&date)) {
                output.note(&format!(
                    "gone by now: {}",
                    if dropped.is_empty() { "none".to_owned() } else { dropped.join(", ") }
                ));
                return Err(failure);
            }
            dropped.push(date);
        }
        let gone = Gone { path: base.to_owned(), archive: archive.map(Path::to_owned), dropped };
        output.answer(&gone, |gone| {
            gone.dropped.iter().map(|date| format!("dropped {date}")).collect::<Vec<_>>().join("\n")
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn ls(args: &BaseArgs, output: &Output) -> Result<ExitCode> {
    let (base, dates) = args.dates()?;
    let dates = dates.into_iter().map(|date| Date::of(&base, date)).collect::<Result<_>>()?;
    output.answer(&Listed { path: base, dates }, |listed| {
        let rows: Vec<Vec<String>> = listed.dates.iter().map(Date::row).collect();
        table(&["date", "records", "size", "closed", "last flush", "owner"], &rows, |column| column == 1)
    })?;
    Ok(ExitCode::SUCCESS)
}

impl Date {
    fn of(base: &Path, date: String) -> Result<Self> {
        let folder = Folder::Dated { base: base.to_owned(), date: date.clone() };
        let dir = folder.dir();
        let status = folder.identity().ok().and_then(|identity| folder.status(&identity));
        Ok(Self {
            date,
            bytes: names(&dir)?.iter().filter_map(|name| length(&dir.join(name))).sum(),
            records: status.as_ref().and_then(|status| status.figure("cache_size")),
            last_flush: status.map(|status| status.at),
            closed: is_closed(&folder, &parts(&folder, &Shape::default())?)?,
            owner: folder.owner()?,
        })
    }

    fn row(&self) -> Vec<String> {
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            self.date.clone(),
            text(self.records.map(|records| records.to_string())),
            size(self.bytes),
            if self.closed { "yes" } else { "no" }.to_owned(),
            text(self.last_flush.map(|at| at.to_string())),
            text(self.owner.clone()),
        ]
    }
}

/// Refuses to archive into a folder that goes.
fn refuse_within(root: &Path, dir: &Path) -> Result<()> {
    // Of the root, there may be only the folders that it is to be made in.
    let real = root.ancestors().find_map(|there| Some((there.canonicalize().ok()?, root.strip_prefix(there).ok()?)));
    let is_apart = real.is_some_and(|(real, rest)| {
        let is_plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
        is_plain && !real.join(rest).starts_with(dir)
    });
    if is_apart {
        return Ok(());
    }
    Err(Failure::Usage(format!("{} may go with {}: archive elsewhere", root.display(), dir.display())))
}

fn refuse_link(path: &Path) -> Result<()> {
    if !path.is_symlink() {
        return Ok(());
    }
    Err(Failure::Unfit(format!("{} is a link: what it leads to may be another's", path.display())))
}

/// Refuses a date that may not go.
fn refuse(folder: &Folder) -> Result<()> {
    refuse_link(&folder.dir())?;
    folder.refuse_owner()?;
    refuse_unclosed(folder)
}

fn refuse_unclosed(folder: &Folder) -> Result<()> {
    if is_closed(folder, &parts(folder, &Shape::default())?)? {
        return Ok(());
    }
    let message = format!(
        "{} was not closed, or its database is elsewhere: its log may have records that no database has. \
         `persist verify` opens and closes it",
        folder.dir().display()
    );
    Err(Failure::Unfit(message))
}

/// Asks at a terminal; elsewhere nobody can answer.
fn ask(what: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("this would {what}; say --yes to do it")));
    }
    write!(io::stderr(), "{what}? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Unfit("nothing was done".to_owned())),
    }
}

/// Removes a date, if it is still as it was looked at, and `check` finds nothing against it while nobody can open it.
fn drop_date(folder: &Folder, check: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    let Folder::Dated { base, date } = folder else {
        return Err(Failure::Unfit(format!("{} is no dated store", folder.dir().display())));
    };
    let dir = folder.dir();
    let lock = Lock::acquire(&dir.join(".lock"), "removing the date")?;
    refuse_unclosed(folder)?;
    check(date)?;
    let aside = base.join(format!("{DROPPED}{date}"));
    Disk.rename(&dir, &aside).map_err(|error| Error::io("cannot rename", &dir, error))?;
    Disk.sync_dir(base).map_err(|error| Error::io("cannot sync the folder", base, error))?;
    remove_folder(&Disk, &aside)?;
    drop(lock);
    Ok(())
}

/// Compares the exported files with their manifest, and record by record with the store, which nobody can open meanwhile.
fn verify_archived(folder: &Folder, date: &str, root: &Path, shape: &Shape) -> Result<()> {
    let wrong = |why: &str| Failure::Unfit(format!("the archive of {date} in {} is not right: {why}", root.display()));
    let export = Export::of(root, date)?.ok_or_else(|| wrong("it has no manifest"))?;
    if let Some(found) = export.check(root)?.first() {
        return Err(wrong(found));
    }
    let table = |name: &str, part: SandboxPart| SandboxTable { name: name.to_owned(), parts: vec![part] };
    let stored = parts(folder, shape)?.into_iter().map(|(_, part)| table("stored", part));
    let exported = export.parts(root).into_iter().map(|(_, part)| table("exported", part));
    let tables: Vec<SandboxTable> = stored.chain(exported).collect();
    let sandbox = Sandbox::open(&tables, None)?;
    let count =
        |sql: &str| -> Result<u64> { Ok(sandbox.query(sql)?.get(0, "n").and_then(Value::as_u64).unwrap_or(u64::MAX)) };
    if count("SELECT count(*) AS n FROM stored")? != export.rows {
        return Err(wrong("the store has another number of records"));
    }
    if export.rows > 0 {
        let columns = sandbox.query("FROM stored LIMIT 0")?;
        let columns: Vec<String> =
            columns.columns().iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
        let columns = columns.join(", ");
        let differ = format!(
            "SELECT count(*) AS n FROM (SELECT {columns} FROM stored EXCEPT ALL SELECT {columns} FROM exported)"
        );
        if count(&differ)? != 0 {
            return Err(wrong("records differ from those of the store"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where it fails")]
mod tests {
    use persist_dated::{DatedConfig, DatedStore};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_archive_that_is_not_the_store_record_by_record_is_found() {
        let (base, lake) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (date, shape) = ("2025-01-15", Shape::default());
        let folder = Folder::Dated { base: base.path().to_owned(), date: date.to_owned() };
        let change = |process: &str, progress: u32| {
            let store = DatedStore::open(date, DatedConfig::new(base.path())).unwrap();
            store.put("load").process(process).data(&json!({"progress": progress})).unwrap();
            store.close().unwrap();
        };
        let verified = || verify_archived(&folder, date, lake.path(), &shape).map_err(|failure| failure.to_string());
        change("worker1", 10);
        assert!(verified().unwrap_err().contains("no manifest"));
        export(&folder, &shape, lake.path()).unwrap();
        verified().unwrap();
        change("worker1", 20);
        assert!(verified().unwrap_err().contains("differ"));
        export(&folder, &shape, lake.path()).unwrap();
        verified().unwrap();
        change("worker2", 30);
        assert!(verified().unwrap_err().contains("another number"));
    }
}
