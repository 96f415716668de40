//! A file system of the kernel's on a device that fails to write on demand: nbdkit makes the device, its filter the errors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::mount::{Mount, make_folder};

/// How soon the device has to be there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A mounted ext4 whose device fails to write while it is told to.
#[derive(Debug)]
pub struct FaultyMount {
    // Goes first: it takes the device to unmount it.
    mount: Mount,
    fails: PathBuf,
    _processes: [Killed; 2],
}

/// A process that is killed when nobody needs it any more.
#[derive(Debug)]
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl FaultyMount {
    /// Makes and mounts one of so many bytes.
    ///
    /// # Errors
    /// Why that is not possible here.
    pub fn new(bytes: u64) -> Result<Self, String> {
        let folder = make_folder()?;
        let (image, socket, fails) = (folder.join("image"), folder.join("socket"), folder.join("fails"));
        let device = folder.join("device").join("disk");
        fs::File::create(&image).and_then(|file| file.set_len(bytes)).map_err(|error| error.to_string())?;
        let filter = ["-f", "--exit-with-parent", "--filter=error", "-U"].map(Into::into);
        let errors = ["error-pwrite=EIO".into(), "error-pwrite-rate=100%".into(), named("error-file=", &fails)];
        let served = [socket.clone().into_os_string(), "file".into(), image.into_os_string()];
        let server = start("nbdkit", filter.into_iter().chain(served).chain(errors))?;
        wait_for(&socket)?;
        let client = start("nbdfuse", [device.clone().into_os_string(), named("nbd+unix:///?socket=", &socket)])?;
        wait_for(&device)?;
        Ok(Self { mount: Mount::on(&folder, &device)?, fails, _processes: [client, server] })
    }

    /// The file system.
    pub fn mount(&self) -> &Mount {
        &self.mount
    }

    /// Whether writes to the device fail from now on.
    pub fn fail(&self, fails: bool) {
        if fails { fs::write(&self.fails, []) } else { fs::remove_file(&self.fails) }.unwrap();
    }

    /// Mounts it again as the device has it: nothing that was read or written before is in memory.
    ///
    /// # Errors
    /// Why that is not possible.
    pub fn mount_again(&self) -> Result<(), String> {
        self.mount.mount_again_after(|| fs::write("/proc/sys/vm/drop_caches", "3").map_err(|error| error.to_string()))
    }
}

fn named(name: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(name);
    argument.push(path);
    argument
}

fn start(program: &str, arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Killed, String> {
    let mut command = Command::new(program);
    // They say each error that they make.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(Killed).map_err(|error| format!("{program} cannot be run: {error}"))
}

fn wait_for(path: &Path) -> Result<(), String> {
    let start = Instant::now();
    while !path.exists() {
        if start.elapsed() > PATIENCE {
            return Err(format!("{} is never there", path.display()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
