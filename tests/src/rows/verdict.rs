//! What came of each run, a line of JSON each, and the sums of all of them as a document.
//!
//! A run of sources that are not committed is nobody's to repeat: its line is kept apart, in the folder of the build.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::run::{End, Outcome};
use super::{Part, Row, Store};

/// From the root of the workspace.
const VERDICTS: &str = "docs/soak/verdicts.jsonl";
const REPORT: &str = "docs/soak.md";
const NOT_COMMITTED: &str = "target/soak/verdicts.jsonl";

/// Where verdicts are kept: the workspace.
#[derive(Debug)]
pub struct Kept {
    root: PathBuf,
}

impl Kept {
    /// In the workspace that this was built of.
    pub fn here() -> Self {
        Self { root: Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the workspace").to_owned() }
    }

    /// Keeps a verdict.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn add(&self, row: &Row, part: &Part, first: u64, outcome: &Outcome) -> Result<(), String> {
        let is_committed = self.git(&["status", "--porcelain", "--", ".", ":!docs/soak", ":!docs/soak.md"])?.is_empty();
        let line = line(row, part.store, first, outcome, &self.commit()?);
        // A bug that was planted is in no commit.
        let is_of_commit = is_committed && std::env::var_os("PERSIST_PLANTED").is_none();
        let path = self.root.join(if is_of_commit { VERDICTS } else { NOT_COMMITTED });
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
            writeln!(file, "{line}")
        });
        written.map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Sums up what was kept, as a document. Answers where it is.
    ///
    /// # Errors
    /// What kept it from being written, or a line that is no verdict.
    pub fn report(&self, rows: &[Row]) -> Result<PathBuf, String> {
        let kept = std::fs::read_to_string(self.root.join(VERDICTS)).map_err(|error| format!("{VERDICTS}: {error}"))?;
        let commit = self.commit()?;
        let is_same = |other: &str| {
            let same = self.git(&["diff", "--stat", other, &commit, "--", ":(glob)crates/*/src/**", "Cargo.lock"]);
            same.is_ok_and(|difference| difference.is_empty())
        };
        let path = self.root.join(REPORT);
        let text = report(rows, &kept, &commit, is_same)?;
        std::fs::write(&path, text).map_err(|error| format!("{REPORT}: {error}"))?;
        Ok(path)
    }

    fn commit(&self) -> Result<String, String> {
        self.git(&["rev-parse", "--short=12", "HEAD"])
    }

    fn git(&self, args: &[&str]) -> Result<String, String> {
        let ran = Command::new("git").current_dir(&self.root).args(args).output();
        let output = ran.map_err(|error| format!("cannot run git: {error}"))?;
        if !output.status.success() {
            return Err(format!("git {args:?}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// A verdict as a line.
pub fn line(row: &Row, store: Store, first: u64, outcome: &Outcome, commit: &str) -> String {
    let (verdict, why) = match &outcome.end {
        End::Held => ("held", ""),
        End::Broken(how) => ("broken", how.as_str()),
        End::Skipped(why) => ("skipped", why.as_str()),
    };
    let counters: BTreeMap<&str, u64> = outcome.counters.iter().collect();
    let seconds = (outcome.took.as_secs_f64() * 10.0).round() / 10.0;
    json!({
        "row": row.number, "store": store.name(), "first": first, "cases": outcome.cases, "seconds": seconds,
        "commit": commit, "verdict": verdict, "why": why, "counters": counters,
    })
    .to_string()
}

/// The sums of a row for a store.
#[derive(Debug, Default)]
struct Sum {
    cases: u64,
    /// Those of commits whose sources are those of now.
    now: u64,
    seconds: f64,
    seeds: Vec<(u64, u64)>,
    commits: BTreeSet<String>,
    counters: BTreeMap<String, u64>,
    broken: Vec<String>,
    skipped: BTreeSet<String>,
}

impl Sum {
    fn add(&mut self, verdict: &Value, is_now: bool) -> Option<()> {
        let (first, cases) = (verdict["first"].as_u64()?, verdict["cases"].as_u64()?);
        let (commit, why) = (verdict["commit"].as_str()?, verdict["why"].as_str()?);
        match verdict["verdict"].as_str()? {
            "held" => {}
            "broken" => self.broken.push(format!("{commit}: {why}")),
            "skipped" => {
                self.skipped.insert(why.to_owned());
                return Some(());
            }
            _ => return None,
        }
        self.cases += cases;
        self.now += if is_now { cases } else { 0 };
        self.seconds += verdict["seconds"].as_f64()?;
        self.commits.insert(commit.to_owned());
        self.seeds.push((first, first + cases.max(1) - 1));
        for (name, number) in verdict["counters"].as_object()? {
            *self.counters.entry(name.clone()).or_default() += number.as_u64()?;
        }
        Some(())
    }

    fn verdict(&self) -> String {
        match (self.broken.len(), self.cases) {
            (0, 0) => {
                ["not run".to_owned()].into_iter().chain(self.skipped.iter().cloned()).collect::<Vec<_>>().join(": ")
            }
            (0, _) => "held".to_owned(),
            (broken, _) => format!("**broken** {broken} times"),
        }
    }

    /// With 95 % certainty a case of this kind fails less often: were it so often, this many would all hold once in twenty.
    fn bound(&self) -> String {
        match (self.broken.is_empty(), self.now) {
            (true, now) if now > 0 => format!("{:.2e}", 1.0 - 0.05_f64.powf(1.0 / now as f64)),
            _ => "–".to_owned(),
        }
    }

    /// From where to where, those that meet as one.
    fn seeds(&self) -> String {
        let mut seeds = self.seeds.clone();
        seeds.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (first, last) in seeds {
            match joined.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        joined.iter().map(|(first, last)| format!("{first}–{last}")).collect::<Vec<_>>().join(", ")
    }
}

/// The document: the sums of these verdicts, and what they do not show. `is_same` says of a commit whether the sources
/// of the product are those of now.
///
/// # Errors
/// A line that is no verdict of a row.
pub fn report(rows: &[Row], verdicts: &str, commit: &str, is_same: impl Fn(&str) -> bool) -> Result<String, String> {
    let mut sums: BTreeMap<(u8, Store), Sum> = BTreeMap::new();
    for row in rows {
        for part in row.parts {
            sums.entry((row.number, part.store)).or_default();
        }
    }
    let mut same: BTreeMap<String, bool> = BTreeMap::new();
    for (at, line) in verdicts.lines().enumerate() {
        let taken = serde_json::from_str::<Value>(line).ok().and_then(|verdict| {
            let number = u8::try_from(verdict["row"].as_u64()?).ok()?;
            let store = [Store::Log, Store::Dated, Store::Collection].into_iter();
            let store = store.into_iter().find(|store| verdict["store"] == store.name())?;
            let of = verdict["commit"].as_str()?.to_owned();
            let is_now = *same.entry(of.clone()).or_insert_with(|| is_same(&of));
            sums.get_mut(&(number, store))?.add(&verdict, is_now)
        });
        taken.ok_or_else(|| format!("line {} is no verdict of a row: {line}", at + 1))?;
    }
    let mut text = HEAD.replace("COMMIT", commit);
    for row in rows {
        let of_row = sums.iter().filter(|((number, _), _)| *number == row.number);
        for ((number, store), sum) in of_row {
            let hours = sum.seconds / 3600.0;
            let _ = writeln!(
                text,
                "| {number} | {} | {} | {} | {} | {} | {} | {} | {hours:.2} |",
                row.name,
                store.name(),
                sum.cases,
                sum.now,
                sum.verdict(),
                sum.bound(),
                sum.seeds(),
            );
        }
    }
    text.push_str("\n## What the cases did\n\n");
    for ((number, store), sum) in sums.iter().filter(|(_, sum)| !sum.counters.is_empty()) {
        let counters: Vec<String> = sum.counters.iter().map(|(name, number)| format!("{number} {name}")).collect();
        let commits: Vec<&str> = sum.commits.iter().map(String::as_str).collect();
        let _ =
            writeln!(text, "- Row {number}, {}: {} (of {}).", store.name(), counters.join(", "), commits.join(", "));
    }
    let broken: Vec<String> = sums
        .iter()
        .flat_map(|((number, store), sum)| sum.broken.iter().map(move |how| (number, store.name(), how)))
        .map(|(number, store, how)| format!("- Row {number}, {store}, {}\n", how.replace('\n', "\n  ")))
        .collect();
    if !broken.is_empty() {
        text.push_str("\n## What was broken\n\n");
        text.push_str(&broken.concat());
    }
    text.push_str(TAIL);
    Ok(text)
}

const HEAD: &str = "# What the fault tests have shown so far

`cargo xtask crash --report` wrote this from `docs/soak/verdicts.jsonl`, in which each run of `cargo xtask crash` on sources that
are committed leaves a line. The rows are those of `tests/src/rows/list.rs`, which says what each promises. A test that goes
through all there is counts as one case each time.

*Of now* are the cases that ran on the sources of the crates as they are at COMMIT; only they count in the bound: with 95 %
certainty a case of this kind fails with a probability below `1 - 0.05^(1/n)`. It is a bound for cases as these generators make
them, on this kind of machine, not for crashes as they happen; and it means nothing for cases that go through all there is.

| row | fault | store | cases | of now | verdict | p < | seeds | hours |
|---|---|---|---|---|---|---|---|---|
";

const TAIL: &str = "
## What these tests cannot show

- **Disks that lie.** The power cuts are those of a file system that is cut off from its disk, or of a simulated one. A drive
  that loses what it said was flushed, and a sync that reaches no drive because its flush is missing below the file system, are
  not seen: a loop device has no cache of its own.
- **Tears finer than a sector.** The simulated disk tears at 512 bytes and at 4 KiB.
- **Processors of another kind.** Threads run as this machine's processor orders their memory.
- **DuckDB itself.** Its file, its log and its checkpoints are damaged, cut and stopped; what it does wrong on a sound disk is
  only seen where what is read back differs from what was written.
- **Other systems.** Windows, network file systems, and copy-on-write file systems, on which writing a group needs space.
- **A newest segment that is missing.** Nothing outside the log says how far it went.
- **Bytes that rot between two readings**, and what a directory sync after a checkpoint is worth: no test makes it matter.
- **What nobody thought of.** The rows are faults that somebody named.
";
