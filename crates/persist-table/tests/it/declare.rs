//! Declaring tables: by a struct, at run time, and what opening makes of a difference.

use std::collections::BTreeMap;

use persist_table::{Column, Database, ErrorKind, Field, Rows, Schema, Table, Timestamp, Type, col};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Student, names, open, quiet, student, text};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Bachelor,
    Master,
}

impl Field for Level {
    const TYPE: Type = Type::Text;
}

#[derive(Debug, Clone, PartialEq, Table, Serialize, Deserialize)]
#[table(name = "everything")]
struct Everything {
    #[table(primary_key)]
    key: String,
    whole: i64,
    small: u8,
    float: f32,
    yes: bool,
    at: Timestamp,
    #[serde(rename = "type")]
    #[table(index)]
    level: Level,
    maybe: Option<i32>,
    tags: Vec<String>,
    extra: Value,
    by_name: BTreeMap<String, i64>,
    #[table(default)]
    #[serde(default)]
    count: i64,
    #[table(default = "none".to_owned(), unique)]
    code: String,
}

#[test]
fn a_struct_with_every_type_comes_back_as_it_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let one = Everything {
        key: "a \"key\"\n".to_owned(),
        whole: i64::MIN,
        small: 255,
        float: 0.1,
        yes: true,
        at: Timestamp::parse("2026-01-22T20:31:17.592172+02:00").unwrap(),
        level: Level::Master,
        maybe: None,
        tags: vec!["x".to_owned(), "é\u{1F600}".to_owned()],
        extra: json!({"a": [1, 2.5, null, {"b": "line\nbreak"}]}),
        by_name: BTreeMap::from([("n".to_owned(), 1)]),
        count: 3,
        code: "c".to_owned(),
    };
    let (two, three) = (Everything { key: "b".to_owned(), maybe: Some(7), code: "d".to_owned(), ..one.clone() }, "e");
    let db = Database::open("university", quiet(dir.path())).unwrap();
    let rows = db.table::<Everything>().unwrap();
    assert_eq!(rows.insert(&one).unwrap(), one);
    rows.insert(&two).unwrap();
    db.save().unwrap();
    rows.insert(&Everything { key: "c".to_owned(), code: three.to_owned(), ..two.clone() }).unwrap();
    db.close().unwrap();
    let db = Database::open("university", quiet(dir.path())).unwrap();
    let rows = db.table::<Everything>().unwrap();
    assert_eq!(rows.get("a \"key\"\n").unwrap(), Some(one));
    assert_eq!(rows.select().filter(col("maybe").eq(7)).count().unwrap(), 2);
    assert_eq!(rows.select().filter(col("type").eq(Level::Master)).count().unwrap(), 3);
    assert_eq!(rows.select().filter(col("at").lt("2026-01-22T18:31:17.592173Z")).count().unwrap(), 3);
    let types: Vec<String> = serde_json::from_str::<Value>(&text(dir.path(), "schema/everything.schema.json")).unwrap()
        ["schema"]
        .as_object()
        .unwrap()
        .values()
        .map(|column| column["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types.iter().filter(|kind| *kind == "json").count(), 3, "{types:?}");
}

#[test]
fn the_schema_file_is_there_when_the_table_is_made_and_says_what_the_specification_says() {
    let dir = tempfile::tempdir().unwrap();
    let (_db, _) = open(dir.path());
    assert_eq!(names(dir.path(), "schema"), ["student.schema.json"]);
    let text = text(dir.path(), "schema/student.schema.json");
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["table_name"], "student");
    assert_eq!(file["schema"]["id"], json!({"type": "int", "primary_key": true, "nullable": true, "unique": false}));
    assert_eq!(
        file["schema"]["name"],
        json!({"type": "str", "primary_key": false, "nullable": false, "unique": false})
    );
    assert_eq!(file["schema"]["gpa"]["default"], 0.0);
    assert!(Timestamp::parse(file["created_at"].as_str().unwrap()).is_some());
    // In the order of the struct.
    let places: Vec<usize> =
        ["id", "name", "email", "gpa"].iter().map(|name| text.find(&format!("\"{name}\": {{")).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn another_declaration_is_refused_with_each_difference_and_migrated_where_rows_can_have_it() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    students.insert(&student("Alice", 3.8)).unwrap();
    db.save().unwrap();
    students.insert(&student("Bob", 3.5)).unwrap();
    let base = || {
        Schema::new("student")
            .column(Column::new("id", Type::Int).primary_key())
            .column(Column::new("name", Type::Text))
            .column(Column::new("email", Type::Text).unique())
            .column(Column::new("gpa", Type::Float).default_value(&0.0))
    };
    // The same, said otherwise.
    db.create_table(base()).unwrap();

    let wider = base()
        .column(Column::new("year", Type::Int).nullable())
        .column(Column::new("faculty", Type::Text).default_value("arts").index());
    let error = db.create_table(wider.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
    for said in ["table student", "column year (int) is declared and not there", "faculty", "migrate"] {
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
    let other = Schema::new("student")
        .column(Column::new("id", Type::Int).primary_key())
        .column(Column::new("name", Type::Int))
        .column(Column::new("email", Type::Text).unique())
        .column(Column::new("must", Type::Text));
    let error = db.migrate(other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
    for said in ["name is declared as int not null and there as str not null", "gpa (float", "must (str not null)"] {
        assert!(error.to_string().contains(said), "{said}: {error}");
    }

    db.migrate(wider.clone()).unwrap();
    let rows: Rows = db.create_table(wider.clone()).unwrap();
    assert_eq!(rows.get(2).unwrap().unwrap()["faculty"], "arts");
    assert_eq!(rows.get(1).unwrap().unwrap()["year"], Value::Null);
    rows.update(col("id").eq(2), &json!({"year": 2, "faculty": "law"})).unwrap();
    drop(db);
    // What reads with the old struct still does: it names fewer columns. But it is not the declaration.
    let db = Database::open("university", quiet(dir.path())).unwrap();
    assert_eq!(db.table::<Student>().unwrap_err().kind(), ErrorKind::Schema);
    assert_eq!(db.rows::<Student>("student").unwrap().get(2).unwrap().unwrap().name, "Bob");
    let law = db.rows::<Value>("student").unwrap();
    assert_eq!(law.select().filter(col("faculty").eq("law")).rows().unwrap()[0]["year"], 2);
    assert_eq!(text(dir.path(), "data/student.records").matches("\"faculty\": ").count(), 2);
}

/// Rows in the log and the file lack the new columns, if the machine stops right after the schema was written.
#[test]
fn a_migration_that_was_interrupted_is_finished_by_the_next_opening() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    students.insert(&student("Alice", 3.8)).unwrap();
    db.save().unwrap();
    students.insert(&student("Bob", 3.5)).unwrap();
    let copy = tempfile::tempdir().unwrap();
    persist_test_utils::copy_as_crash_leaves_it(&dir.path().join("university"), &copy.path().join("university"));
    let path = copy.path().join("university/schema/student.schema.json");
    let mut schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    schema["schema"]["year"] = json!({"type": "int", "default": 1});
    std::fs::write(&path, schema.to_string()).unwrap();
    let db = Database::open("university", quiet(copy.path())).unwrap();
    let years = db.rows::<Value>("student").unwrap().all().unwrap();
    assert_eq!(years.iter().map(|row| row["year"].clone()).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn declarations_that_make_no_sense_are_refused() {
    let db = Database::in_memory("university").unwrap();
    let id = || Column::new("id", Type::Int).primary_key();
    for (schema, said) in [
        (Schema::new("t").column(Column::new("a", Type::Int)), "no column is the primary key"),
        (Schema::new("t").column(id()).column(Column::new("b", Type::Int).primary_key()), "both id and b"),
        (Schema::new("t").column(id()).column(id()), "id is declared twice"),
        (Schema::new("t").column(id()).column(Column::new("", Type::Int)), "\"\" is no name of a column"),
        (Schema::new("t").column(id()).column(Column::new("a", Type::Int).default_value("x")), "\"x\" is no int"),
        (Schema::new("t").column(id()).column(Column::new("a", Type::Float).default_value(&f64::NAN)), "NaN"),
        (Schema::new("t").column(Column::new("a", Type::Json).primary_key()), "can't be the primary key"),
    ] {
        let error = db.create_table(schema).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Schema, "{error}");
        assert!(error.to_string().starts_with("table t") && error.to_string().contains(said), "{said}: {error}");
    }
    for name in ["", "../escape", "a/b", "a\\b", ".", "..", "a.b", "naïve", "-x"] {
        let error = db.create_table(Schema::new(name).column(id())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{name}");
        assert!(error.to_string().contains("names files"), "{error}");
        assert_eq!(Database::in_memory(name).unwrap_err().kind(), ErrorKind::Input);
        assert_eq!(Database::open(name, quiet(std::path::Path::new("/nowhere"))).unwrap_err().kind(), ErrorKind::Input);
    }
    db.create_table(Schema::new("Table").column(id())).unwrap();
    assert!(db.create_table(Schema::new("table").column(id())).unwrap_err().to_string().contains("there is Table"));
}
