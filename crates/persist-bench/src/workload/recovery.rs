//! Opening a store whose process was killed with a million records that DuckDB does not have.
//!
//! Each opening is in a process of its own, whose memory is as fresh as after a crash.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::bench::{Bench, DATE, fill, unflushed};
use super::{closed, latest};
use crate::Result;
use crate::drive::{Contender, Figures, in_turns};
use crate::floor::replay::replay;
use crate::name::{Name, PERSIST};
use crate::report::Report;

const NAME: &str = "recovery-1m";
const REPLAY: Name = Name::floor("bare replay");
const CRASHED: &str = "crashed";

/// Makes the store whose process was killed.
pub(super) fn prepare(bench: &Bench) -> Result<()> {
    in_its_own_process(bench, "fill", &bench.folder(CRASHED)?).map(drop)
}

pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.wants(NAME) {
        return Ok(());
    }
    let crashed = bench.dir.join(CRASHED);
    let again = |step: &'static str| {
        let crashed = crashed.clone();
        move || -> Result<Figures> {
            let copy = bench.folder("recovery")?;
            copy_store(&crashed.join(DATE), &copy.join(DATE))?;
            let took = in_its_own_process(bench, step, &copy)?;
            std::fs::remove_dir_all(&copy)?;
            Ok(Figures::of_whole(took, bench.scale.records))
        }
    };
    let contenders: Vec<Contender<'_>> =
        vec![(PERSIST, Box::new(again("recover"))), (REPLAY, Box::new(again("replay")))];
    report.add(NAME, &in_turns(bench.scale.rounds, contenders)?);
    Ok(std::fs::remove_dir_all(&crashed)?)
}

/// What such a process does. It ends without closing anything, as if killed, and prints how many nanoseconds it took.
pub(crate) fn step(step: &str, dir: &Path, records: u64) -> Result<()> {
    let start = Instant::now();
    let found = match step {
        "fill" => {
            let store = unflushed(dir)?;
            fill(&store, 0..records)?;
            store.sync()?;
            std::mem::forget(store);
            records
        }
        "recover" => {
            let store = unflushed(dir)?;
            let found = store.len() as u64;
            std::mem::forget(store);
            found
        }
        "replay" => replay(&dir.join(DATE))?,
        other => {
            let printed = match latest::step(other, dir)? {
                Some(printed) => Some(printed),
                None => closed::step(other, dir, records)?,
            };
            let printed = printed.ok_or_else(|| format!("there is no step {other}"))?;
            println!("{printed}");
            std::process::exit(0)
        }
    };
    if found != records {
        return Err(format!("{step}: {found} records in place of {records}").into());
    }
    println!("{}", start.elapsed().as_nanos());
    std::process::exit(0)
}

pub(super) fn in_its_own_process(bench: &Bench, step: &str, dir: &Path) -> Result<Duration> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--tiny", &bench.scale.records.to_string(), "--step", step])
        .arg(dir)
        .output()?;
    if !output.status.success() {
        return Err(format!("{step}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(Duration::from_nanos(String::from_utf8(output.stdout)?.trim().parse()?))
}

/// A store's folder once more. Opening changes no segment but the last with lines, after which there may be one that is made
/// ready, so the others need not be copied.
fn copy_store(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let mut segments: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().ok_or("a file without a name")?;
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            segments.push(path);
        } else {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    segments.sort_unstable();
    let last = [segments.pop(), segments.pop()];
    for path in &segments {
        std::fs::hard_link(path, to.join(path.file_name().ok_or("a file without a name")?))?;
    }
    for path in last.iter().flatten() {
        std::fs::copy(path, to.join(path.file_name().ok_or("a file without a name")?))?;
    }
    Ok(())
}
