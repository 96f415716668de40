//! `export`, `dates ls`, `dates drop`, `dates archive`.

use std::fs;
use std::path::Path;

use persist_dated::{DatedConfig, DatedStore};
use serde_json::json;

use crate::command::{DATE, Scratch, contents, crashed, dated, kv, persist};

const DATES: [&str; 3] = ["2025-01-13", "2025-01-14", "2025-01-16"];

/// Closed stores of three dates, with one record each.
fn days(base: &Path) {
    for date in DATES {
        let store = DatedStore::open(date, DatedConfig::new(base)).unwrap();
        store.put("load").process("worker1").data(&json!({"on": date, "long": 1.5})).unwrap();
        store.close().unwrap();
    }
}

fn left(base: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(base).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn dates_are_exported_where_nobody_has_them_open() {
    let (scratch, lake) = (Scratch::new(), Scratch::new());
    days(&scratch.path());
    let (path, root) = (scratch.arg(), lake.arg());
    let some = persist(["export", &path, &root, "--from", "2025-01-14", "--json"]);
    assert_eq!(some.code, 0, "{some:?}");
    let exported = &some.json()["exported"];
    assert_eq!((&exported[0]["date"], &exported[1]["date"]), (&json!("2025-01-14"), &json!("2025-01-16")));
    assert_eq!((&exported[0]["rows"], exported.as_array().unwrap().len()), (&json!(1), 2));
    assert!(!lake.path().join("_persist_export-2025-01-13.json").exists());
    assert_eq!(persist(["export", &path, &root, "--date", "2025-01-13"]).code, 0);
    assert_eq!(persist(["verify", &root]).code, 0);
    let counted = persist(["query", &root, "SELECT count(*) AS n, count(DISTINCT date) AS d FROM storage", "--csv"]);
    assert_eq!(counted.out, "n,d\n3,3\n");

    // What a killed export has left goes with the next one of the date.
    let aside = lake.path().join(".persist_export-2025-01-13");
    fs::create_dir_all(aside.join("0/persist_leaf=0")).unwrap();
    fs::write(aside.join("0/persist_leaf=0/data_0.tmp"), "half").unwrap();
    assert_eq!(persist(["query", &root, "SELECT count(*) AS n FROM storage", "--csv"]).out, "n\n3\n");
    assert_eq!(persist(["export", &scratch.join("2025-01-13"), &root]).code, 0);
    assert!(!aside.exists());

    let (store, elsewhere) = (dated(&scratch.path()), Scratch::new());
    let ran = persist(["export", &path, &elsewhere.arg()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains(&format!("pid {}", std::process::id())), "{ran:?}");
    assert!(left(&elsewhere.path()).is_empty(), "all of a range or nothing of it");
    store.close().unwrap();
    let pairs = Scratch::new();
    kv(&pairs.path()).close().unwrap();
    let ran = persist(["export", &pairs.arg(), &root]);
    assert!(ran.code == 1 && ran.err.contains("query"), "{ran:?}");
}

#[test]
fn only_the_dates_that_are_meant_go_and_only_when_that_is_said_twice() {
    let scratch = Scratch::new();
    days(&scratch.path());
    let path = scratch.arg();
    let listed = persist(["dates", "ls", &path, "--json"]).json();
    assert_eq!((&listed["dates"][2]["date"], &listed["dates"][2]["closed"]), (&json!("2025-01-16"), &json!(true)));
    assert_eq!((&listed["dates"][0]["records"], &listed["dates"][0]["owner"]), (&json!(1), &json!(null)));
    assert!(persist(["dates", "ls", &path]).out.contains("2025-01-14 |       1 |"));

    let before = contents(&scratch.path());
    let unsaid = persist(["dates", "drop", &path, "--before", "2025-01-16"]);
    assert_eq!(unsaid.code, 2, "{unsaid:?}");
    assert!(unsaid.err.contains("2025-01-13, 2025-01-14") && unsaid.err.contains("--yes"), "{unsaid:?}");
    for wrong in [&["--yes"][..], &["--yes", "--keep", "1", "--before", "2025-01-16"], &["--yes", "--before", "x"]] {
        assert_eq!(persist(["dates", "drop", &path].iter().chain(wrong)).code, 2, "{wrong:?}");
    }
    let missing = persist(["dates", "drop", &path, "--yes", "--date", "2025-01-13", "--date", "2025-01-15"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    assert_eq!(contents(&scratch.path()), before);

    let none = persist(["dates", "drop", &path, "--keep", "3", "--json"]);
    assert_eq!((none.code, &none.json()["dropped"]), (0, &json!([])), "{none:?}");
    // What an interrupted run has left.
    fs::create_dir(scratch.path().join(".persist_drop-2025-01-12")).unwrap();
    let kept = persist(["dates", "drop", &path, "--keep", "2", "--yes"]);
    assert_eq!((kept.code, kept.out.as_str()), (0, "dropped 2025-01-13\n"), "{kept:?}");
    assert_eq!(left(&scratch.path()), ["2025-01-14", "2025-01-16"]);
    let rest: Vec<_> = before.into_iter().filter(|(path, _)| !path.starts_with(scratch.join("2025-01-13"))).collect();
    assert_eq!(contents(&scratch.path()).into_iter().collect::<Vec<_>>(), rest, "the others are as they were");
    assert_eq!(persist(["dates", "drop", &path, "--date", "2025-01-16", "--yes"]).code, 0);
    assert_eq!(left(&scratch.path()), ["2025-01-14"]);
}

#[test]
fn no_date_goes_that_a_process_has_open_or_that_was_not_closed() {
    let (scratch, lake) = (Scratch::new(), Scratch::new());
    days(&scratch.path());
    let (path, root) = (scratch.arg(), lake.arg());
    let drop_all = ["dates", "drop", &path, "--keep", "0", "--yes"];
    let archive_all = ["dates", "archive", &path, &root, "--keep", "0", "--yes"];
    let store = dated(&scratch.path());
    for verb in [&drop_all[..], &archive_all] {
        let ran = persist(verb);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains(&format!("pid {}", std::process::id())) && ran.err.contains(DATE), "{ran:?}");
    }
    store.close().unwrap();
    assert_eq!(left(&scratch.path()).len(), 4, "not even the dates before it");
    fs::remove_dir_all(scratch.path().join(DATE)).unwrap();
    crashed(&scratch.path());
    for verb in [&drop_all[..], &archive_all] {
        let ran = persist(verb);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("persist verify") && ran.err.contains(DATE), "{ran:?}");
    }
    assert_eq!(left(&scratch.path()).len(), 4);
    assert!(left(&lake.path()).is_empty());
    assert_eq!(persist(["keys", &path, "--date", DATE]).out, "load\nsave\n");
    assert_eq!(persist(drop_all).code, 0);
    assert!(left(&scratch.path()).is_empty());
}

#[test]
fn a_date_that_was_made_again_does_not_take_the_place_of_the_one_in_the_archive() {
    let (scratch, lake) = (Scratch::new(), Scratch::new());
    days(&scratch.path());
    let (path, root) = (scratch.arg(), lake.arg());
    let archive = ["dates", "archive", &path, &root, "--date", "2025-01-13", "--yes"];
    // A run that ended between the export and the removal.
    assert_eq!(persist(["export", &path, &root, "--date", "2025-01-13"]).code, 0);
    assert_eq!(persist(archive).code, 0);
    let archived = contents(&lake.path());
    // Opened only to be read.
    DatedStore::open("2025-01-13", DatedConfig::new(scratch.path())).unwrap().close().unwrap();
    for verb in [&archive[..], &["export", &path, &root]] {
        let refused = persist(verb);
        assert!(refused.code == 1 && refused.err.contains("another"), "{refused:?}");
        assert_eq!(contents(&lake.path()), archived);
        assert_eq!(left(&scratch.path()), DATES);
    }
    let elsewhere = Scratch::new();
    let done = persist(["dates", "archive", &path, &elsewhere.arg(), "--date", "2025-01-13", "--yes"]);
    assert_eq!((done.code, left(&scratch.path()).as_slice()), (0, &DATES.map(str::to_owned)[1..]), "{done:?}");
}

#[test]
fn no_date_is_archived_into_a_folder_that_goes_with_it() {
    let scratch = Scratch::new();
    days(&scratch.path());
    let before = contents(&scratch.path());
    for root in ["2025-01-14/lake", "2025-01-13", "2025-01-14/../2025-01-13/a/b", "new/../2025-01-13/a"] {
        let refused = persist(["dates", "archive", &scratch.arg(), &scratch.join(root), "--keep", "1", "--yes"]);
        assert!(refused.code == 2 && refused.err.contains("elsewhere"), "{refused:?}");
        assert_eq!(contents(&scratch.path()), before);
    }
}

#[cfg(unix)]
#[test]
fn no_date_goes_that_is_a_link_to_elsewhere() {
    let (scratch, elsewhere) = (Scratch::new(), Scratch::new());
    days(&scratch.path());
    days(&elsewhere.path());
    let linked = scratch.path().join("2025-01-13");
    fs::remove_dir_all(&linked).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("2025-01-13"), &linked).unwrap();
    let before = contents(&elsewhere.path());
    let drop_all = ["dates", "drop", &scratch.arg(), "--keep", "0", "--yes"];
    for link in [linked.clone(), scratch.path().join(".persist_drop-2025-01-13")] {
        let refused = persist(drop_all);
        assert!(refused.code == 1 && refused.err.contains("is a link"), "{refused:?}");
        assert_eq!((contents(&elsewhere.path()), left(&scratch.path()).len()), (before.clone(), 3));
        if link == linked {
            fs::rename(&linked, scratch.path().join(".persist_drop-2025-01-13")).unwrap();
        }
    }
}

#[test]
fn what_is_archived_is_there_as_it_was() {
    let (scratch, lake) = (Scratch::new(), Scratch::new());
    days(&scratch.path());
    let (path, root) = (scratch.arg(), lake.arg());
    let sql = "SELECT date, key, process_name, data, timestamp, status, status_int, username, updated_at, version \
               FROM storage WHERE date < '2025-01-16' ORDER BY ALL";
    let before = persist(["query", &path, sql, "--csv"]);
    assert!(before.code == 0 && before.out.lines().count() == 3, "{before:?}");
    // Another's file in the place of the second: that date stays.
    let foreign = lake.path().join("process_name=worker1/date=2025-01-14/other.parquet");
    fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    fs::write(&foreign, "").unwrap();
    let archive = ["dates", "archive", &path, &root, "--before", "2025-01-16", "--yes"];
    let refused = persist(archive);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("gone by now: 2025-01-13"), "{refused:?}");
    assert_eq!(left(&scratch.path()), ["2025-01-14", "2025-01-16"]);
    fs::remove_file(&foreign).unwrap();
    let done = persist(archive.iter().chain(&["--json"]));
    assert_eq!((done.code, &done.json()["dropped"]), (0, &json!(["2025-01-14"])), "{done:?}");
    assert_eq!(left(&scratch.path()), ["2025-01-16"]);
    assert_eq!(persist(["verify", &root]).code, 0);
    assert_eq!(persist(["query", &root, sql, "--csv"]).out, before.out);
}
