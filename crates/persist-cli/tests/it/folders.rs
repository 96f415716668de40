//! What folders are taken for, how the program is called, and its exit codes.

use std::fs;

use crate::command::{DATE, Scratch, collection, dated, kv, persist, persist_with};

#[test]
fn help_lists_every_verb_and_a_wrong_call_is_code_2() {
    let help = persist(["--help"]);
    assert_eq!(help.code, 0, "{help:?}");
    for verb in [
        "inspect",
        "verify",
        "wal",
        "query",
        "export",
        "dates",
        "keys",
        "get",
        "put",
        "rm",
        "history",
        "as-of",
        "repair",
        "rebuild",
        "backup",
        "restore",
        "import",
        "compact",
        "completions",
    ] {
        assert!(help.out.contains(verb), "{verb}: {help:?}");
        let of_verb = persist([verb, "--help"]);
        assert_eq!(of_verb.code, 0, "{of_verb:?}");
        assert!(!of_verb.out.contains('\u{1b}'), "colours in a pipe: {of_verb:?}");
    }
    for wrong in [vec![], vec!["look"], vec!["get"], vec!["get", ".", "key", "--prozess", "x"]] {
        assert_eq!(persist(&wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn what_is_no_store_is_refused_and_no_store_is_made_of_it() {
    let scratch = Scratch::new();
    for (path, says) in [(scratch.arg(), "is no store"), (scratch.join("missing"), "No such file")] {
        for verb in
            [vec!["inspect", &path], vec!["keys", &path], vec!["put", &path, "key", "{}"], vec!["verify", &path]]
        {
            let ran = persist(&verb);
            assert_eq!(ran.code, 1, "{ran:?}");
            assert!(ran.err.starts_with("error: ") && ran.err.contains(says), "{ran:?}");
        }
    }
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_base_folder_of_dates_wants_a_date_and_a_date_wants_a_base_folder() {
    let scratch = Scratch::new();
    dated(&scratch.path()).close().unwrap();
    let base = scratch.arg();
    let without = persist(["keys", &base]);
    assert_eq!(without.code, 2, "{without:?}");
    assert!(without.err.contains("--date") && without.err.contains(DATE), "{without:?}");
    for by in [vec!["keys", &base, "--date", DATE], vec!["keys", &scratch.join(DATE)]] {
        assert_eq!(persist(&by).out, "load\nsave\n", "{by:?}");
    }
    let other = persist(["keys", &base, "--date", "2025-01-16"]);
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.err.contains(DATE), "{other:?}");
    assert!(!scratch.path().join("2025-01-16").exists());
}

#[test]
fn each_kind_of_store_is_known_for_what_it_is() {
    let (days, items, pairs) = (Scratch::new(), Scratch::new(), Scratch::new());
    dated(&days.path()).close().unwrap();
    collection(&items.path()).close().unwrap();
    kv(&pairs.path()).close().unwrap();
    let model = |path: String| persist(["inspect", "--json", &path]).json()["model"].clone();
    assert_eq!(model(days.arg()), "dates");
    assert_eq!(model(days.join(DATE)), "dated");
    assert_eq!(model(items.arg()), "collection");
    assert_eq!(model(items.join("2025-12-24")), "backup");
    assert_eq!(model(pairs.arg()), "kv");
}

#[test]
fn an_error_is_json_where_json_was_asked_for() {
    let scratch = Scratch::new();
    let store = kv(&scratch.path());
    let ran = persist(["keys", &scratch.arg(), "--json"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["error"]["kind"], "locked");
    let pid = format!("pid {}", std::process::id());
    assert!(error["error"]["message"].as_str().unwrap().contains(&pid), "{error}");
    assert!(error["error"]["advice"].as_str().unwrap().contains("persist inspect"), "{error}");
    store.close().unwrap();
}

#[test]
fn a_database_elsewhere_has_to_be_named() {
    let scratch = Scratch::new();
    kv(&scratch.path()).close().unwrap();
    let (inside, elsewhere) = (scratch.path().join("data.duckdb"), Scratch::new());
    fs::rename(&inside, elsewhere.path().join("moved.duckdb")).unwrap();
    let unnamed = persist(["keys", &scratch.arg()]);
    assert_eq!(unnamed.code, 2, "{unnamed:?}");
    assert!(unnamed.err.contains("--database"), "{unnamed:?}");
    let named = persist_with(["keys", &scratch.arg(), "--database", &elsewhere.join("moved.duckdb")], "");
    assert_eq!((named.code, named.out.as_str()), (0, "user_1\nuser_2\n"), "{named:?}");
    let missing = persist(["keys", &scratch.arg(), "--database", &elsewhere.join("none.duckdb")]);
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(!elsewhere.path().join("none.duckdb").exists());
}
