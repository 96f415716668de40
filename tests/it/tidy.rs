//! The rules that the sources keep, from design.md and style.md, as far as reading lines can tell.

use std::collections::BTreeSet;
use std::{fs, iter};

use crate::sources::{Source, files, git, root};

/// The crates of the engine and the models, whose files and time come through `fs::Fs` and `clock::Clock` only.
const STORES: [&str; 5] = ["persist-core", "persist-dated", "persist-kv", "persist-collection", "persist-table"];

#[track_caller]
fn assert_none(broken: impl IntoIterator<Item = String>, rule: &str) {
    let broken: Vec<String> = broken.into_iter().collect();
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

/// The files of the stores' `src` that are not tests.
fn store_sources() -> Vec<Source> {
    let wanted = |file: &Source| STORES.contains(&file.package()) && file.module().is_some() && !file.is_test();
    let sources: Vec<Source> = files(".rs").into_iter().filter(wanted).collect();
    assert!(sources.iter().any(|file| file.module() == Some("fs.rs")), "the sources of persist-core are elsewhere");
    sources
}

#[test]
fn the_root_holds_only_what_the_layout_names() {
    let entries = git(&["ls-files"]);
    let entries: BTreeSet<&str> = entries.iter().map(|path| path.split('/').next().unwrap()).collect();
    assert!(entries.contains("Cargo.toml"), "git knows no files here");
    let named = ["Cargo.toml", "Cargo.lock", "README.md", "LICENSE", "crates", "docs", "tests", "xtask"];
    let others = entries.into_iter().filter(|entry| !named.contains(entry) && !entry.starts_with('.'));
    assert_none(others.map(str::to_owned), "not among the entries of the root");
}

#[test]
fn every_file_opens_by_saying_what_it_owns() {
    let silent = files(".rs").into_iter().filter(|file| !file.text.starts_with("//!"));
    assert_none(silent.map(|file| file.path).filter(|path| !path.ends_with("/build.rs")), "does not open with //!");
}

#[test]
fn no_file_is_longer_than_700_lines() {
    let lengths = files(".rs").into_iter().map(|file| (file.text.lines().count(), file.path));
    let long = lengths.filter(|(lines, _)| *lines > 700);
    assert_none(long.map(|(lines, path)| format!("{path}: {lines} lines")), "too long: look for the second job in it");
}

#[test]
fn a_crate_or_folder_opens_with_nothing_but_its_modules_and_what_it_gives_out() {
    let roots = files(".rs").into_iter().filter(|file| {
        let name = file.path.rsplit('/').next().unwrap();
        !file.is_test() && (name == "lib.rs" || name == "mod.rs")
    });
    // The macros of such a crate must stand in its root.
    let is_macros = |package: &str| {
        let manifest = fs::read_to_string(root().join("crates").join(package).join("Cargo.toml"));
        manifest.is_ok_and(|manifest| manifest.contains("proc-macro = true"))
    };
    let roots = roots.filter(|file| !is_macros(file.package()));
    assert_none(
        roots.flat_map(|file| {
            let others = statements(&file).into_iter().filter(|statement| !is_module_or_export(statement));
            others.map(|statement| format!("{}: {statement}", file.path)).collect::<Vec<_>>()
        }),
        "more than `mod` and `pub use`",
    );
}

/// What a file says up to each `;` or `{…}`, without comments and attributes.
fn statements(file: &Source) -> Vec<String> {
    let code: Vec<&str> = file.code().map(|(_, line)| line.trim()).collect();
    let code = code.join(" ");
    let mut rest = code.trim();
    iter::from_fn(|| {
        while rest.starts_with("#[") || rest.starts_with("#![") {
            rest = rest[closing(rest, '[', ']')..].trim_start();
        }
        if rest.is_empty() {
            return None;
        }
        let is_use = rest.starts_with("use ") || rest.starts_with("pub");
        let end = match (rest.find(';'), rest.find('{')) {
            (Some(semicolon), Some(brace)) if brace < semicolon && !is_use => closing(rest, '{', '}'),
            (Some(semicolon), _) => semicolon + 1,
            (None, Some(_)) => closing(rest, '{', '}'),
            (None, None) => rest.len(),
        };
        let (statement, after) = rest.split_at(end);
        rest = after.trim_start();
        Some(statement.to_owned())
    })
    .collect()
}

/// The place behind the bracket that closes the first one.
fn closing(text: &str, open: char, close: char) -> usize {
    let mut depth = 0;
    for (at, char) in text.char_indices() {
        depth += i32::from(char == open) - i32::from(char == close);
        if depth == 0 && char == close {
            return at + 1;
        }
    }
    text.len()
}

fn is_module_or_export(statement: &str) -> bool {
    let inner = match statement.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ").map_or(rest, |(_, inner)| inner),
        None => statement.strip_prefix("pub ").unwrap_or(statement),
    };
    let is_public = inner.len() < statement.len();
    let is_module = inner.starts_with("mod ") && !inner.contains('{');
    is_module || (is_public && inner.starts_with("use "))
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    // In two halves each, so that this file doesn't name them.
    let words = [concat!("to", "do!"), concat!("unimple", "mented!"), concat!("db", "g!("), concat!("#[", "ignore")];
    assert_none(files(".rs").iter().flat_map(|file| file.naming(&words)), "left undone or switched off");
}

#[test]
fn only_fs_and_lock_open_files() {
    let words = ["std::fs", "std::{fs", "File::open", "File::create", "OpenOptions"];
    let others = store_sources()
        .into_iter()
        .filter(|file| file.package() != "persist-core" || !matches!(file.module(), Some("fs.rs" | "lock.rs")));
    assert_none(others.flat_map(|file| file.naming(&words)), "opens files past fs::Fs");
}

#[test]
fn only_clock_reads_time() {
    let words = ["SystemTime::now", "Instant::now", "DateTime::now", "now_utc()", "now_local()"];
    let others = store_sources().into_iter();
    let others = others.filter(|file| file.package() != "persist-core" || file.module() != Some("clock.rs"));
    assert_none(others.flat_map(|file| file.naming(&words)), "reads time past clock::Clock");
}

#[test]
fn only_duck_names_the_duckdb_crate() {
    let published = |file: &Source| {
        let manifest = fs::read_to_string(root().join("crates").join(file.package()).join("Cargo.toml"));
        manifest.is_ok_and(|manifest| !manifest.contains("publish = false"))
    };
    let in_duck = |file: &Source| {
        file.package() == "persist-core" && file.module().is_some_and(|module| module.starts_with("duck/"))
    };
    let files = files(".rs").into_iter().filter(|file| published(file) && file.module().is_some() && !file.is_test());
    let others = files.filter(|file| !in_duck(file));
    assert_none(others.flat_map(|file| file.naming(&["duckdb::", "use duckdb", "libduckdb_sys"])), "names duckdb");
}

#[test]
fn only_lock_names_fs2() {
    let files = files(".rs").into_iter().filter(|file| file.path.starts_with("crates/"));
    let others = files.filter(|file| file.path != "crates/persist-core/src/lock.rs");
    assert_none(others.flat_map(|file| file.naming(&["fs2"])), "names fs2");
}

#[test]
fn no_source_names_a_place_on_some_machine() {
    let places = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/tm", "p/")];
    let sources = [".rs", ".toml", ".lock"].into_iter().flat_map(files).chain(files(".ci/run"));
    let mut broken = Vec::new();
    for file in sources.filter(|file| !file.is_test()) {
        // In comments too.
        let lines = file.text.lines().enumerate();
        let naming = lines.filter(|(_, line)| places.iter().any(|place| line.contains(place)));
        broken.extend(naming.map(|(at, line)| format!("{}:{}: {}", file.path, at + 1, line.trim())));
    }
    assert_none(broken, "names a place on some machine");
}
