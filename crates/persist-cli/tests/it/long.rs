//! Long work: a progress bar on a terminal and none in a pipe, and what Ctrl-C leaves.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use persist_collection::{CollectionConfig, CollectionStore};
use persist_core::lock::holder_of;
use serde_json::json;

use crate::command::{DATE, Scratch, collection, contents, dated, ends, interrupt, persist};

/// Starts the program, and presses Ctrl-C as soon as it has a store open.
fn interrupted(store: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_persist"));
    let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while holder_of(&store.join(".lock")).unwrap().is_none() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended: {:?}", child.wait_with_output());
        std::thread::yield_now();
    }
    interrupt(&child);
    ends(&mut child)
}

#[test]
fn a_backup_that_is_interrupted_leaves_nothing_and_can_be_made_again() {
    let scratch = Scratch::new();
    dated(&scratch.path()).close().unwrap();
    let (store, to) = (scratch.path().join(DATE), scratch.join("backup"));
    let args = ["backup", store.to_str().unwrap(), &to];
    let (code, said) = interrupted(&store, &args);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("it was interrupted: there is no backup in"), "{said}");
    assert!(!Path::new(&to).exists(), "{:?}", contents(Path::new(&to)).keys());
    let verified = persist(["verify", store.to_str().unwrap(), "--json"]).json();
    assert_eq!((&verified["ok"], &verified["checked"][0]["records"]), (&json!(true), &json!(3)));
    assert_eq!(persist(args).code, 0);
    assert_eq!(persist(["verify", &to]).code, 0);
}

#[test]
fn a_rebuild_that_is_interrupted_leaves_the_store_as_it_was() {
    let scratch = Scratch::new();
    collection(&scratch.path()).close().unwrap();
    let live = CollectionStore::open("2025-12-25", CollectionConfig::new(scratch.path()).backups(false)).unwrap();
    live.put("ada").collection("info").item("size").value(5).data(&json!({})).unwrap();
    let crashed = Scratch::new();
    let copy = crashed.path().join("copy");
    persist_test_utils::copy_as_crash_leaves_it(&scratch.path(), &copy);
    drop(live);
    fs::remove_file(copy.join("storage_history.duckdb")).unwrap();
    let before = contents(&copy);
    let args = ["rebuild", copy.to_str().unwrap(), "--json"];
    let (code, said) = interrupted(&copy, &args);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the store is as it was"), "{said}");
    // But for what a rebuild makes aside, and the next one replaces.
    let is_aside = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.contains(".duckdb.new") || name.starts_with(".lock") || name.ends_with(".duckdb.lock")
    };
    let after = contents(&copy);
    let changed: Vec<_> = after.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes)).collect();
    assert!(
        changed.iter().all(|(path, _)| is_aside(path)),
        "{:?}",
        changed.iter().map(|(path, _)| path).collect::<Vec<_>>()
    );
    assert!(before.keys().all(|path| after.contains_key(path) || is_aside(path)));
    let ran = persist(args);
    assert_eq!((ran.code, &ran.json()["records"]), (0, &json!(2)), "{ran:?}");
    assert_eq!(persist(["verify", copy.to_str().unwrap()]).code, 0);
}

#[test]
fn an_export_that_is_interrupted_has_whole_dates_and_says_how_many() {
    let scratch = Scratch::new();
    let base = scratch.path().join("base");
    for date in ["2025-01-15", "2025-01-16", "2025-01-17"] {
        let store = persist_dated::DatedStore::open(date, persist_dated::DatedConfig::new(&base)).unwrap();
        store.store("task", &json!({})).unwrap();
        store.close().unwrap();
    }
    let root = scratch.join("root");
    let (code, said) = interrupted(&base.join(DATE), &["export", base.to_str().unwrap(), &root]);
    assert_eq!((code, said.contains("it was interrupted: 1 of 3 dates were exported")), (1, true), "{said}");
    let verified = persist(["verify", &root, "--json"]).json();
    assert_eq!((&verified["ok"], verified["checked"].as_array().unwrap().len()), (&json!(true), 1), "{verified}");
}

/// A terminal: what is behind it, and how it is opened.
fn terminal() -> (File, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let behind = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&behind).unwrap();
    unlockpt(&behind).unwrap();
    let name = ptsname(&behind, Vec::new()).unwrap();
    let front = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (behind.into(), front)
}

fn import(csv: &str, into: &str, said_to: Stdio) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_persist"));
    command
        .args(["import", csv, into, "--new", "kv", "--batch", "10"])
        .env("TERM", "xterm-256color")
        .env("NO_COLOR", "1");
    command.stdout(Stdio::piped()).stderr(said_to).spawn().unwrap()
}

#[test]
fn long_work_shows_a_bar_on_a_terminal_and_none_in_a_pipe() {
    let scratch = Scratch::new();
    let rows: String = (0..400).map(|n| format!("key{n},{n}\n")).collect();
    let csv = scratch.join("rows.csv");
    fs::write(&csv, format!("key,n\n{rows}")).unwrap();

    let (mut behind, front) = terminal();
    let child = import(&csv, &scratch.join("one"), Stdio::from(front.try_clone().unwrap()));
    let (to, shown) = channel();
    std::thread::spawn(move || {
        let (mut shown, mut piece) = (Vec::new(), [0; 4096]);
        // It fails when nobody has the terminal open any more.
        while let Ok(read @ 1..) = behind.read(&mut piece) {
            shown.extend_from_slice(&piece[..read]);
        }
        to.send(shown)
    });
    let output = child.wait_with_output().unwrap();
    drop(front);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("rows   400"));
    let shown = String::from_utf8(shown.recv_timeout(Duration::from_secs(60)).unwrap()).unwrap();
    assert!(shown.contains("importing [") && shown.contains("=>"), "{shown:?}");
    // Colours are ESC [ … m.
    let coloured = shown
        .split('\u{1b}')
        .skip(1)
        .any(|rest| rest.find(|c: char| c.is_ascii_alphabetic()).is_some_and(|end| rest[end..].starts_with('m')));
    assert!(!coloured, "{shown:?}");

    let output = import(&csv, &scratch.join("two"), Stdio::piped()).wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn shells_are_given_what_completes_the_verbs() {
    for (shell, begins) in [("bash", "_persist()"), ("zsh", "#compdef persist"), ("fish", "complete -c persist")] {
        let script = persist(["completions", shell]);
        assert_eq!(script.code, 0, "{script:?}");
        assert!(script.out.contains(begins), "{shell}");
        for verb in ["inspect", "import", "restore", "completions"] {
            assert!(script.out.contains(verb), "{shell} {verb}");
        }
    }
    assert_eq!(persist(["completions", "no-shell"]).code, 2);
    // What bash makes of it.
    let script = persist(["completions", "bash"]).out;
    let ask = "COMP_WORDS=(persist rest); COMP_CWORD=1; _persist persist rest persist; echo ${COMPREPLY[@]}";
    let bash = Command::new("bash").args(["-c", &format!("{script}\n{ask}")]).output().unwrap();
    assert_eq!(String::from_utf8(bash.stdout).unwrap().trim(), "restore", "{}", String::from_utf8_lossy(&bash.stderr));
}
