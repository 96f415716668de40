//! The university of the specification: making tables, saving and loading, looking into the files, changing rows over
//! restarts, the log and its checkpoint, and export.
//!
//! ```sh
//! cargo run -p persist-table --example table-university
//! ```
//!
//! A folder may be named behind `--`; else it is `target/example-table`. The database stands in a folder `university` there,
//! which is removed first.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use persist_table::{Config, Database, Rows, Table, col};
use persist_test_utils::example_folder;
use serde::{Deserialize, Serialize};
use serde_json::json;

type Done = Result<(), Box<dyn Error>>;

/// What this program is called with to be the process that dies.
const WRITE: &str = "--write";

#[derive(Debug, Clone, PartialEq, Table, Serialize, Deserialize)]
struct Student {
    #[table(primary_key)]
    id: Option<i64>,
    name: String,
    #[table(unique)]
    email: String,
    #[table(index, default = 0.0)]
    gpa: f64,
}

#[derive(Debug, Clone, PartialEq, Table, Serialize, Deserialize)]
struct Course {
    #[table(primary_key)]
    id: Option<i64>,
    #[table(unique)]
    code: String,
    title: String,
    #[table(default = 6)]
    credits: u8,
}

#[derive(Debug, Clone, PartialEq, Table, Serialize, Deserialize)]
struct Enrollment {
    #[table(primary_key)]
    id: Option<i64>,
    #[table(index)]
    student: i64,
    #[table(index)]
    course: i64,
    grade: Option<String>,
}

fn main() -> Done {
    let mut args = std::env::args().skip(1);
    match (args.next(), args.next()) {
        (Some(write), Some(base)) if write == WRITE => write_and_die(Path::new(&base)),
        (given, _) => run(&example_folder(given, "table")?),
    }
}

fn run(base: &Path) -> Done {
    fs::create_dir_all(base)?;
    let base = base.canonicalize()?;
    let _ = fs::remove_dir_all(base.join("university"));
    create(&base)?;
    load(&base)?;
    look_into_the_files(&base)?;
    change_over_restarts(&base)?;
    checkpoint(&base)?;
    export(&base)
}

fn open(base: &Path) -> persist_table::Result<Database> {
    Database::open("university", Config::new().base_path(base))
}

fn create(base: &Path) -> Done {
    println!("1. A database is made, and its tables");
    let db = open(base)?;
    let students = db.table::<Student>()?;
    let courses = db.table::<Course>()?;
    db.table::<Enrollment>()?;
    for (name, email, gpa) in
        [("Alice Johnson", "alice", 3.8), ("Bob Smith", "bob", 3.5), ("Carol White", "carol", 3.9)]
    {
        let email = format!("{email}@university.edu");
        let student = students.insert(&Student { id: None, name: name.to_owned(), email, gpa })?;
        println!("   {} has the number {}", student.name, student.id.unwrap_or_default());
    }
    courses.insert(&json!({"code": "CS101", "title": "Programming"}))?;
    courses.insert(&json!({"code": "MA201", "title": "Algebra", "credits": 8}))?;
    let twice = json!({"name": "Alice", "email": "alice@university.edu"});
    println!("   refused: {}", students.insert(&twice).err().ok_or("an address was taken twice")?);
    // Nothing depends on it: what was inserted is in the log. But here are the files of the specification.
    db.save()?;
    Ok(db.close()?)
}

fn load(base: &Path) -> Done {
    println!("2. It is loaded again");
    let db = open(base)?;
    db.load()?;
    println!("   tables: {}", db.tables().join(", "));
    let students: Rows<Student> = db.rows("student")?;
    for student in students.select().filter(col("gpa").ge(3.6)).order_by_desc("gpa").rows()? {
        println!("   {} {}", student.gpa, student.name);
    }
    let bob = students.select().filter(col("email").eq("bob@university.edu")).first()?;
    println!("   found by address: {}", bob.ok_or("Bob is lost")?.name);
    Ok(())
}

fn look_into_the_files(base: &Path) -> Done {
    println!("3. Its files are text");
    let dir = base.join("university");
    for file in ["schema/course.schema.json", "data/student.records", "data/student.meta.json"] {
        println!("   {file}:");
        for line in fs::read_to_string(dir.join(file))?.lines() {
            println!("      {line}");
        }
    }
    Ok(())
}

fn change_over_restarts(base: &Path) -> Done {
    println!("4. A process changes rows and dies; the next one goes on");
    let died = Command::new(std::env::current_exe()?).arg(WRITE).arg(base).current_dir(base).status()?;
    if died.success() {
        return Err("the process that writes did not die".into());
    }
    let db = open(base)?;
    println!("   recovered: {}", db.recovery().ok_or("there is no report")?);
    let students = db.table::<Student>()?;
    let names: Vec<String> = students.all()?.into_iter().map(|row| format!("{} {}", row.name, row.gpa)).collect();
    println!("   students: {}", names.join(", "));
    if names != ["Alice Johnson 4", "Carol White 3.9", "Dan Brown 3.1"] {
        return Err("something was lost".into());
    }
    println!("   enrolled: {}", db.table::<Enrollment>()?.count()?);
    Ok(db.close()?)
}

fn write_and_die(base: &Path) -> Done {
    let db = open(base)?;
    let students = db.table::<Student>()?;
    students.update(col("email").eq("alice@university.edu"), &json!({"gpa": 4.0}))?;
    students.delete(col("name").starts_with("Bob"))?;
    // Dan and what he is enrolled in, or nothing of it.
    db.transaction(|tx| {
        let dan = json!({"name": "Dan Brown", "email": "dan@university.edu", "gpa": 3.1});
        let dan = tx.table::<Student>()?.insert(&dan)?;
        for course in tx.table::<Course>()?.select().rows()? {
            tx.table::<Enrollment>()?.insert(&json!({"student": dan.id, "course": course.id}))?;
        }
        Ok(())
    })?;
    let given_up = db.transaction(|tx| {
        tx.table::<Enrollment>()?.delete(col("grade").is_null())?;
        tx.table::<Student>()?.insert(&json!({"name": "Dan again", "email": "dan@university.edu"}))
    });
    println!("   given up: {}", given_up.err().ok_or("an address was taken twice")?);
    std::process::abort();
}

fn checkpoint(base: &Path) -> Done {
    println!("5. The log, and what a checkpoint makes of it");
    let db = open(base)?;
    for operation in db.inspect_wal()?.iter().rev().take(4).rev() {
        println!("   {}: {} on {}", operation.seq, operation.operation.name(), operation.table);
    }
    let archives = db.checkpoint()?;
    println!("   archived: {} files; in the log now: {}", archives.len(), db.inspect_wal()?.len());
    let stats = db.stats()?.disk.ok_or("there are no files")?;
    for (table, file) in stats.tables {
        println!("   {table}: {} records, {} bytes", file.records, file.size_bytes);
    }
    Ok(db.close()?)
}

fn export(base: &Path) -> Done {
    println!("6. A table is exported, and imported elsewhere");
    let db = open(base)?;
    let (json, csv) = (base.join("university/exports/students.json"), base.join("university/exports/students.csv"));
    println!("   {} records as JSON, {} as CSV", db.export_table("student", &json)?, db.export_csv("student", &csv)?);
    let elsewhere = Database::in_memory("elsewhere")?;
    let copy = elsewhere.table::<Student>()?;
    elsewhere.import_table(&json)?;
    if copy.all()? != db.table::<Student>()?.all()? {
        return Err("the copy differs".into());
    }
    println!("   the copy in memory has the same {}", copy.count()?);
    Ok(db.close()?)
}
