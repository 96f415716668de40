//! Which crate may depend on which, from design.md, "Crates".

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sources::cargo;

const MODELS: [&str; 4] = ["persist-dated", "persist-collection", "persist-kv", "persist-table"];

/// A member of the workspace.
#[derive(Debug)]
struct Package {
    published: bool,
    /// What it depends on, and whether for its tests only.
    dependencies: BTreeMap<String, bool>,
}

impl Package {
    /// The dependencies of those who use it.
    fn for_use(&self) -> impl Iterator<Item = &str> {
        self.dependencies.iter().filter(|(_, for_tests)| !**for_tests).map(|(name, _)| name.as_str())
    }
}

fn packages() -> BTreeMap<String, Package> {
    let printed = cargo(&["metadata", "--format-version", "1", "--no-deps"]).join("\n");
    let metadata: Value = serde_json::from_str(&printed).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let mut dependencies = BTreeMap::new();
        for dependency in package["dependencies"].as_array().unwrap() {
            let for_tests = dependency["kind"].as_str() == Some("dev");
            *dependencies.entry(name(dependency)).or_insert(true) &= for_tests;
        }
        // Not set means to any registry; an empty list means to none.
        let published = package["publish"].as_array().is_none_or(|registries| !registries.is_empty());
        (name(package), Package { published, dependencies })
    });
    packages.collect()
}

/// Everything that a package builds on, itself included.
fn tree(args: &[&str]) -> Vec<String> {
    let args = [&["tree", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"], args].concat();
    let mut names: Vec<String> =
        cargo(&args).iter().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    names
}

fn is_duckdb(name: &str) -> bool {
    matches!(name, "duckdb" | "libduckdb-sys")
}

#[test]
fn core_knows_no_other_crate_of_ours() {
    let packages = packages();
    let core = &packages["persist-core"];
    let ours: Vec<&str> = core.for_use().filter(|name| name.starts_with("persist")).collect();
    assert!(ours.is_empty(), "persist-core depends on {ours:?}");
    let in_tests: Vec<&String> = core.dependencies.keys().filter(|name| MODELS.contains(&name.as_str())).collect();
    assert!(in_tests.is_empty(), "the tests of persist-core depend on {in_tests:?}");
}

#[test]
fn models_do_not_know_each_other() {
    let packages = packages();
    assert!(MODELS.iter().any(|model| packages.contains_key(*model)), "no model crate is in the workspace");
    for model in MODELS.into_iter().filter(|model| packages.contains_key(*model)) {
        let others: Vec<&String> =
            packages[model].dependencies.keys().filter(|name| MODELS.contains(&name.as_str())).collect();
        assert!(others.is_empty(), "{model} depends on {others:?}");
    }
}

#[test]
fn of_the_published_crates_only_core_depends_on_duckdb() {
    let packages = packages();
    assert!(packages["persist-core"].for_use().any(is_duckdb), "even persist-core does not");
    for (name, package) in packages.iter().filter(|(name, package)| package.published && *name != "persist-core") {
        assert!(!package.for_use().any(is_duckdb), "{name} depends on duckdb");
    }
}

#[test]
fn published_crates_build_on_published_ones() {
    let packages = packages();
    for (name, package) in packages.iter().filter(|(_, package)| package.published) {
        for dependency in package.for_use() {
            let published = packages.get(dependency).is_none_or(|dependency| dependency.published);
            assert!(published, "{name} depends on {dependency}, which is not published");
        }
    }
}

#[test]
fn xtask_builds_without_what_it_provides() {
    let tree = tree(&["--package", "xtask"]);
    assert!(tree.contains(&"xtask".to_owned()), "cargo tree printed {tree:?}");
    let wrong: Vec<&String> = tree.iter().filter(|name| is_duckdb(name) || name.starts_with("persist")).collect();
    assert!(wrong.is_empty(), "xtask builds on {wrong:?}");
}

#[test]
fn core_without_its_features_is_free_of_duckdb_and_arrow() {
    let bare = tree(&["--package", "persist-core", "--no-default-features"]);
    assert!(bare.contains(&"persist-core".to_owned()), "cargo tree printed {bare:?}");
    let heavy = |name: &&String| is_duckdb(name) || name.starts_with("arrow") || name.as_str() == "parquet";
    let wrong: Vec<&String> = bare.iter().filter(heavy).collect();
    assert!(wrong.is_empty(), "persist-core without its features builds on {wrong:?}");
    // Else the names above are no longer those of the crates.
    assert!(tree(&["--package", "persist-core"]).iter().any(|name| is_duckdb(name)), "the feature brings no duckdb");
}

#[test]
fn tables_build_without_duckdb() {
    let tree = tree(&["--package", "persist-table"]);
    assert!(["persist-table", "persist-core"].iter().all(|name| tree.iter().any(|found| found == name)), "{tree:?}");
    let heavy = |name: &&String| is_duckdb(name) || name.starts_with("arrow") || name.as_str() == "parquet";
    let wrong: Vec<&String> = tree.iter().filter(heavy).collect();
    assert!(wrong.is_empty(), "persist-table builds on {wrong:?}");
}
