//! A backup as a folder: its database files, and `manifest.json`, which comes last and says what the others have to be.
//!
//! What it keeps true: a folder has its earlier backup whole, or the later one, or what the later one is made of, aside
//! with its manifest as `manifest.json.new`. Wherever a crash comes, settling the folder leaves one of the two.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::duck::{Database, Table, aside, clear_aside, refuse_own_logs};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, Access, File, Fs, is_there, prepare, read, read_in_pieces, remove_if_there, sync_dir_of};
use crate::timestamp::Timestamp;
use crate::wal::Ancestor;

const FORMAT: u32 = 1;

/// A backup of a store: one file, closed and verified, with the state of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Backup {
    format: u32,
    /// The backup's folder.
    #[serde(skip)]
    pub dir: PathBuf,
    /// The id of the store it was made of.
    pub store: String,
    /// That store and those it was restored from.
    pub(super) lineage: Vec<Ancestor>,
    /// What the store is: "dated store of 2025-01-15".
    pub purpose: String,
    /// The last record that is in it; all before it are too, and none after it.
    pub seq: u64,
    /// When that was written.
    pub written: Timestamp,
    /// When it was made.
    pub at: Timestamp,
    /// How many ids it has.
    pub rows: u64,
    /// Its database files.
    pub files: Vec<BackupFile>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Its name in the backup's folder.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The CRC-32 (IEEE) of all of it, eight lower-case hexadecimal digits.
    pub crc: String,
}

impl BackupFile {
    /// What a file is whose bytes are read, and copied on the way if there is where to.
    pub(super) fn of(fs: &dyn Fs, path: &Path, name: &Path) -> Result<Self> {
        let raw = fs.open(path, Access::Read).map_err(|error| Error::io("cannot open", path, error))?;
        Self::read(path, raw.as_ref(), name, None)
    }

    /// The same of a file that is open, whose bytes are copied on the way.
    pub(super) fn copied(path: &Path, raw: &dyn File, name: &Path, copy: &dyn File) -> Result<Self> {
        Self::read(path, raw, name, Some(copy))
    }

    fn read(path: &Path, raw: &dyn File, name: &Path, copy: Option<&dyn File>) -> Result<Self> {
        let (bytes, crc) = checksum(path, raw, copy)?;
        let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, bytes, crc })
    }
}

impl Backup {
    pub(super) fn manifest(dir: &Path) -> PathBuf {
        dir.join("manifest.json")
    }

    pub(super) fn of(dir: &Path, purpose: &str, lineage: &[Ancestor], at: Timestamp, found: Found) -> Self {
        let Found { store, seq, written, rows, files } = found;
        let (dir, purpose, lineage) = (dir.to_owned(), purpose.to_owned(), lineage.to_vec());
        Self { format: FORMAT, dir, store, lineage, purpose, seq, written, at, rows, files }
    }

    /// Reads what the manifest in `dir` says.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) where there is none, or one of a later version; [`Corrupt`](ErrorKind::Corrupt)
    /// where it can't be read.
    pub(super) fn load(fs: &dyn Fs, dir: &Path) -> Result<Self> {
        let path = Self::manifest(dir);
        if is_there(fs, &aside(&path))? {
            let message = format!(
                "{} is a backup half put in place: open its store, which finishes it, or rename what ends in .new, \
                 manifest.json.new last",
                dir.display()
            );
            return Err(Error::config(message));
        }
        let bytes = match read(fs, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("{} is no backup: it has no manifest.json", dir.display());
                return Err(Error::config(message).with_source(error));
            }
            read => read.map_err(|error| Error::io("cannot read", &path, error))?,
        };
        let corrupt = |what: &str| Error::new(ErrorKind::Corrupt, format!("{} can't be read: {what}", path.display()));
        let mut backup: Self =
            serde_json::from_slice(&bytes).map_err(|error| corrupt(&error.to_string()).with_source(error))?;
        if backup.format != FORMAT {
            let message = format!("{} has format {}, this version reads {FORMAT}", path.display(), backup.format);
            return Err(Error::config(message));
        }
        let Some((present, past)) = backup.lineage.split_last() else { return Err(corrupt("it has no lineage")) };
        let bounded = past.iter().all(|ancestor| ancestor.last_seq.is_some_and(|last| last <= backup.seq));
        if *present != Ancestor::present(&backup.store) || !bounded {
            return Err(corrupt("its lineage is not one of its store"));
        }
        if let Some(file) =
            backup.files.iter().find(|file| Path::new(&file.name).file_name() != Some(file.name.as_ref()))
        {
            return Err(corrupt(&format!("{:?} is no name of a file in this folder", file.name)));
        }
        dir.clone_into(&mut backup.dir);
        Ok(backup)
    }

    /// As [`Backup::load`], with a look at the files' sizes; `None` for a folder without a manifest.
    pub(super) fn load_whole(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>> {
        let manifest = Self::manifest(dir);
        if !is_there(fs, &manifest)? && !is_there(fs, &aside(&manifest))? {
            return Ok(None);
        }
        let backup = Self::load(fs, dir)?;
        for BackupFile { name, bytes, .. } in &backup.files {
            let path = dir.join(name);
            let there = match fs.open(&path, Access::Read).and_then(|file| file.len()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                there => Some(there.map_err(|error| Error::io("cannot open", &path, error))?),
            };
            if there != Some(*bytes) {
                let there = there.map_or("is missing".to_owned(), |there| format!("has {there} bytes"));
                let message = format!("{} {there}, its manifest says {bytes} bytes", path.display());
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
        }
        Ok(Some(backup))
    }

    /// Whether it is of a store of this lineage, with no record that the lineage does not have.
    pub(super) fn is_of(&self, lineage: &[Ancestor]) -> bool {
        Ancestor::have(lineage, &self.store, self.seq)
    }

    /// Makes this the folder's backup, whose files are aside and durable: says so in a manifest aside, whole and durable.
    /// What is left to do is [`Backup::finish`], and where it is interrupted, that is done by whoever owns the folder.
    pub(super) fn commit(&self, fs: &dyn Fs) -> Result<()> {
        let path = Self::manifest(&self.dir);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::config(format!("cannot write {}: {error}", path.display())).with_source(error))?;
        prepare(fs, &path, &text)?;
        // The files' names are durable before the manifest speaks of them.
        sync_dir_of(fs, &path)?;
        rename(fs, &fs::aside(&path), &aside(&path))?;
        sync_dir_of(fs, &path)
    }

    /// Gives the files of a committed backup their names, and its manifest last. An earlier backup is replaced.
    pub(super) fn finish(fs: &dyn Fs, dir: &Path, files: &[PathBuf]) -> Result<()> {
        let path = Self::manifest(dir);
        for file in files {
            if is_there(fs, &aside(file))? {
                rename(fs, &aside(file), file)?;
            }
        }
        sync_dir_of(fs, &path)?;
        rename(fs, &aside(&path), &path)?;
        sync_dir_of(fs, &path)
    }

    /// Removes what was made of a backup, unless it is committed.
    pub(super) fn clear(fs: &dyn Fs, dir: &Path, files: &[PathBuf]) -> Result<()> {
        let path = Self::manifest(dir);
        if is_there(fs, &aside(&path))? {
            return Ok(());
        }
        files.iter().try_for_each(|file| clear_aside(fs, file))?;
        remove_if_there(fs, &fs::aside(&path))
    }

    /// Finishes or clears what an interrupted backup has left in a folder where none is being made.
    pub(super) fn settle(fs: &dyn Fs, dir: &Path, files: &[PathBuf]) -> Result<()> {
        if is_there(fs, &aside(&Self::manifest(dir)))? {
            Self::finish(fs, dir, files)?;
        }
        Self::clear(fs, dir, files)
    }

    /// Compares the manifest with the file and with all that it holds.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt), naming the file; [`Schema`](ErrorKind::Schema) for other columns.
    pub(super) fn check(&self, fs: &dyn Fs, table: &Table) -> Result<()> {
        let path = table.backup_in(&self.dir);
        let mut files = Vec::new();
        for file in table.files(&path) {
            refuse_own_logs(fs, &file)?;
            files.push(BackupFile::of(fs, &file, &file)?);
        }
        self.expect(&path, &self.found_with(files.clone()))?;
        self.expect(&path, &Found::in_files(fs, &path, files, table)?)
    }

    /// What is to be found, but for the files' sizes and checksums.
    pub(super) fn found_with(&self, files: Vec<BackupFile>) -> Found {
        Found { store: self.store.clone(), seq: self.seq, written: self.written, rows: self.rows, files }
    }

    /// Refuses a file that is not what the manifest says.
    pub(super) fn expect(&self, path: &Path, found: &Found) -> Result<()> {
        let expected = self.found_with(self.files.clone());
        if *found == expected {
            return Ok(());
        }
        let message = format!("{} is damaged: its manifest says {expected}, and it has {found}", path.display());
        Err(Error::new(ErrorKind::Corrupt, message))
    }
}

/// What the files of a database turn out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) store: String,
    pub(super) seq: u64,
    pub(super) written: Timestamp,
    pub(super) rows: u64,
    pub(super) files: Vec<BackupFile>,
}

impl Found {
    /// Reads all that a closed database of these sizes and checksums holds; `path` is its main file.
    pub(super) fn in_files(fs: &dyn Fs, path: &Path, files: Vec<BackupFile>, table: &Table) -> Result<Self> {
        let database = Database::open_to_read(fs, path, table)?;
        let state = database.state()?;
        let (seq, written) = (state.watermark, Timestamp::from_unix_micros(state.at));
        Ok(Self { store: state.store_id, seq, written, rows: database.check_rows()?, files })
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { store, seq, written, rows, files } = self;
        write!(f, "{rows} rows up to seq {seq}, written at {written}, of the store {store}")?;
        for BackupFile { name, bytes, crc } in files {
            write!(f, ", {name} of {bytes} bytes with CRC {crc}")?;
        }
        Ok(())
    }
}

fn rename(fs: &dyn Fs, from: &Path, to: &Path) -> Result<()> {
    fs.rename(from, to).map_err(|error| Error::io("cannot rename into place", to, error))
}

/// The length and the CRC-32 of a file, which is copied on the way if there is where to.
fn checksum(path: &Path, raw: &dyn File, copy: Option<&dyn File>) -> Result<(u64, String)> {
    let mut crc = crc32fast::Hasher::new();
    let read = read_in_pieces(raw, &mut |offset, piece| {
        crc.update(piece);
        copy.map_or(Ok(()), |copy| crate::fs::write_all_at(copy, offset, piece))
    });
    let bytes = read.map_err(|error| Error::io("cannot read or copy", path, error))?;
    Ok((bytes, format!("{:08x}", crc.finalize())))
}
