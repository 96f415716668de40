//! Appending, merging, loading: what goes in comes out.

use super::*;
use crate::error::{Error, ErrorKind};
use crate::protocol::Merged;

#[test]
fn table_view_and_load_agree_before_and_after_a_merge() {
    let (_dir, database, mut appender) = new_database();
    let mut expected = BTreeMap::new();
    let mut seq = 0;
    for (round, ids) in [(0, 0..300), (1, 100..350), (2, 0..10), (3, 340..341)] {
        let records: Vec<_> = ids
            .map(|id| {
                seq += 1;
                let part = (id % 3 > 0).then(|| format!("p{}", id % 3));
                let data = format!(r#"{{"round":{round},"id":{id}}}"#);
                expected.insert((format!("k{id}"), part.clone()), (data.clone(), seq as u32));
                record(&format!("k{id}"), part.as_deref(), seq, &data)
            })
            .collect();
        appender.append(&records, seq, AT).unwrap();
        assert_eq!(queried(&database), expected);
        assert_eq!(loaded(&database), expected);
        if round == 1 {
            let merged = database.merge().unwrap();
            assert_eq!(merged, Merged { rows_moved: 350, rows_replaced: 0, rows_rewritten: 0, base_rows: 350 });
            assert_eq!(queried(&database), expected);
        }
    }
    assert_eq!(
        database.merge().unwrap(),
        Merged { rows_moved: 11, rows_replaced: 11, rows_rewritten: 0, base_rows: 350 }
    );
    assert_eq!(queried(&database), expected);
    assert_eq!(loaded(&database), expected);
    assert_eq!(
        database.merge().unwrap(),
        Merged { rows_moved: 0, rows_replaced: 0, rows_rewritten: 0, base_rows: 350 }
    );
    assert_eq!(database.count_duplicates().unwrap(), 0);
    assert_eq!(database.state().unwrap().delta_rows, 0);
    let metas = database.query(r#"SELECT watermark, "at" FROM persist_meta"#).unwrap();
    assert_eq!(metas.len(), 1, "{metas}");
    assert_eq!(metas.get(0, "watermark").unwrap(), seq);
    assert_eq!(metas.get(0, "at").unwrap(), "2025-01-15T10:30:00+00:00");
}

#[test]
fn null_is_one_part_and_not_the_empty_text() {
    let (_dir, database, mut appender) = new_database();
    for (n, part) in [None, Some(""), Some("p"), None, Some("")].into_iter().enumerate() {
        let seq = n as u64 + 1;
        appender.append(&[record("k", part, seq, &format!(r#"{{"n":{seq}}}"#))], seq, AT).unwrap();
        if n == 2 {
            database.merge().unwrap();
        }
    }
    let expected: BTreeMap<Id, (String, u32)> = [(None, 4), (Some(""), 5), (Some("p"), 3)]
        .map(|(part, n)| (("k".to_owned(), part.map(str::to_owned)), (format!(r#"{{"n":{n}}}"#), n)))
        .into();
    assert_eq!(queried(&database), expected);
    assert_eq!(database.merge().unwrap(), Merged { rows_moved: 2, rows_replaced: 2, rows_rewritten: 0, base_rows: 3 });
    assert_eq!(queried(&database), expected);
}

#[test]
fn of_an_id_within_a_batch_the_last_is_written() {
    let (_dir, database, mut appender) = new_database();
    let records: Vec<_> = (1..=1_000).map(|seq| numbered(seq % 7, seq)).collect();
    appender.append(&records, 1_000, AT).unwrap();
    assert_eq!(database.state().unwrap().delta_rows, 7);
    let versions: Vec<u32> = queried(&database).into_values().map(|(_, version)| version).collect();
    assert_eq!(versions.len(), 7);
    assert!(versions.iter().all(|version| *version > 993), "{versions:?}");
}

#[test]
fn special_fields_fill_their_columns() {
    let (_dir, database, mut appender) = new_database();
    let data = r#"{"timestamp":"2025-01-15T12:30:00.25+02:00","status":"l\u00e4te\n","status_int":-3,"username":"bo\"b","x":[1]}"#;
    appender
        .append(&[record("a", None, 1, data), record("b", Some("p"), 2, r#"{"n":{"status":"no"}}"#)], 2, AT)
        .unwrap();
    let rows = database.query("SELECT * EXCLUDE (data) FROM storage ORDER BY key").unwrap();
    let expected = serde_json::json!([
        ["a", null, "2025-01-15T10:30:00.250000+00:00", "läte\n", -3, "bo\"b", "2025-01-15T10:30:00.000001+00:00", 1],
        ["b", "p", null, null, null, null, "2025-01-15T10:30:00.000002+00:00", 2],
    ]);
    assert_eq!(serde_json::to_value(rows.iter().collect::<Vec<_>>()).unwrap(), expected);
    let members =
        database.query("SELECT data->'x'->>0 AS x, json_type(data) AS t FROM storage WHERE key = 'a'").unwrap();
    assert_eq!(members.get(0, "x").unwrap(), "1");
    assert_eq!(members.get(0, "t").unwrap(), "OBJECT");
}

#[test]
fn a_field_of_another_type_is_null_and_stops_no_flush() {
    let (_dir, database, mut appender) = new_database();
    let odd = r#"{"timestamp":"soon","status":[1],"status_int":3000000000,"username":{}}"#;
    appender.append(&[record("a", None, 1, odd), record("b", None, 2, r#"{"status":1,"status":2}"#)], 2, AT).unwrap();
    let nulls = "timestamp IS NULL AND status IS NULL AND status_int IS NULL AND username IS NULL";
    assert_eq!(database.query(&format!("FROM storage WHERE {nulls}")).unwrap().len(), 2);
}

#[test]
fn hostile_ids_come_back() {
    let (_dir, database, mut appender) = new_database();
    let long = "ä".repeat(300);
    let texts = [
        "",
        " ",
        "'",
        "\"",
        "';DROP TABLE storage;--",
        "a;b",
        "nul\0byte",
        "\0",
        "line\nbreak",
        "\u{1f600}",
        "e\u{301}",
        "é",
        &long,
        "NULL",
        "null",
        "%",
        "\\",
        "\u{feff}",
        "\u{202e}x",
        "A",
        "a",
    ];
    let mut expected = BTreeMap::new();
    let mut records = Vec::new();
    for key in texts {
        for part in [None, Some(key)] {
            let seq = records.len() as u64 + 1;
            let data = serde_json::json!({ "key": key }).to_string();
            expected.insert((key.to_owned(), part.map(str::to_owned)), (data.clone(), seq as u32));
            records.push(record(key, part, seq, &data));
        }
    }
    appender.append(&records, records.len() as u64, AT).unwrap();
    assert_eq!(queried(&database), expected);
    database.merge().unwrap();
    // A second time, so that each has to find its row.
    appender.append(&records, records.len() as u64 + 1, AT).unwrap();
    assert_eq!(loaded(&database), expected);
    assert_eq!(database.merge().unwrap().rows_replaced, records.len() as u64);
    // And a third time, when a query takes them out before.
    let again = |record: &Arc<Record<Dated>>| {
        super::record(record.key(), record.part().as_deref(), record.version() as u64 + 1000, record.json())
    };
    let records: Vec<_> = records.iter().map(again).collect();
    expected.values_mut().for_each(|(_, version)| *version += 1000);
    appender.append(&records, 2000, AT).unwrap();
    assert_eq!((queried(&database), queried(&database)), (expected.clone(), expected.clone()));
    assert_eq!(database.merge().unwrap().rows_replaced, 0);
    assert_eq!(queried(&database), expected);
    assert_eq!(loaded(&database), expected);
    let keys = database.query("SELECT count(*) AS n FROM storage WHERE data->>'key' IS NOT DISTINCT FROM key").unwrap();
    assert_eq!(keys.get(0, "n").unwrap(), records.len() as u64, "JSON text and key differ");
}

#[test]
fn a_flush_may_have_no_records_or_very_many() {
    let (_dir, database, mut appender) = new_database();
    appender.append::<Dated>(&[], 7, AT).unwrap();
    assert_eq!(database.state().unwrap().watermark, 7);
    let records: Vec<_> = (0..20_000).map(|n| numbered(n, n + 8)).collect();
    appender.append(&records, 20_007, AT).unwrap();
    let state = database.state().unwrap();
    assert_eq!((state.watermark, state.delta_rows), (20_007, 20_000));
    assert_eq!(queried(&database).len(), 20_000);
}

#[test]
fn large_data_comes_back() {
    let (_dir, database, mut appender) = new_database();
    let large = |n: u64| format!(r#"{{"n":{n},"text":"{}"}}"#, "ß".repeat(4 << 20));
    let records: Vec<_> = (1..=9).map(|n| record(&format!("k{n}"), None, n, &large(n))).collect();
    appender.append(&records, 9, AT).unwrap();
    database.merge().unwrap();
    assert!(database.checkpoint(&Disk).unwrap());
    let found = loaded(&database);
    assert_eq!(found.len(), 9);
    for n in 1..=9 {
        assert!(found[&(format!("k{n}"), None)].0 == large(n));
    }
}

#[test]
fn a_flush_that_fails_leaves_nothing() {
    // What is appended stands in the same transaction as the watermark: the meta row fails here, after the records
    // were flushed into the delta.
    let (_dir, path) = new_file();
    let database = reopen(&path);
    let mut appender = database.appender().unwrap();
    appender.append(&[numbered(1, 1)], 1, AT).unwrap();
    meddle(
        &database,
        "DROP TABLE persist_meta; CREATE TABLE persist_meta (store VARCHAR, watermark UTINYINT, \"at\" TIMESTAMP)",
    );
    meddle(&database, "INSERT INTO persist_meta VALUES ('store-1', 1, NULL)");
    let records: Vec<_> = (0..20_000).map(|n| numbered(n, n + 2)).collect();
    let error = appender.append(&records, 20_001, AT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database, "{error}");
    assert!(!super::super::is_invalidated(&error));
    assert_eq!(database.state().unwrap().delta_rows, 1);
    // The connection is of use afterwards.
    appender.append(&[numbered(2, 2)], 2, AT).unwrap();
    let state = database.state().unwrap();
    assert_eq!((state.watermark, state.delta_rows), (2, 2));
    drop((appender, database));
    let found = duckdb::Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM storage_delta", [], |row| row.get::<_, u64>(0));
    assert_eq!(found.unwrap(), 2);
}

#[test]
fn a_delta_that_refuses_a_row_leaves_nothing() {
    let (_dir, database, mut appender) = new_database();
    meddle(
        &database,
        "DROP TABLE storage_delta; CREATE TABLE storage_delta AS SELECT *, 0::UBIGINT AS persist_seq, 0::UTINYINT AS persist_op FROM storage",
    );
    meddle(&database, "ALTER TABLE storage_delta ALTER COLUMN username SET NOT NULL");
    let mut records: Vec<_> = (1..=5_000).map(|n| numbered(n, n)).collect();
    records.push(record("last", None, 5_001, "{}"));
    let error = appender.append(&records, 5_001, AT).unwrap_err();
    assert!(error.to_string().contains("NOT NULL"), "{error}");
    let state = database.state().unwrap();
    assert_eq!((state.watermark, state.delta_rows), (0, 0));
    appender.append(&records[..10], 10, AT).unwrap();
    assert_eq!(database.state().unwrap().delta_rows, 10);
}

#[test]
fn a_removal_hides_the_id_until_it_is_written_again() {
    let (_dir, database, mut appender) = new_database();
    let remove = |id: u64, seq: u64| {
        meddle(
            &database,
            &format!("INSERT INTO storage_delta (key, persist_seq, persist_op) VALUES ('k{id}', {seq}, 1)"),
        );
    };
    appender.append(&[numbered(1, 1), numbered(2, 2), numbered(3, 3)], 3, AT).unwrap();
    database.merge().unwrap();
    remove(1, 4);
    remove(3, 5);
    appender.append(&[numbered(3, 6), numbered(4, 7)], 7, AT).unwrap();
    remove(4, 8);
    let ids = |found: BTreeMap<Id, (String, u32)>| found.into_keys().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(ids(queried(&database)), ["k2", "k3"]);
    assert_eq!(ids(loaded(&database)), ["k2", "k3"]);
    assert_eq!(database.merge().unwrap(), Merged { rows_moved: 1, rows_replaced: 2, rows_rewritten: 0, base_rows: 2 });
    assert_eq!(ids(queried(&database)), ["k2", "k3"]);
    assert_eq!(ids(loaded(&database)), ["k2", "k3"]);
}

#[test]
fn a_load_ends_with_the_error_of_its_taker() {
    let (_dir, database, mut appender) = new_database();
    appender.append(&(0..5_000).map(|n| numbered(n, n + 1)).collect::<Vec<_>>(), 5_000, AT).unwrap();
    let mut taken = 0;
    let error = database.load(&mut |_| {
        taken += 1;
        if taken < 10 { Ok(()) } else { Err(Error::config("enough")) }
    });
    assert_eq!((error.unwrap_err().to_string().as_str(), taken), ("enough", 10));
}

#[test]
fn a_null_where_none_can_be_is_damage() {
    let (_dir, database, _) = new_database();
    meddle(&database, "INSERT INTO storage (key) VALUES ('k')");
    assert_eq!(database.load(&mut |_| Ok(())).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn ids_that_stand_twice_are_counted() {
    let (_dir, database, mut appender) = new_database();
    appender.append(&[numbered(1, 1), numbered(2, 2), record("k2", Some("p"), 3, "{}")], 3, AT).unwrap();
    database.merge().unwrap();
    assert_eq!(database.count_duplicates().unwrap(), 0);
    meddle(
        &database,
        "INSERT INTO storage FROM storage WHERE process_name IS NULL; INSERT INTO storage FROM storage WHERE key = 'k1'",
    );
    assert_eq!(database.count_duplicates().unwrap(), 2);
}
