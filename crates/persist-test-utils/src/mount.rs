//! File systems of the kernel's own, in memory or in a file: to be filled, cut off from their disk, and mounted again.
//!
//! It takes root, and programs that are not everywhere: what is missing is said in a sentence, and the test skips. All that
//! is made goes when a [`Mount`] is dropped. What a process left that was killed goes with the next one that makes a mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In memory.
    Tmpfs,
    /// In a file.
    Ext4,
    /// In a file, which has to have 300 MiB or more.
    Xfs,
}

impl Kind {
    /// What `mount` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }
}

/// A mounted file system. It has a folder, by whose name it is known when nobody is left to unmount it.
#[derive(Debug)]
pub struct Mount {
    folder: PathBuf,
    kind: Kind,
    source: PathBuf,
    options: String,
}

/// What the folders' names begin with; the process and a number follow.
const NAME: &str = "persist-mount-";
/// What is mounted in such a folder: the file system, and what its file may be on.
const POINTS: [&str; 2] = ["m", "device"];

/// Makes a folder for a mount and what belongs to it, and clears those of processes that are gone.
///
/// # Errors
/// That of the system.
pub fn make_folder() -> Result<PathBuf, String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    clear_leftovers();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("{NAME}{}-{number}", std::process::id()));
    let made = POINTS.iter().try_for_each(|point| fs::create_dir_all(folder.join(point)));
    made.map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}

fn clear_leftovers() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let of = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split('-').next());
        if of.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            clear(&entry.path());
        }
    }
}

/// Unmounts what is mounted in a folder and removes it.
fn clear(folder: &Path) {
    for point in POINTS.map(|point| folder.join(point)) {
        let is_mounted =
            || fs::read_to_string("/proc/self/mounts").is_ok_and(|all| all.contains(&*point.to_string_lossy()));
        for _ in 0..50 {
            if !is_mounted() || run("umount", [&point]).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if is_mounted() {
            let _ = run("umount", [Path::new("-l"), &point]);
        }
    }
    let _ = fs::remove_dir_all(folder);
}

impl Mount {
    /// Makes and mounts a file system of so many bytes.
    ///
    /// # Errors
    /// Why that is not possible here.
    pub fn new(kind: Kind, bytes: u64) -> Result<Self, String> {
        let folder = make_folder()?;
        let source = folder.join("image");
        let made = if kind == Kind::Tmpfs {
            Ok(())
        } else {
            fs::File::create(&source).and_then(|file| file.set_len(bytes)).map_err(|error| error.to_string())
        };
        let options = if kind == Kind::Tmpfs { format!("size={bytes}") } else { "loop".to_owned() };
        let mount = Self { folder, kind, source, options };
        made.and_then(|()| mount.format()).and_then(|()| mount.mount()).map(|()| mount)
    }

    /// Makes and mounts an ext4 file system in a file of that size in a folder that [`make_folder`] made, which goes with it.
    ///
    /// # Errors
    /// Why that is not possible here.
    pub fn on(folder: &Path, file: &Path) -> Result<Self, String> {
        let (folder, source) = (folder.to_owned(), file.to_owned());
        let mount = Self { folder, kind: Kind::Ext4, source, options: "loop".to_owned() };
        mount.format().and_then(|()| mount.mount()).map(|()| mount)
    }

    fn format(&self) -> Result<(), String> {
        match self.kind {
            Kind::Tmpfs => Ok(()),
            // Nothing is kept back for root, which the tests are.
            Kind::Ext4 => run("mkfs.ext4", ["-qF".as_ref(), "-m0".as_ref(), self.source.as_os_str()]),
            Kind::Xfs => run("mkfs.xfs", ["-qf".as_ref(), self.source.as_os_str()]),
        }
    }

    fn mount(&self) -> Result<(), String> {
        let arguments = ["-t".as_ref(), self.kind.name().as_ref(), "-o".as_ref(), self.options.as_ref()];
        run("mount", arguments.into_iter().chain([self.source.as_os_str(), self.path().as_os_str()]))
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.join(POINTS[0])
    }

    /// Cuts it off from its disk, as a power cut does: what it has not written it never writes.
    ///
    /// # Errors
    /// Why that is not possible.
    pub fn cut_off(&self) -> Result<(), String> {
        run("xfs_io", ["-x".as_ref(), "-c".as_ref(), "shutdown".as_ref(), self.path().as_os_str()])
    }

    /// Unmounts it, which nobody may use any more, and mounts it as it is on its disk.
    ///
    /// # Errors
    /// Why that is not possible.
    pub fn mount_again(&self) -> Result<(), String> {
        self.mount_again_after(|| Ok(()))
    }

    /// As [`mount_again`](Mount::mount_again), doing this in between.
    pub(crate) fn mount_again_after(&self, between: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let mut tries = 0;
        // A process that was killed may not have let go of it yet.
        while let Err(error) = run("umount", [self.path()]) {
            tries += 1;
            if tries == 100 {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        between().and_then(|()| self.mount())
    }

    /// Mounts it otherwise: `remount,ro`.
    ///
    /// # Errors
    /// Why that is not possible.
    pub fn change(&self, options: &str) -> Result<(), String> {
        run("mount", ["-o".as_ref(), options.as_ref(), self.path().as_os_str()])
    }

    /// Fills it but for so many bytes, with one file, whose path it answers.
    pub fn fill_but(&self, left: u64) -> PathBuf {
        let path = self.path().join("ballast");
        let mut ballast = fs::File::create(&path).unwrap();
        let mut block = vec![1; 64 * 1024];
        while !block.is_empty() {
            if std::io::Write::write_all(&mut ballast, &block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
        ballast.set_len(ballast.metadata().unwrap().len().saturating_sub(left)).unwrap();
        // Where space is only promised until it is written, this says what was.
        ballast.sync_all().unwrap();
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        clear(&self.folder);
    }
}

/// Runs a program to its end.
///
/// # Errors
/// That it is not there, or what it said.
pub fn run(program: &str, arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Result<(), String> {
    match Command::new(program).args(arguments).output() {
        Err(error) => Err(format!("{program} cannot be run: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
