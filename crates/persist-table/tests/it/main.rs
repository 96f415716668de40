//! Tables through the public interface, on real files and on simulated disks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

mod crash;
mod damage;
mod declare;
mod disk;
mod example;
mod faults;
mod files;
mod model;
mod plain_log;
mod portable;
mod rows;
mod threads;

use std::path::Path;

use persist_table::{Config, Database, Rows, Table};
use serde::{Deserialize, Serialize};

/// The student of the specification.
#[derive(Debug, Clone, PartialEq, Table, Serialize, Deserialize)]
struct Student {
    #[table(primary_key)]
    id: Option<i64>,
    name: String,
    #[table(unique)]
    email: String,
    #[table(default = 0.0)]
    gpa: f64,
}

fn student(name: &str, gpa: f64) -> Student {
    Student { id: None, name: name.to_owned(), email: format!("{}@university.edu", name.to_lowercase()), gpa }
}

/// Nothing happens in the background by itself.
fn quiet(base: &Path) -> Config {
    Config::new().base_path(base).save_interval(None).save_log_bytes(None)
}

fn open(base: &Path) -> (Database, Rows<Student>) {
    let db = Database::open("university", quiet(base)).unwrap();
    let students = db.table().unwrap();
    (db, students)
}

/// The files in a folder of the database, sorted.
fn names(base: &Path, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(base.join("university").join(folder)).unwrap().map(Result::unwrap);
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn text(base: &Path, file: &str) -> String {
    std::fs::read_to_string(base.join("university").join(file)).unwrap()
}
