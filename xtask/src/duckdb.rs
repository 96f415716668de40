//! Provides DuckDB to what is built: the chain of ways to get the library, and the environment that says where it is.
//!
//! In this order: the user's `DUCKDB_LIB_DIR`; the copy under target/duckdb; the npm package, checked against its pin;
//! the official release, fetched by libduckdb-sys; DuckDB's sources. A library that fails its check is an error and
//! never a reason to go on to the next way.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use serde_json::json;

use crate::library::{self, FILE, PIN, Pin, VERSION};
use crate::workspace::{self, Workspace};

/// How cargo is to be called so that what it builds and runs has DuckDB.
#[derive(Debug)]
pub(crate) struct Duckdb {
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A library to link, in this folder.
    Library(PathBuf),
    /// DuckDB's sources, compiled in.
    Bundled,
}

impl Duckdb {
    /// Provides the library, or, where there is none to be had or `bundled` is asked for, settles on the sources.
    pub(crate) fn provide(workspace: &Workspace, bundled: bool) -> Result<Self> {
        let source = if bundled { Source::Bundled } else { find(workspace)? };
        match &source {
            Source::Library(dir) if dir.join(FILE).exists() => library::place(dir, &workspace.target)?,
            Source::Library(_) => {}
            Source::Bundled => {
                eprintln!("xtask: compiling DuckDB from its sources: about half an hour on two cores, the first time");
            }
        }
        Ok(Self { source })
    }

    /// Whether cargo must be told to turn on a feature `bundled`.
    pub(crate) fn bundled(&self) -> bool {
        matches!(self.source, Source::Bundled)
    }

    /// A call of cargo in which the library is found, when linking and when running.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = workspace::cargo();
        if let Source::Library(dir) = &self.source {
            // Cargo adds target/<profile> to this for what it runs, but not for doctests.
            let search = if cfg!(target_os = "macos") { "DYLD_FALLBACK_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
            let mut paths = vec![dir.clone()];
            paths.extend(env::var_os(search).iter().flat_map(env::split_paths));
            cargo.env("DUCKDB_LIB_DIR", dir);
            cargo.env(search, env::join_paths(paths).unwrap_or_else(|_| dir.into()));
        }
        cargo
    }
}

fn find(workspace: &Workspace) -> Result<Source> {
    let dir = workspace.target.join("duckdb");
    if let Some(users) = users_dir(workspace, &dir) {
        if !holds_library(&users) {
            bail!("DUCKDB_LIB_DIR is {}, which holds no DuckDB library: correct it or unset it", users.display());
        }
        return Ok(Source::Library(users));
    }
    if library::is_verified(&dir.join(FILE))? {
        return Ok(Source::Library(dir));
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let aside = dir.join(format!("fetch-{}", std::process::id()));
    let fetched = fetch(workspace, &dir, &aside);
    // Whatever it left: what was fetched is in place by now.
    let _ = fs::remove_dir_all(&aside);
    Ok(if fetched? { Source::Library(dir) } else { Source::Bundled })
}

/// The folder that the user's own environment names, if it does.
///
/// .cargo/config.toml sets the variable for all that cargo runs, this program too, to target/duckdb of the workspace.
fn users_dir(workspace: &Workspace, ours: &Path) -> Option<PathBuf> {
    let named = PathBuf::from(env::var_os("DUCKDB_LIB_DIR").filter(|dir| !dir.is_empty())?);
    let named = std::path::absolute(&named).unwrap_or(named);
    let same = |other: &Path| {
        named == other || matches!((named.canonicalize(), other.canonicalize()), (Ok(a), Ok(b)) if a == b)
    };
    (!same(ours) && !same(&workspace.root.join("target/duckdb"))).then_some(named)
}

/// Whether a folder holds a library by any of the names that a DuckDB build gives it.
fn holds_library(dir: &Path) -> bool {
    let mut names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with("libduckdb"))
}

/// Fetches the library into `dir`, by way of the folder `aside`; false if neither way to fetch it leads there.
fn fetch(workspace: &Workspace, dir: &Path, aside: &Path) -> Result<bool> {
    fs::create_dir_all(aside).with_context(|| format!("cannot create {}", aside.display()))?;
    let found = aside.join(FILE);
    if let Some(pin) = PIN {
        eprintln!("xtask: fetching DuckDB {VERSION} ({}, about 25 MB)", pin.package);
        match npm_pack(pin, aside)? {
            Ok(archive) => {
                let sha256 = unpack(&archive, &found)?;
                if sha256 != pin.sha256 {
                    bail!("{FILE} in {} has the SHA-256 {sha256}, pinned is {}: not used", pin.package, pin.sha256);
                }
                put(&found, dir, json!({ "sha256": sha256 }))?;
                return Ok(true);
            }
            Err(why) => eprintln!("xtask: not to be had through npm: {why}"),
        }
    }
    eprintln!("xtask: trying the official release of DuckDB {VERSION}, which takes a minute");
    match release(workspace, aside)? {
        Ok(found) => {
            put(&found, dir, json!({ "release": VERSION }))?;
            Ok(true)
        }
        Err(why) => {
            eprintln!("xtask: no prebuilt library is to be had: {why}");
            Ok(false)
        }
    }
}

/// Has npm pack the package into `aside`; the inner error is its reason not to.
fn npm_pack(pin: Pin, aside: &Path) -> Result<Result<PathBuf, String>> {
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--ignore-scripts", "--fetch-retries=1", pin.package]).current_dir(aside);
    let output = match npm.output() {
        Ok(output) => output,
        Err(error) => return Ok(Err(format!("cannot run npm: {error}"))),
    };
    if !output.status.success() {
        return Ok(Err(format!("npm pack failed: {}", said(&output.stderr, |_| true))));
    }
    let mut files = fs::read_dir(aside)?.flatten().map(|entry| entry.path());
    let archive = files.find(|path| path.extension().is_some_and(|extension| extension == "tgz"));
    Ok(archive.ok_or_else(|| "npm pack left no archive".to_owned()))
}

/// Takes the library out of an npm package and returns its SHA-256.
fn unpack(archive: &Path, to: &Path) -> Result<String> {
    let doing = || format!("cannot unpack {}", archive.display());
    let mut entries = tar::Archive::new(GzDecoder::new(File::open(archive).with_context(doing)?));
    for entry in entries.entries().with_context(doing)? {
        let entry = entry.with_context(doing)?;
        if entry.path().with_context(doing)?.file_name().is_some_and(|name| name == FILE) {
            return library::copy_hashed(entry, File::create(to).with_context(doing)?);
        }
    }
    bail!("{} holds no {FILE}", archive.display())
}

/// Has libduckdb-sys fetch the official release; the inner error is its reason not to.
///
/// It does so only if DUCKDB_LIB_DIR is not set, so cargo is called from a folder where it doesn't see our
/// .cargo/config.toml.
fn release(workspace: &Workspace, aside: &Path) -> Result<Result<PathBuf, String>> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--quiet", "--package", "libduckdb-sys", "--manifest-path"]);
    cargo.arg(workspace.root.join("Cargo.toml")).current_dir(env::temp_dir());
    cargo.env("DUCKDB_DOWNLOAD_LIB", "1").env_remove("DUCKDB_LIB_DIR").env("CARGO_TARGET_DIR", aside);
    let output = cargo.output().context("cannot run cargo build")?;
    if !output.status.success() {
        return Ok(Err(said(&output.stderr, |line| line.contains("Failed to") || line.starts_with("error"))));
    }
    // It says nothing of where: target/duckdb-download/<target>/<version>.
    let mut folders = vec![aside.join("duckdb-download")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == FILE) {
                return Ok(Ok(path));
            }
        }
    }
    Ok(Err(format!("libduckdb-sys fetched no {FILE}")))
}

/// The last line of a kind in what a program said.
fn said(output: &[u8], of_kind: impl Fn(&str) -> bool) -> String {
    let output = String::from_utf8_lossy(output);
    let line = output.lines().map(str::trim).rfind(|line| !line.is_empty() && of_kind(line));
    line.unwrap_or("it did not say why").to_owned()
}

fn put(found: &Path, dir: &Path, known: serde_json::Value) -> Result<()> {
    let library = dir.join(FILE);
    fs::rename(found, &library).with_context(|| format!("cannot put {} in place", library.display()))?;
    library::stamp(&library, known)
}
