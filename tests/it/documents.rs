//! What README.md and docs/ tell a reader to type and to open: the commands are accepted, the files are there.

use std::collections::BTreeMap;
use std::path::Path;

use crate::sources::{Source, cargo, files, root};

/// A stretch of a document.
#[derive(Debug)]
enum Part<'a> {
    /// A line of prose.
    Prose(&'a str),
    /// A line of a fenced block in the language of the shell.
    Shell(&'a str),
}

fn documents() -> Vec<Source> {
    let documents = files(".md").into_iter();
    documents.filter(|file| file.path == "README.md" || file.path.starts_with("docs/")).collect()
}

/// The lines of a document with their numbers, without the fenced blocks of other languages.
fn parts(document: &Source) -> Vec<(usize, Part<'_>)> {
    let mut parts = Vec::new();
    let mut fence: Option<(&str, &str)> = None;
    for (at, line) in document.text.lines().enumerate() {
        let trimmed = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some((mark, trimmed.trim_start_matches(['`', '~']).trim())),
            (Some((open, _)), Some(mark)) if open == mark => fence = None,
            (None, None) => parts.push((at + 1, Part::Prose(line))),
            (Some((_, "sh" | "bash" | "shell" | "console")), _) => parts.push((at + 1, Part::Shell(line))),
            (Some(_), _) => {}
        }
    }
    parts
}

/// The calls of xtask in a document, each with its place: what stands behind `cargo xtask`.
fn calls(document: &Source) -> Vec<(String, String)> {
    let mut calls = Vec::new();
    for (at, part) in parts(document) {
        let commands: Vec<&str> = match part {
            // Not what follows a comment sign.
            Part::Shell(line) => {
                let line = line.trim().trim_start_matches("$ ");
                line.split(" #")
                    .next()
                    .unwrap_or_default()
                    .split("&&")
                    .flat_map(|part| part.split(['|', ';']))
                    .collect()
            }
            Part::Prose(line) => line.split('`').skip(1).step_by(2).collect(),
        };
        for command in commands {
            // `cargo xtask` itself, and after settings of the environment.
            let words: Vec<&str> = command.split_whitespace().skip_while(|word| word.contains('=')).collect();
            if let ["cargo", "xtask", rest @ ..] = words.as_slice() {
                calls.push((format!("{}:{at}", document.path), rest.join(" ")));
            }
        }
    }
    calls
}

/// What `cargo xtask --help` and `cargo xtask help COMMAND` print.
fn help() -> BTreeMap<String, String> {
    let run = |args: &[&str]| cargo(&[&["run", "--quiet", "--package", "xtask", "--"], args].concat());
    let lines = run(&["--help"]);
    let commands = lines.iter().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands = commands.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let help: BTreeMap<String, String> =
        commands.map(|name| (name.to_owned(), run(&["help", name]).join("\n"))).collect();
    assert!(help.contains_key("ci"), "cargo xtask --help lists {:?}", help.keys());
    help
}

/// Why a call would be refused.
fn objection(help: &BTreeMap<String, String>, call: &str) -> Option<String> {
    let mut words = call.split(' ');
    let command = match words.next() {
        None | Some("" | "--help" | "-h" | "help") => return None,
        Some(command) => command,
    };
    let Some(text) = help.get(command) else { return Some(format!("there is no `cargo xtask {command}`")) };
    // As in `Usage: cargo xtask bench [OPTIONS] [ARGS]...`, where all that is unknown is passed on.
    if text.contains("[ARGS]...") && !text.contains("[-- <ARGS>...]") {
        return None;
    }
    let known: Vec<&str> = text.split([' ', ',', '\n']).filter(|word| word.starts_with('-')).collect();
    let mut flags = words.take_while(|word| *word != "--").filter(|word| word.starts_with('-'));
    let unknown = flags.find(|flag| !known.contains(&flag.split('=').next().unwrap_or(flag)));
    unknown.map(|flag| format!("`cargo xtask {command}` takes no {flag}"))
}

/// The files that a line links to, as it names them.
fn links(line: &str) -> Vec<&str> {
    let prose = line.split('`').step_by(2);
    let mut links: Vec<&str> = prose.flat_map(|text| text.split("](").skip(1)).collect();
    // A definition, as in `[name]: file`.
    if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
        links.push(target);
    }
    let links = links.into_iter().map(|link| link.trim_start_matches('<').split([')', '>', '#', ' ']).next().unwrap());
    links.filter(|link| !link.is_empty() && !link.contains(':')).collect()
}

#[test]
fn the_readme_tells_how_to_see_it_and_how_to_test_it() {
    let documents = documents();
    let readme = documents.iter().find(|file| file.path == "README.md").expect("there is no README.md");
    let calls: Vec<String> = calls(readme).into_iter().map(|(_, call)| call).collect();
    for command in ["demo", "test"] {
        assert!(
            calls.iter().any(|call| call.split(' ').next() == Some(command)),
            "no `cargo xtask {command}`: {calls:?}"
        );
    }
}

#[test]
fn every_chore_that_a_document_names_is_one_and_takes_these_flags() {
    let help = help();
    let calls = documents().iter().flat_map(calls).collect::<Vec<_>>();
    let refused: Vec<String> =
        calls.iter().filter_map(|(place, call)| Some(format!("{place}: {}", objection(&help, call)?))).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn every_file_that_a_document_links_to_is_there() {
    let mut broken = Vec::new();
    for document in documents() {
        let folder = root().join(&document.path).parent().map(Path::to_owned).unwrap();
        for (at, part) in parts(&document) {
            let Part::Prose(line) = part else { continue };
            let missing = links(line).into_iter().filter(|link| !folder.join(link).exists());
            broken.extend(missing.map(|link| format!("{}:{at}: {link}", document.path)));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The blocks of a document in the languages of the sources, each with the line it begins at.
fn excerpts(text: &str) -> Vec<(usize, Vec<&str>)> {
    let mut excerpts: Vec<(usize, Vec<&str>)> = Vec::new();
    let mut within = false;
    for (at, line) in text.lines().enumerate() {
        match line.trim() {
            "```rust" | "```toml" if !within => {
                within = true;
                excerpts.push((at + 1, Vec::new()));
            }
            "```" => within = false,
            line => {
                if let Some((_, lines)) = excerpts.last_mut().filter(|_| within) {
                    lines.push(line);
                }
            }
        }
    }
    excerpts
}

/// Whether the lines stand together in the text, in this order; `// …` stands for any lines between.
fn stand_in(lines: &[&str], text: &str) -> bool {
    let text: Vec<&str> = text.lines().map(str::trim).collect();
    let mut rest = text.as_slice();
    lines.split(|line| *line == "// …").all(|part| {
        let found = rest.windows(part.len()).position(|lines| lines == part);
        rest = found.map_or(&[], |at| &rest[at + part.len()..]);
        found.is_some()
    })
}

#[test]
fn the_excerpts_of_the_tutorial_stand_in_the_sources() {
    let documents = documents();
    let tutorial = documents.iter().find(|file| file.path == "docs/your-own-model.md").unwrap();
    let sources: Vec<Source> = [".rs", ".toml"].into_iter().flat_map(files).collect();
    let sources: Vec<&Source> = sources.iter().filter(|file| file.package() == "persist-kv").collect();
    let excerpts = excerpts(&tutorial.text);
    assert!(excerpts.len() >= 8, "{excerpts:?}");
    let stale = excerpts.iter().filter(|(_, lines)| !sources.iter().any(|source| stand_in(lines, &source.text)));
    let stale: Vec<String> = stale.map(|(at, lines)| format!("line {at}: {}", lines.join("\n"))).collect();
    assert!(stale.is_empty(), "not in persist-kv:\n{}", stale.join("\n"));
}

#[test]
fn an_excerpt_is_lines_that_stand_together() {
    let text = "fn a() {\n    one();\n    two();\n    three();\n}\n";
    assert!(stand_in(&["one();", "two();"], text) && stand_in(&["fn a() {", "// …", "three();"], text));
    assert!(!stand_in(&["one();", "three();"], text) && !stand_in(&["two();", "// …", "one();"], text));
    assert_eq!(excerpts("```sh\nls\n```\n```rust\n  one();\n```\n"), [(4, vec!["one();"])]);
}

/// The tests that a line names, as in `dated::open::a_torn_tail_is_cut_kept_and_reported`.
fn tests_named(line: &str) -> impl Iterator<Item = &str> {
    let names = line.split('`').skip(1).step_by(2).filter_map(|code| code.rsplit_once("::"));
    names.map(|(_, name)| name).filter(|name| name.matches('_').count() >= 3)
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let sources = files(".rs");
    let is_there = |name: &str| sources.iter().any(|source| source.text.contains(&format!("fn {name}(")));
    let mut named = 0;
    let mut missing = Vec::new();
    for document in documents() {
        for (at, line) in document.text.lines().enumerate() {
            for name in tests_named(line) {
                named += 1;
                if !is_there(name) {
                    missing.push(format!("{}:{}: {name}", document.path, at + 1));
                }
            }
        }
    }
    assert!(named > 20, "docs/crash-safety.md names the test of each step; {named} were found");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn calls_and_links_are_found_in_the_text() {
    let text = "See [a](docs/a.md#part), [b](https://example.org) and `[c](c.md)`, or `cargo xtask ci`.\n\
                [d]: d.md\n```sh\n$ X=1 cargo xtask test -- name # cargo xtask no\ncargo xtask a && cargo xtask b --c\n```\n\
                ```text\ncargo xtask none\n```\n";
    let document = Source { path: "R.md".to_owned(), text: text.to_owned() };
    let calls = calls(&document);
    let found: Vec<(&str, &str)> = calls.iter().map(|(place, call)| (place.as_str(), call.as_str())).collect();
    assert_eq!(found, [("R.md:1", "ci"), ("R.md:4", "test -- name"), ("R.md:5", "a"), ("R.md:5", "b --c")]);
    let found: Vec<&str> = text.lines().flat_map(links).collect();
    assert_eq!(found, ["docs/a.md", "d.md"]);
}
