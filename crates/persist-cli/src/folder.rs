//! What a folder is: a store, which kind of one, a base folder of dates, a backup. It is told by names and small files
//! alone, as `docs/format.md` describes them; nothing is opened, locked or changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use persist_core::lock::holder_of;
use persist_core::wal::Ancestor;
use persist_core::{Error, ErrorKind, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::unfinished::unfinished;

/// Which folder is meant.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// The folder of a store, or the base folder of dated stores; where nothing has to be opened, also a backup or an export
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// The date, where PATH is the base folder of dated stores and one is meant
    #[arg(long, value_name = "DATE")]
    pub(crate) date: Option<String>,
}

impl Place {
    /// Finds out what it is.
    ///
    /// # Errors
    /// As [`Folder::find`].
    pub(crate) fn find(&self) -> Result<Folder> {
        Folder::find(&self.path, self.date.as_deref())
    }
}

/// Which dates are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Range {
    /// The first date, where PATH has stores of many; without it, the oldest
    #[arg(long, value_name = "DATE", conflicts_with = "date", value_parser = as_date)]
    from: Option<String>,
    /// The last date, where PATH has stores of many; without it, the newest
    #[arg(long, value_name = "DATE", conflicts_with = "date", value_parser = as_date)]
    to: Option<String>,
}

/// A date as an argument.
pub(crate) fn as_date(text: &str) -> Result<String, String> {
    if is_date(text) { Ok(text.to_owned()) } else { Err("write YYYY-MM-DD".to_owned()) }
}

impl Range {
    /// A folder with no more than the dates that are meant.
    pub(crate) fn of(&self, found: Folder) -> Result<Folder> {
        if self.from.is_none() && self.to.is_none() {
            return Ok(found);
        }
        let is_in = |date: &String| {
            self.from.as_ref().is_none_or(|from| from <= date) && self.to.as_ref().is_none_or(|to| date <= to)
        };
        let within = |dates: Vec<String>| {
            let within: Vec<String> = dates.iter().filter(|date| is_in(date)).cloned().collect();
            if within.is_empty() {
                Err(Failure::Unfit(format!("no date is in this range; there is {}", some(&dates))))
            } else {
                Ok(within)
            }
        };
        match found {
            Folder::Dates(base, dates) => Ok(Folder::Dates(base, within(dates)?)),
            Folder::Exports(root, dates) => Ok(Folder::Exports(root, within(dates)?)),
            other => {
                let message = format!("{} is {}: leave --from and --to out", other.dir().display(), other.name());
                Err(Failure::Usage(message))
            }
        }
    }
}

/// What a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Folder {
    /// The store of a date.
    Dated {
        /// The folder of all dates.
        base: PathBuf,
        /// The date, which names the folder.
        date: String,
    },
    /// A collection store.
    Collection(PathBuf),
    /// A key-value store.
    Kv(PathBuf),
    /// A base folder: stores of these dates, in order.
    Dates(PathBuf, Vec<String>),
    /// A backup.
    Backup(PathBuf),
    /// The root of an export of dated stores: of these dates, in order.
    Exports(PathBuf, Vec<String>),
    /// What an interrupted backup, export or restore has left.
    Unfinished(PathBuf),
}

/// Whose folder it is, from `store.json`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Identity {
    /// The store's id.
    pub(crate) id: String,
    /// The stores whose lines count as its own, itself last.
    pub(crate) lineage: Vec<Ancestor>,
}

/// How a store stood at its last flush, from `status.json`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Status {
    store: String,
    /// When that was.
    pub(crate) at: Timestamp,
    /// The figures, by their names in `Stats`.
    stats: Value,
}

impl Status {
    /// A figure that is a number.
    pub(crate) fn figure(&self, name: &str) -> Option<u64> {
        self.stats.get(name)?.as_u64()
    }

    /// A figure that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.stats.get(name)?.as_str().map(str::to_owned)
    }
}

impl Folder {
    /// Finds out what a folder is; with a date, what the folder of that date in it is.
    ///
    /// # Errors
    /// Where it is nothing of persist's.
    pub(crate) fn find(path: &Path, date: Option<&str>) -> Result<Self> {
        let found = Self::of(path)?;
        match (found, date) {
            (found, None) => Ok(found),
            (Self::Dates(base, dates), Some(date)) => match dates.iter().any(|there| there == date) {
                true => Ok(Self::Dated { base, date: date.to_owned() }),
                false => {
                    Err(Failure::Unfit(format!("{} has no store of {date}; it has {}", base.display(), some(&dates))))
                }
            },
            (Self::Dated { base, date: is }, Some(date)) if is == date => Ok(Self::Dated { base, date: is }),
            (Self::Exports(root, dates), Some(date)) if dates.iter().any(|there| there == date) => {
                Ok(Self::Exports(root, vec![date.to_owned()]))
            }
            (found, Some(_)) => {
                let message = format!("{} is {}: leave --date out", path.display(), found.name());
                Err(Failure::Usage(message))
            }
        }
    }

    fn of(path: &Path) -> Result<Self> {
        // `.` has no name.
        let path = path.canonicalize().map_err(|error| Failure::reading(path, error))?;
        if !path.is_dir() {
            return Err(Failure::Unfit(format!("{} is a file; name the folder of a store", path.display())));
        }
        let has = |name: &str| path.join(name).exists();
        if has("store.json") {
            let name = path.file_name().and_then(|name| name.to_str()).filter(|name| is_date(name));
            // A collection store that has lost both of its databases still has the folders of its log.
            if has("storage_history.duckdb") || has("storage_latest.duckdb") || !date_folders(&path)?.is_empty() {
                return Ok(Self::Collection(path));
            }
            return Ok(match (name, path.parent()) {
                (Some(date), Some(base)) => Self::Dated { base: base.to_owned(), date: date.to_owned() },
                _ => Self::Kv(path),
            });
        }
        if has("manifest.json") {
            return Ok(Self::Backup(path));
        }
        let mut dates = names(&path)?;
        let exports = exported(&dates);
        dates.retain(|name| is_date(name) && path.join(name).join("store.json").exists());
        if dates.is_empty() && !exports.is_empty() {
            return Ok(Self::Exports(path, exports));
        }
        if dates.is_empty() && !unfinished(&path)?.is_empty() {
            return Ok(Self::Unfinished(path));
        }
        if dates.is_empty() {
            let hint = if has("data.duckdb") {
                "a database without store.json is another program's, or one of the Python original, \
                 which the library takes over when it opens it"
            } else {
                "a store has store.json in its folder, a base folder has such folders named YYYY-MM-DD"
            };
            return Err(Failure::Unfit(format!("{} is no store: {hint}", path.display())));
        }
        Ok(Self::Dates(path, dates))
    }

    /// The stores in it: itself, or those of its dates.
    pub(crate) fn stores(&self) -> Vec<Self> {
        match self {
            Self::Dates(base, dates) => {
                dates.iter().map(|date| Self::Dated { base: base.clone(), date: date.clone() }).collect()
            }
            other => vec![other.clone()],
        }
    }

    /// What it is, in words.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Dated { date, .. } => format!("dated store of {date}"),
            Self::Collection(_) => "collection store".to_owned(),
            Self::Kv(_) => "key-value store".to_owned(),
            Self::Dates(..) => "dated stores".to_owned(),
            Self::Backup(_) => "backup".to_owned(),
            Self::Exports(..) => "export of dated stores".to_owned(),
            Self::Unfinished(_) => "unfinished".to_owned(),
        }
    }

    /// What it is, in a word for programs.
    pub(crate) fn model(&self) -> &'static str {
        match self {
            Self::Dated { .. } => "dated",
            Self::Collection(_) => "collection",
            Self::Kv(_) => "kv",
            Self::Dates(..) => "dates",
            Self::Backup(_) => "backup",
            Self::Exports(..) => "export",
            Self::Unfinished(_) => "unfinished",
        }
    }

    /// The folder itself.
    pub(crate) fn dir(&self) -> PathBuf {
        match self {
            Self::Dated { base, date } => base.join(date),
            Self::Collection(dir)
            | Self::Kv(dir)
            | Self::Dates(dir, _)
            | Self::Backup(dir)
            | Self::Exports(dir, _)
            | Self::Unfinished(dir) => dir.clone(),
        }
    }

    /// The folders that its log lies in.
    pub(crate) fn log_folders(&self) -> Result<Vec<PathBuf>> {
        match self {
            Self::Collection(dir) => Ok(date_folders(dir)?.into_iter().map(|date| dir.join(date)).collect()),
            other => Ok(vec![other.dir()]),
        }
    }

    /// Who has the store open: what the holder of its lock says of itself.
    pub(crate) fn owner(&self) -> Result<Option<String>> {
        Ok(holder_of(&self.dir().join(".lock"))?)
    }

    /// Refuses where a process has the store open.
    pub(crate) fn refuse_owner(&self) -> Result<()> {
        let Some(owner) = self.owner()? else { return Ok(()) };
        let message = format!("{} is open: {owner} has it", self.dir().display());
        Err(Failure::Store(Error::new(ErrorKind::Locked, message)))
    }

    /// Whose folder it is.
    pub(crate) fn identity(&self) -> Result<Identity> {
        let path = self.dir().join("store.json");
        let text = fs::read(&path).map_err(|error| Failure::reading(&path, error))?;
        serde_json::from_slice(&text).map_err(|error| {
            let message = format!("{} can't be read: {error}", path.display());
            Failure::Store(Error::new(ErrorKind::Corrupt, message))
        })
    }

    /// How the store stood at its last flush; `None` where it does not say, or says it of another.
    pub(crate) fn status(&self, identity: &Identity) -> Option<Status> {
        // Not synced: after a power cut it may be missing, or empty.
        let text = fs::read(self.dir().join("status.json")).ok()?;
        let status: Status = serde_json::from_slice(&text).ok()?;
        (status.store == identity.id).then_some(status)
    }
}

/// The folders in a collection store that are named by a date, in order.
pub(crate) fn date_folders(dir: &Path) -> Result<Vec<String>> {
    let mut folders = names(dir)?;
    folders.retain(|name| is_date(name) && dir.join(name).is_dir());
    Ok(folders)
}

/// The dates that have the manifest of an export among these names.
fn exported(names: &[String]) -> Vec<String> {
    let date = |name: &String| name.strip_prefix("_persist_export-")?.strip_suffix(".json").map(str::to_owned);
    names.iter().filter_map(date).filter(|date| is_date(date)).collect()
}

/// Whether this is `YYYY-MM-DD` and nothing besides.
pub(crate) fn is_date(name: &str) -> bool {
    name.len() == 10 && Timestamp::parse(name).is_some()
}

/// The names in a folder, in order.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // Whatever has no Unicode name is not ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    };
    list().map_err(|error| Failure::Store(Error::io("cannot list", dir, error)))
}

/// The first and the last of them, and how many there are.
pub(crate) fn some(dates: &[String]) -> String {
    match dates {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first, .., last] => format!("{} dates, {first} to {last}", dates.len()),
    }
}
