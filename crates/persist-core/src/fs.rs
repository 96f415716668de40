//! Every file operation of persist, behind one trait, so that a test can fail, shorten, stop and replay each.
//!
//! [`Disk`] is the real thing. Only this file opens files (DuckDB opens its own; `lock.rs` opens the lock files).
//! Nothing here retries a sync that failed: the caller decides what a failure means.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// How [`Fs::open`] opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// A file that must not exist yet, to read and write.
    CreateNew,
}

/// An open file. All positions are in bytes from its start.
pub trait File: Debug + Send + Sync {
    /// Reads up to `buf.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// Writes up to `buf.len()` bytes at `offset`, extending the file where needed; answers how many were taken.
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize>;
    /// Makes the file's bytes durable, and so much of its metadata as reading them back needs (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Makes the file's bytes and all of its metadata durable, a shortened length included (`fsync`).
    fn sync_all(&self) -> io::Result<()>;
    /// Has the system forget what it has in memory of the file and takes for written, so that a read tells what the disk
    /// has: after a failed sync these are two things. Does nothing where the system has no such call.
    fn forget_cached(&self) -> io::Result<()> {
        Ok(())
    }
    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// The file's length.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// A file system.
pub trait Fs: Debug + Send + Sync {
    /// Opens a file. A file made by [`Access::CreateNew`] has a durable name only after [`Fs::sync_dir`].
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>>;
    /// Renames a file, replacing what has the new name. Durable only after [`Fs::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name. Durable only after [`Fs::sync_dir`].
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder and those above it; no error where it stands already.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable: what was created, renamed and removed in it.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// The names of the files in a folder, sorted; names that are not Unicode are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// The names of the folders in a folder, sorted; names that are not Unicode are left out.
    fn list_folders(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Removes a folder that is empty.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Whether there is a file or folder of this name.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Comes between two steps of which none is a file operation of ours, such as DuckDB's commit and what is made of it:
    /// for tests, in which the process may end here. An error is one of the step that begins.
    fn step(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }
}

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Fs for Disk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true);
        match access {
            Access::Read => {}
            Access::Write => {
                options.write(true);
            }
            Access::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        Ok(Box::new(DiskFile(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::File::open(path)?.sync_all()
    }

    // Windows has no sync of a directory: the durability of a name rests on the file system there.
    #[cfg(not(unix))]
    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        names_in(dir, false)
    }

    fn list_folders(&self, dir: &Path) -> io::Result<Vec<String>> {
        names_in(dir, true)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }
}

fn names_in(dir: &Path, folders: bool) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() == folders
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[derive(Debug)]
struct DiskFile(std::fs::File);

impl File for DiskFile {
    #[cfg(unix)]
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.0, buf, offset)
    }

    #[cfg(unix)]
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(&self.0, buf, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_write(&self.0, buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    #[cfg(target_os = "linux")]
    fn forget_cached(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.0, 0, None, rustix::fs::Advice::DontNeed)?)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Writes all of `buf` at `offset`. A write that was interrupted goes on; one that takes nothing is an error.
pub fn write_all_at(file: &dyn File, mut offset: u64, mut buf: &[u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match file.write_at(offset, buf) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => {
                offset += taken as u64;
                buf = buf.get(taken..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads a whole file.
pub fn read(fs: &dyn Fs, path: &Path) -> io::Result<Vec<u8>> {
    let file = fs.open(path, Access::Read)?;
    read_range(file.as_ref(), 0, file.len()?)
}

/// Reads so many bytes from `offset` on, or what there is of them.
pub fn read_range(file: &dyn File, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut range = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    let mut filled = 0;
    while let Some(rest) = range.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(offset + filled as u64, rest) {
            Ok(0) => break,
            Ok(taken) => filled += taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    range.truncate(filled);
    Ok(range)
}

/// Reads a file from its start to its end, in pieces of at most a mebibyte, each with its offset. Answers its length.
pub fn read_in_pieces(file: &dyn File, each: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut piece = vec![0; 1024 * 1024];
    let mut offset = 0;
    loop {
        match file.read_at(offset, &mut piece) {
            Ok(0) => return Ok(offset),
            Ok(taken) => {
                each(offset, piece.get(..taken).unwrap_or_default())?;
                offset += taken as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether there is a file or folder of this name.
pub fn is_there(fs: &dyn Fs, path: &Path) -> Result<bool> {
    fs.exists(path).map_err(|error| Error::io("cannot look for", path, error))
}

/// Removes a file, if there is one.
pub fn remove_if_there(fs: &dyn Fs, path: &Path) -> Result<()> {
    if is_there(fs, path)? {
        fs.remove_file(path).map_err(|error| Error::io("cannot remove", path, error))?;
    }
    Ok(())
}

/// Puts a file in place whole: written aside (`{name}.tmp`), synced, renamed, its folder synced.
///
/// A crash leaves the old file or the new one, and at worst the one written aside, which the next call replaces.
pub fn replace(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> Result<()> {
    prepare(fs, path, bytes)?;
    put_in_place(fs, path)
}

/// The first half of [`replace`]: writes what is to become `path` aside, durably but for its name.
pub fn prepare(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = aside(path);
    let file = write_aside(fs, &aside, bytes)?;
    file.sync_all().map_err(|error| Error::io("cannot sync", &aside, error))
}

/// The second half of [`replace`]: gives what was prepared its name.
pub fn put_in_place(fs: &dyn Fs, path: &Path) -> Result<()> {
    fs.rename(&aside(path), path).map_err(|error| Error::io("cannot rename into place", path, error))?;
    sync_dir_of(fs, path)
}

/// Puts a file in place whole for readers, as [`replace`] does, but not durably: for what is written often and only
/// tells how things stand.
pub fn replace_unsynced(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = aside(path);
    drop(write_aside(fs, &aside, bytes)?);
    fs.rename(&aside, path).map_err(|error| Error::io("cannot rename into place", path, error))
}

fn write_aside(fs: &dyn Fs, aside: &Path, bytes: &[u8]) -> Result<Box<dyn File>> {
    remove_if_there(fs, aside)?;
    let file = fs.open(aside, Access::CreateNew).map_err(|error| Error::io("cannot create", aside, error))?;
    write_all_at(file.as_ref(), 0, bytes).map_err(|error| Error::io("cannot write", aside, error))?;
    Ok(file)
}

/// Syncs the folder that holds `path`.
pub fn sync_dir_of(fs: &dyn Fs, path: &Path) -> Result<()> {
    let dir = or_working(path.parent().unwrap_or(Path::new("")));
    fs.sync_dir(dir).map_err(|e| Error::io("cannot sync the folder", dir, e))
}

/// Syncs the folders that hold these files, each once.
pub fn sync_dirs_of<'a>(fs: &dyn Fs, files: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let mut of_each: Vec<&Path> = Vec::new();
    for file in files {
        if !of_each.iter().any(|known| known.parent() == file.parent()) {
            of_each.push(file);
        }
    }
    of_each.into_iter().try_for_each(|file| sync_dir_of(fs, file))
}

/// Makes a folder, if there is none, with a name that is durable.
pub fn make_durable_folder(fs: &dyn Fs, dir: &Path) -> Result<()> {
    fs.create_dir_all(dir).map_err(|error| Error::io("cannot create the folder", dir, error))?;
    sync_ancestors(fs, dir)
}

/// Makes a folder's own name durable, and those of the folders above it, which may be as new; of a relative path up to
/// the working directory.
pub fn sync_ancestors(fs: &dyn Fs, dir: &Path) -> Result<()> {
    for folder in dir.ancestors().skip(1).map(or_working) {
        match fs.sync_dir(folder) {
            // A folder that we may not open was not made by us.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            done => done.map_err(|error| Error::io("cannot sync the folder", folder, error))?,
        }
    }
    Ok(())
}

/// A folder's path as the system takes it: the parent of a bare name is the working directory.
fn or_working(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

/// Removes a folder with all that is in it; no error where there is none.
pub fn remove_folder(fs: &dyn Fs, dir: &Path) -> Result<()> {
    if !is_there(fs, dir)? {
        return Ok(());
    }
    let unlisted = |error| Error::io("cannot list", dir, error);
    for folder in fs.list_folders(dir).map_err(unlisted)? {
        remove_folder(fs, &dir.join(folder))?;
    }
    for file in fs.list(dir).map_err(unlisted)?.iter().map(|name| dir.join(name)) {
        fs.remove_file(&file).map_err(|error| Error::io("cannot remove", &file, error))?;
    }
    fs.remove_dir(dir).map_err(|error| Error::io("cannot remove the folder", dir, error))
}

/// Where [`prepare`] writes what is to become `path`.
pub fn aside(path: &Path) -> PathBuf {
    suffixed(path, ".tmp")
}

/// The path of a file beside another, whose name is that one's and more.
pub fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.to_owned();
    path.as_mut_os_string().push(suffix);
    path
}
