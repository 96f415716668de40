//! The workspace as files: what [`tidy`](crate::tidy) and [`documents`](crate::documents) read.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A text file of the workspace.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the workspace's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Whether all of it is for tests: a folder or a file of that name, or a crate that is not published.
    pub(crate) fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "persist-test-utils" | "persist-bench"))
    }

    /// The crate it belongs to, as its folder is called: `persist-core`.
    pub(crate) fn package(&self) -> &str {
        let mut parts = self.path.split('/');
        match parts.next() {
            Some("crates") => parts.next().unwrap_or_default(),
            first => first.unwrap_or_default(),
        }
    }

    /// The path inside its crate's `src`, and none for examples, tests and the like.
    pub(crate) fn module(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split_once("/src/").map(|(_, module)| module)
    }

    /// Its lines with their numbers, without comments, and without the unit tests at its end.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines.windows(2).position(|two| {
            two[0].trim() == "#[cfg(test)]" && two[1].trim().starts_with("mod ") && two[1].trim().ends_with('{')
        });
        let code = lines.into_iter().enumerate().take(tests.unwrap_or(usize::MAX));
        code.map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// `path:line` of each line of code that holds one of these.
    pub(crate) fn naming(&self, words: &[&str]) -> Vec<String> {
        let named = self.code().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        named.map(|(at, line)| format!("{}:{at}: {}", self.path, line.trim())).collect()
    }
}

/// The folder of the workspace's Cargo.toml.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is a folder of the workspace").to_owned()
}

/// The files git knows, and those it would if they were added.
pub(crate) fn files(ending: &str) -> Vec<Source> {
    let paths = git(&["ls-files", "--cached", "--others", "--exclude-standard"]);
    let paths = paths.into_iter().filter(|path| path.ends_with(ending) && root().join(path).is_file());
    let read = |path: String| Source { text: fs::read_to_string(root().join(&path)).unwrap(), path };
    let files: Vec<Source> = paths.map(read).collect();
    assert!(!files.is_empty(), "there is no {ending} in {}", root().display());
    files
}

/// The lines that git prints, without doubles.
pub(crate) fn git(args: &[&str]) -> Vec<String> {
    let mut lines = stdout(Command::new("git").args(["-c", "core.quotePath=false"]).args(args));
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// The lines that cargo prints.
pub(crate) fn cargo(args: &[&str]) -> Vec<String> {
    stdout(Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(args))
}

fn stdout(command: &mut Command) -> Vec<String> {
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
