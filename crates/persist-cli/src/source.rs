//! Which files a query reads: those of a store that nobody has open, or else what the store has published.
//!
//! A store that was not closed is opened and closed first, as its owner would: what only the log had is in the database
//! then. So whatever a query does not show, it says.

use std::path::{Path, PathBuf};

use persist_core::fs::suffixed;
use persist_core::wal::SegmentId;
use persist_core::{SandboxPart, SandboxTable, Timestamp};
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::folder::{Folder, Identity, names};
use crate::output::{Output, counted};
use crate::published::{Backup, Export, Part, last_seq};
use crate::store::{Shape, Store};

/// Where rows come from.
#[derive(Debug, Serialize)]
pub(crate) struct Source {
    /// The store, backup or export.
    path: PathBuf,
    date: Option<String>,
    /// `store`, `backup` or `export`.
    kind: &'static str,
    /// The files that are read.
    files: Vec<PathBuf>,
    /// As of when the rows are; `None` is now.
    as_of: Option<Timestamp>,
    /// Who has the store open, so that something published is read in its place.
    owner: Option<String>,
    /// At most so many writes are not among the rows; `None` where that is not known.
    missing_writes: Option<u64>,
    /// Whether the store was not closed, and was recovered before.
    recovered: bool,
    #[serde(skip)]
    parts: Vec<Part>,
    /// What has to be closed throughout.
    #[serde(skip)]
    store: Option<Folder>,
}

impl Source {
    /// All that there is to read at a place.
    pub(crate) fn all(found: &Folder, shape: &Shape, published: Option<&Path>, output: &Output) -> Result<Vec<Self>> {
        match found {
            Folder::Backup(dir) => Ok(Backup::of(dir)?.map(|backup| Self::of_backup(&backup)).into_iter().collect()),
            Folder::Exports(root, dates) => {
                let exports = dates.iter().map(|date| Export::of(root, date));
                let exports = exports.filter_map(Result::transpose).collect::<Result<Vec<_>>>()?;
                Ok(exports.iter().map(|export| Self::of_export(root, export)).collect())
            }
            stores => stores.stores().iter().map(|store| Self::of_store(store, shape, published, output)).collect(),
        }
    }

    fn of_store(folder: &Folder, shape: &Shape, published: Option<&Path>, output: &Output) -> Result<Self> {
        let owner = folder.owner()?;
        if owner.is_some() {
            let source = Self::beside(folder, published, owner)?;
            output.note(&source.told());
            return Ok(source);
        }
        let parts = parts(folder, shape)?;
        let recovered = !is_closed(folder, &parts)?;
        if recovered {
            Store::open(folder, shape)?.close()?;
            output.note(&format!("{} was not closed: what a crash left was recovered", folder.dir().display()));
        }
        Ok(Self {
            path: folder.dir(),
            date: date(folder),
            kind: "store",
            files: files(&parts),
            as_of: None,
            owner: None,
            missing_writes: Some(0),
            recovered,
            parts,
            store: Some(folder.clone()),
        })
    }

    /// What there is to read of a store that a process has open.
    fn beside(folder: &Folder, published: Option<&Path>, owner: Option<String>) -> Result<Self> {
        let identity = folder.identity()?;
        let found = match (published, folder) {
            (Some(dir), _) => Self::published(dir, folder, &identity)?,
            // Its own backups lie in the folders of its dates.
            (None, Folder::Collection(dir)) => Self::published(dir, folder, &identity)?,
            (None, _) => None,
        };
        let Some((source, seq)) = found else {
            let owner = owner.unwrap_or_default();
            let what = match (published, folder) {
                (Some(dir), _) => format!("in {} there is no export or backup of it", dir.display()),
                (None, Folder::Dated { .. }) => {
                    "name an export or a backup to read in its place with --published DIR, or leave this date out with \
                     --from and --to"
                        .to_owned()
                }
                (None, _) => "name a backup to read in its place with --published DIR".to_owned(),
            };
            return Err(Failure::Unfit(format!("{} is held by {owner}: {what}", folder.dir().display())));
        };
        let missing_writes =
            seq.map(|seq| last_seq(folder, &identity).map(|last| last.saturating_sub(seq))).transpose()?;
        Ok(Self { owner, missing_writes, ..source })
    }

    /// What a store has published in a folder, and up to which `seq` everything is in it.
    fn published(dir: &Path, folder: &Folder, identity: &Identity) -> Result<Option<(Self, Option<u64>)>> {
        let export = match folder {
            Folder::Dated { date, .. } => Export::of(dir, date)?,
            _ => None,
        };
        if let Some(export) = export.filter(|export| export.is_of(identity)) {
            return Ok(Some((Self::of_export(dir, &export), export.seq)));
        }
        let backup = Backup::newest(dir, identity, &folder.name())?;
        Ok(backup.map(|backup| (Self::of_backup(&backup), Some(backup.seq))))
    }

    fn of_backup(backup: &Backup) -> Self {
        Self {
            path: backup.dir().to_owned(),
            date: backup.date().map(str::to_owned),
            kind: "backup",
            files: backup.paths(),
            as_of: Some(backup.at),
            owner: None,
            missing_writes: None,
            recovered: false,
            parts: backup.parts(),
            store: None,
        }
    }

    fn of_export(root: &Path, export: &Export) -> Self {
        Self {
            path: root.to_owned(),
            date: Some(export.date.clone()),
            kind: "export",
            files: export.paths(root),
            as_of: Some(export.exported_at),
            owner: None,
            missing_writes: None,
            recovered: false,
            parts: export.parts(root),
            store: None,
        }
    }

    /// What is read in place of a store that a process has open.
    fn told(&self) -> String {
        let Self { path, date, kind, .. } = self;
        let what = date.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
        let owner = self.owner.clone().unwrap_or_default();
        let as_of = self.as_of.map(|at| at.to_string()).unwrap_or_default();
        let missing = match self.missing_writes {
            Some(0) => "no write is missing".to_owned(),
            Some(missing) => format!("up to {} since then are not in the answer", counted(missing, "write")),
            None => "how many writes since then are not in the answer is not known".to_owned(),
        };
        format!("{owner} has the store open; its {kind}{what} at {} is read, of {as_of}: {missing}", path.display())
    }

    /// Fails where a store that is read was opened since it was looked at: the log may have more then.
    pub(crate) fn check_still_closed(&self) -> Result<()> {
        match &self.store {
            Some(folder) if !is_closed(folder, &self.parts)? => {
                Err(Failure::Unfit(format!("{} was opened meanwhile: try again", folder.dir().display())))
            }
            _ => Ok(()),
        }
    }
}

/// The tables that the sources make, each by its name.
pub(crate) fn tables(sources: &[Source]) -> Vec<SandboxTable> {
    let mut tables: Vec<SandboxTable> = Vec::new();
    for (name, part) in sources.iter().flat_map(|source| &source.parts) {
        match tables.iter_mut().find(|table| table.name == *name) {
            Some(table) => table.parts.push(part.clone()),
            None => tables.push(SandboxTable { name: (*name).to_owned(), parts: vec![part.clone()] }),
        }
    }
    tables
}

fn date(folder: &Folder) -> Option<String> {
    match folder {
        Folder::Dated { date, .. } => Some(date.clone()),
        _ => None,
    }
}

fn files(parts: &[Part]) -> Vec<PathBuf> {
    let files = parts.iter().flat_map(|(_, part)| match part {
        SandboxPart::Database { file, .. } => vec![file.clone()],
        SandboxPart::Parquet { files, .. } => files.clone(),
    });
    files.collect()
}

/// The tables of a store and their files.
pub(crate) fn parts(folder: &Folder, shape: &Shape) -> Result<Vec<Part>> {
    let part = |table: &'static str, file: PathBuf| {
        (table, SandboxPart::Database { date: date(folder), file, table: table.to_owned() })
    };
    Ok(match folder {
        Folder::Collection(dir) => {
            ["storage_latest", "storage_history"].map(|table| part(table, dir.join(format!("{table}.duckdb")))).into()
        }
        Folder::Kv(dir) => vec![part("storage", shape.kv_database(dir)?)],
        other => vec![part("storage", shape.dated_database(&other.dir()))],
    })
}

/// Whether a store was closed: nothing is in a log that is not in its databases.
pub(crate) fn is_closed(folder: &Folder, parts: &[Part]) -> Result<bool> {
    for dir in folder.log_folders()? {
        if names(&dir)?.iter().any(|name| SegmentId::parse(name).is_some()) {
            return Ok(false);
        }
    }
    let left = |file: &PathBuf| {
        let beside = [".wal", ".wal.checkpoint", ".wal.recovery", ".journal"];
        !file.exists() || beside.iter().any(|suffix| suffixed(file, suffix).exists())
    };
    Ok(!files(parts).iter().any(left))
}
