//! `wal tail`: across rotations, beside the owner that writes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use persist_core::wal::Line;
use persist_dated::{DatedConfig, DatedStore, Durability};
use serde_json::json;

use crate::command::{DATE, Scratch, crashed, dated, ends, interrupt, persist, segment};

/// No machine is slower.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, following a log, and the lines that it prints.
fn follow(args: &[&str]) -> (Child, Receiver<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_persist"));
    command.args(["wal", "tail", "-f", "--json"]).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (to, lines) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().try_for_each(|line| to.send(line.unwrap())));
    (child, lines)
}

fn seq(line: &str) -> u64 {
    Line::parse(line.as_bytes()).unwrap().seq
}

/// The `seq`s of all lines up to this one.
fn up_to(lines: &Receiver<String>, last: u64) -> Vec<u64> {
    let mut found = Vec::new();
    while found.last() != Some(&last) {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("only {found:?} of {last}"));
        found.push(seq(&line));
    }
    found
}

fn open(base: &std::path::Path, keep: bool) -> DatedStore {
    let config = DatedConfig::new(base).max_wal_records(40).durability(Durability::Os);
    let config = if keep { config.keep_log(Duration::from_secs(3600)) } else { config };
    DatedStore::open(DATE, config).unwrap()
}

fn write(store: &DatedStore, count: u64) {
    for n in 0..count {
        store.put(&format!("key{n}")).data(&json!({"n": n})).unwrap();
    }
}

#[test]
fn across_rotations_no_line_is_missing_or_printed_twice() {
    let scratch = Scratch::new();
    let store = open(&scratch.path(), false);
    write(&store, 10);
    let (mut child, lines) = follow(&["-n", "3", &scratch.join(DATE)]);
    assert_eq!(up_to(&lines, 10), [8, 9, 10]);
    // Past four ends of segments.
    write(&store, 170);
    let mut batch = store.batch();
    for n in 0..50 {
        batch.put(&format!("batch{n}")).data(&json!({})).unwrap();
    }
    batch.commit().unwrap();
    write(&store, 20);
    assert_eq!(up_to(&lines, 250), (11..=250).collect::<Vec<_>>());
    assert!(store.stats().wal_files_count > 3, "{:?}", store.stats());
    interrupt(&child);
    assert_eq!(ends(&mut child), (0, String::new()));
    assert_eq!(lines.recv_timeout(PATIENCE).ok(), None);
    store.close().unwrap();
}

#[test]
fn lines_that_were_compressed_meanwhile_and_those_after_a_close_are_followed() {
    let scratch = Scratch::new();
    let store = open(&scratch.path(), true);
    write(&store, 5);
    let (mut child, lines) = follow(&["-n", "1", &scratch.join(DATE)]);
    assert_eq!(up_to(&lines, 5), [5]);
    for _ in 0..5 {
        write(&store, 60);
        store.compact().unwrap();
    }
    store.close().unwrap();
    // The segments' numbers start again.
    let store = open(&scratch.path(), true);
    write(&store, 60);
    assert_eq!(up_to(&lines, 365), (6..=365).collect::<Vec<_>>());
    interrupt(&child);
    assert_eq!(ends(&mut child), (0, String::new()));
    store.close().unwrap();
}

#[test]
fn what_went_before_it_could_be_read_is_told() {
    let scratch = Scratch::new();
    let store = open(&scratch.path(), false);
    write(&store, 5);
    let (mut child, lines) = follow(&[&scratch.join(DATE)]);
    assert_eq!(up_to(&lines, 5), [1, 2, 3, 4, 5]);
    // Stopped, it can't look.
    signal(&child, "-STOP");
    write(&store, 100);
    store.compact().unwrap();
    store.close().unwrap();
    let store = open(&scratch.path(), false);
    write(&store, 3);
    signal(&child, "-CONT");
    let found = up_to(&lines, 108);
    // Of the segment that it has open it reads the rest.
    let rest = found.len() - 3;
    assert_eq!(found[..rest], (6..6 + rest as u64).collect::<Vec<_>>());
    assert_eq!(found[rest..], [106, 107, 108]);
    interrupt(&child);
    let (code, notes) = ends(&mut child);
    assert_eq!(code, 0);
    assert!(notes.contains(&format!("seq {} to 105 are not in the log any more", 6 + rest)), "{notes}");
    store.close().unwrap();
}

fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn it_filters_as_cat_does_and_ends_when_nobody_reads() {
    let scratch = Scratch::new();
    let store = open(&scratch.path(), false);
    write(&store, 60);
    let path = scratch.join(DATE);
    let last = persist(["wal", "tail", &path, "-n", "2", "--json"]);
    assert_eq!(last.out.lines().map(seq).collect::<Vec<_>>(), [59, 60], "{last:?}");
    let few = persist(["wal", "tail", &path, "--key", "key3", "--json"]);
    assert_eq!(few.out.lines().map(seq).collect::<Vec<_>>(), [4]);
    assert_eq!(persist(["wal", "tail", &path, "--to-seq", "30"]).out.lines().count(), 10);

    let mut command = Command::new(env!("CARGO_BIN_EXE_persist"));
    command.args(["wal", "tail", "-f", "--key", "key7", "-n", "1", &path]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    write(&store, 9);
    line.clear();
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("68 ") && line.contains(" key7 "), "{line}");
    // Nothing more is written.
    drop(out);
    assert_eq!(ends(&mut child), (0, String::new()));
    store.close().unwrap();
}

#[test]
fn a_damaged_line_is_told_to_be_missing_and_those_after_it_are_printed() {
    let scratch = Scratch::new();
    let dir = crashed(&scratch.path());
    let (mut child, lines) = follow(&["-n", "1", dir.to_str().unwrap()]);
    assert_eq!(up_to(&lines, 3), [3]);
    // Of another store's lines that follow, as its owner would write them, one is damaged.
    let live = Scratch::new();
    let store = dated(&live.path());
    store.store("more", &json!({})).unwrap();
    store.store("more", &json!({})).unwrap();
    let all = fs::read_to_string(segment(&live.path().join(DATE))).unwrap();
    let mut added: Vec<&str> = all.lines().skip(3).take(2).collect();
    let damaged = added[0].replace("more", "mire");
    added[0] = &damaged;
    let path = segment(&dir);
    let before = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{}\n{}\n", before.trim_end(), added.join("\n"))).unwrap();
    assert_eq!(up_to(&lines, 5), [5]);
    interrupt(&child);
    let (code, notes) = ends(&mut child);
    assert_eq!((code, notes.contains("seq 4 to 4 are not in the log any more")), (0, true), "{notes}");
    store.close().unwrap();
}
