//! `inspect`: what a folder is and how its store stands. It reads names, sizes, `status.json` and the log, opens no
//! database and takes no lock, so it works beside a process that has the store open, and on a disk that can't be written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use persist_core::Timestamp;
use persist_core::text::table;
use persist_core::wal::SegmentId;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::folder::{Folder, Place, Status, date_folders, names};
use crate::output::{Output, code, counted, list, size, span};
use crate::published::Export;
use crate::store::now;
use crate::unfinished::{Unfinished, unfinished};
use crate::wal::Health;

/// What a folder is.
#[derive(Debug, Serialize)]
struct Answer {
    path: PathBuf,
    /// `dated`, `collection`, `kv`, `dates`, `backup`, `export` or `unfinished`.
    model: &'static str,
    stores: Vec<Inspected>,
    backups: Vec<BackupFound>,
    exports: Vec<ExportFound>,
    /// What an interrupted backup, export or restore has left.
    unfinished: Vec<Unfinished>,
}

/// How a store stands.
#[derive(Debug, Serialize)]
struct Inspected {
    path: PathBuf,
    what: String,
    /// The store's id.
    store: String,
    /// Who has it open.
    owner: Option<String>,
    /// How it stood at its last flush; `None` where it does not say.
    last_flush: Option<LastFlush>,
    log: LogFound,
    databases: Vec<FileFound>,
    /// Bytes of everything in the folder.
    bytes: u64,
    /// What recoveries have set aside, for somebody to look at.
    set_aside: Vec<PathBuf>,
}

/// What `status.json` says.
#[derive(Debug, Serialize)]
struct LastFlush {
    at: Timestamp,
    /// How old all of this is.
    age_seconds: i64,
    /// Records, or items, at that moment.
    records: Option<u64>,
    /// Everything up to this `seq` was in DuckDB.
    watermark: Option<u64>,
    last_seq: Option<u64>,
    /// Why a flush failed, or why no more writes were taken.
    trouble: Vec<String>,
}

/// What there is of the log now.
#[derive(Debug, Serialize)]
struct LogFound {
    segments: usize,
    bytes: u64,
    kept_segments: usize,
    kept_bytes: u64,
    /// Records that DuckDB did not have at the last flush.
    unflushed: Option<u64>,
    /// Whether there is no damage.
    ok: bool,
    found: Vec<String>,
}

#[derive(Debug, Serialize)]
struct FileFound {
    name: String,
    bytes: u64,
}

/// What a backup's manifest says.
#[derive(Debug, Serialize, Deserialize)]
struct BackupFound {
    #[serde(default)]
    path: PathBuf,
    purpose: String,
    seq: u64,
    rows: u64,
    at: Timestamp,
}

/// What the manifest of an export says.
#[derive(Debug, Serialize)]
struct ExportFound {
    date: String,
    rows: u64,
    files: usize,
    bytes: u64,
    seq: Option<u64>,
    exported_at: Timestamp,
}

/// Says what there is at the path. Damage of a log is exit code 1.
pub(crate) fn run(place: &Place, output: &Output) -> Result<ExitCode> {
    let found = place.find()?;
    let mut answer = Answer {
        path: found.dir(),
        model: found.model(),
        stores: Vec::new(),
        backups: Vec::new(),
        exports: Vec::new(),
        unfinished: unfinished(&found.dir())?,
    };
    for folder in found.stores() {
        match &folder {
            Folder::Backup(dir) => answer.backups.push(BackupFound::of(dir)?),
            Folder::Exports(root, dates) => {
                for date in dates {
                    answer.exports.extend(Export::of(root, date)?.map(ExportFound::of));
                }
            }
            Folder::Unfinished(_) => {}
            store => answer.stores.push(Inspected::of(store)?),
        }
        if let Folder::Collection(dir) = &folder {
            for date in date_folders(dir)?.into_iter().map(|date| dir.join(date)) {
                if date.join("manifest.json").exists() {
                    answer.backups.push(BackupFound::of(&date)?);
                }
                answer.unfinished.extend(unfinished(&date)?);
            }
        }
    }
    let is_fine = answer.stores.iter().all(|store| store.log.ok) && answer.unfinished.is_empty();
    output.answer(&answer, Answer::text)?;
    Ok(code(is_fine))
}

impl Inspected {
    fn of(folder: &Folder) -> Result<Self> {
        let identity = folder.identity()?;
        let dir = folder.dir();
        let mut set_aside = Vec::new();
        let mut log = LogFound::of(folder);
        let mut databases = Vec::new();
        let mut folders = folder.log_folders()?;
        if !folders.contains(&dir) {
            folders.push(dir.clone());
        }
        let mut bytes = 0;
        for at in folders {
            for name in names(&at)? {
                let path = at.join(&name);
                let Some(length) = length(&path) else { continue };
                bytes += length;
                if SegmentId::parse(&name).is_some() {
                    log.segments += 1;
                    log.bytes += length;
                } else if SegmentId::of_any(&name).is_some() && name.ends_with(".gz") {
                    log.kept_segments += 1;
                    log.kept_bytes += length;
                } else if name.ends_with(".torn") || name.ends_with(".broken") || name.contains(".broken.") {
                    set_aside.push(path);
                } else if name.ends_with(".duckdb") && at == dir {
                    databases.push(FileFound { name, bytes: length });
                }
            }
        }
        let owner = folder.owner()?;
        Ok(Self {
            what: folder.name(),
            last_flush: folder.status(&identity).map(|status| LastFlush::of(folder, &status, owner.is_some())),
            owner,
            store: identity.id,
            path: dir,
            log,
            databases,
            bytes,
            set_aside,
        })
    }

    fn text(&self) -> String {
        let mut entries = vec![
            ("path", self.path.display().to_string()),
            ("what", self.what.clone()),
            ("store", self.store.clone()),
            ("owner", self.owner.clone().unwrap_or_else(|| "none: nobody has it open".to_owned())),
        ];
        match &self.last_flush {
            Some(flush) => {
                let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
                let age = span(flush.age_seconds.saturating_mul(1_000_000));
                entries.push(("last flush", format!("{}, {age} ago: what follows is as of then", flush.at)));
                entries.push(("  records", number(flush.records)));
                entries.push(("  watermark", format!("{} of {}", number(flush.watermark), number(flush.last_seq))));
                entries.extend(flush.trouble.iter().map(|trouble| ("  trouble", trouble.clone())));
            }
            None => entries.push(("last flush", "status.json does not say".to_owned())),
        }
        let log = &self.log;
        let unflushed = log.unflushed.map(|unflushed| format!("; {} not flushed then", counted(unflushed, "record")));
        let segments = |number: usize, bytes| format!("{}, {}", counted(number as u64, "segment"), size(bytes));
        entries.push(("log", segments(log.segments, log.bytes) + &unflushed.unwrap_or_default()));
        if log.kept_segments > 0 {
            entries.push(("kept log", segments(log.kept_segments, log.kept_bytes)));
        }
        entries.extend(log.found.iter().map(|found| (if log.ok { "found" } else { "DAMAGE" }, found.clone())));
        entries.extend(self.databases.iter().map(|file| ("database", format!("{}, {}", file.name, size(file.bytes)))));
        entries.push(("in all", size(self.bytes)));
        entries.extend(self.set_aside.iter().map(|file| ("set aside", file.display().to_string())));
        list(&entries)
    }

    fn row(&self) -> Vec<String> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
        let flush = self.last_flush.as_ref();
        vec![
            name,
            number(flush.and_then(|flush| flush.records)),
            number(flush.and_then(|flush| flush.watermark)),
            number(self.log.unflushed),
            self.log.segments.to_string(),
            size(self.bytes),
            flush.map_or("-".to_owned(), |flush| span(flush.age_seconds.saturating_mul(1_000_000))),
            if self.log.ok { "fine" } else { "DAMAGED" }.to_owned(),
            self.owner.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }
}

impl LogFound {
    /// What the lines say. A log that can't be judged is no reason to say nothing of the rest.
    fn of(folder: &Folder) -> Self {
        let (unflushed, ok, found) = match Health::of(folder) {
            Ok(health) => (Some(health.records), health.ok, health.findings()),
            Err(failure) => (None, false, vec![failure.to_string()]),
        };
        Self { segments: 0, bytes: 0, kept_segments: 0, kept_bytes: 0, unflushed, ok, found }
    }
}

impl LastFlush {
    fn of(folder: &Folder, status: &Status, is_open: bool) -> Self {
        // Of a collection store not all records are in memory.
        let records = if matches!(folder, Folder::Collection(_)) { "base_rows" } else { "cache_size" };
        // A store that is closed takes no writes either.
        let trouble = ["last_flush_error", "last_maintenance_error"].into_iter();
        let trouble = trouble.chain(is_open.then_some("refuses_writes"));
        Self {
            at: status.at,
            age_seconds: (now().unix_micros() - status.at.unix_micros()) / 1_000_000,
            records: status.figure(records),
            watermark: status.figure("watermark"),
            last_seq: status.figure("last_seq"),
            trouble: trouble.filter_map(|name| status.text(name)).collect(),
        }
    }
}

impl BackupFound {
    fn of(dir: &Path) -> Result<Self> {
        let path = dir.join("manifest.json");
        let text = std::fs::read(&path).map_err(|error| Failure::reading(&path, error))?;
        let found: Self = serde_json::from_slice(&text)
            .map_err(|error| Failure::Unfit(format!("{} can't be read: {error}", path.display())))?;
        Ok(Self { path: dir.to_owned(), ..found })
    }

    fn row(&self) -> Vec<String> {
        let Self { path, purpose, seq, rows, at } = self;
        vec![path.display().to_string(), purpose.clone(), seq.to_string(), rows.to_string(), at.to_string()]
    }
}

impl ExportFound {
    fn of(export: Export) -> Self {
        let Export { date, exported_at, seq, rows, files, .. } = export;
        Self { date, rows, files: files.len(), bytes: files.iter().map(|file| file.bytes).sum(), seq, exported_at }
    }

    fn row(&self) -> Vec<String> {
        let Self { date, rows, files, bytes, exported_at, .. } = self;
        vec![date.clone(), rows.to_string(), files.to_string(), size(*bytes), exported_at.to_string()]
    }
}

impl Answer {
    fn text(&self) -> String {
        let mut parts = Vec::new();
        match self.stores.as_slice() {
            [] => {}
            [one] => parts.push(one.text()),
            many => {
                let names =
                    ["date", "records", "watermark", "unflushed", "segments", "size", "last flush", "log", "owner"];
                let rows: Vec<Vec<String>> = many.iter().map(Inspected::row).collect();
                parts.push(format!("{}: {} dated stores", self.path.display(), many.len()));
                parts.push(table(&names, &rows, |_| false));
            }
        }
        if !self.backups.is_empty() {
            let rows: Vec<Vec<String>> = self.backups.iter().map(BackupFound::row).collect();
            parts.push(table(&["backup", "of", "seq", "rows", "made at"], &rows, |_| false));
        }
        if !self.exports.is_empty() {
            let rows: Vec<Vec<String>> = self.exports.iter().map(ExportFound::row).collect();
            parts.push(format!("{}: export of dated stores", self.path.display()));
            parts.push(table(&["date", "rows", "files", "size", "exported at"], &rows, |_| false));
        }
        parts.extend(self.unfinished.iter().map(Unfinished::text));
        parts.join("\n\n")
    }
}

/// The bytes of everything in a store's folders.
pub(crate) fn bytes_of(folder: &Folder) -> Result<u64> {
    Ok(Inspected::of(folder)?.bytes)
}

/// A file's length; `None` where there is no such file.
pub(crate) fn length(path: &Path) -> Option<u64> {
    // It may be renamed or removed meanwhile.
    let metadata = path.symlink_metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}
