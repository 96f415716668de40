//! The files: what is in them, that Unix tools read them, and that files written by hand are read.

use std::process::Command;

use flate2::read::MultiGzDecoder;
use persist_table::{Action, Database, ErrorKind, Rows, col};
use serde_json::{Value, json};
use std::io::Read;

use crate::plain_log::written_by_hand;
use crate::{Student, names, open, quiet, student, text};

#[test]
fn records_are_lines_of_json_and_inserts_are_appended() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    students.insert(&student("Alice", 3.8)).unwrap();
    assert_eq!(names(dir.path(), "data"), ["student.meta.json"], "nothing was saved");
    db.save().unwrap();
    let first = text(dir.path(), "data/student.records");
    assert_eq!(first, "{\"id\": 1, \"name\": \"Alice\", \"email\": \"alice@university.edu\", \"gpa\": 3.8}\n");
    let inode = |dir: &std::path::Path| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(dir.join("university/data/student.records")).unwrap().ino()
    };
    let before = inode(dir.path());
    students.insert(&student("Bob", 3.5)).unwrap();
    db.save().unwrap();
    let second = text(dir.path(), "data/student.records");
    assert!(second.starts_with(&first) && second.lines().count() == 2);
    assert_eq!(inode(dir.path()), before, "appended to the same file");
    let meta: Value = serde_json::from_str(&text(dir.path(), "data/student.meta.json")).unwrap();
    assert_eq!((&meta["applied_seq"], &meta["records"], &meta["length"]), (&json!(3), &json!(2), &json!(second.len())));
    // What was inserted and changed before it was saved is appended, too.
    students.insert(&student("Carol", 3.9)).unwrap();
    students.update(col("id").eq(3), &json!({"gpa": 4})).unwrap();
    db.save().unwrap();
    assert_eq!(inode(dir.path()), before);
    students.update(col("id").eq(1), &json!({"gpa": 4.0})).unwrap();
    students.delete(col("id").eq(2)).unwrap();
    db.save().unwrap();
    assert_ne!(inode(dir.path()), before, "written anew, and renamed");
    assert_eq!(
        text(dir.path(), "data/student.records"),
        "{\"id\": 1, \"name\": \"Alice\", \"email\": \"alice@university.edu\", \"gpa\": 4.0}\n\
         {\"id\": 3, \"name\": \"Carol\", \"email\": \"carol@university.edu\", \"gpa\": 4.0}\n"
    );
    assert_eq!(names(dir.path(), "data"), ["student.meta.json", "student.records"]);
}

#[test]
fn a_save_writes_only_what_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    let other = crate::model::schema("other");
    let others = db.create_table(other).unwrap();
    students.insert(&student("Alice", 3.8)).unwrap();
    others.insert(&json!({"team": 1})).unwrap();
    db.save().unwrap();
    let changed =
        |file: &str| std::fs::metadata(dir.path().join("university/data").join(file)).unwrap().modified().unwrap();
    let before = (changed("other.meta.json"), changed("student.meta.json"));
    std::thread::sleep(std::time::Duration::from_millis(20));
    students.insert(&student("Bob", 3.5)).unwrap();
    db.save().unwrap();
    assert_eq!(changed("other.meta.json"), before.0);
    assert!(changed("student.meta.json") > before.1);
}

#[test]
fn the_log_has_each_operation_in_the_form_of_the_specification_before_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    students.insert(&student("Alice", 3.8)).unwrap();
    students.update(col("id").eq(1), &json!({"gpa": 4.0})).unwrap();
    students.delete(col("id").eq(1)).unwrap();
    let log = text(dir.path(), "wal/transaction.log");
    let lines: Vec<Value> =
        log.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect();
    let operations: Vec<&str> = lines.iter().map(|line| line["operation"].as_str().unwrap()).collect();
    assert_eq!(operations, ["CREATE_TABLE", "INSERT", "UPDATE", "DELETE"]);
    let alice = json!({"id": 1, "name": "Alice", "email": "alice@university.edu", "gpa": 3.8});
    let better = json!({"id": 1, "name": "Alice", "email": "alice@university.edu", "gpa": 4.0});
    let records: Vec<(Value, Value)> =
        lines.iter().map(|line| (line["record"].clone(), line["old_record"].clone())).collect();
    let null = Value::Null;
    assert_eq!(
        records,
        [
            (null.clone(), null.clone()),
            (alice.clone(), null.clone()),
            (better.clone(), alice.clone()),
            (null, better.clone())
        ]
    );
    assert!(
        log.starts_with("{\"timestamp\": \"")
            && log.contains("\", \"operation\": \"INSERT\", \"table\": \"student\", \"record\": {")
    );
    assert_eq!(lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(lines.iter().all(|line| line["crc"].as_str().unwrap().len() == 8));

    let operations = db.inspect_wal().unwrap();
    assert_eq!(operations.len(), 4);
    assert_eq!(
        (operations[2].operation, operations[2].table.as_str(), operations[2].seq),
        (Action::Update, "student", 3)
    );
    assert_eq!((operations[2].record.as_ref(), operations[2].old_record.as_ref()), (Some(&better), Some(&alice)));
    db.close().unwrap();
    let log = text(dir.path(), "wal/transaction.log");
    assert_eq!(log.lines().count(), 4, "a closed log has its lines and nothing else");
}

/// Every tool that the specification's section on debugging names.
#[test]
fn unix_tools_read_the_files_as_the_specification_says() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    for (name, gpa) in [("Alice", 3.8), ("Bob", 3.5), ("Carol", 3.9)] {
        students.insert(&student(name, gpa)).unwrap();
    }
    db.save().unwrap();
    let run = |command: &str| {
        let output = Command::new("sh").arg("-c").arg(command).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let has =
        |tool: &str| Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().unwrap().status.success();
    assert!(run("wc -l university/data/student.records").starts_with("3 "));
    assert_eq!(run("grep -c Alice university/data/student.records"), "1");
    assert_eq!(
        run("grep '\"name\": \"Alice\"' university/data/student.records"),
        run("head -n 1 university/data/student.records")
    );
    assert_eq!(run("cat university/wal/transaction.log | grep -c '\"operation\": \"INSERT\"'"), "3");
    if has("python3") {
        assert!(
            run("cat university/schema/student.schema.json | python3 -m json.tool")
                .contains("\"table_name\": \"student\"")
        );
    }
    if has("jq") {
        assert_eq!(run("jq -s 'map(.gpa) | max' university/data/student.records"), "3.9");
        assert_eq!(
            run("jq -r 'select(.operation == \"INSERT\") | .record.name' university/wal/transaction.log"),
            "Alice\nBob\nCarol"
        );
        assert_eq!(
            run("jq -r '.schema | keys_unsorted | join(\",\")' university/schema/student.schema.json"),
            "id,name,email,gpa"
        );
    }
}

#[test]
fn only_the_tables_asked_for_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    written_by_hand(dir.path());
    std::fs::write(
        dir.path().join("university/schema/broken.schema.json"),
        text(dir.path(), "schema/student.schema.json").replace("student", "broken"),
    )
    .unwrap();
    std::fs::write(dir.path().join("university/data/broken.records"), "{\"id\": 1}\nnonsense\n").unwrap();
    let db = Database::open("university", quiet(dir.path())).unwrap();
    assert_eq!(db.tables(), ["broken", "student"]);
    let students: Rows = db.rows("student").unwrap();
    assert_eq!(students.count().unwrap(), 4);
    let error = db.load().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("data/broken.records, line 1: table broken, column name"), "{error}");
}

#[test]
fn a_checkpoint_archives_the_log_and_a_fresh_one_begins() {
    let dir = tempfile::tempdir().unwrap();
    let config = || quiet(dir.path()).archives(Some(2)).compress_archives(true);
    let db = Database::open("university", config()).unwrap();
    let students = db.table::<Student>().unwrap();
    for round in 0..4 {
        students.insert(&student(&format!("S{round}"), 3.0)).unwrap();
        let archives = db.checkpoint().unwrap();
        assert_eq!(archives.len(), 1);
        let name = archives[0].file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("transaction.20") && name.ends_with(".log.gz"), "{name}");
        let mut log = String::new();
        MultiGzDecoder::new(std::fs::File::open(&archives[0]).unwrap()).read_to_string(&mut log).unwrap();
        assert!(log.contains(&format!("S{round}")) && log.lines().count() == if round == 0 { 2 } else { 1 });
        assert!(db.inspect_wal().unwrap().is_empty());
        assert_eq!(names(dir.path(), "wal").len(), 2.min(round + 1), "the oldest go");
    }
    assert!(db.checkpoint().unwrap().is_empty(), "nothing new");
    students.insert(&student("Last", 3.0)).unwrap();
    assert_eq!(db.inspect_wal().unwrap()[0].seq, 6, "numbers go on");
    drop((db, students));
    let (_db, students) = open(dir.path());
    assert_eq!(students.count().unwrap(), 5);
    let plain = quiet(dir.path());
    drop((_db, students));
    let db = Database::open("university", plain).unwrap();
    let archives = db.checkpoint().unwrap();
    assert!(archives.iter().all(|path| path.to_str().unwrap().ends_with(".log")), "{archives:?}");
}

#[test]
fn records_may_be_compressed_and_are_otherwise_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let gz = || quiet(dir.path()).compress_data(true);
    let (db, students) = open(dir.path());
    students.insert(&student("Plain", 1.0)).unwrap();
    db.close().unwrap();
    for round in 0..3 {
        let db = Database::open("university", gz()).unwrap();
        let students = db.table::<Student>().unwrap();
        students.insert(&student(&format!("S{round}"), 3.0)).unwrap();
        db.save().unwrap();
        students.insert(&student(&format!("T{round}"), 3.0)).unwrap();
        db.close().unwrap();
        assert_eq!(names(dir.path(), "data"), ["student.meta.json", "student.records.gz"]);
        let mut records = String::new();
        let file = std::fs::File::open(dir.path().join("university/data/student.records.gz")).unwrap();
        MultiGzDecoder::new(file).read_to_string(&mut records).unwrap();
        assert_eq!(records.lines().count(), 3 + 2 * round);
    }
    let (db, students) = open(dir.path());
    assert_eq!(students.count().unwrap(), 7);
    db.compact().unwrap();
    assert_eq!(names(dir.path(), "data"), ["student.meta.json", "student.records"]);
    assert_eq!(text(dir.path(), "data/student.records").lines().count(), 7);
}

#[test]
fn a_dropped_table_leaves_no_file_and_its_name_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let (db, students) = open(dir.path());
    students.insert(&student("Alice", 3.8)).unwrap();
    db.save().unwrap();
    db.drop_table("student").unwrap();
    assert!(names(dir.path(), "data").is_empty() && names(dir.path(), "schema").is_empty());
    assert!(students.insert(&student("Bob", 3.5)).unwrap_err().to_string().contains("table student was dropped"));
    assert_eq!(db.drop_table("student").unwrap_err().kind(), ErrorKind::Input);
    let again = db.table::<Student>().unwrap();
    assert_eq!(again.insert(&student("Carol", 3.9)).unwrap().id, Some(1));
    drop(db);
    let (_db, students) = open(dir.path());
    assert_eq!(students.all().unwrap().len(), 1);
}

/// Nobody calls `save`: the thread does so by time, and by what the log has taken, which it then archives.
#[test]
fn tables_are_saved_by_themselves_by_time_and_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let wait_for = |what: &str, is: &dyn Fn() -> bool| {
        let start = std::time::Instant::now();
        while !is() {
            assert!(start.elapsed() < std::time::Duration::from_secs(20), "{what}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let config = || quiet(dir.path()).save_interval(Some(std::time::Duration::from_millis(20)));
    let db = Database::open("university", config()).unwrap();
    let students = db.table::<Student>().unwrap();
    students.insert(&student("Alice", 3.8)).unwrap();
    wait_for("saved by time", &|| db.stats().unwrap().disk.unwrap().tables["student"].records == 1);
    assert_eq!(db.inspect_wal().unwrap().len(), 2, "by time, the log stays");
    db.close().unwrap();

    let db = Database::open("university", quiet(dir.path()).save_log_bytes(Some(2_000))).unwrap();
    let students = db.table::<Student>().unwrap();
    students.insert_many((0..20).map(|n| student(&format!("S{n}"), 1.0))).unwrap();
    wait_for("archived by size", &|| names(dir.path(), "wal").iter().any(|name| name.starts_with("transaction.20")));
    assert_eq!(db.stats().unwrap().disk.unwrap().tables["student"].records, 21);
}
