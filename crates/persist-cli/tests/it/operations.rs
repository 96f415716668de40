//! `repair`, `rebuild`, `backup`, `restore`, `compact`: on stores that are healthy, in use, crashed and damaged.

use std::fs;
use std::path::Path;

use persist_collection::{CollectionConfig, CollectionStore};
use persist_dated::{DatedConfig, DatedStore};
use serde_json::json;

use crate::command::{DATE, Scratch, collection, contents, crashed, damage, dated, kv, persist, segment};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_sound_store_is_said_to_be_sound_and_stays_as_it_is() {
    let (days, items, pairs) = (Scratch::new(), Scratch::new(), Scratch::new());
    dated(&days.path()).close().unwrap();
    collection(&items.path()).close().unwrap();
    kv(&pairs.path()).close().unwrap();
    for (path, records) in [(days.join(DATE), 3), (items.arg(), 2), (pairs.arg(), 2)] {
        let looked = persist(["repair", &path, "--dry-run", "--json"]);
        assert_eq!(looked.code, 0, "{looked:?}");
        let ran = persist(["repair", &path, "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let answer = ran.json();
        assert_eq!((&answer["ok"], &answer["records"]), (&json!(true), &json!(records)), "{answer}");
        assert_eq!((&answer["found"], &answer["done"]), (&json!([]), &json!([])), "{answer}");
        assert!(persist(["repair", &path]).out.contains("sound"));
    }
}

#[test]
fn what_a_crash_left_is_brought_in_and_its_torn_end_kept() {
    let scratch = Scratch::new();
    let dir = crashed(&scratch.path());
    let segment = segment(&dir);
    let log = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, &log.as_bytes()[..log.trim_end().len() - 20]).unwrap();
    let before = contents(&scratch.path());
    let looked = persist(["repair", text(&dir), "--dry-run", "--json"]);
    assert_eq!((looked.code, &looked.json()["ok"]), (0, &json!(true)), "{looked:?}");
    assert_eq!(contents(&scratch.path()), before, "looking changed something");
    let ran = persist(["repair", text(&dir), "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let answer = ran.json();
    assert!(answer["found"][0].as_str().unwrap().starts_with("torn: "), "{answer}");
    assert!(answer["done"][0].as_str().unwrap().contains("2 records"), "{answer}");
    assert!(answer["kept_as"][0].as_str().unwrap().ends_with(".torn"), "{answer}");
    assert_eq!((&answer["records"], &answer["lost"]), (&json!(2), &json!([])), "{answer}");
}

#[test]
fn damage_of_the_log_is_given_up_only_when_that_is_said() {
    let scratch = Scratch::new();
    let dir = crashed(&scratch.path());
    let segment = segment(&dir);
    let mut bytes = fs::read(&segment).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 20;
    bytes[second] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let before = contents(&scratch.path());
    let refused = persist(["repair", text(&dir)]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("seq 2 to 2") && refused.err.contains("--salvage"), "{refused:?}");
    assert_eq!(contents(&scratch.path()), before, "refusing changed something");
    let salvaged = persist(["repair", text(&dir), "--salvage", "--json"]);
    assert_eq!(salvaged.code, 0, "{salvaged:?}");
    let answer = salvaged.json();
    assert_eq!((&answer["lost"], &answer["records"]), (&json!([[2, 2]]), &json!(2)), "{answer}");
    let kept = answer["kept_as"][0].as_str().unwrap();
    assert_eq!(fs::read(kept).unwrap(), bytes, "what was damaged is kept as it was");
    assert_eq!(persist(["verify", text(&dir)]).code, 0);
}

#[test]
fn a_missing_database_is_told_with_what_to_do() {
    let scratch = Scratch::new();
    dated(&scratch.path()).close().unwrap();
    fs::remove_file(scratch.path().join(DATE).join("data.duckdb")).unwrap();
    for args in [vec!["repair", "--dry-run"], vec!["repair"]] {
        let ran = persist(args.iter().copied().chain([scratch.join(DATE).as_str()]));
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!((ran.out.clone() + &ran.err).contains("data.duckdb is missing"), "{ran:?}");
    }
    let ran = persist(["repair", &scratch.join(DATE)]);
    assert!(ran.err.contains("persist restore"), "{ran:?}");
    assert!(!scratch.path().join(DATE).join("data.duckdb").exists(), "a new database hides what is missing");
}

#[test]
fn a_damaged_history_is_made_anew_of_backup_and_log() {
    let scratch = Scratch::new();
    collection(&scratch.path()).close().unwrap();
    let history = scratch.path().join("storage_history.duckdb");
    let mut bytes = fs::read(&history).unwrap();
    // Not only where nothing stands.
    bytes.iter_mut().skip(12_288).step_by(512).for_each(|byte| *byte ^= 1);
    fs::write(&history, bytes).unwrap();
    let ran = persist(["repair", &scratch.arg(), "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let answer = ran.json();
    assert!(answer["done"][0].as_str().unwrap().contains("the backup"), "{answer}");
    assert!(answer["kept_as"][0].as_str().unwrap().ends_with("storage_history.duckdb.broken"), "{answer}");
    assert_eq!(answer["records"], 2, "{answer}");
    let writes = persist(["history", &scratch.arg(), "ada", "--collection", "info", "--item", "age", "--json"]).json();
    assert_eq!(writes["writes"].as_array().unwrap().len(), 2);
    assert_eq!(persist(["verify", &scratch.arg()]).code, 0);
}

#[test]
fn a_history_that_is_gone_is_rebuilt_and_the_newest_items_of_it() {
    let scratch = Scratch::new();
    collection(&scratch.path()).close().unwrap();
    let live = CollectionStore::open("2025-12-25", CollectionConfig::new(scratch.path()).backups(false)).unwrap();
    live.put("ada").collection("info").item("size").value(5).data(&json!({})).unwrap();
    let crashed = Scratch::new();
    let copy = crashed.path().join("copy");
    persist_test_utils::copy_as_crash_leaves_it(&scratch.path(), &copy);
    drop(live);
    for missing in [vec!["storage_history.duckdb"], vec!["storage_history.duckdb", "storage_latest.duckdb"]] {
        for name in missing {
            fs::remove_file(copy.join(name)).unwrap();
        }
        let looked = persist(["rebuild", text(&copy), "--dry-run", "--json"]);
        assert_eq!(looked.code, 0, "{looked:?}");
        assert_eq!((&looked.json()["history"], &looked.json()["records"]), (&json!(true), &json!(null)), "{looked:?}");
        assert!(!copy.join("storage_history.duckdb").exists(), "looking made something");
        let ran = persist(["rebuild", text(&copy), "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let answer = ran.json();
        assert_eq!(answer["records"], 2, "{answer}");
        let items = persist(["get", text(&copy), "ada", "--collection", "info", "--json"]).json();
        let values: Vec<_> = items["records"].as_array().unwrap().iter().map(|record| &record["value"]).collect();
        assert_eq!(values, [&json!(33), &json!(5)], "{items}");
        let writes = persist(["history", text(&copy), "ada", "--collection", "info", "--item", "age", "--json"]).json();
        assert_eq!(writes["writes"].as_array().unwrap().len(), 2);
    }
    let latest = persist(["rebuild", text(&copy), "--json"]).json();
    assert_eq!((&latest["history"], &latest["records"]), (&json!(false), &json!(2)));
    let pairs = Scratch::new();
    kv(&pairs.path()).close().unwrap();
    let other = persist(["rebuild", &pairs.arg()]);
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.err.contains("persist restore"), "{other:?}");
}

#[test]
fn each_refuses_beside_an_owner_and_names_it() {
    let (days, items, to) = (Scratch::new(), Scratch::new(), Scratch::new());
    let (day, item) = (dated(&days.path()), collection(&items.path()));
    let (before, elsewhere) = (crate::command::at_rest(&days.path()), to.join("backup"));
    for args in [
        vec!["repair", &days.join(DATE)],
        vec!["repair", &items.arg()],
        vec!["rebuild", &items.arg()],
        vec!["compact", &days.join(DATE)],
        vec!["backup", &days.join(DATE), &elsewhere],
    ] {
        let ran = persist(&args);
        assert_eq!(ran.code, 1, "{args:?} {ran:?}");
        let pid = format!("pid {}", std::process::id());
        assert!(ran.err.contains(&pid) && ran.err.contains("stop it first"), "{args:?} {ran:?}");
    }
    assert_eq!(contents(&days.path()), before, "refusing changed something");
    assert!(!Path::new(&elsewhere).exists());
    day.close().unwrap();
    item.close().unwrap();
}

#[test]
fn a_store_of_each_kind_is_backed_up_and_restored() {
    let (days, items, pairs) = (Scratch::new(), Scratch::new(), Scratch::new());
    dated(&days.path()).close().unwrap();
    collection(&items.path()).close().unwrap();
    kv(&pairs.path()).close().unwrap();
    let to = Scratch::new();
    for (name, path, rows) in [("days", days.join(DATE), 3), ("items", items.arg(), 2), ("pairs", pairs.arg(), 2)] {
        let (backup, into) = (to.join(&format!("{name}-backup")), to.join(name));
        let ran = persist(["backup", &path, &backup, "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(ran.json()["rows"], rows);
        let again = persist(["backup", &path, &backup]);
        assert_eq!(again.code, 1, "{again:?}");
        assert!(again.err.contains("folder of its own"), "{again:?}");
        let looked = persist(["restore", &backup, &into, "--dry-run", "--json"]);
        assert_eq!((looked.code, &looked.json()["backup"]["rows"]), (0, &json!(rows)), "{looked:?}");
        assert!(!Path::new(&into).exists(), "looking made something");
        let restored = persist(["restore", &backup, &into, "--json"]);
        assert_eq!(restored.code, 0, "{restored:?}");
        let new = restored.json()["path"].as_str().unwrap().to_owned();
        let one = |path: &str| {
            let key = if name == "pairs" {
                "user_1"
            } else if name == "items" {
                "ada"
            } else {
                "load"
            };
            persist(["get", path, key]).out
        };
        assert_eq!(one(&new), one(&path));
        assert_eq!(persist(["verify", &new]).code, 0);
        let over = persist(["restore", &backup, &into]);
        assert_eq!(over.code, 1, "{over:?}");
        assert!(over.err.contains("into another folder"), "{over:?}");
        damage(
            &fs::read_dir(&backup)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .find(|path| path.to_string_lossy().contains(".duckdb"))
                .unwrap(),
        );
        let damaged = persist(["restore", &backup, &to.join(&format!("{name}-other"))]);
        assert_eq!(damaged.code, 1, "{damaged:?}");
        assert!(damaged.err.contains("is damaged"), "{damaged:?}");
        assert_eq!(persist(["restore", &backup, &to.join(&format!("{name}-other")), "--dry-run"]).code, 1);
    }
}

#[test]
fn a_collection_store_is_restored_as_it_stood_at_a_moment() {
    let scratch = Scratch::new();
    collection(&scratch.path()).close().unwrap();
    let store = CollectionStore::open("2025-12-25", CollectionConfig::new(scratch.path())).unwrap();
    let mut moments = vec![store.as_of_written("2999-01-01").unwrap()[0].written_at().to_string()];
    for value in [98, 99] {
        std::thread::sleep(std::time::Duration::from_millis(2));
        let put = store.put("ada").collection("info").item("size").value(value);
        moments.push(put.data(&json!({})).unwrap().written_at().to_string());
    }
    store.close().unwrap();
    let (into, to) = (scratch.join("restored"), Scratch::new());
    let value = |path: &str| {
        let size = persist(["get", path, "ada", "--collection", "info", "--item", "size", "--json"]).json();
        size["records"][0]["value"].clone()
    };
    let ran = persist(["restore", &scratch.arg(), &to.join("then"), "--to", &moments[1], "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let answer = ran.json();
    assert_eq!((&answer["seq"], &answer["from_log"]), (&json!(4), &json!(1)), "{answer}");
    assert_eq!(answer["backup"]["seq"], 3, "{answer}");
    assert_eq!((value(&to.join("then")), value(&scratch.arg())), (json!(98), json!(99)));
    let gone = persist(["restore", &scratch.arg(), &to.join("before"), "--to", "2001-01-01"]);
    assert_eq!(gone.code, 1, "{gone:?}");
    assert!(gone.err.contains("lack the records") || gone.err.contains("no backup"), "{gone:?}");
    let moment = &moments[0];
    let days = Scratch::new();
    dated(&days.path()).close().unwrap();
    let other = persist(["restore", &days.join(DATE), &into, "--to", moment]);
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.err.contains("only a collection store"), "{other:?}");
}

#[test]
fn compacting_merges_what_was_flushed() {
    let scratch = Scratch::new();
    let dir = crashed(&scratch.path());
    let ran = persist(["compact", text(&dir), "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let answer = ran.json();
    assert_eq!((&answer["merged_rows"], &answer["rows"]), (&json!(3), &json!(3)), "{answer}");
    let store = DatedStore::open(DATE, DatedConfig::new(scratch.path())).unwrap();
    assert_eq!((store.stats().base_rows, store.stats().delta_rows), (3, 0));
    store.close().unwrap();
}

#[test]
fn what_was_half_written_is_said_to_be_that() {
    let scratch = Scratch::new();
    dated(&scratch.path()).close().unwrap();
    let to = scratch.path().join("backup");
    // Killed while it is being made.
    let is_half = || to.join("manifest.json.tmp").exists() && !to.join("manifest.json").exists();
    for attempt in 0.. {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_persist"));
        let mut child = command.args(["backup", &scratch.join(DATE), text(&to)]).spawn().unwrap();
        while !is_half() && child.try_wait().unwrap().is_none() {}
        child.kill().unwrap();
        child.wait().unwrap();
        if is_half() && !to.join("manifest.json.new").exists() {
            break;
        }
        assert!(attempt < 50, "it is never killed while it is being made");
        let _ = fs::remove_dir_all(&to);
    }
    let exports = scratch.path().join("exports");
    let store = DatedStore::open(DATE, DatedConfig::new(scratch.path())).unwrap();
    store.export_to(&exports).unwrap();
    store.close().unwrap();
    fs::create_dir(exports.join(".persist_export-2025-01-15")).unwrap();
    let restored = scratch.path().join("base");
    fs::create_dir_all(restored.join(DATE)).unwrap();
    fs::write(restored.join(DATE).join("data.duckdb.new"), "").unwrap();
    for (path, says) in [
        (&to, "a backup that was not finished"),
        (&exports, "the export of 2025-01-15 was not finished"),
        (&restored, "a store that was not finished"),
    ] {
        for verb in ["inspect", "verify"] {
            let ran = persist([verb, text(path)]);
            assert_eq!(ran.code, 1, "{ran:?}");
            assert!(ran.out.contains(says), "{verb} {ran:?}");
        }
    }
    assert_eq!(persist(["inspect", text(&to), "--json"]).json()["model"], "unfinished");
    for verb in [vec!["keys"], vec!["wal", "cat"], vec!["restore", "--dry-run"], vec!["backup"], vec!["compact"]] {
        let more = if ["restore", "backup"].contains(&verb[0]) { vec!["/nowhere"] } else { Vec::new() };
        let ran = persist(verb.iter().copied().chain([text(&to)]).chain(more));
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("unfinished"), "{ran:?}");
    }
    // Nothing of it was opened: the store is fine.
    assert_eq!(persist(["verify", &scratch.join(DATE)]).code, 0);
    fs::remove_dir_all(&to).unwrap();
    assert_eq!(persist(["backup", &scratch.join(DATE), text(&to)]).code, 0);
}
