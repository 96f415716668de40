//! `import`: what rows become, what is rejected, and that each row is there once, whenever the import is killed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use persist_collection::{CollectionConfig, CollectionStore};
use persist_dated::{DatedConfig, DatedStore};
use persist_kv::{KvConfig, KvStore};
use persist_test_utils::Rng;
use serde_json::{Value, json};

use crate::command::{DATE, Scratch, collection, contents, dated, ends, interrupt, kv, persist};

fn file(scratch: &Scratch, name: &str, text: &str) -> String {
    let path = scratch.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn rows_of_csv_go_to_their_dates_and_those_that_do_not_fit_to_a_file() {
    let scratch = Scratch::new();
    dated(&scratch.path().join("base")).close().unwrap();
    let rows = "id,worker,when,progress,note\n\
        a,w1,2025-01-15T10:00:00Z,10,\"one, two\"\n\
        b,,2025-01-16 11:00,12345678901234567890.5,\n\
        ,w1,2025-01-16,1,no key\n\
        c,w1,yesterday,1,no date\n\
        d,w1,2025-01-16,1\n\
        e,w2,2025-01-16T12:00:00Z,true,2025-02-01\n";
    let csv = file(&scratch, "rows.csv", rows);
    let args = [
        "import",
        &csv,
        &scratch.join("base"),
        "--map",
        "key=id",
        "--map",
        "process=worker",
        "--map",
        "timestamp=when",
    ];
    let ran = persist(args.iter().copied().chain(["--json"]));
    assert_eq!(ran.code, 1, "{ran:?}");
    let answer = ran.json();
    assert_eq!((&answer["rows"], &answer["rejected"]), (&json!(3), &json!(3)), "{answer}");
    let rejects = fs::read_to_string(answer["rejects"].as_str().unwrap()).unwrap();
    let rejects: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<_> = rejects.iter().map(|reject| reject["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [4, 5, 6]);
    for (reject, (reason, row)) in rejects.iter().zip([
        ("no id", ",w1,2025-01-16,1,no key"),
        ("yesterday", "c,w1,yesterday,1,no date"),
        ("4 fields", "d,w1,2025-01-16,1"),
    ]) {
        assert!(reject["reason"].as_str().unwrap().contains(reason), "{reject}");
        assert_eq!(reject["row"], row);
    }
    let base = scratch.path().join("base");
    let first = DatedStore::open(DATE, DatedConfig::new(&base)).unwrap();
    let a = first.get_key_process("a", Some("w1")).unwrap();
    assert_eq!(
        (a.field::<u32>("progress").unwrap(), a.field::<String>("note").unwrap()),
        (Some(10), Some("one, two".to_owned()))
    );
    assert_eq!(a.timestamp().unwrap().to_string(), "2025-01-15T10:00:00+00:00");
    assert_eq!(first.len(), 4);
    let second = DatedStore::open("2025-01-16", DatedConfig::new(&base)).unwrap();
    assert!(second.get_key_process("b", None).unwrap().json().contains("12345678901234567890.5"));
    assert!(second.get_key_process("b", None).unwrap().field::<Value>("note").unwrap().is_none());
    assert_eq!(second.get_key_process("e", Some("w2")).unwrap().field::<bool>("progress").unwrap(), Some(true));
    assert_eq!(second.len(), 2);
}

#[test]
fn json_lines_go_to_collections_and_tables_of_pairs() {
    let scratch = Scratch::new();
    let lines = "{\"key\":\"ada\",\"collection\":\"info\",\"item\":\"age\",\"value\":33,\"source\":\"form\"}\n\n\
        {\"key\":\"ada\",\"collection\":\"info\",\"item\":\"name\",\"value\":\"Ada\",\"timestamp\":\"2025-12-01\"}\n\
        {\"key\":\"ada\",\"item\":\"list\",\"value\":[1]}\n\
        [1]\n\
        {\"key\":\"ada\",\"item\":\"none\"}\n";
    let jsonl = file(&scratch, "rows.jsonl", lines);
    let items = scratch.join("items");
    let ran = persist(["import", &jsonl, &items, "--new", "collection", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!((&ran.json()["rows"], &ran.json()["rejected"]), (&json!(3), &json!(2)), "{ran:?}");
    let store = CollectionStore::open("2025-12-24", CollectionConfig::new(&items)).unwrap();
    let info = store.get_key_in("ada", "info").unwrap();
    assert_eq!(info["age"].typed_value(), &Some(persist_collection::Scalar::Int(33)));
    assert_eq!(info["age"].field::<String>("source").unwrap().as_deref(), Some("form"));
    assert_eq!(info["name"].timestamp().unwrap().to_string(), "2025-12-01T00:00:00+00:00");
    assert_eq!(store.get_item("ada", "", "none").unwrap().unwrap().typed_value(), &None);
    drop(store);

    let pairs = scratch.join("pairs");
    let csv = file(&scratch, "pairs.tsv", "id\tdata\n7\t{\"a\":1}\n8\t{\"a\":1\n9\t{\"date\":\"2025-01-01\"}\n");
    let ran = persist(["import", &csv, &pairs, "--new", "kv", "--map", "key=id", "--json"]);
    assert_eq!((ran.code, &ran.json()["rows"]), (1, &json!(2)), "{ran:?}");
    let store = KvStore::open(Path::new(&pairs).join("data.duckdb"), KvConfig::new(&pairs)).unwrap();
    assert_eq!(store.get("7").unwrap().json(), "{\"a\":1}");
    assert_eq!(store.get("9").unwrap().json(), "{\"date\":\"2025-01-01\"}");
}

#[test]
fn a_row_that_an_extra_column_can_not_take_is_rejected() {
    let scratch = Scratch::new();
    let csv = file(&scratch, "rows.csv", "key,seats\na,4\nb,many\nc,\n");
    let path = scratch.join("pairs");
    let ran = persist(["import", &csv, &path, "--new", "kv", "--column", "seats=int64", "--json"]);
    assert_eq!((ran.code, &ran.json()["rows"]), (1, &json!(2)), "{ran:?}");
    assert!(fs::read_to_string(scratch.join("rows.csv.rejects.jsonl")).unwrap().contains("seats: "));
    let keys = persist(["keys", &path, "--column", "seats=int64"]);
    assert_eq!(keys.out, "a\nc\n", "{keys:?}");
}

#[test]
fn what_can_not_be_meant_is_refused_and_changes_nothing() {
    let scratch = Scratch::new();
    kv(&scratch.path()).close().unwrap();
    let csv = file(&scratch, "rows.csv", "id,n\n1,2\n");
    let gz = file(&scratch, "rows.csv.gz", "\u{1f}");
    fs::write(&gz, [0x1f, 0x8b, 8]).unwrap();
    let path = scratch.arg();
    let before = contents(&scratch.path());
    for (args, code, says) in [
        (vec![csv.as_str(), &path], 2, "--map key=COLUMN"),
        (vec![&csv, &path, "--map", "key=no"], 2, "no column \"no\""),
        (vec![&csv, &path, "--map", "process=n"], 2, "have no process"),
        (vec![&csv, &path, "--map", "what=n"], 2, "none of date"),
        (vec![&csv, &path, "--map", "key=id", "--date", DATE], 2, "leave --date out"),
        (vec![&gz, &path, "--format", "csv"], 1, "gunzip"),
        (vec![&csv, "/nowhere/at/all", "--map", "key=id"], 1, "No such file"),
    ] {
        let ran = persist(["import"].into_iter().chain(args.iter().copied()));
        assert_eq!(ran.code, code, "{args:?} {ran:?}");
        assert!(ran.err.contains(says), "{args:?} {ran:?}");
    }
    let owner = KvStore::open(scratch.path().join("data.duckdb"), KvConfig::new(scratch.path())).unwrap();
    let ran = persist(["import", &csv, &path, "--map", "key=id"]);
    assert!(ran.code == 1 && ran.err.contains(&format!("pid {}", std::process::id())), "{ran:?}");
    owner.close().unwrap();
    let names = |files: std::collections::BTreeMap<PathBuf, Vec<u8>>| files.into_keys().collect::<Vec<_>>();
    let after: Vec<_> =
        names(contents(&scratch.path())).into_iter().filter(|path| !path.ends_with("status.json")).collect();
    assert_eq!(after, names(before).into_iter().filter(|path| !path.ends_with("status.json")).collect::<Vec<_>>());
}

/// Rows for three dates, one in seven of which is rejected.
fn many(count: usize) -> String {
    let mut rows = "key,date,process,n\n".to_owned();
    for n in 0..count {
        let (day, key) = (15 + n % 3, if n % 7 == 3 { String::new() } else { format!("key{n}") });
        writeln!(rows, "{key},2025-01-{day},worker{},{n}", n % 5).unwrap();
    }
    rows
}

fn start(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_persist"));
    command.arg("import").args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The one position file in a folder.
fn position(dir: &Path) -> Option<Value> {
    let is_position = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(".persist_import-") && name.ends_with(".json")
    };
    let path = fs::read_dir(dir).ok()?.map(|entry| entry.unwrap().path()).find(is_position)?;
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Kills an import again and again, each time a little after it has come a little further, until it is done. Answers in how
/// many states it was killed.
fn kill_until_done(args: &[&str], dir: &Path, seed: u64) -> usize {
    let (mut rng, mut kills) = (Rng::new(seed), 0);
    loop {
        let before = position(dir);
        let mut child = start(args);
        let steps = rng.below(4);
        let (mut seen, mut last) = (0, before.clone());
        let began = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            let now = position(dir);
            if now != last {
                (seen, last) = (seen + 1, now);
            }
            if seen > steps {
                std::thread::sleep(Duration::from_micros(rng.below(4000)));
                break None;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "seed {seed}: it does not go on from {last:?}");
        };
        match ended {
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
            }
            Some(_) => {
                let output = child.wait_with_output().unwrap();
                let error = String::from_utf8(output.stderr).unwrap();
                assert!(error.is_empty(), "seed {seed}: {error}");
                return kills;
            }
        }
    }
}

#[test]
fn an_import_that_is_killed_again_and_again_has_each_row_once() {
    let scratch = Scratch::new();
    let csv = file(&scratch, "rows.csv", &many(210));
    let base = scratch.path().join("base");
    let path = base.to_str().unwrap();
    let seed = u64::from(std::process::id());
    let kills = kill_until_done(&[&csv, path, "--new", "dated", "--batch", "10"], &base, seed);
    assert!(kills >= 5, "seed {seed}: killed only {kills} times");
    let mut rows = 0;
    for day in 15..18 {
        let store = DatedStore::open(format!("2025-01-{day}").as_str(), DatedConfig::new(&base)).unwrap();
        for record in store.iter() {
            let n: usize = record.field("n").unwrap().unwrap();
            assert_eq!(record.key(), format!("key{n}"));
            assert_eq!((record.version(), n % 3 + 15), (1, day), "seed {seed}: row {n} was doubled");
        }
        assert_eq!(store.stats().last_seq, store.len() as u64, "seed {seed}");
        rows += store.len();
    }
    assert_eq!(rows, 180, "seed {seed}: rows were lost");
    let rejects = fs::read_to_string(format!("{csv}.rejects.jsonl")).unwrap();
    let lines: Vec<u64> =
        rejects.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (0..210).filter(|n| n % 7 == 3).map(|n| n + 2).collect::<Vec<u64>>(), "seed {seed}");
}

#[test]
fn a_history_has_each_row_once_however_often_the_import_was_killed() {
    let scratch = Scratch::new();
    let mut lines = String::new();
    for n in 0..150 {
        // The same item again and again: a doubled row would be a write more.
        writeln!(lines, "{{\"key\":\"k{}\",\"item\":\"i\",\"value\":{n}}}", n % 4).unwrap();
    }
    let jsonl = file(&scratch, "rows.jsonl", &lines);
    let dir = scratch.path().join("items");
    let seed = u64::from(std::process::id());
    let kills = kill_until_done(&[&jsonl, dir.to_str().unwrap(), "--new", "collection", "--batch", "6"], &dir, seed);
    assert!(kills >= 3, "seed {seed}: killed only {kills} times");
    let store = CollectionStore::open("2025-12-24", CollectionConfig::new(&dir)).unwrap();
    let mut values = Vec::new();
    for key in 0..4 {
        let writes = store.history(&format!("k{key}"), "", "i").unwrap();
        values.extend(writes.iter().map(|write| match write.record().unwrap().typed_value() {
            Some(persist_collection::Scalar::Int(value)) => *value,
            other => panic!("{other:?}"),
        }));
    }
    values.sort_unstable();
    assert_eq!(values, (0..150).collect::<Vec<_>>(), "seed {seed}");
}

/// Sets how far an import has come back to a batch that was begun.
fn rewind(dir: &Path, change: impl Fn(&mut Value)) {
    let mut position_file = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let path = position_file.find(|path| path.to_string_lossy().contains(".persist_import-")).unwrap();
    let mut text = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut text);
    fs::write(&path, text.to_string()).unwrap();
}

#[test]
fn a_batch_that_was_begun_is_made_if_it_was_not_and_left_if_it_was() {
    let scratch = Scratch::new();
    let dir = scratch.path().join("pairs");
    let path = dir.to_str().unwrap().to_owned();
    let csv = file(&scratch, "rows.csv", "key,n\na,1\nb,2\nc,3\n");
    let args = ["import", csv.as_str(), &path, "--new", "kv", "--json"];
    assert_eq!(persist(args).code, 0);
    let store =
        || KvStore::open(dir.join("data.duckdb"), KvConfig::new(&dir).keep_log(Duration::from_secs(3600))).unwrap();
    let id = persist(["inspect", &path, "--json"]).json()["stores"][0]["store"].clone();
    let end = position(&dir).unwrap()["at"]["byte"].clone();
    let begin = |after: u64, rows: u64| {
        rewind(&dir, |position| {
            position["at"] = json!({"byte": 0, "line": 1});
            position["end"] = end.clone();
            position["rows"] = json!(0);
            position["is_done"] = json!(false);
            position["begun"] = json!([{"name": "", "store": id, "after": after, "rows": rows}]);
        });
    };
    let versions = || {
        let store = store();
        let mut versions: Vec<_> = store.iter().map(|record| (record.key().to_owned(), record.version())).collect();
        versions.sort();
        store.close().unwrap();
        versions
    };
    let of = |versions: [u32; 3]| ["a", "b", "c"].map(str::to_owned).into_iter().zip(versions).collect::<Vec<_>>();
    // As a kill leaves it after the batch, and before the position after it.
    begin(0, 3);
    let ran = persist(args);
    assert_eq!((ran.code, &ran.json()["rows"], versions()), (0, &json!(3), of([1, 1, 1])), "{ran:?}");
    // The same, and somebody has written since.
    let other = store();
    other.store("a", &json!({"n": 7})).unwrap();
    other.close().unwrap();
    begin(0, 3);
    assert_eq!((persist(args).code, versions()), (0, of([2, 1, 1])));
    // As one leaves it before the batch: what stands at its seqs is another's, or nothing.
    begin(3, 3);
    assert_eq!((persist(args).code, versions()), (0, of([3, 2, 2])));
    begin(7, 3);
    assert_eq!((persist(args).code, versions()), (0, of([4, 3, 3])));
    // Where the log has gone, nobody knows.
    let other = KvStore::open(dir.join("data.duckdb"), KvConfig::new(&dir)).unwrap();
    other.store("d", &json!({})).unwrap();
    other.close().unwrap();
    begin(7, 3);
    let ran = persist(args);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("nobody can tell whether the rows from line 2 to 4"), "{ran:?}");
    assert_eq!(persist(["import", &csv, &path, "--anew"]).code, 0);
}

#[test]
fn an_import_that_is_done_is_not_done_again_and_a_file_that_has_changed_is_refused() {
    let scratch = Scratch::new();
    collection(&scratch.path()).close().unwrap();
    let path = scratch.arg();
    let csv = file(&scratch, "rows.csv", "key,item,value\na,x,1\na,y,2\n");
    let run = |more: &[&str]| persist([&["import", &csv, &path, "--json"], more].concat());
    assert_eq!((run(&[]).code, run(&[]).json()["already"].clone()), (0, json!(true)));
    fs::write(&csv, "key,item,value\na,x,1\na,y,2\na,z,3\n").unwrap();
    let grown = run(&[]).json();
    assert_eq!((&grown["rows"], &grown["resumed_at"]), (&json!(3), &json!(4)), "{grown}");
    fs::write(&csv, "key,item,value\na,x,7\na,y,2\na,z,3\n").unwrap();
    let changed = run(&[]);
    assert_eq!(changed.code, 1, "{changed:?}");
    assert!(changed.err.contains("has changed"), "{changed:?}");
    let other = run(&["--map", "value="]);
    assert_eq!(other.code, 2, "{other:?}");
    assert_eq!(run(&["--anew"]).json()["rows"], 3);
    let store = CollectionStore::open("2025-12-24", CollectionConfig::new(&path)).unwrap();
    let versions = ["x", "y", "z"].map(|item| store.get_item("a", "", item).unwrap().unwrap().version());
    assert_eq!(versions, [2, 2, 2]);
}

#[test]
fn after_ctrl_c_it_goes_on_where_it_was() {
    let scratch = Scratch::new();
    let csv = file(&scratch, "rows.csv", &many(2000));
    let base = scratch.path().join("base");
    let args = [csv.as_str(), base.to_str().unwrap(), "--new", "dated", "--batch", "5"];
    let mut child = start(&args);
    while position(&base).is_none_or(|position| position["rows"].as_u64().unwrap() < 20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    interrupt(&child);
    let (code, said) = ends(&mut child);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("it was interrupted after line"), "{said}");
    let at = position(&base).unwrap();
    assert_eq!((&at["end"], &at["begun"]), (&json!(null), &json!([])), "{at}");
    let verified = persist(["verify", base.to_str().unwrap(), "--json"]).json();
    let records: u64 =
        verified["checked"].as_array().unwrap().iter().map(|store| store["records"].as_u64().unwrap()).sum();
    assert_eq!((&verified["ok"], records), (&json!(true), at["rows"].as_u64().unwrap()));
    let more = [&args[..4], &["--batch", "1000", "--json"]].concat();
    let ran = persist([&["import"], &more[..]].concat());
    assert_eq!((ran.code, &ran.json()["rows"]), (1, &json!(1714)), "{ran:?}");
}
