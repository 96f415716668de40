//! Where the workspace and its target folder are, and how cargo is called in it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::duckdb::Duckdb;

/// The workspace, as cargo sees it from the current folder.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo builds: `CARGO_TARGET_DIR` if set, else what cargo's configuration says, else `target`.
    pub(crate) target: PathBuf,
    packages: Vec<Value>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> Result<Self> {
        let mut command = cargo();
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let output = command.output().context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
        let path = |field: &str| -> Result<PathBuf> {
            Ok(metadata
                .get(field)
                .and_then(Value::as_str)
                .with_context(|| format!("cargo metadata has no {field}"))?
                .into())
        };
        let packages = metadata.get("packages").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")?, packages })
    }

    /// The name of the workspace's package with this id.
    pub(crate) fn package_name(&self, id: &str) -> Option<&str> {
        let package = self.packages.iter().find(|p| p.get("id").and_then(Value::as_str) == Some(id))?;
        package.get("name")?.as_str()
    }

    /// The folder of the workspace's package of this name.
    pub(crate) fn package_dir(&self, name: &str) -> Option<&Path> {
        let package = self.packages.iter().find(|p| p.get("name").and_then(Value::as_str) == Some(name))?;
        Path::new(package.get("manifest_path")?.as_str()?).parent()
    }

    /// Whether any of these packages, or of all, has a library whose documentation is tested.
    pub(crate) fn has_doctests(&self, packages: &[String]) -> bool {
        let chosen = self.packages.iter().filter(|package| {
            let name = package.get("name").and_then(Value::as_str);
            packages.is_empty() || packages.iter().any(|chosen| Some(chosen.as_str()) == name)
        });
        let mut targets = chosen.filter_map(|package| package.get("targets")?.as_array()).flatten();
        targets.any(|target| target.get("doctest").and_then(Value::as_bool) == Some(true))
    }

    /// The argument that has DuckDB compiled into `package`, or into the whole workspace.
    ///
    /// Cargo takes the feature of a selected package, or of one that a selected package names as a dependency.
    pub(crate) fn bundled_feature(&self, package: Option<&str>) -> Result<String> {
        let Some(package) = package else { return Ok("--features=persist-core/bundled".to_owned()) };
        let of = |name: &str| self.packages.iter().find(|p| p.get("name").and_then(Value::as_str) == Some(name));
        let chosen = of(package).with_context(|| format!("the workspace has no package {package}"))?;
        let dependencies = chosen.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        let dependencies = dependencies.filter_map(|dependency| dependency.get("name").and_then(Value::as_str));
        std::iter::once(package)
            .chain(dependencies)
            .find(|name| of(name).and_then(|p| p.get("features")?.get("bundled")).is_some())
            .map(|name| format!("--features={name}/bundled"))
            .with_context(|| format!("neither {package} nor a crate it depends on has a feature `bundled`"))
    }

    /// Builds `package` in the release profile, showing cargo's progress, then runs its program with `args`. Where it has
    /// several, or features, `select` says which.
    pub(crate) fn run_release(
        &self,
        duckdb: &Duckdb,
        package: &str,
        select: &[&str],
        args: &[OsString],
    ) -> Result<bool> {
        let mut selected = vec!["--release".to_owned(), "--package".to_owned(), package.to_owned()];
        selected.extend(select.iter().map(|argument| (*argument).to_owned()));
        if duckdb.bundled() {
            selected.push(self.bundled_feature(Some(package))?);
        }
        if !succeeds(duckdb.cargo().arg("build").args(&selected))? {
            return Ok(false);
        }
        succeeds(duckdb.cargo().args(["run", "--quiet"]).args(&selected).arg("--").args(args))
    }
}

/// A call of the cargo that runs this.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command to its end, its output shown, and tells whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    Ok(status.success())
}
