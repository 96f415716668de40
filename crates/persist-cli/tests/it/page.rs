//! `docs/command.md`: every command that it shows is run, and prints what stands there, but for moments, sizes and ids.

use std::path::Path;
use std::process::Command;

use crate::command::{Scratch, collection, crashed, dated, kv};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/command.md");

#[test]
fn the_page_shows_what_the_command_prints() {
    let scratch = Scratch::new();
    let data = scratch.path();
    dated(&data.join("storage")).close().unwrap();
    let config = persist_dated::DatedConfig::new(data.join("storage"));
    persist_dated::DatedStore::open("2025-01-16", config).unwrap().close().unwrap();
    collection(&data.join("forms")).close().unwrap();
    std::fs::create_dir(data.join("seats")).unwrap();
    kv(&data.join("seats")).close().unwrap();
    crashed(&data.join("crashed"));

    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, rows) = page.split_once("```csv\n").unwrap();
    std::fs::write(data.join("rows.csv"), rows.split_once("```").unwrap().0).unwrap();
    let (mut actual, mut code, mut commands, mut within) = (String::new(), 0, 0, false);
    for line in page.lines() {
        if line.starts_with("```") {
            within = line == "```console";
        }
        if !within || line.starts_with("```") {
            actual.push_str(line);
            actual.push('\n');
            continue;
        }
        // What was printed then is left out, and what is printed now put in its place.
        let Some(command) = line.strip_prefix("$ ") else { continue };
        actual.push_str(&format!("{line}\n"));
        if command == "echo $?" {
            actual.push_str(&format!("{code}\n"));
            continue;
        }
        let words = words(command);
        assert_eq!(words[0], "persist", "{line}");
        commands += 1;
        let (printed, ended) = run(&data, &words[1..]);
        actual.push_str(&printed);
        code = ended;
    }
    assert!(commands >= 15, "{commands} commands were found");
    let (shown, printed) = (normal(&page), normal(&actual));
    let first = shown.iter().zip(&printed).find(|(shown, printed)| shown != printed);
    assert!(first.is_none() && shown.len() == printed.len(), "{first:?}; the page should be:\n{actual}");
}

/// Runs the program on the folders below `/data`; answers what it printed and its exit code.
fn run(data: &Path, args: &[String]) -> (String, i32) {
    let data = data.to_str().unwrap();
    let args = args.iter().map(|arg| arg.replace("/data", data));
    let output = Command::new(env!("CARGO_BIN_EXE_persist")).args(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap().replace(data, "/data"), output.status.code().unwrap())
}

/// The words of a command; what stands between quotes is one.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for c in command.chars() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.push(String::new()),
            (c, _) => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// Lines without what differs from run to run, and without their alignment.
fn normal(text: &str) -> Vec<String> {
    text.lines().map(|line| without_measures(&without_moments(line))).collect()
}

/// Each `2025-01-15T10:30:00…` is one word.
fn without_moments(line: &str) -> String {
    let is_moment = |at: usize| {
        let shape = b"0000-00-00T00:00:00";
        let text = line.as_bytes().get(at..at + shape.len()).unwrap_or_default();
        let fits = |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
        text.len() == shape.len() && text.iter().zip(shape).all(fits)
    };
    let (mut found, mut at) = (String::new(), 0);
    while let Some(c) = line[at..].chars().next() {
        if is_moment(at) {
            found.push_str("MOMENT");
            at += 19;
            at += line[at..].find(|c: char| !c.is_ascii_digit() && !".+:".contains(c)).unwrap_or(line.len() - at);
        } else {
            found.push(c);
            at += c.len_utf8();
        }
    }
    found
}

/// Sizes, ages and ids are one word each; so are blanks.
fn without_measures(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    for at in 0..words.len() {
        let unit = words.get(at + 1).map_or("", |unit| unit.trim_end_matches([';', ',', ':']));
        let is_measured = ["bytes", "KiB", "MiB", "s", "min"].contains(&unit);
        if is_measured && words[at].parse::<f64>().is_ok() {
            words[at] = "N";
            words[at + 1] = "UNIT";
        }
        if words[at].len() == 32 && words[at].bytes().all(|byte| byte.is_ascii_hexdigit()) {
            words[at] = "ID";
        }
        if words[at].len() > 3 && words[at].bytes().all(|byte| b"-+".contains(&byte)) {
            words[at] = "---";
        }
    }
    words.join(" ")
}
