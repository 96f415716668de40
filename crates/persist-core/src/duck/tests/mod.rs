//! Real files, and the real DuckDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr)]

mod backup;
mod cores;
mod damage;
mod files;
mod flush;
mod journal;
mod order;
mod settle;
mod sql;
mod together;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::{Appender, Database, Table};
use crate::error::ErrorKind;
use crate::extra::ExtraSchema;
use crate::fs::Disk;
use crate::model::{Column, Model, Source};
use crate::record::Record;

/// A model like the dated store's, whose part may be NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Dated;

impl Model for Dated {
    type Part = Option<Box<str>>;
    type Value = ();
    const PART_FIELDS: &'static [&'static str] = &["process_name"];
    const TABLE: &'static str = "storage";
    const COLUMNS: &'static [Column] = &[
        Column { name: "key", source: Source::Key },
        Column { name: "process_name", source: Source::Part(0) },
        Column { name: "data", source: Source::Data },
        Column { name: "timestamp", source: Source::Timestamp },
        Column { name: "status", source: Source::Status },
        Column { name: "status_int", source: Source::StatusInt },
        Column { name: "username", source: Source::Username },
        Column { name: "updated_at", source: Source::UpdatedAt },
        Column { name: "version", source: Source::Version },
    ];

    fn part_text(part: &Self::Part, field: usize) -> Option<&str> {
        part.as_deref().filter(|_| field == 0)
    }

    fn part_from(fields: &[Option<&str>]) -> Self::Part {
        fields[0].map(Into::into)
    }
}

const STORE: &str = "store-1";
const AT: i64 = 1_736_937_000_000_000;

fn record(key: &str, part: Option<&str>, seq: u64, data: &str) -> Arc<Record<Dated>> {
    let part = part.map(Into::into);
    Arc::new(Record {
        key: key.into(),
        part,
        data: data.into(),
        value: (),
        seq,
        at: AT + seq as i64,
        version: seq as u32,
    })
}

/// The record `seq` of key `k{id}`, without a part.
fn numbered(id: u64, seq: u64) -> Arc<Record<Dated>> {
    let data = format!(
        r#"{{"n":{seq},"timestamp":"2025-01-15T10:30:00+00:00","status":"running","status_int":{id},"username":"bob"}}"#
    );
    record(&format!("k{id}"), None, seq, &data)
}

fn new_file() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.duckdb");
    Database::create(&Disk, &path, &Table::of::<Dated>(ExtraSchema::default()), STORE).unwrap();
    (dir, path)
}

fn reopen(path: &std::path::Path) -> Database {
    Database::open(&Disk, path, &Table::of::<Dated>(ExtraSchema::default())).unwrap()
}

fn new_database() -> (TempDir, Database, Appender) {
    let (dir, path) = new_file();
    let database = reopen(&path);
    let appender = database.appender().unwrap();
    (dir, database, appender)
}

type Id = (String, Option<String>);

/// What a load gives a cache: data and version of each id.
fn loaded(database: &Database) -> BTreeMap<Id, (String, u32)> {
    let mut found = BTreeMap::new();
    let mut each = |row: super::Loaded<'_>| {
        let id = (row.key.to_owned(), row.part[0].map(str::to_owned));
        if row.data.is_empty() {
            found.remove(&id);
        } else {
            found.insert(id, (row.data.to_owned(), row.version));
        }
        Ok(())
    };
    database.load(&mut each).unwrap();
    found
}

/// What SQL shows: the same.
fn queried(database: &Database) -> BTreeMap<Id, (String, u32)> {
    let rows = database.query("SELECT key, process_name, data, version FROM storage").unwrap();
    let rows: Vec<(Id, (String, u32))> = rows
        .iter()
        .map(|row| {
            let text = |n: usize| row[n].as_str().map(str::to_owned);
            ((text(0).unwrap(), text(1)), (text(2).unwrap(), row[3].as_u64().unwrap() as u32))
        })
        .collect();
    let count = rows.len();
    let found: BTreeMap<_, _> = rows.into_iter().collect();
    assert_eq!(found.len(), count, "an id stands twice in the view");
    found
}

/// Runs SQL that no part of persist runs.
fn meddle(database: &Database, sql: &str) {
    database.connect().unwrap().execute_batch(sql).unwrap();
}
