//! `wal cat`, `wal verify`.

use std::fs;

use persist_core::wal::Line;
use serde_json::Value;

use crate::command::{DATE, Scratch, contents, crashed, dated, persist, segment};

#[test]
fn the_lines_of_a_log_in_use_are_printed_as_they_stand() {
    let scratch = Scratch::new();
    let store = dated(&scratch.path());
    store.remove("save", Some("worker1")).unwrap();
    let path = scratch.join(DATE);
    let lines = persist(["wal", "cat", &path, "--json"]);
    assert_eq!(lines.code, 0, "{lines:?}");
    let seqs: Vec<u64> = lines.out.lines().map(|line| Line::parse(line.as_bytes()).unwrap().seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    let text = persist(["wal", "cat", &path]);
    assert!(text.out.starts_with("1 20") && text.out.contains(" load / worker2 v1 {"), "{text:?}");
    assert!(text.out.lines().nth(3).unwrap().ends_with("save / worker1 v2 (removed)"), "{text:?}");

    let at = serde_json::from_str::<Value>(lines.out.lines().nth(1).unwrap()).unwrap()["at"].clone();
    let at = at.as_str().unwrap();
    let found = |args: &[&str]| {
        let ran = persist([&["wal", "cat", "--json", &path], args].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.out.lines().map(|line| Line::parse(line.as_bytes()).unwrap().seq).collect::<Vec<_>>()
    };
    assert_eq!(found(&["--key", "load"]), [1, 2]);
    assert_eq!(found(&["--from-seq", "2", "--to-seq", "3"]), [2, 3]);
    let (since, until) = (found(&["--since", at]), found(&["--until", at]));
    assert!(
        since.contains(&2) && since.contains(&4) && until.contains(&1) && until.contains(&2),
        "{since:?} {until:?}"
    );
    assert_eq!(found(&["--since", "2999-01-01"]), Vec::<u64>::new());
    store.close().unwrap();
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    use std::process::{Command, Stdio};
    let scratch = Scratch::new();
    let store = dated(&scratch.path());
    for n in 0..2000 {
        let data = serde_json::json!({"n": n, "text": "x".repeat(100)});
        store.put("many").durability(persist_dated::Durability::Os).data(&data).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_persist"));
    command.args(["wal", "cat", &scratch.join(DATE)]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn a_torn_end_is_told_and_is_no_damage() {
    let scratch = Scratch::new();
    let dir = crashed(&scratch.path());
    let path = dir.to_str().unwrap();
    let fine = persist(["wal", "verify", path, "--json"]).json();
    assert_eq!((&fine["ok"], &fine["logs"][0]["records"]), (&true.into(), &3.into()));
    assert_eq!(fine["logs"][0]["unreadable"], serde_json::json!([]));

    let segment = segment(&dir);
    let text = fs::read_to_string(&segment).unwrap();
    let end = text.trim_end().len();
    fs::write(&segment, &text.as_bytes()[..end - 20]).unwrap();
    let before = contents(&scratch.path());
    let torn = persist(["wal", "verify", path, "--json"]);
    assert_eq!(torn.code, 0, "{torn:?}");
    let torn = torn.json();
    assert_eq!((&torn["ok"], &torn["logs"][0]["records"]), (&true.into(), &2.into()));
    let stretch = &torn["logs"][0]["unreadable"][0];
    assert_eq!((&stretch["cause"], &stretch["line"]), (&"torn".into(), &3.into()), "{torn}");
    assert_eq!(contents(&scratch.path()), before, "looking changed something");
}

#[test]
fn a_flipped_bit_is_damage_that_is_named_and_nothing_is_changed() {
    let scratch = Scratch::new();
    let dir = crashed(&scratch.path());
    let segment = segment(&dir);
    let mut bytes = fs::read(&segment).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 20;
    bytes[second] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let before = contents(&scratch.path());
    for verb in [vec!["wal", "verify"], vec!["verify"], vec!["inspect"]] {
        let ran = persist(verb.iter().copied().chain([dir.to_str().unwrap()]));
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.out.contains("seq 2 to 2 are missing") && ran.out.contains("line 2"), "{ran:?}");
    }
    assert_eq!(contents(&scratch.path()), before, "looking changed something");
    let lines = persist(["wal", "cat", dir.to_str().unwrap()]);
    assert_eq!(lines.out.lines().count(), 2, "the good lines: {lines:?}");
    let refused = persist(["get", dir.to_str().unwrap(), "load"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("is damaged at line 2"), "{refused:?}");
    assert_eq!(fs::read(&segment).unwrap(), bytes, "the log was changed");
}
