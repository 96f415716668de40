//! The bugs that are planted to test the tests: each is in the list and in the sources, and none in a release.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::sources::{cargo, files, root};

/// The names in `tests/planted.json`.
fn listed() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("tests/planted.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let names: BTreeSet<String> = rows.iter().map(|row| row["bug"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), rows.len(), "a bug is listed twice");
    for row in &rows {
        for field in ["what", "package", "program", "test"] {
            assert!(!row[field].as_str().unwrap_or_default().is_empty(), "{row} has no {field}");
        }
    }
    names
}

#[test]
fn the_planted_bugs_are_those_of_the_list() {
    let mut planted = BTreeSet::new();
    for source in files(".rs").iter().filter(|source| source.path.starts_with("crates/")) {
        for (_, line) in source.code() {
            for rest in line.split("planted(\"").skip(1) {
                let name = rest.split('"').next().unwrap().to_owned();
                assert!(planted.insert(name.clone()), "{name} is planted twice");
            }
        }
    }
    assert_eq!(planted, listed());
    assert!(planted.len() >= 40, "{} bugs are too few to say much of the tests", planted.len());
}

#[test]
fn no_release_can_have_a_planted_bug() {
    let owner = "crates/persist-core/src/planted.rs";
    let named: Vec<String> = files(".rs")
        .into_iter()
        .filter(|file| !file.naming(&["PERSIST_PLANTED"]).is_empty())
        .map(|file| file.path)
        .collect();
    let readers: Vec<&String> = named.iter().filter(|path| path.starts_with("crates/")).collect();
    assert_eq!(readers, [owner]);
    let text = fs::read_to_string(root().join(owner)).unwrap();
    let guard = "#[cfg(all(feature = \"planted\", not(debug_assertions)))]\ncompile_error!(";
    assert!(text.contains(guard), "{owner} compiles in a release build");
    // Nothing turns the feature on but who asks for it by name.
    let printed = cargo(&["metadata", "--format-version", "1", "--no-deps"]).join("\n");
    let metadata: Value = serde_json::from_str(&printed).unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        let name = &package["name"];
        for (feature, parts) in package["features"].as_object().unwrap() {
            assert!(!parts.to_string().contains("planted"), "{name}: {feature} turns on planted bugs");
        }
        for dependency in package["dependencies"].as_array().unwrap() {
            assert!(!dependency["features"].to_string().contains("planted"), "{name} turns on planted bugs");
        }
    }
}
