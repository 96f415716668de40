//! Which SQL is taken, and how its answer reads.

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;

fn with_rows() -> (TempDir, Database, Appender) {
    let (dir, database, mut appender) = new_database();
    appender.append(&[numbered(1, 1), numbered(2, 2)], 2, AT).unwrap();
    database.merge().unwrap();
    appender.append(&[numbered(2, 3), numbered(3, 4)], 4, AT).unwrap();
    (dir, database, appender)
}

fn one(database: &Database, sql: &str) -> Value {
    let rows = database.query(sql).unwrap();
    assert_eq!((rows.len(), rows.columns().len()), (1, 1), "{rows}");
    rows.iter().next().unwrap()[0].clone()
}

#[test]
fn one_select_of_any_form_is_taken() {
    let (_dir, database, _) = with_rows();
    for (sql, rows) in [
        ("SELECT 1", 1),
        ("SELECT 1;", 1),
        ("SELECT 1;;", 1),
        ("-- first\nSELECT 1 /* ; DROP TABLE storage */ -- ; DROP TABLE storage", 1),
        ("SELECT '; DROP TABLE storage'", 1),
        ("SELECT $$; DROP TABLE storage$$", 1),
        ("(SELECT 1)", 1),
        ("SELECT * FROM storage", 3),
        ("SELECT * FROM STORAGE", 3),
        ("FROM storage", 3),
        ("TABLE storage", 3),
        ("VALUES (1), (2)", 2),
        ("WITH s AS (FROM storage) SELECT key FROM s", 3),
        ("WITH s AS MATERIALIZED (FROM storage) SELECT key FROM s", 3),
        ("WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t WHERE x < 9) FROM t", 9),
        ("SELECT key, sum(status_int) OVER (ORDER BY key) FROM storage", 3),
        ("SELECT * FROM storage QUALIFY row_number() OVER (PARTITION BY status) = 1", 1),
        ("SELECT status, count(*) FROM storage GROUP BY ALL ORDER BY ALL", 1),
        ("SELECT a.key FROM storage a JOIN storage b USING (key)", 3),
        ("SELECT key FROM storage UNION SELECT 'k9' ORDER BY 1 DESC LIMIT 2", 2),
        ("SELECT unnest([x * 2 FOR x IN [1, 2]])", 2),
        ("SELECT list_transform([1], lambda x: x + 1)", 1),
        ("SELECT COLUMNS('k.*') FROM storage", 3),
        ("PIVOT storage ON key IN ('k1', 'k2') USING sum(version) GROUP BY status", 1),
        ("UNPIVOT (SELECT version, status_int FROM storage) ON COLUMNS(*)", 6),
        ("DESCRIBE storage", 9),
        ("SUMMARIZE storage", 9),
        ("SELECT key::ENUM('k1', 'k2', 'k3') FROM storage", 3),
        ("SELECT * FROM storage WHERE false", 0),
        ("SELECT * FROM query('FROM storage')", 3),
    ] {
        assert_eq!(database.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).len(), rows, "{sql}");
    }
}

#[test]
fn anything_else_is_refused_before_it_runs() {
    let (dir, database, _) = with_rows();
    let out = dir.path().join("out.csv");
    let copy = format!("COPY storage TO '{}'", out.display());
    let attach = format!("ATTACH '{}' AS x", dir.path().join("x.duckdb").display());
    for sql in [
        "",
        "  \n",
        ";",
        "-- nothing",
        "DELETE FROM storage",
        "SELECT 1; DROP TABLE storage",
        "DROP TABLE storage_delta; SELECT 1",
        "COMMIT; DROP TABLE storage; SELECT 1",
        "ROLLBACK",
        "SELECT 1; SELECT 2",
        "/* x */ DELETE FROM persist_meta -- SELECT 1",
        "INSERT INTO storage FROM storage RETURNING *",
        "UPDATE storage SET version = 0",
        "MERGE INTO storage USING storage s ON true WHEN MATCHED THEN DELETE",
        "CREATE TABLE x AS SELECT 1",
        "CREATE OR REPLACE TEMP VIEW storage AS SELECT 1",
        "PRAGMA version",
        "PRAGMA disable_checkpoint_on_shutdown",
        "INSTALL httpfs",
        "LOAD json",
        "CALL pragma_version()",
        "CHECKPOINT",
        "FORCE CHECKPOINT",
        "SET threads = 1",
        "EXPLAIN ANALYZE DELETE FROM storage",
        "EXPLAIN SELECT 1",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DETACH data",
        "USE memory",
        "VACUUM",
        "EXPORT DATABASE 'x'",
        "WITH d AS (DELETE FROM storage RETURNING *) FROM d",
        "PIVOT storage ON key USING sum(version)",
        "SELECT 'a'::ENUM('a'); DROP TABLE storage",
        "DROP TABLE storage; SELECT 'a'::ENUM('a')",
        "SELECT 1\0; DROP TABLE storage",
        "SELEC 1",
        "SELECT (",
        &copy,
        &attach,
    ] {
        let error = database.query(sql).expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Input, "{sql}: {error}");
        assert_eq!(database.query_arrow(sql).expect_err(sql).kind(), ErrorKind::Input);
    }
    assert!(!out.exists());
    assert_eq!(queried(&database).len(), 3);
    assert_eq!(database.state().unwrap().delta_rows, 2);
}

#[test]
fn a_select_can_write_nothing_either() {
    let (_dir, database, _) = with_rows();
    meddle(&database, "CREATE SEQUENCE numbers");
    for sql in [
        "SELECT nextval('numbers')",
        "SELECT * FROM force_checkpoint()",
        "SELECT * FROM force_checkpoint('data')",
        "SELECT * FROM query('DELETE FROM storage')",
        "SELECT * FROM json_execute_serialized_sql('{}')",
        "SELECT ?",
        "SELECT $a",
        "SELECT nothing",
        "SELECT * FROM 'https://example.com/x.parquet'",
    ] {
        let error = database.query(sql).expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Database, "{sql}: {error}");
        assert!(error.to_string().contains("data.duckdb"), "{error}");
    }
}

#[test]
fn an_error_in_mid_answer_is_an_error() {
    let (_dir, database, _) = with_rows();
    let sql = "SELECT CASE WHEN range = 9999 THEN error('late') ELSE range END FROM range(10000)";
    assert!(database.query(sql).unwrap_err().to_string().contains("late"));
    assert!(database.query_arrow(sql).unwrap_err().to_string().contains("late"));
}

#[test]
fn an_answer_may_be_larger_than_a_chunk() {
    let (_dir, database, _) = with_rows();
    let rows = database.query("SELECT range AS n FROM range(10000) ORDER BY n DESC").unwrap();
    assert_eq!(rows.len(), 10_000);
    assert_eq!(rows.get(9_999, "n").unwrap(), 0);
    let batches = database.query_arrow("SELECT range AS n FROM range(10000)").unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 10_000);
    assert_eq!(batches[0].schema().field(0).name(), "n");
    assert!(database.query_arrow("SELECT 1 WHERE false").unwrap().is_empty());
}

#[test]
fn types_become_plain_values() {
    let (_dir, database, _) = with_rows();
    for (sql, expected) in [
        ("NULL", json!(null)),
        ("true", json!(true)),
        ("(-128)::TINYINT", json!(-128)),
        ("255::UTINYINT", json!(255)),
        ("(-9223372036854775808)::BIGINT", json!(i64::MIN)),
        ("18446744073709551615::UBIGINT", json!(u64::MAX)),
        ("12::HUGEINT", json!(12)),
        ("18446744073709551615::HUGEINT", json!(u64::MAX)),
        ("(-170141183460469231731687303715884105727)::HUGEINT", json!("-170141183460469231731687303715884105727")),
        ("0.1::FLOAT", json!(0.1)),
        ("0.1::DOUBLE", json!(0.1)),
        ("1e300::DOUBLE", json!(1e300)),
        ("'nan'::DOUBLE", json!("NaN")),
        ("'-infinity'::DOUBLE", json!("-inf")),
        ("1.50::DECIMAL(5,2)", json!(1.5)),
        ("(-2.00)::DECIMAL(5,2)", json!(-2.0)),
        ("7::DECIMAL(5,0)", json!(7)),
        ("1234567890123456789.123456789::DECIMAL(38,9)", json!("1234567890123456789.123456789")),
        ("'tëxt'", json!("tëxt")),
        (r#"'{"a": 1}'::JSON"#, json!(r#"{"a": 1}"#)),
        ("TIMESTAMP '2025-01-15 10:30:00'", json!("2025-01-15T10:30:00+00:00")),
        ("TIMESTAMP '2025-01-15 10:30:00.000025'", json!("2025-01-15T10:30:00.000025+00:00")),
        ("'2025-01-15 10:30:00.123456789'::TIMESTAMP_NS", json!("2025-01-15T10:30:00.123456+00:00")),
        ("'2025-01-15 10:30:00.123'::TIMESTAMP_MS", json!("2025-01-15T10:30:00.123000+00:00")),
        ("'2025-01-15 10:30:00'::TIMESTAMP_S", json!("2025-01-15T10:30:00+00:00")),
        ("'2025-01-15 10:30:00+02'::TIMESTAMPTZ", json!("2025-01-15T08:30:00+00:00")),
        ("TIMESTAMP '1969-12-31 23:59:59.999999'", json!("1969-12-31T23:59:59.999999+00:00")),
        ("TIMESTAMP '2000-02-29 00:00:00'", json!("2000-02-29T00:00:00+00:00")),
        ("TIMESTAMP '0001-01-01 00:00:00'", json!("0001-01-01T00:00:00+00:00")),
        ("'infinity'::TIMESTAMP", json!("infinity")),
        ("'-infinity'::TIMESTAMP", json!("-infinity")),
        ("DATE '2024-12-31'", json!("2024-12-31")),
        ("'infinity'::DATE", json!("infinity")),
        ("TIME '10:30:00'", json!("10:30:00")),
        ("TIME '24:00:00'", json!("24:00:00")),
        ("[1, NULL, 3]", json!([1, null, 3])),
        ("[[1], []]::INTEGER[][]", json!([[1], []])),
        ("[1, 2]::INTEGER[2]", json!([1, 2])),
        ("{'a': 1, 'b': {'c': ['x']}}", json!({"a": 1, "b": {"c": ["x"]}})),
        ("MAP {'a': 1, 'b': 2}", json!({"a": 1, "b": 2})),
        ("MAP {1: 'x'}", json!({"1": "x"})),
        ("'sad'::ENUM('happy', 'sad')", json!("sad")),
        ("['sad']::ENUM('happy', 'sad')[]", json!(["sad"])),
        (r"'\xAA\x01'::BLOB", json!("aa01")),
        ("'00000000-0000-0000-0000-00000000000a'::UUID", json!("00000000-0000-0000-0000-00000000000a")),
    ] {
        assert_eq!(one(&database, &format!("SELECT {sql} AS x")), expected, "{sql}");
    }
    let every_type = database.query("SELECT * EXCLUDE (uhugeint) FROM test_all_types()").unwrap();
    assert_eq!(every_type.len(), 3);
    let error = database.query("SELECT uhugeint FROM test_all_types()").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("\"uhugeint\""), "{error}");
}

#[derive(Debug, Deserialize, PartialEq)]
struct Summary {
    key: String,
    process_name: Option<String>,
    n: u32,
}

#[test]
fn rows_become_the_callers_type() {
    let (_dir, database, _) = with_rows();
    let rows = database.query("SELECT key, process_name, version AS n FROM storage WHERE n > 1 ORDER BY key").unwrap();
    let summary = |key: &str, n| Summary { key: key.into(), process_name: None, n };
    assert_eq!(rows.to::<Summary>().unwrap(), [summary("k2", 3), summary("k3", 4)]);
    let maps = rows.to::<BTreeMap<String, Value>>().unwrap();
    assert_eq!(maps[1]["key"], "k3");
    let error = database.query("SELECT 'k' AS key, -1 AS n").unwrap().to::<Summary>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("row 0"), "{error}");
    assert!(rows.get(0, "none").is_none() && rows.get(2, "key").is_none());
}

#[test]
fn rows_display_as_a_table() {
    let (_dir, database, _) = with_rows();
    let sql = "SELECT key, version AS times, CASE key WHEN 'k1' THEN E'two\\nlines\\x1b[2J' WHEN 'k2' THEN 'ä' END AS note \
               FROM storage ORDER BY key";
    let expected = "\
key | times | note
----+-------+--------------------
k1  |     1 | two\\nlines\\u{1b}[2J
k2  |     3 | ä
k3  |     4 | NULL
(3 rows)";
    assert_eq!(database.query(sql).unwrap().to_string(), expected);
    assert_eq!(database.query("SELECT 1 AS a WHERE false").unwrap().to_string(), "a\n-\n(0 rows)");
}

#[test]
fn the_view_shows_flushes_and_ends_with_its_query() {
    let (_dir, database, mut appender) = with_rows();
    assert_eq!(one(&database, "SELECT sum(version) FROM storage"), 8);
    appender.append(&[numbered(1, 5)], 5, AT).unwrap();
    assert_eq!(one(&database, "SELECT sum(version) FROM storage"), 12);
    assert_eq!(one(&database, "SELECT count(*) FROM duckdb_views() WHERE NOT internal AND database_name <> 'temp'"), 0);
    assert_eq!(one(&database, "SELECT count(*) FROM duckdb_views() WHERE view_name = 'storage'"), 1);
    database.merge().unwrap();
    assert_eq!(one(&database, "SELECT count(*) FROM duckdb_views() WHERE view_name = 'storage'"), 0);
    assert_eq!(one(&database, "SELECT sum(version) FROM storage"), 12);
}
