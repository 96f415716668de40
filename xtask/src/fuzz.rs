//! `cargo xtask fuzz`: the fuzz targets under libFuzzer, which looks for inputs that reach new code.
//!
//! The flags have the compiler count what is reached. Where the fuzzer can't be built, for want of a C++ compiler, the
//! targets run over inputs made by chance, and the output says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::duckdb::Duckdb;
use crate::workspace::{self, Workspace};

/// What libFuzzer needs of the compiler: counters of what is reached, and what is compared with what.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
/// As the targets' own tests: what is quadratic shows long before.
const MOST_BYTES: usize = 16 * 1024;
/// For each target, if nothing else is said.
const SECONDS: u64 = 30;
const SECONDS_FOR_ONE_INPUT: u32 = 20;

/// Look for bytes that break what reads them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long to run each target
    #[arg(long, value_name = "N", default_value_t = SECONDS)]
    seconds: u64,
    /// Only this target: the folders in tests/fuzz/corpus are the list
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Run the target once with this input, to see a failure again
    #[arg(long, value_name = "FILE", requires = "target")]
    input: Option<PathBuf>,
    /// Where to start the random choices
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Do not build libFuzzer: make inputs by chance, without knowing what they reach
    #[arg(long)]
    blind: bool,
    /// Compile DuckDB from its sources in place of linking a prebuilt library
    #[arg(long)]
    bundled: bool,
}

impl Args {
    /// All targets, for so many minutes together if that is given.
    pub(crate) fn bounded(minutes: Option<f64>, seed: Option<u64>, bundled: bool) -> Result<Self> {
        let number = targets(&Workspace::find()?)?.len() as f64;
        let seconds = minutes.map_or(SECONDS, |minutes| (minutes * 60.0 / number).ceil() as u64);
        Ok(Self { seconds, target: None, input: None, seed: seed.unwrap_or(1), blind: false, bundled })
    }
}

/// Provides DuckDB, builds the fuzzer and runs the targets, one after another.
pub(crate) fn run(args: Args) -> Result<bool> {
    let workspace = Workspace::find()?;
    let duckdb = Duckdb::provide(&workspace, args.bundled)?;
    if let (Some(target), Some(input)) = (&args.target, &args.input) {
        let arguments = ["--target".into(), target.into(), "--input".into(), input.into()];
        return workspace.run_release(&duckdb, "persist-fuzz", &[], &arguments);
    }
    let guided = if args.blind { None } else { guided(&workspace, &duckdb)? };
    let Some(guided) = guided else {
        println!("without libFuzzer: what the inputs reach is not known");
        let mut arguments = vec!["--seconds".into(), args.seconds.to_string().into()];
        arguments.extend(["--seed".into(), args.seed.to_string().into()]);
        arguments.extend(args.target.iter().flat_map(|target| ["--target".into(), target.into()]));
        return workspace.run_release(&duckdb, "persist-fuzz", &[], &arguments);
    };
    let mut succeeded = true;
    for target in targets(&workspace)?.iter().filter(|name| args.target.as_ref().is_none_or(|only| only == *name)) {
        succeeded &= fuzz(&workspace, &guided, target, &args)?;
    }
    Ok(succeeded)
}

/// The targets, by the folders of their inputs.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = corpus(workspace);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn corpus(workspace: &Workspace) -> PathBuf {
    workspace.root.join("tests/fuzz/corpus")
}

/// Builds the targets with libFuzzer, in a folder of their own; `None` where that can't be done.
fn guided(workspace: &Workspace, duckdb: &Duckdb) -> Result<Option<PathBuf>> {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let found = Command::new(compiler).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let rustc = Command::new("rustc").args(["--print", "host-tuple"]).output().context("cannot run rustc")?;
    let host = String::from_utf8_lossy(&rustc.stdout).trim().to_owned();
    let target = workspace.target.join("fuzz");
    let mut build = duckdb.cargo();
    // With a target named, build scripts and macros are built without the flags.
    build.args(["build", "--release", "--locked", "--target", &host, "--manifest-path"]);
    build.arg(workspace.root.join("tests/fuzz/guided/Cargo.toml")).arg("--target-dir").arg(&target);
    if duckdb.bundled() {
        build.arg("--features=persist-fuzz/bundled");
    }
    build.env("RUSTFLAGS", COVERAGE.join(" "));
    if !workspace::succeeds(&mut build)? {
        bail!("the fuzzer could not be built; --blind does without it");
    }
    Ok(Some(target.join(host).join("release/persist-fuzz-guided")))
}

/// Runs one target. New inputs that reach more go into the target folder, and begin the next run.
fn fuzz(workspace: &Workspace, program: &Path, target: &str, args: &Args) -> Result<bool> {
    let found = workspace.target.join("fuzz/corpus").join(target);
    let failures = workspace.target.join("fuzz/failures");
    for folder in [&found, &failures] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let prefix = failures.join(format!("{target}-"));
    let mut run = Command::new(program);
    run.env("PERSIST_FUZZ", target).env("LD_LIBRARY_PATH", workspace.target.join("duckdb"));
    run.arg(format!("-max_total_time={}", args.seconds)).arg(format!("-seed={}", args.seed));
    run.arg(format!("-max_len={MOST_BYTES}")).arg(format!("-timeout={SECONDS_FOR_ONE_INPUT}"));
    run.args(["-print_final_stats=1", "-verbosity=0"]).arg(format!("-artifact_prefix={}", prefix.display()));
    run.arg(found).arg(corpus(workspace).join(target));
    eprintln!("xtask: fuzzing {target} for {} s", args.seconds);
    let before = artifacts(&failures)?;
    let succeeded = workspace::succeeds(&mut run)?;
    for failure in artifacts(&failures)?.iter().filter(|path| !before.contains(path)) {
        println!("{target} fails; replay: cargo xtask fuzz --target {target} --input {}", failure.display());
    }
    if succeeded {
        println!("{target}: no failure in {} s", args.seconds);
    }
    Ok(succeeded)
}

fn artifacts(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}
