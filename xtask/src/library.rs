//! The DuckDB library as a file: what it is called, the pinned SHA-256, the stamp that remembers a check, and its
//! copies beside the programs.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The DuckDB that the workspace is locked on.
pub(crate) const VERSION: &str = "1.5.5";

/// The library's file name.
pub(crate) const FILE: &str = if cfg!(target_os = "macos") { "libduckdb.dylib" } else { "libduckdb.so" };

/// The npm package that holds a prebuilt library, and the library's SHA-256.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pin {
    /// With its version.
    pub(crate) package: &'static str,
    /// Of the library inside, in hex.
    pub(crate) sha256: &'static str,
}

/// The pin for this machine; none if no prebuilt library fits it.
pub(crate) const PIN: Option<Pin> = if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
    Some(Pin {
        package: "@duckdb/node-bindings-linux-x64@1.5.5-r.5",
        sha256: "fc23f12e376c47be520f75221288281906e7942e8fd6f6ce4849198ba60d0405",
    })
} else if cfg!(all(target_os = "linux", target_arch = "aarch64", target_env = "gnu")) {
    Some(Pin {
        package: "@duckdb/node-bindings-linux-arm64@1.5.5-r.5",
        sha256: "d00d007f3f7ca1f2896a5e4b89c2ce141bf0508506a9d6d56f9598b8e59d074e",
    })
} else if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
    Some(Pin {
        package: "@duckdb/node-bindings-darwin-arm64@1.5.5-r.5",
        sha256: "b9027d18ef3e8d960568f77e946a83ca68009cb22d71cf7f94de842afdd094d8",
    })
} else if cfg!(all(target_os = "macos", target_arch = "x86_64")) {
    // The same file as for aarch64: it is made for both.
    Some(Pin {
        package: "@duckdb/node-bindings-darwin-x64@1.5.5-r.5",
        sha256: "b9027d18ef3e8d960568f77e946a83ca68009cb22d71cf7f94de842afdd094d8",
    })
} else {
    None
};

/// Whether `path` is the pinned library, or the official release that was fetched for [`VERSION`].
///
/// What was found once is remembered beside it, with the file's size and time, so that 70 MB are hashed only once.
pub(crate) fn is_verified(path: &Path) -> Result<bool> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(false) };
    let stamped = fs::read(stamp_path(path)).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    if let Some(stamp) = stamped.filter(|stamp| stamp.get("file") == Some(&identity(&metadata))) {
        let release = stamp.get("release").and_then(Value::as_str) == Some(VERSION);
        let pinned = PIN.is_some_and(|pin| stamp.get("sha256").and_then(Value::as_str) == Some(pin.sha256));
        return Ok(release || pinned);
    }
    let Some(pin) = PIN else { return Ok(false) };
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let matches = copy_hashed(file, io::sink())? == pin.sha256;
    if matches {
        stamp(path, json!({ "sha256": pin.sha256 }))?;
    }
    Ok(matches)
}

/// Remembers what is known of the library at `path`: its `sha256`, or the `release` it was fetched as.
pub(crate) fn stamp(path: &Path, mut known: Value) -> Result<()> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    if let Some(known) = known.as_object_mut() {
        known.insert("file".to_owned(), identity(&metadata));
    }
    let path = stamp_path(path);
    fs::write(&path, known.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

/// Copies all bytes and returns their SHA-256 in hex.
pub(crate) fn copy_hashed(mut from: impl Read, mut to: impl Write) -> Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let filled = from.read(&mut buffer).context("cannot read the DuckDB library")?;
        let bytes = buffer.get(..filled).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(bytes);
        to.write_all(bytes).context("cannot write the DuckDB library")?;
    }
}

/// Puts the library of `dir` beside the programs of each profile, by a hard link or, across file systems, a copy.
pub(crate) fn place(dir: &Path, target: &Path) -> Result<()> {
    let library = dir.join(FILE);
    let wanted = fs::metadata(&library).with_context(|| format!("cannot look at {}", library.display()))?;
    for profile in ["debug", "release"] {
        let profile = target.join(profile);
        let beside = profile.join(FILE);
        if fs::metadata(&beside).is_ok_and(|found| identity(&found) == identity(&wanted)) {
            continue;
        }
        let doing = || format!("cannot put the DuckDB library at {}", beside.display());
        fs::create_dir_all(&profile).with_context(doing)?;
        // Aside and renamed: a program that runs keeps the file it has.
        let aside = profile.join(format!("{FILE}.{}", std::process::id()));
        if fs::hard_link(&library, &aside).is_err() {
            fs::copy(&library, &aside).with_context(doing)?;
            File::options().write(true).open(&aside)?.set_modified(wanted.modified()?).with_context(doing)?;
        }
        fs::rename(&aside, &beside).with_context(doing)?;
        // A rename onto another link of the same file leaves both.
        let _ = fs::remove_file(&aside);
    }
    Ok(())
}

/// What tells one state of a file from another without reading it.
fn identity(metadata: &fs::Metadata) -> Value {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    json!({ "bytes": metadata.len(), "modified": modified.map(|time| time.as_nanos().to_string()) })
}

fn stamp_path(library: &Path) -> PathBuf {
    library.with_extension("verified.json")
}
