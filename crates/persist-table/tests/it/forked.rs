//! A process that is forked while its database is open: the child can do no harm, and the parent goes on.

use std::path::Path;
use std::process::Command;

use fork::{Fork, fork, waitpid};
use persist_table::{Database, Durability, ErrorKind, Result, Rows, col};
use serde_json::{Value, json};

use crate::{Student, names, quiet, student};

const PARENT: &str = "PERSIST_TABLE_FORKS";
/// What the child has to say, beside the database.
const SAID: &str = "said";

/// What the child does to a database that is not its own.
fn in_child(db: Database, students: &Rows<Student>) -> std::result::Result<(), String> {
    let refused = |what: &str, done: Result<()>| match done {
        Err(error) if error.kind() == ErrorKind::Poisoned => Ok(()),
        other => Err(format!("{what}: {other:?}")),
    };
    match students.count() {
        Ok(3) => {}
        other => return Err(format!("a read: {other:?}")),
    }
    refused("a write", students.insert(&student("Child", 1.0)).map(drop))?;
    let early = students.durability(Durability::Os);
    refused("an early write", early.update(col("id").eq(1), &json!({"gpa": 0.0})).map(drop))?;
    refused("save", db.save())?;
    refused("compact", db.compact())?;
    refused("checkpoint", db.checkpoint().map(drop))?;
    refused("a new table", db.create_table(crate::model::schema("new")).map(drop))?;
    refused("loading", db.rows::<Value>("unloaded").and_then(|rows| rows.count()).map(drop))?;
    refused("drop_table", db.drop_table("student"))?;
    refused("close", db.close())
}

fn process(base: &Path) {
    let db = Database::open("university", quiet(base)).unwrap();
    for table in ["other", "unloaded"] {
        db.create_table(crate::model::schema(table)).unwrap();
    }
    db.close().unwrap();
    let db = Database::open("university", quiet(base)).unwrap();
    let students = db.table::<Student>().unwrap();
    students.insert(&student("Alice", 1.0)).unwrap();
    db.save().unwrap();
    // A table that could be saved, as all of its rows are durable.
    db.rows::<Value>("other").unwrap().insert(&json!({"team": 1})).unwrap();
    let files = names(base, "data");
    // One that is not saved, and one that is not even known to be durable.
    students.insert(&student("Bob", 1.0)).unwrap();
    students.durability(Durability::Os).insert(&student("Carol", 1.0)).unwrap();
    let child = match fork().unwrap() {
        Fork::Child => {
            let said = in_child(db, &students).err().unwrap_or_default();
            let _ = std::fs::write(base.join(SAID), said);
            // Nothing of the process is this one's to tear down.
            std::process::abort()
        }
        Fork::Parent(child) => child,
    };
    waitpid(child).unwrap();
    assert_eq!(std::fs::read_to_string(base.join(SAID)).unwrap(), "", "in the child");
    assert_eq!(
        Database::open("university", quiet(base)).unwrap_err().kind(),
        ErrorKind::Locked,
        "the lock went with it"
    );
    assert_eq!(names(base, "schema"), ["other.schema.json", "student.schema.json", "unloaded.schema.json"]);
    assert_eq!(names(base, "data"), files, "the child has saved a table");
    students.insert(&student("Dan", 1.0)).unwrap();
    db.close().unwrap();
    let db = Database::open("university", quiet(base)).unwrap();
    let students = db.table::<Student>().unwrap().all().unwrap();
    let names: Vec<&str> = students.iter().map(|student| student.name.as_str()).collect();
    assert_eq!(names, ["Alice", "Bob", "Carol", "Dan"]);
}

#[test]
fn a_forked_child_is_refused_and_costs_its_parent_neither_rows_nor_the_lock() {
    if let Some(base) = std::env::var_os(PARENT) {
        return process(base.as_ref());
    }
    let dir = tempfile::tempdir().unwrap();
    let name = "forked::a_forked_child_is_refused_and_costs_its_parent_neither_rows_nor_the_lock";
    let mut parent = Command::new(std::env::current_exe().unwrap());
    let ran = parent.args(["--exact", name, "--nocapture"]).env(PARENT, dir.path()).output().unwrap();
    assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}
