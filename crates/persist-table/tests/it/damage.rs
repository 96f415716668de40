//! What was damaged is refused with file and line, and nothing is half applied.

use persist_table::{Database, ErrorKind, RecoveryPolicy};
use serde_json::Value;

use crate::{Student, names, open, quiet, student, text};

fn three(base: &std::path::Path) {
    let (db, students) = open(base);
    for name in ["Alice", "Bob", "Carol"] {
        students.insert(&student(name, 3.0)).unwrap();
    }
    db.close().unwrap();
}

fn write(base: &std::path::Path, file: &str, text: &str) {
    std::fs::write(base.join("university").join(file), text).unwrap();
}

#[track_caller]
fn refused(base: &std::path::Path, kind: ErrorKind, said: &[&str]) {
    let opened = Database::open("university", quiet(base)).and_then(|db| {
        db.load()?;
        Ok(db)
    });
    let error = opened.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(said.iter().all(|said| error.to_string().contains(said)), "{error}");
}

#[test]
fn a_damaged_file_of_records_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    three(dir.path());
    let good = text(dir.path(), "data/student.records");
    for (bad, said) in [
        (good.replace("\"Bob\"", "\"Bob "), "data/student.records, line 2: "),
        (good.replace("\"id\": 3", "\"id\": 2"), "line 3: table student, column id: there is a row with 2 already"),
        (good.replace("carol@", "alice@"), "line 3: table student, column email: there is a row with \"alice@"),
        (good.replace("\"gpa\": 3.0", "\"gpa\": \"3\""), "line 1: table student, column gpa: \"3\" is no float"),
        (good.replace("Bob", "Rob"), "are not those that were saved"),
        (good[..good.len() - 5].to_owned(), "were saved in it"),
    ] {
        write(dir.path(), "data/student.records", &bad);
        refused(dir.path(), ErrorKind::Corrupt, &["data/student.records", said]);
        assert_eq!(text(dir.path(), "data/student.records"), bad, "nothing was changed");
    }
    std::fs::remove_file(dir.path().join("university/data/student.records")).unwrap();
    refused(dir.path(), ErrorKind::Corrupt, &["student.records is missing"]);
    // Changed on purpose: without what was said of it, the file counts as it is.
    write(dir.path(), "data/student.records", &good.replace("Bob", "Robert"));
    std::fs::remove_file(dir.path().join("university/data/student.meta.json")).unwrap();
    // The log has all three, too: it was not archived.
    assert_eq!(open(dir.path()).1.get(2).unwrap().unwrap().name, "Robert");
}

#[test]
fn a_tail_that_was_never_finished_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    three(dir.path());
    let good = text(dir.path(), "data/student.records");
    write(dir.path(), "data/student.records", &format!("{good}{{\"id\": 4, \"na"));
    assert_eq!(open(dir.path()).1.count().unwrap(), 3);
    assert_eq!(text(dir.path(), "data/student.records"), good);
}

#[test]
fn a_schema_file_of_another_version_or_that_makes_no_sense_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    three(dir.path());
    let good = text(dir.path(), "schema/student.schema.json");
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&good).unwrap();
        edit(&mut value);
        value.to_string()
    };
    for (bad, kind, said) in [
        (edited(&|file| file["format"] = 2.into()), ErrorKind::Schema, "it is of version 2, and this program reads 1"),
        (
            edited(&|file| file["schema"]["id"]["type"] = "uuid".into()),
            ErrorKind::Schema,
            "column id: \"uuid\" is no type",
        ),
        (
            edited(&|file| file["schema"]["id"]["primary_key"] = false.into()),
            ErrorKind::Schema,
            "no column is the primary key",
        ),
        (edited(&|file| file["schema"]["gpa"]["check"] = 1.into()), ErrorKind::Schema, "column gpa: check is unknown"),
        (edited(&|file| file["table_name"] = "other".into()), ErrorKind::Schema, "it is of table \"other\""),
        (good[..30].to_owned(), ErrorKind::Corrupt, "is no JSON"),
    ] {
        write(dir.path(), "schema/student.schema.json", &bad);
        refused(dir.path(), kind, &["schema/student.schema.json", said]);
    }
}

#[test]
fn a_torn_log_is_cut_and_reported_and_a_damaged_one_refused_or_salvaged() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    for name in ["Alice", "Bob", "Carol"] {
        students.insert(&student(name, 3.0)).unwrap();
    }
    let image = |edit: &dyn Fn(&mut String)| {
        let copy = tempfile::tempdir().unwrap();
        persist_test_utils::copy_as_crash_leaves_it(&dir.path().join("university"), &copy.path().join("university"));
        let mut log = text(copy.path(), "wal/transaction.log");
        edit(&mut log);
        write(copy.path(), "wal/transaction.log", &log);
        copy
    };
    let torn = image(&|log| log.truncate(log.find("Carol").unwrap()));
    let db2 = Database::open("university", quiet(torn.path())).unwrap();
    let report = db2.recovery().unwrap();
    assert!(!report.is_damaged() && report.left_out.len() == 1, "{report}");
    assert_eq!(db2.table::<Student>().unwrap().count().unwrap(), 2);
    drop(db2);

    let damaged = image(&|log| *log = log.replacen("Bob", "Rob", 1));
    refused(damaged.path(), ErrorKind::Corrupt, &["wal/transaction.log is damaged at line 3, offset"]);
    assert!(names(damaged.path(), "wal").contains(&"transaction.log".to_owned()));
    let config = quiet(damaged.path()).recovery(RecoveryPolicy::Salvage);
    let db3 = Database::open("university", config).unwrap();
    assert!(db3.recovery().unwrap().is_damaged());
    let rows = db3.table::<Student>().unwrap();
    assert_eq!(rows.all().unwrap().iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["Alice", "Carol"]);
    rows.insert(&student("Dan", 1.0)).unwrap();
    drop(db3);
    assert_eq!(open(damaged.path()).1.count().unwrap(), 3);
    drop(db);
}

#[test]
fn a_database_whose_log_is_there_and_whose_identity_is_not_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    three(dir.path());
    std::fs::remove_file(dir.path().join("university/database.json")).unwrap();
    refused(dir.path(), ErrorKind::Corrupt, &["transaction.log", "database.json is missing"]);
}

#[test]
fn one_at_a_time_has_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    refused(dir.path(), ErrorKind::Locked, &["pid", "table database university"]);
    db.close().unwrap();
    assert_eq!(students.insert(&student("Late", 1.0)).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(students.count().unwrap(), 0, "reads go on");
    open(dir.path());
}
