//! What a store has published for others to read: exports of dates, and backups. Both are files that nobody writes any
//! more, so they can be read beside the process that has the store open.

use std::fs;
use std::path::{Path, PathBuf};

use persist_core::wal::Ancestor;
use persist_core::{Error, ErrorKind, Sandbox, SandboxPart, SandboxTable, Timestamp};
use serde::Deserialize;

use crate::failure::{Failure, Result};
use crate::folder::{Folder, Identity, names};

/// What the manifest of an export says.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Export {
    /// Of which date.
    pub(crate) date: String,
    /// When it was made.
    pub(crate) exported_at: Timestamp,
    /// The id of the store it was made of. Older exports do not say.
    store: Option<String>,
    /// All writes up to this one are in it. Older exports do not say.
    pub(crate) seq: Option<u64>,
    /// How many records all files have.
    pub(crate) rows: u64,
    /// Its files.
    pub(crate) files: Vec<ExportedFile>,
}

/// A Parquet file of an export.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ExportedFile {
    /// Below the root.
    pub(crate) path: PathBuf,
    /// The process of its records.
    pub(crate) process_name: Option<String>,
    /// How many it has.
    pub(crate) rows: u64,
    /// Its size.
    pub(crate) bytes: u64,
}

/// What the manifest of a backup says.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Backup {
    #[serde(skip)]
    dir: PathBuf,
    /// The id of the store it was made of.
    store: String,
    /// What that is.
    pub(crate) purpose: String,
    /// All writes up to this one are in it.
    pub(crate) seq: u64,
    /// When it was made.
    pub(crate) at: Timestamp,
    files: Vec<BackupFile>,
}

#[derive(Debug, Clone, Deserialize)]
struct BackupFile {
    name: String,
}

/// A table's name, and where rows of it come from.
pub(crate) type Part = (&'static str, SandboxPart);

impl Export {
    /// The export of a date below a root; `None` where there is none.
    pub(crate) fn of(root: &Path, date: &str) -> Result<Option<Self>> {
        let path = root.join(format!("_persist_export-{date}.json"));
        if !path.exists() {
            return Ok(None);
        }
        let export: Self = read(&path)?;
        if export.date != date || export.files.iter().any(|file| !is_below(&file.path)) {
            return Err(corrupt(&path, "it is not of this date, or names files elsewhere"));
        }
        Ok(Some(export))
    }

    /// Whether it is of a store, with no write that the store does not have.
    pub(crate) fn is_of(&self, identity: &Identity) -> bool {
        let own = |store: &String, seq| Ancestor::have(&identity.lineage, store, seq);
        self.store.as_ref().zip(self.seq).is_some_and(|(store, seq)| own(store, seq))
    }

    /// Its files.
    pub(crate) fn paths(&self, root: &Path) -> Vec<PathBuf> {
        self.files.iter().map(|file| root.join(&file.path)).collect()
    }

    /// Its rows as rows of a table; none where it has no file.
    pub(crate) fn parts(&self, root: &Path) -> Vec<Part> {
        let files = self.paths(root);
        if files.is_empty() {
            return Vec::new();
        }
        vec![("storage", SandboxPart::Parquet { date: self.date.clone(), files })]
    }
}

/// How many records a process has in the files of an export.
#[derive(Deserialize)]
struct Counted {
    process_name: Option<String>,
    rows: u64,
}

impl Export {
    /// Reads all files whole, and says what is not as the manifest says.
    pub(crate) fn check(&self, root: &Path) -> Result<Vec<String>> {
        let mut found = self.check_sizes(root)?;
        let parts = self.parts(root);
        if found.is_empty() && !parts.is_empty() {
            match self.check_rows(parts) {
                Ok(wrong) => found.extend(wrong),
                Err(error) => found.push(error.to_string()),
            }
        }
        let listed: u64 = self.files.iter().map(|file| file.rows).sum();
        if listed != self.rows {
            found.push(format!("the manifest says {} records, and {listed} of its files", self.rows));
        }
        Ok(found)
    }

    /// The files by their sizes, and whether there are others, which readers would take as well.
    fn check_sizes(&self, root: &Path) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for file in &self.files {
            let path = root.join(&file.path);
            match path.metadata() {
                Ok(metadata) if metadata.len() == file.bytes => {}
                Ok(metadata) => found.push(format!(
                    "{} has {} bytes, its manifest says {}",
                    path.display(),
                    metadata.len(),
                    file.bytes
                )),
                Err(error) => found.push(format!("{}: {error}", path.display())),
            }
        }
        let partition = format!("date={}", self.date);
        for process in names(root)?.into_iter().filter(|name| name.starts_with("process_name=")) {
            let folder = Path::new(&process).join(&partition);
            if !root.join(&folder).is_dir() {
                continue;
            }
            let others = names(&root.join(&folder))?.into_iter().map(|name| folder.join(name));
            let is_read = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "parquet");
            let others = others.filter(|path| is_read(path) && !self.files.iter().any(|file| file.path == *path));
            found.extend(others.map(|path| format!("{} is not of this export", root.join(path).display())));
        }
        Ok(found)
    }

    fn check_rows(&self, parts: Vec<Part>) -> persist_core::Result<Vec<String>> {
        let tables: Vec<SandboxTable> =
            parts.into_iter().map(|(name, part)| SandboxTable { name: name.to_owned(), parts: vec![part] }).collect();
        let sandbox = Sandbox::open(&tables, None)?;
        // The hash of a whole row has all of it read.
        let sql =
            "SELECT process_name, count(*) AS rows, bit_xor(hash(row)) AS hash FROM storage row GROUP BY process_name";
        let counted: Vec<Counted> = sandbox.query(sql)?.to()?;
        let mut found = Vec::new();
        for file in &self.files {
            let rows = counted.iter().find(|counted| counted.process_name == file.process_name);
            let rows = rows.map_or(0, |counted| counted.rows);
            if rows != file.rows {
                found.push(format!("{} has {rows} records, its manifest says {}", file.path.display(), file.rows));
            }
        }
        let twice = "SELECT 1 FROM storage GROUP BY key, process_name HAVING count(*) > 1";
        match sandbox.query(twice)?.len() {
            0 => {}
            twice => found.push(format!("{twice} ids stand in the files more than once")),
        }
        Ok(found)
    }
}

impl Backup {
    /// The backup in a folder; `None` where there is none.
    pub(crate) fn of(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join("manifest.json");
        if !path.exists() {
            return Ok(None);
        }
        let backup: Self = read(&path)?;
        if backup.files.iter().any(|file| Path::new(&file.name).file_name() != Some(file.name.as_ref())) {
            return Err(corrupt(&path, "it names files elsewhere"));
        }
        Ok(Some(Self { dir: dir.to_owned(), ..backup }))
    }

    /// The newest backup of a store, in a folder or in the folders within it.
    pub(crate) fn newest(dir: &Path, identity: &Identity, purpose: &str) -> Result<Option<Self>> {
        let mut newest = None;
        let within = names(dir)?.into_iter().map(|name| dir.join(name)).filter(|path| path.is_dir());
        for backup in std::iter::once(dir.to_owned()).chain(within) {
            let Some(backup) = Self::of(&backup)? else { continue };
            let is_own = Ancestor::have(&identity.lineage, &backup.store, backup.seq);
            let is_newer = newest.as_ref().is_none_or(|newest: &Self| newest.seq < backup.seq);
            if is_own && backup.purpose == purpose && is_newer {
                newest = Some(backup);
            }
        }
        Ok(newest)
    }

    /// Of which date it is, where it is of a dated store.
    pub(crate) fn date(&self) -> Option<&str> {
        self.purpose.strip_prefix("dated store of ")
    }

    /// Its database files.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| self.dir.join(&file.name)).collect()
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its rows as rows of tables.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let part = |file: &PathBuf| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let table = match () {
                () if name.starts_with("storage_history") => "storage_history",
                () if name.starts_with("storage_latest") => "storage_latest",
                () => "storage",
            };
            let date = self.date().map(str::to_owned);
            (table, SandboxPart::Database { date, file: file.clone(), table: table.to_owned() })
        };
        self.paths().iter().map(part).collect()
    }
}

/// The `seq` of the newest write of a store, as far as its files say.
pub(crate) fn last_seq(folder: &Folder, identity: &Identity) -> Result<u64> {
    let log = crate::log::Log::of(folder)?;
    let of_log = log.archive()?.segments().iter().map(|segment| segment.last_seq).max();
    let of_status = folder.status(identity).and_then(|status| status.figure("last_seq"));
    Ok(of_log.max(of_status).unwrap_or_default())
}

fn is_below(path: &Path) -> bool {
    path.components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let text = fs::read(path).map_err(|error| Failure::reading(path, error))?;
    serde_json::from_slice(&text).map_err(|error| corrupt(path, &error.to_string()))
}

fn corrupt(path: &Path, why: &str) -> Failure {
    Failure::Store(Error::new(ErrorKind::Corrupt, format!("{} can't be read: {why}", path.display())))
}
