//! Copies of a store's folder, as a crash would leave it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

/// Copies a folder and all below it to `to`, as it was at one moment: while anything changes under it, once more.
///
/// A store that is dropped in place would checkpoint on its way out, which no crash does; so a crash inside one process
/// is a copy that is opened in the store's stead.
///
/// # Panics
/// Where the folder never comes to rest, or can't be copied.
pub fn copy_as_crash_leaves_it(from: &Path, to: &Path) {
    for _ in 0..1000 {
        let (start, before) = (SystemTime::now(), listing(from).unwrap());
        if before.values().all(|(_, modified)| *modified + TICK < start) {
            if copy(from, to, &before).is_ok() && listing(from).unwrap() == before {
                return;
            }
            fs::remove_dir_all(to).unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{} never came to rest", from.display());
}

/// Two changes within a tick of the kernel's clock have one time; none is longer.
const TICK: Duration = Duration::from_millis(10);

type Listing = BTreeMap<PathBuf, (u64, SystemTime)>;

fn listing(dir: &Path) -> io::Result<Listing> {
    let mut files = Listing::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => {
                    let name = entry.path().strip_prefix(dir).unwrap().to_owned();
                    files.insert(name, (metadata.len(), metadata.modified()?));
                }
                // Renamed or removed meanwhile: the second listing will differ.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(files)
}

fn copy(from: &Path, to: &Path, files: &Listing) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for name in files.keys() {
        let target = to.join(name);
        fs::create_dir_all(target.parent().unwrap())?;
        fs::copy(from.join(name), target)?;
    }
    Ok(())
}
