//! Runs tests of the crates by their names, as parts of the table: those with seeds for as many as one likes.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::run::{Bounds, Outcome};
use super::{Named, Setting};

/// A test with seeds is given so many at once that it runs about so long.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Runs each of these: with all seeds that are wanted, or in turn until the time is over. Those without seeds run once.
///
/// # Errors
/// The seed of the first failure, and what it printed.
pub(super) fn run(
    tests: &[Named],
    setting: &Setting,
    bounds: Bounds,
    until: Option<Instant>,
    outcome: &mut Outcome,
) -> Result<(), (u64, String)> {
    // How far each has come, and how many seeds it takes at once.
    let mut turns: Vec<(&Named, u64, u64)> = tests.iter().map(|test| (test, 0, 1 + test.seeds / 20)).collect();
    let is_over = || until.is_some_and(|until| Instant::now() >= until);
    while !turns.is_empty() {
        let mut left = Vec::new();
        for (test, done, at_once) in turns {
            if is_over() {
                return Ok(());
            }
            let wanted = bounds.cases.unwrap_or(if until.is_some() { u64::MAX } else { test.seeds });
            let (seeds, start) = (at_once.min(wanted - done), Instant::now());
            let first = bounds.first + done;
            call(test, setting, first, seeds)?;
            outcome.counters.add("tests run", 1);
            outcome.cases += if test.seeds == 0 { 1 } else { seeds };
            let took = start.elapsed();
            if test.seeds > 0 && done + seeds < wanted {
                let at_once = if took < AT_ONCE / 2 { at_once * 2 } else { at_once };
                let at_once = if took > AT_ONCE * 2 { (at_once / 2).max(1) } else { at_once };
                left.push((test, done + seeds, at_once));
            }
        }
        turns = left;
    }
    Ok(())
}

/// Runs a test with these seeds, if it takes any.
fn call(test: &Named, setting: &Setting, first: u64, seeds: u64) -> Result<(), (u64, String)> {
    let mut cargo = cargo(test, setting);
    cargo.args(["--", "--exact", test.name, "--test-threads=1", "--nocapture"]);
    if test.seeds > 0 {
        cargo.env("PERSIST_SEED", first.to_string()).env("PERSIST_SEEDS", seeds.to_string());
    } else {
        cargo.env_remove("PERSIST_SEED").env_remove("PERSIST_SEEDS");
    }
    let output = cargo.stdin(Stdio::null()).output().map_err(|error| (first, format!("cannot run cargo: {error}")))?;
    judge(test, first, &output)
}

/// The call of cargo that runs the tests of a test's program, as the program that this is was built.
fn cargo(test: &Named, setting: &Setting) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["test", "--quiet", "--package", test.package]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    match test.program {
        "lib" => cargo.arg("--lib"),
        program => cargo.args(["--test", program]),
    };
    if setting.is_bundled {
        cargo.arg(format!("--features={}/bundled", test.package));
    }
    cargo
}

/// Whether a test ran and passed, which was given seeds from `first` on.
///
/// # Errors
/// The seed with which it did not, and what it said.
pub fn judge(test: &Named, first: u64, output: &Output) -> Result<(), (u64, String)> {
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let name = format!("{} of {}", test.name, test.package);
    if output.status.success() {
        let is_there = printed.contains("1 passed");
        return if is_there { Ok(()) } else { Err((first, format!("there is no test {name}"))) };
    }
    // The test has a line of its own that replays it; the row's replays it too.
    let (replays, lines): (Vec<&str>, Vec<&str>) =
        said.lines().chain(printed.lines()).partition(|line| line.starts_with("replay: "));
    let seed = replays.iter().find_map(|line| line.split("PERSIST_SEED=").nth(1)?.split(' ').next()?.parse().ok());
    let last = lines.len().saturating_sub(30);
    Err((seed.unwrap_or(first), format!("{name} failed: {}\n{}", output.status, lines[last..].join("\n"))))
}
