//! Folders of the Python program of the specification: its files, and its log, which may have what they lack.

use std::path::Path;
use std::sync::Arc;

use persist_core::clock::ManualClock;
use persist_table::{Config, Database, ErrorKind, Rows};
use persist_test_utils::{Fault, SimFs, What, copy_as_crash_leaves_it};
use serde_json::{Value, json};

use crate::{Student, names, open, quiet, student, text};

const SCHEMA: &str = r#"{
  "table_name": "student",
  "schema": {
    "id": {"type": "int", "primary_key": true, "nullable": true, "unique": false},
    "name": {"type": "str", "primary_key": false, "nullable": false, "unique": false},
    "email": {"type": "str", "primary_key": false, "nullable": false, "unique": true},
    "gpa": {"type": "float", "primary_key": false, "nullable": false, "unique": false, "default": 0.0}
  },
  "created_at": "2026-01-22T20:31:17.592172"
}"#;

const RECORDS: &str = r#"{"name": "Alice Johnson", "email": "alice@university.edu", "gpa": 3.8, "id": 1}
{"name": "Bob Smith", "email": "bob@university.edu", "gpa": 3.5, "id": 2}

{"name": "Carol White", "email": "carol@university.edu", "id": 3}"#;

/// A line of the log; records are named by their key, name, address and grade.
fn line(operation: &str, record: &Value, old_record: &Value) -> String {
    format!(
        "{{\"timestamp\": \"2026-01-22T20:31:17.592245\", \"operation\": \"{operation}\", \"table\": \"student\", \
         \"record\": {record}, \"old_record\": {old_record}}}\n"
    )
}

fn row(id: i64, name: &str, email: &str, gpa: f64) -> Value {
    json!({"id": id, "name": name, "email": format!("{email}@university.edu"), "gpa": gpa})
}

/// What was done before the records were saved, and after.
fn log() -> String {
    let (alice, bob) = (row(1, "Alice Johnson", "alice", 3.8), row(2, "Bob Smith", "bob", 3.5));
    let (carol, dan) = (row(3, "Carol White", "carol", 0.0), row(4, "Dan", "dan", 2.0));
    let with = |id, name, email| row(id, name, email, if id == 1 { 3.8 } else { 3.5 });
    let [between, first, second] =
        [(1, "Alice Johnson", "away"), (2, "Bob Smith", "alice"), (1, "Alice Johnson", "bob")]
            .map(|(id, name, email)| with(id, name, email));
    let none = Value::Null;
    [
        line("CREATE_TABLE", &none, &none),
        line("INSERT", &alice, &none),
        line("INSERT", &row(2, "Lost", "lost", 1.0), &none),
        line("DELETE", &none, &row(2, "Lost", "lost", 1.0)),
        line("INSERT", &bob, &none),
        line("INSERT", &carol, &none),
        // What follows was not saved. Two exchange their addresses.
        line("INSERT", &dan, &none),
        line("UPDATE", &between, &alice),
        line("UPDATE", &first, &bob),
        line("UPDATE", &second, &between),
        line("UPDATE", &json!({"id": 4, "gpa": 2.5}), &dan),
        line("DELETE", &carol, &none),
        line("INSERT", &row(5, "Eve", "carol", 4.0), &none),
    ]
    .concat()
}

fn after_the_log() -> Vec<Value> {
    vec![
        row(1, "Alice Johnson", "bob", 3.8),
        row(2, "Bob Smith", "alice", 3.5),
        row(4, "Dan", "dan", 2.5),
        row(5, "Eve", "carol", 4.0),
    ]
}

/// As the Python program writes them: no meta file, no `index`, a log without `seq`.
pub(crate) fn written_by_hand(base: &Path) {
    let dir = base.join("university");
    for folder in ["schema", "data", "wal"] {
        std::fs::create_dir_all(dir.join(folder)).unwrap();
    }
    std::fs::write(dir.join("schema/student.schema.json"), SCHEMA).unwrap();
    std::fs::write(dir.join("data/student.records"), RECORDS).unwrap();
    std::fs::write(dir.join("wal/transaction.log"), log()).unwrap();
}

fn archived(base: &Path) -> Vec<String> {
    let archives = names(base, "wal").into_iter().filter(|name| name.len() > "transaction.000001.log".len());
    archives.map(|name| text(base, &format!("wal/{name}"))).collect()
}

#[test]
fn files_of_the_python_program_are_read_with_what_only_its_log_has_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    written_by_hand(dir.path());
    for time in 0..3 {
        let db = Database::open("university", quiet(dir.path())).unwrap();
        let changed = &db.recovery().unwrap().changed;
        if time == 0 {
            // The files may be newer than what the log says: who has it otherwise finds it here.
            let told = ["Alice", "Bob", "Carol"].map(|name| changed.iter().filter(|one| one.contains(name)).count());
            assert!(changed.len() == 3 && told == [1, 1, 1], "{changed:?}");
            assert!(changed[0].starts_with("table student: {") && changed[0].contains("} became {"), "{changed:?}");
            assert!(
                changed.iter().any(|one| one.contains("Carol") && one.contains("was removed, by the log")),
                "{changed:?}"
            );
        } else {
            assert!(changed.is_empty(), "{changed:?}");
        }
        let rows: Rows = db.rows("student").unwrap();
        assert_eq!(rows.all().unwrap()[..4], after_the_log());
        let students = db.table::<Student>().unwrap();
        assert_eq!(students.count().unwrap(), 4 + time);
        let new = students.insert(&student(&format!("New{time}"), 1.0)).unwrap();
        assert_eq!(new.id, Some(6 + time as i64), "numbers go on");
        if time == 0 {
            // As a crash leaves it: nothing was saved.
            let copy = tempfile::tempdir().unwrap();
            copy_as_crash_leaves_it(&dir.path().join("university"), &copy.path().join("university"));
            assert_eq!(open(copy.path()).1.count().unwrap(), 5);
        }
        db.close().unwrap();
    }
    assert_eq!(text(dir.path(), "data/student.records").lines().count(), 7);
    assert_eq!(archived(dir.path()), [log()], "as it was");
    let log = names(dir.path(), "wal").into_iter().find(|name| name.contains('_')).unwrap();
    assert_eq!(text(dir.path(), &format!("data/student.records.before-{log}")), RECORDS, "the file before the log");
    assert!(!text(dir.path(), "database.json").contains("plain_log"));
}

#[test]
fn a_log_of_the_python_program_in_a_folder_that_is_known_is_read_too() {
    let dir = tempfile::tempdir().unwrap();
    written_by_hand(dir.path());
    let db = Database::open("university", quiet(dir.path()).archives(Some(0))).unwrap();
    db.table::<Student>().unwrap().insert(&student("Zoe", 1.0)).unwrap();
    db.checkpoint().unwrap();
    db.close().unwrap();
    let more = line("INSERT", &row(7, "Later", "later", 1.0), &Value::Null);
    std::fs::write(dir.path().join("university/wal/transaction.log"), more.clone() + "{\"timestamp").unwrap();
    let (db, students) = open(dir.path());
    let found: Vec<String> = students.all().unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!(found, ["Alice Johnson", "Bob Smith", "Dan", "Eve", "Zoe", "Later"]);
    assert_eq!(archived(dir.path()), [more + "{\"timestamp"], "its last line was never finished");
    drop(db);
}

#[test]
fn what_the_python_program_appends_to_a_log_of_ours_is_not_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    students.insert(&student("Alice", 1.0)).unwrap();
    // As a crash leaves it: closed, it would have been saved and have no line.
    let copy = tempfile::tempdir().unwrap();
    copy_as_crash_leaves_it(&dir.path().join("university"), &copy.path().join("university"));
    drop((db, students));
    let path = copy.path().join("university/wal/transaction.log");
    let ours = std::fs::read_to_string(&path).unwrap().trim_end().to_owned() + "\n";
    let appended = line("INSERT", &row(7, "Later", "later", 1.0), &Value::Null);
    let both = format!("{ours}{appended}");
    std::fs::write(&path, &both).unwrap();
    for _ in 0..2 {
        let error = Database::open("university", quiet(copy.path())).unwrap_err();
        let place = format!("transaction.log, line {}: another program wrote on", ours.lines().count() + 1);
        assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains(&place), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), both, "it stays as it is");
    }
    std::fs::write(&path, &ours).unwrap();
    assert_eq!(open(copy.path()).1.count().unwrap(), 1);
}

#[test]
fn dying_anywhere_while_the_log_is_taken_over_neither_loses_nor_doubles_it() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("university");
    std::fs::create_dir_all(&dir).unwrap();
    let config = |fs: &SimFs| {
        let config = Config::new().base_path(base.path()).save_interval(None).save_log_bytes(None);
        config.fs(Arc::new(fs.clone())).clock(Arc::new(ManualClock::new(1_769_114_000_000_000)))
    };
    let first = SimFs::new();
    for (file, text) in [("schema/student.schema.json", SCHEMA), ("data/student.records", RECORDS)] {
        first.write_file(dir.join(file), text);
    }
    first.write_file(dir.join("wal/transaction.log"), log());
    for n in 1.. {
        let world = first.kill();
        world.fault(Fault::at(world.operations() + n, What::StopAfter));
        let is_done = Database::open("university", config(&world)).is_ok_and(|_| !world.has_stopped());
        let world = if n % 2 == 0 { world.kill() } else { world.power_cut(n) };
        let db = Database::open("university", config(&world)).unwrap_or_else(|error| panic!("died at {n}: {error}"));
        let rows: Rows = db.rows("student").unwrap();
        assert_eq!(rows.all().unwrap(), after_the_log(), "died at {n}");
        let is_copy = |path: &std::path::PathBuf| path.to_string_lossy().contains(".records.before-transaction.");
        let copies: Vec<_> =
            world.files().into_iter().filter(is_copy).filter_map(|path| world.read_file(path)).collect();
        assert_eq!(copies, [RECORDS.as_bytes()], "died at {n}");
        // What was changed since is not taken back by it.
        rows.update(persist_table::col("id").eq(5), &json!({"gpa": 1.5})).unwrap();
        let world = world.kill();
        drop((db, rows));
        let db = Database::open("university", config(&world)).unwrap();
        assert_eq!(db.rows::<Value>("student").unwrap().get(5).unwrap().unwrap()["gpa"], 1.5, "died at {n}");
        if is_done {
            assert!(n > 20, "{n}");
            return;
        }
    }
}

#[test]
fn a_log_that_the_tables_do_not_take_is_refused_with_its_line_and_nothing_is_changed() {
    let none = Value::Null;
    let insert = |row: &Value| line("INSERT", row, &none);
    let other = insert(&row(9, "X", "x", 1.0)).replace("\"student\"", "\"course\"");
    for (more, said) in [
        ("nonsense\n".to_owned(), "line 14: expected"),
        (insert(&json!({"id": 9, "name": "X"})), "line 14: table student, column email: it is missing"),
        (insert(&json!({"name": "X", "email": "x"})), "line 14: table student, column id"),
        (line("INSERT", &none, &none), "line 14: table student: the operation has no record"),
        (other.clone(), "line 14: it is of table course, and there is no"),
        (insert(&row(9, "X", "alice", 1.0)), "column email: there is a row with \"alice@university.edu\" already"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        written_by_hand(dir.path());
        let path = dir.path().join("university/wal/transaction.log");
        std::fs::write(&path, log() + &more).unwrap();
        for _ in 0..2 {
            let error = Database::open("university", quiet(dir.path())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(said) && error.to_string().contains("move it out"), "{error}");
        }
        assert_eq!(text(dir.path(), "data/student.records"), RECORDS);
        let left = names(dir.path(), "wal");
        assert_eq!(text(dir.path(), &format!("wal/{}", left[0])), log() + &more, "{left:?}");
        std::fs::remove_file(dir.path().join("university/wal").join(&left[0])).unwrap();
        assert_eq!(open(dir.path()).1.count().unwrap(), 3, "the files alone");
    }
    // What is dropped later needs no schema.
    let dir = tempfile::tempdir().unwrap();
    written_by_hand(dir.path());
    let dropped = line("DROP_TABLE", &none, &none).replace("\"student\"", "\"course\"");
    std::fs::write(dir.path().join("university/wal/transaction.log"), log() + &other + &dropped).unwrap();
    assert_eq!(open(dir.path()).1.count().unwrap(), 4);
}
