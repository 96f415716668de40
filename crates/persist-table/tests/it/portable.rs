//! Export, import and figures.

use persist_table::{Column, Database, ErrorKind, Filter, Rows, Schema, Type};
use serde_json::{Value, json};

use crate::{Student, open, quiet, student};

fn everything() -> Schema {
    Schema::new("everything")
        .column(Column::new("id", Type::Int).primary_key())
        .column(Column::new("text", Type::Text).nullable())
        .column(Column::new("float", Type::Float).nullable())
        .column(Column::new("yes", Type::Bool).nullable())
        .column(Column::new("at", Type::Timestamp).nullable())
        .column(Column::new("json", Type::Json).nullable())
}

#[test]
fn a_table_is_exported_in_the_form_of_the_specification_and_imported_again() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    students.insert_many([student("Alice", 3.8), student("Bob", 3.5)]).unwrap();
    let path = dir.path().join("exports/students.json");
    assert_eq!(db.export_table("student", &path).unwrap(), 2);
    let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!((&file["table"], &file["count"]), (&json!("student"), &json!(2)));
    assert_eq!(file["records"][1], json!({"id": 2, "name": "Bob", "email": "bob@university.edu", "gpa": 3.5}));
    assert!(file["exported_at"].as_str().unwrap().starts_with("20"));

    let error = db.import_table(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("students.json, line 4: table student, column id"), "{error}");
    let before = students.all().unwrap();
    students.delete(Filter::all()).unwrap();
    assert_eq!(db.import_table(&path).unwrap(), 2);
    assert_eq!(students.all().unwrap(), before);
    assert_eq!(db.inspect_wal().unwrap().len(), 7);
}

#[test]
fn every_value_goes_through_csv_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let rows_of = |db: &Database| -> Rows { db.create_table(everything()).unwrap() };
    let db = Database::open("one", quiet(dir.path())).unwrap();
    let rows = rows_of(&db);
    rows.insert_many([
        json!({"text": "", "float": 0.1, "yes": true, "at": "2026-01-22T20:31:17+02:00", "json": {"a": [1, "x,\"y"]}}),
        json!({"text": "two\nlines, and \"quotes\"", "float": -3.0, "yes": false}),
        json!({}),
        json!({"text": "007", "json": "text"}),
    ])
    .unwrap();
    let path = dir.path().join("everything.csv");
    assert_eq!(db.export_csv("everything", &path).unwrap(), 4);
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("id,text,float,yes,at,json\r\n1,\"\",0.1,true,"));
    let other = Database::open("two", quiet(dir.path())).unwrap();
    let copy = rows_of(&other);
    assert_eq!(other.import_csv("everything", &path).unwrap(), 4);
    assert_eq!(copy.all().unwrap(), rows.all().unwrap());
}

#[test]
fn imported_data_that_the_table_does_not_take_is_refused_with_its_line_and_none_of_it_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    students.insert(&student("Alice", 3.8)).unwrap();
    let before = (students.all().unwrap(), db.inspect_wal().unwrap().len());
    let path = dir.path().join("file");
    let good = r#"{"id": 7, "name": "N", "email": "n"}"#;
    let json = |second: &str| format!("{{\n\"table\": \"student\",\n\"records\": [\n{good},\n{second}\n]\n}}");
    for (text, said) in [
        (json(r#"{"name": "A", "email": "alice@university.edu"}"#), "line 5: table student, column email"),
        (json(r#"{"name": "A", "email": 3}"#), "line 5: table student, column email: 3 is no str"),
        (json(r#"{"name": "A", "email": "x", "age": 3}"#), "line 5: table student has no column \"age\""),
        (json("{"), "line 6"),
        (json("").replace("student", "nobody").replace(",\n\n", "\n"), "no table \"nobody\""),
        (json("").replace(",\n\n]", "\n], \"count\": 2"), "has 2 records, and has 1"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = db.import_table(&path).unwrap_err();
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert!(matches!(error.kind(), ErrorKind::Input | ErrorKind::Conflict));
        assert_eq!((students.all().unwrap(), db.inspect_wal().unwrap().len()), before);
    }
    for (text, said) in [
        ("name,email\nN,n\nM,n\n", "line 3: table student, column email: there is a row with \"n\""),
        ("name,email,gpa\nN,n,good\n", "line 2: table student, column gpa: good is no float"),
        ("name,email\nN\n", "line 2: it has 1 fields"),
        ("name,mail\n", "line 1: table student has no column \"mail\""),
        ("name,email\n\"N,n\n", "line 2: a quotation mark is not closed"),
        ("name,email\n,n\n", "line 2: table student, column name: null"),
        ("", "line 1: it names no columns"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = db.import_csv("student", &path).unwrap_err();
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert_eq!((students.all().unwrap(), db.inspect_wal().unwrap().len()), before);
    }
}

#[test]
fn figures_say_what_is_in_memory_and_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    students.insert_many([student("Alice", 3.8), student("Bob", 3.5)]).unwrap();
    let stats = db.stats().unwrap();
    let disk = stats.disk.unwrap();
    assert_eq!((stats.tables["student"].records, stats.tables["student"].columns), (Some(2), 4));
    assert!(stats.tables["student"].is_unsaved);
    assert_eq!((disk.tables["student"].records, disk.saved_seq, disk.last_seq), (0, 0, 3));
    db.save().unwrap();
    let disk = db.stats().unwrap().disk.unwrap();
    let bytes = std::fs::metadata(dir.path().join("university/data/student.records")).unwrap().len();
    assert_eq!((disk.tables["student"].records, disk.tables["student"].size_bytes), (2, bytes));
    assert_eq!(disk.saved_seq, 3);
    let all: u64 = ["schema", "data", "wal"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(dir.path().join("university").join(folder)).unwrap())
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(disk.total_size_bytes, all);
    drop((db, students));
    let db = Database::open("university", quiet(dir.path())).unwrap();
    assert_eq!(db.stats().unwrap().tables["student"].records, None, "not loaded");
    db.table::<Student>().unwrap().count().unwrap();
    assert_eq!(db.stats().unwrap().tables["student"].records, Some(2));
    assert!(Database::in_memory("x").unwrap().stats().unwrap().disk.is_none());
}
