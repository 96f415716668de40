//! One owner at a time: advisory locks on a store's folder and on its database.
//!
//! A lock file is never unlinked, so that two openers can't hold locks on two files of one name; a process that died
//! holds none. Its content says who has it, for the error that the next opener gets. Locks are real files of the
//! operating system, whatever [`Fs`](crate::fs::Fs) the store uses for its data.
//!
//! A lock may have a marker, a file beside it whose name says more: `.lock_2025-01-15` beside `.lock`. It is there for
//! whoever looks into the folder, and holds nobody up.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::fs::suffixed;
use crate::planted::planted;

/// How often, and after what time, a holder is asked again who it is.
const SAYINGS: usize = 10;
const SAYING: Duration = Duration::from_millis(2);
/// No holder says more.
const SAID_BYTES: u64 = 1024;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    holder: String,
    process: u32,
    marker: Mutex<Option<PathBuf>>,
}

impl Lock {
    /// Takes the lock, or fails at once. `purpose` goes into the file, to tell the next opener what it is held for.
    ///
    /// # Errors
    /// [`Locked`](ErrorKind::Locked), naming the holder, where another process or another store of this one has it.
    /// [`Io`](ErrorKind::Io) where the file can't be made.
    pub fn acquire(path: &Path, purpose: &str) -> Result<Self> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = open.map_err(|error| Error::io("cannot open the lock", path, error))?;
        // Who only looks ([`holder_of`]) has it for a moment, and is gone when the holder has been asked who it is.
        let mut asked = String::new();
        let mut locked = fs2::FileExt::try_lock_exclusive(&file);
        if locked.as_ref().is_err_and(is_contended) {
            asked = holder(&file);
            locked = fs2::FileExt::try_lock_exclusive(&file);
        }
        if let Err(error) = locked {
            if !is_contended(&error) {
                return Err(Error::io("cannot lock", path, error));
            }
            let mut lines = asked.lines().filter(|line| !line.is_empty());
            let mut message = format!("{} is held by {}", path.display(), lines.next().unwrap_or("another process"));
            if let Some(what) = lines.next() {
                message = format!("another instance is already running {what}: {message}");
            }
            return Err(Error::new(ErrorKind::Locked, message).with_source(error));
        }
        let process = std::process::id();
        let holder = format!("pid {process} on {}, {purpose}\n", host());
        let lock = Self { file, path: path.to_owned(), holder, process, marker: Mutex::default() };
        tell(&lock.file, &lock.holder).map_err(|error| Error::io("cannot write the lock", path, error))?;
        Ok(lock)
    }

    /// Says besides what the store is open for: the marker `{lock}_{name}` takes the place of the one there was, or of one
    /// that a dead process has left, and the next opener is told that another instance is running `what`.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io): the lock is held as before.
    pub fn mark(&self, name: &str, what: &str) -> Result<()> {
        let mut present = self.marker.lock();
        let prefix = self.named("");
        let path = self.named(name);
        let text = format!("{}{what}\n", self.holder);
        std::fs::write(&path, &text).map_err(|error| Error::io("cannot write the marker", &path, error))?;
        *present = Some(path.clone());
        tell(&self.file, &text).map_err(|error| Error::io("cannot write the lock", &self.path, error))?;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let unlisted = |error| Error::io("cannot list", dir, error);
        for entry in std::fs::read_dir(dir).map_err(unlisted)? {
            let other = dir.join(entry.map_err(unlisted)?.file_name());
            let is_marker = other.as_os_str().as_encoded_bytes().starts_with(prefix.as_os_str().as_encoded_bytes());
            if is_marker && other != path {
                std::fs::remove_file(&other).map_err(|error| Error::io("cannot remove the marker", &other, error))?;
            }
        }
        Ok(())
    }

    fn named(&self, name: &str) -> PathBuf {
        suffixed(&self.path, &format!("_{name}"))
    }

    /// The lock's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // A process that was forked shares the lock's file with the holder: to unlock it would unlock it for both.
            return;
        }
        // Before the lock is let go: the next holder may have a marker of that name. And a name left behind would name a
        // process that holds nothing.
        if let Some(marker) = self.marker.get_mut().take() {
            let _ = std::fs::remove_file(marker);
        }
        let _ = self.file.set_len(0);
        if planted("lock-unlinked") {
            let _ = std::fs::remove_file(&self.path);
        }
        let _ = fs2::FileExt::unlock(&self.file);
    }
}

/// What the holder of a lock says of itself, such as `pid 11847 on vm, dated store of 2025-01-15`; `None` where nobody
/// holds it, or there is no such file. Changes nothing, and keeps nobody from taking the lock.
///
/// # Errors
/// [`Io`](ErrorKind::Io) where it can't be told.
pub fn holder_of(path: &Path) -> Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| Error::io("cannot open the lock", path, error))?,
    };
    match fs2::FileExt::try_lock_shared(&file) {
        Ok(()) => {
            let _ = fs2::FileExt::unlock(&file);
            Ok(None)
        }
        Err(error) if is_contended(&error) => {
            let said = holder(&file);
            Ok(Some(said.lines().next().filter(|line| !line.is_empty()).unwrap_or("another process").to_owned()))
        }
        Err(error) => Err(Error::io("cannot look at the lock", path, error)),
    }
}

fn is_contended(error: &std::io::Error) -> bool {
    error.raw_os_error() == fs2::lock_contended_error().raw_os_error()
}

/// What the holder says of itself. It may be about to say so, or something else: what counts is what it says twice.
fn holder(mut file: &File) -> String {
    let mut said = String::new();
    for _ in 0..SAYINGS {
        let mut now = Vec::new();
        // Who holds it is only told: a file that can't be read makes the message poorer, nothing else.
        let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(SAID_BYTES).read_to_end(&mut now));
        let now = String::from_utf8_lossy(&now).into_owned();
        if !now.is_empty() {
            if now == said {
                break;
            }
            said = now;
        }
        std::thread::sleep(SAYING);
    }
    said
}

/// Writes over what is there, to its end, and cuts then: whoever looks meanwhile finds the holder, and nothing of another.
fn tell(mut file: &File, text: &str) -> std::io::Result<()> {
    let mut told = text.as_bytes().to_vec();
    let present = file.metadata()?.len().min(SAID_BYTES) as usize;
    told.resize(told.len().max(present), b'\n');
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&told)?;
    file.set_len(text.len() as u64)
}

fn host() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    from_kernel.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_else(|| "this host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_opener_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let first = Lock::acquire(&path, "store of 2025-01-15").unwrap();
        let error = Lock::acquire(&path, "x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
        assert!(error.to_string().contains("store of 2025-01-15"), "{error}");
        drop(first);
        assert!(path.exists(), "a lock file is never unlinked");
        Lock::acquire(&path, "x").unwrap();
    }

    #[test]
    fn who_looks_is_told_the_holder_and_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        assert_eq!(holder_of(&path).unwrap(), None);
        assert!(!path.exists(), "looking makes no file");
        let held = Lock::acquire(&path, "store of 2025-01-15").unwrap();
        let told = holder_of(&path).unwrap().unwrap();
        assert_eq!(told, format!("pid {} on {}, store of 2025-01-15", std::process::id(), host()));
        drop(held);
        assert_eq!(holder_of(&path).unwrap(), None);
        // Who looks has it for less than that.
        let taken = (0..20).filter(|_| {
            let looking = File::open(&path).unwrap();
            fs2::FileExt::try_lock_shared(&looking).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(5));
                    fs2::FileExt::unlock(&looking).unwrap();
                });
                Lock::acquire(&path, "store").is_ok()
            })
        });
        // Now and then the thread may come late.
        let taken = taken.count();
        assert!(taken > 10, "taken {taken} times of 20");
    }

    #[test]
    fn a_holder_that_is_just_saying_who_it_is_is_named_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let held = Lock::acquire(&path, "store").unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    held.mark("monday", "monday's store").unwrap();
                }
            });
            for _ in 0..200 {
                let error = Lock::acquire(&path, "x").unwrap_err().to_string();
                if !error.contains(&format!("pid {}", std::process::id())) {
                    done.store(true, std::sync::atomic::Ordering::Relaxed);
                    panic!("{error}");
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn a_marker_says_what_the_lock_is_held_for_and_a_stale_one_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path(".lock_monday"), "pid 1 on elsewhere").unwrap();
        std::fs::write(path(".lockout"), "another's").unwrap();
        let names = || {
            let entries = std::fs::read_dir(dir.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let lock = Lock::acquire(&path(".lock"), "store").unwrap();
        for day in ["tuesday", "wednesday", "wednesday"] {
            lock.mark(day, &format!("for day {day}")).unwrap();
            let marker = format!(".lock_{day}");
            assert_eq!(names(), [".lock", marker.as_str(), ".lockout"]);
            let told = std::fs::read_to_string(path(&marker)).unwrap();
            assert!(told.starts_with(&format!("pid {} on ", std::process::id())), "{told}");
            assert!(told.ends_with(&format!(", store\nfor day {day}\n")), "{told}");
            let error = Lock::acquire(&path(".lock"), "x").unwrap_err().to_string();
            assert!(error.starts_with(&format!("another instance is already running for day {day}: ")), "{error}");
            assert!(error.contains(&format!("is held by pid {} on ", std::process::id())), "{error}");
        }
        drop(lock);
        assert_eq!(names(), [".lock", ".lockout"]);
    }

    #[test]
    fn a_lock_in_a_missing_folder_is_an_io_error_with_the_path() {
        let error = Lock::acquire(Path::new("no/such/folder/.lock"), "x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("no/such/folder"), "{error}");
    }
}
