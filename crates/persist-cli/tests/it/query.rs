//! `query`: one store, many dates as one table, beside an owner, after a crash; and what it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use persist_core::{Sandbox, SandboxPart, SandboxTable};
use persist_dated::{DatedConfig, DatedStore};
use serde_json::{Value, json};

use crate::command::{DATE, Ran, Scratch, at_rest, collection, contents, crashed, dated, ends, interrupt, kv, persist};

fn query(path: &str, sql: &str, more: &[&str]) -> Ran {
    persist(["query", path, sql].iter().chain(more))
}

/// The rows as JSON, column by column.
fn rows(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.json()["rows"].as_array().unwrap().clone()
}

/// A closed store of a date with one record.
fn day(base: &Path, date: &str, config: impl FnOnce(DatedConfig) -> DatedConfig) {
    let store = DatedStore::open(date, config(DatedConfig::new(base))).unwrap();
    store.store("task", &json!({"day": format!("on {date}"), "seats": 5})).unwrap();
    store.close().unwrap();
}

#[test]
fn many_dates_are_one_table() {
    let scratch = Scratch::new();
    for date in ["2025-01-14", "2025-01-15", "2025-01-16"] {
        day(&scratch.path(), date, |config| config);
    }
    day(&scratch.path(), "2025-01-17", |config| config.extra_schema([("seats", "int64")]));
    let path = scratch.arg();
    let sql = "SELECT date, 'on ' || date = (data->>'day') AS is_right, key, seats FROM storage ORDER BY date";
    let all = rows(&query(&path, sql, &["--json"]));
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|row| row["is_right"] == true && row["key"] == "task"), "{all:?}");
    assert_eq!((&all[2]["seats"], &all[3]["seats"]), (&Value::Null, &json!(5)));
    let sql = "SELECT date FROM storage ORDER BY date";
    let dates = |more: &[&str]| query(&path, sql, more).out;
    assert_eq!(dates(&["--csv", "--from", "2025-01-15", "--to", "2025-01-16"]), "date\n2025-01-15\n2025-01-16\n");
    assert_eq!(dates(&["--csv", "--from", "2025-01-16"]), "date\n2025-01-16\n2025-01-17\n");
    assert_eq!(dates(&["--csv", "--date", "2025-01-14"]), "date\n2025-01-14\n");
    assert_eq!(query(&scratch.join("2025-01-14"), sql, &["--csv"]).out, "date\n2025-01-14\n");
    assert_eq!(query(&path, sql, &["--from", "2026-01-01"]).code, 1);
    assert_eq!(query(&path, sql, &["--from", "january"]).code, 2);
    assert_eq!(query(&path, sql, &["--from", "2025-01-15", "--date", "2025-01-15"]).code, 2);
    assert_eq!(query(&scratch.join("2025-01-14"), sql, &["--from", "2025-01-14"]).code, 2);
}

#[test]
fn an_answer_is_a_table_comma_separated_values_json_or_a_parquet_file() {
    let scratch = Scratch::new();
    kv(&scratch.path()).close().unwrap();
    let (path, before) = (scratch.arg(), contents(&scratch.path()));
    let sql = "SELECT key, length(data) AS n FROM storage ORDER BY key";
    let text = query(&path, sql, &[]).out;
    assert_eq!(text, "key    |  n\n-------+---\nuser_1 | 16\nuser_2 | 40\n(2 rows)\n");
    let odd = "SELECT 'a,b' AS a, 'say \"x\"' AS b, '' AS c, NULL AS \"d\n\", 1.5 AS e, [1, 2] AS f";
    assert_eq!(query(&path, odd, &["--csv"]).out, "a,b,c,\"d\n\",e,f\n\"a,b\",\"say \"\"x\"\"\",\"\",,1.5,\"[1,2]\"\n");
    assert_eq!(query(&path, "SELECT NULL AS a FROM range(2)", &["--csv"]).out, "a\n\n\n");
    let json = rows(&query(&path, odd, &["--json"]));
    assert_eq!(json, [json!({"a": "a,b", "b": "say \"x\"", "c": "", "d\n": null, "e": 1.5, "f": [1, 2]})]);
    let twice = query(&path, "SELECT 1 AS a, 2 AS a", &["--json"]);
    assert!(twice.code == 2 && twice.err.contains("AS"), "{twice:?}");
    assert_eq!(contents(&scratch.path()), before, "a query changes nothing");

    let lake = Scratch::new();
    let folder = lake.path().join("date=2025-01-15");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("answer.parquet");
    fs::write(&file, "an older one").unwrap();
    for sql in [format!("{sql} -- the end"), format!("{sql};")] {
        let written = query(&path, &sql, &["--parquet", file.to_str().unwrap(), "--json"]);
        assert_eq!((written.code, &written.json()["rows"]), (0, &json!(2)), "{written:?}");
        let part = SandboxPart::Parquet { date: DATE.to_owned(), files: vec![file.clone()] };
        let back = Sandbox::open(&[SandboxTable { name: "t".to_owned(), parts: vec![part] }], None).unwrap();
        let back = back.query("SELECT key, n FROM t ORDER BY key").unwrap();
        assert_eq!((back.len(), back.get(1, "n")), (2, Some(&json!(40))));
    }
    let good = fs::read(&file).unwrap();
    let failed = query(&path, "SELECT error('no') FROM storage", &["--parquet", file.to_str().unwrap()]);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert_eq!(fs::read(&file).unwrap(), good, "what was there stays");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left aside");
}

#[test]
fn a_collection_store_has_its_items_and_their_history() {
    let scratch = Scratch::new();
    collection(&scratch.path()).close().unwrap();
    let path = scratch.arg();
    let sql = "SELECT item_name, value_int FROM storage_latest ORDER BY item_name";
    let newest = rows(&query(&path, sql, &["--json"]));
    assert_eq!(newest, [json!({"item_name": "age", "value_int": 33}), json!({"item_name": "size", "value_int": 4})]);
    let sql =
        "SELECT count(*) AS n FROM storage_history h JOIN storage_latest l USING (key, collection_name, item_name)";
    assert_eq!(rows(&query(&path, sql, &["--json"])), [json!({"n": 3})]);
    let backup = rows(&query(&scratch.join("2025-12-24"), "SELECT count(*) AS n FROM storage_latest", &["--json"]));
    assert_eq!(backup, [json!({"n": 2})]);
}

#[test]
fn what_only_the_log_has_is_in_the_answer() {
    let scratch = Scratch::new();
    let dir = crashed(&scratch.path());
    let ran = query(dir.to_str().unwrap(), "SELECT count(*) AS n FROM storage", &["--json"]);
    assert_eq!(rows(&ran), [json!({"n": 3})]);
    assert!(ran.err.contains("not closed"), "{ran:?}");
    assert_eq!(ran.json()["sources"][0]["recovered"], true);
    let again = query(dir.to_str().unwrap(), "SELECT count(*) AS n FROM storage", &["--json"]);
    assert_eq!((rows(&again), again.err.as_str()), (vec![json!({"n": 3})], ""));
}

#[test]
fn beside_an_owner_what_it_has_published_is_read_and_that_is_said() {
    let (scratch, lake, backups) = (Scratch::new(), Scratch::new(), Scratch::new());
    day(&scratch.path(), "2025-01-14", |config| config);
    let store = dated(&scratch.path());
    let (path, sql) = (scratch.arg(), "SELECT date, count(*) AS n FROM storage GROUP BY date ORDER BY date");
    let pid = format!("pid {}", std::process::id());

    let nothing = query(&path, sql, &[]);
    assert_eq!(nothing.code, 1, "{nothing:?}");
    for says in [&pid, "--published", "--to"] {
        assert!(nothing.err.contains(says), "{nothing:?}");
    }
    assert_eq!(query(&path, sql, &["--published", &lake.arg()]).code, 1, "there is nothing in it");
    assert_eq!(query(&path, sql, &["--to", "2025-01-14"]).code, 0, "the other date is nobody's");

    let expected = [json!({"date": "2025-01-14", "n": 1}), json!({"date": DATE, "n": 3})];
    let ask = |dir: &Scratch| query(&path, sql, &["--json", "--published", &dir.arg()]);
    store.export_to(lake.path()).unwrap();
    store.backup(backups.path().join("a")).unwrap();
    let before = at_rest(&scratch.path());
    for (dir, kind) in [(&lake, "export"), (&backups, "backup")] {
        let ran = ask(dir);
        assert_eq!(rows(&ran), expected, "{kind}");
        assert!(ran.err.contains(&pid) && ran.err.contains("no write is missing"), "{ran:?}");
    }
    assert_eq!(contents(&scratch.path()), before, "nothing was changed");
    store.store("more", &json!({})).unwrap();
    store.store("yet more", &json!({})).unwrap();
    for (dir, kind) in [(&lake, "export"), (&backups, "backup")] {
        let ran = ask(dir);
        assert_eq!(rows(&ran), expected, "{kind}");
        assert!(ran.err.contains("up to 2 writes"), "{ran:?}");
        let source = &ran.json()["sources"][1];
        assert_eq!((&source["kind"], &source["missing_writes"]), (&json!(kind), &json!(2)));
        assert!(source["owner"].as_str().unwrap().contains(&pid), "{source}");
    }
    store.close().unwrap();
    assert!(rows(&query(&path, sql, &["--json"]))[1]["n"] == 5);
    // Each by itself.
    assert_eq!(rows(&query(&lake.arg(), sql, &["--json"])), [expected[1].clone()]);
    assert_eq!(rows(&query(&backups.join("a"), sql, &["--json"])), [expected[1].clone()]);

    let items = Scratch::new();
    collection(&items.path()).close().unwrap();
    let store = collection(&items.path());
    let ran = query(&items.arg(), "SELECT count(*) AS n FROM storage_history", &["--json"]);
    assert_eq!(rows(&ran), [json!({"n": 3})]);
    assert!(ran.err.contains("up to 3 writes") && ran.err.contains(&pid), "{ran:?}");
    store.close().unwrap();
}

#[test]
fn what_is_published_of_another_branch_of_the_lineage_is_not_the_stores_own() {
    let (scratch, lake, backups) = (Scratch::new(), Scratch::new(), Scratch::new());
    let store = dated(&scratch.path());
    let first = store.backup(backups.path().join("a")).unwrap();
    // What came after the backup is not in the store that was restored from it.
    store.store("more", &json!({})).unwrap();
    store.export_to(lake.path()).unwrap();
    store.backup(backups.path().join("b")).unwrap();
    store.close().unwrap();
    fs::remove_dir_all(scratch.path().join(DATE)).unwrap();
    let config = DatedConfig::new(scratch.path());
    DatedStore::restore(&first.dir, DATE, config.clone()).unwrap();
    let store = DatedStore::open(DATE, config).unwrap();
    let ask = |dir: &Scratch| {
        query(&scratch.arg(), "SELECT count(*) AS n FROM storage", &["--json", "--published", &dir.arg()])
    };
    assert_eq!(rows(&ask(&backups)), [json!({"n": 3})]);
    let none = ask(&lake);
    assert!(none.code == 1 && none.err.contains("no export or backup of it"), "{none:?}");
    store.close().unwrap();
}

#[test]
fn of_a_year_only_the_dates_asked_for_are_touched() {
    let scratch = Scratch::new();
    let mut dates = Vec::new();
    for month in 1..=12 {
        let days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
        dates.extend((1..=days).map(|day| format!("2025-{month:02}-{day:02}")));
    }
    assert_eq!(dates.len(), 365);
    // Each is what a store has left, under the name of another date.
    let made = Scratch::new();
    day(&made.path(), DATE, |config| config);
    for date in &dates {
        let dir = scratch.path().join(date);
        fs::create_dir(&dir).unwrap();
        for file in contents(&made.path().join(DATE)).keys() {
            fs::copy(file, dir.join(file.file_name().unwrap())).unwrap();
        }
    }
    let sql = "SELECT count(*) AS n, count(DISTINCT date) AS dates, min(date) AS a, max(date) AS b FROM storage";
    let path = scratch.arg();
    let year = query(&path, sql, &["--json"]);
    assert_eq!(rows(&year), [json!({"n": 365, "dates": 365, "a": "2025-01-01", "b": "2025-12-31"})]);
    assert_eq!(year.json()["sources"].as_array().unwrap().len(), 365);

    // What is opened of a date outside of the range can't be read: its database is no database, its identity no JSON, and
    // for who is not root nothing of it can be opened.
    let range = &dates[90..97];
    for date in dates.iter().filter(|date| !range.contains(date)) {
        let dir = scratch.path().join(date);
        for name in ["data.duckdb", "store.json", "status.json"] {
            fs::write(dir.join(name), "no").unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o0)).unwrap();
        }
    }
    let (from, to) = (&range[0], &range[6]);
    let week = query(&path, sql, &["--json", "--from", from, "--to", to]);
    assert_eq!(rows(&week), [json!({"n": 7, "dates": 7, "a": from, "b": to})]);
    let touched: Vec<Value> = week.json()["sources"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|of| of["files"].as_array().unwrap().clone())
        .collect();
    let expected: Vec<String> = range.iter().map(|date| scratch.join(&format!("{date}/data.duckdb"))).collect();
    assert_eq!(touched, expected);
    let more = query(&path, sql, &["--from", from, "--to", &dates[97]]);
    assert_eq!(more.code, 1, "a date in the range that can't be read is not left out: {more:?}");
}

#[test]
fn nothing_but_one_select_over_the_tables_is_run() {
    let scratch = Scratch::new();
    dated(&scratch.path()).close().unwrap();
    let secret = Scratch::new();
    let (csv, text) = (secret.join("secret.csv"), secret.join("secret.txt"));
    fs::write(&csv, "a\nhidden\n").unwrap();
    fs::write(&text, "hidden").unwrap();
    let out = secret.join("out");
    let other = scratch.join("2025-01-15/data.duckdb");
    let before = (contents(&scratch.path()), contents(&secret.path()));
    let hostile = [
        format!("COPY storage TO '{out}'"),
        format!("COPY (SELECT 1) TO '{out}' (FORMAT parquet)"),
        format!("ATTACH '{out}' AS x"),
        format!("ATTACH '{other}' AS x"),
        "PRAGMA database_list".to_owned(),
        "PRAGMA enable_profiling".to_owned(),
        format!("SELECT * FROM read_csv('{csv}')"),
        "SELECT * FROM read_csv('/etc/passwd')".to_owned(),
        format!("FROM '{csv}'"),
        format!("FROM read_text('{text}')"),
        format!("FROM read_blob('{text}')"),
        format!("FROM read_json('{text}')"),
        format!("FROM parquet_metadata('{text}')"),
        format!("FROM read_duckdb('{other}')"),
        format!("FROM sniff_csv('{csv}')"),
        format!("FROM glob('{}/*')", secret.arg()),
        format!("SELECT (SELECT a FROM read_csv('{csv}')) AS a FROM storage"),
        format!("WITH t AS (FROM read_text('{text}')) SELECT * FROM t"),
        format!("FROM query('FROM read_text(''{text}'')')"),
        format!("FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{text}'')'))"),
        format!("FROM enable_logging('QueryLog', storage = 'file', storage_path = '{out}')"),
        "FROM truncate_duckdb_logs()".to_owned(),
        "FROM force_checkpoint()".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
        "SELECT 1; DROP TABLE storage".to_owned(),
        "INSTALL httpfs".to_owned(),
        "LOAD httpfs".to_owned(),
        "SET threads = 1".to_owned(),
        "SET enable_external_access = true".to_owned(),
        "RESET enable_external_access".to_owned(),
        "WITH t AS (INSERT INTO storage (key) VALUES ('x') RETURNING *) SELECT * FROM t".to_owned(),
        "WITH t AS (DELETE FROM storage RETURNING *) SELECT * FROM t".to_owned(),
        "INSERT INTO storage (key) VALUES ('x')".to_owned(),
        "UPDATE storage SET key = 'x'".to_owned(),
        "DELETE FROM storage".to_owned(),
        "DROP VIEW storage".to_owned(),
        "CREATE TABLE t AS SELECT 1".to_owned(),
        "CREATE MACRO m() AS 1".to_owned(),
        "EXPLAIN ANALYZE SELECT 1".to_owned(),
        format!("EXPORT DATABASE '{out}'"),
        "CALL force_checkpoint()".to_owned(),
        "CHECKPOINT".to_owned(),
        "SELECT 1::ENUM('a') FROM storage".to_owned(),
        String::new(),
    ];
    for sql in &hostile {
        for more in [&["--json"][..], &["--parquet", &out]] {
            let ran = query(&scratch.arg(), sql, more);
            assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{sql}: {ran:?}");
            assert!(ran.err.contains("error") && !ran.err.contains("hidden"), "{sql}: {ran:?}");
            assert!(!ran.err.contains("panicked") && !ran.err.contains("terminate"), "{sql}: {ran:?}");
        }
    }
    assert_eq!((contents(&scratch.path()), contents(&secret.path())), before);
    for sql in
        ["SELECT 1", "FROM storage", "SELECT unnest([1, 2])", "FROM range(3)", "SUMMARIZE storage", "SHOW TABLES"]
    {
        assert_eq!(query(&scratch.arg(), sql, &[]).code, 0, "{sql}");
    }
}

#[test]
fn ctrl_c_ends_a_query_and_leaves_no_half_a_file() {
    let scratch = Scratch::new();
    kv(&scratch.path()).close().unwrap();
    let lake = Scratch::new();
    let (file, aside) = (lake.path().join("answer.parquet"), lake.path().join("answer.parquet.tmp"));
    fs::write(&file, "as before").unwrap();
    let endless = "SELECT count(*) AS n FROM range(1000000000) a, range(1000000000) b WHERE hash(a.range, b.range) = 1";
    let mut child = Command::new(env!("CARGO_BIN_EXE_persist"))
        .args(["query", &scratch.arg(), endless, "--parquet", file.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !aside.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        thread::sleep(Duration::from_millis(10));
    }
    interrupt(&child);
    let (code, said) = ends(&mut child);
    assert!(code == 1 && said.contains("interrupted"), "{code}: {said}");
    assert!(!aside.exists());
    assert_eq!(fs::read(&file).unwrap(), b"as before");
}
