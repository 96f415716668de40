//! Declared tables in JSON Lines files: durable, without a database engine.
//!
//! Each table has a schema, and a file with a JSON object a line that `jq`, `grep` and `wc` read. Every write is in a log
//! before it returns, so that nothing depends on saving; reads come from memory.
//!
//! ```
//! use persist_table::{Config, Database, Table, col};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Clone, PartialEq, Table, Serialize, Deserialize)]
//! struct Student {
//!     #[table(primary_key)]
//!     id: Option<i64>, // a whole number, given out by the table
//!     name: String,
//!     #[table(unique)]
//!     email: String,
//!     #[table(index, default = 0.0)]
//!     gpa: f64,
//!     graduated: Option<bool>, // takes null
//! }
//!
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! let db = Database::open("university", Config::new().base_path(dir))?;
//! let students = db.table::<Student>()?; // schema/student.schema.json is there now
//!
//! let alice = Student { id: None, name: "Alice".into(), email: "alice@university.edu".into(), gpa: 3.8, graduated: None };
//! let alice = students.insert(&alice)?; // on disk when it returns
//! assert_eq!(students.get(alice.id)?.as_ref(), Some(&alice));
//!
//! students.insert(&serde_json::json!({"name": "Bob", "email": "bob@university.edu"}))?;
//! students.update(col("name").eq("Bob"), &serde_json::json!({"gpa": 3.5}))?;
//! let best = students.select().filter(col("gpa").ge(3.5)).order_by_desc("gpa").limit(10).rows()?;
//! assert_eq!(best.len(), 2);
//!
//! db.transaction(|tx| {
//!     let students = tx.table::<Student>()?; // all of it, or nothing
//!     students.update(col("gpa").gt(3.6), &serde_json::json!({"graduated": true}))?;
//!     students.delete(col("gpa").lt(1.0))
//! })?;
//! db.save()?; // data/student.records; also by itself, and at `close`
//! db.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a column takes
//!
//! | field | column | takes |
//! |---|---|---|
//! | integers | `int` | whole numbers of 64 bits |
//! | `f32`, `f64` | `float` | finite numbers, and whole ones that it says exactly |
//! | `bool` | `bool` | |
//! | `String` | `str` | |
//! | [`Timestamp`] | `datetime` | ISO 8601 text; without a zone it is UTC |
//! | `serde_json::Value`, `Vec`, maps | `json` | any JSON |
//!
//! `Option<T>` takes null; types of your own say by [`Field`] what column they fill. A column is `unique` or has an `index`,
//! and is then found without looking at all rows; one is the primary key. A value that breaks a rule is refused with an
//! error that names table, column and value, and nothing of the call stays.
//!
//! # Files
//!
//! `{base_path}/{name}/` holds `schema/student.schema.json`, `data/student.records` and `wal/transaction.log`; docs/format.md
//! describes each. What somebody wrote by hand in this form is read.

mod catalog;
mod cell;
mod checkpoint;
mod config;
mod csv;
mod database;
mod declare;
mod filter;
mod held;
mod keeper;
mod load;
mod meta;
mod open;
mod operation;
mod paths;
mod plain_log;
mod portable;
mod row;
mod rows;
mod save;
mod schema;
mod schema_file;
mod select;
mod shared;
mod slot;
mod state;
mod stats;
mod transaction;
mod value;
mod work;

pub use cell::Type;
pub use config::Config;
pub use database::Database;
#[doc(hidden)]
pub use declare::column_of;
pub use declare::{Field, Table};
pub use filter::{Col, Filter, col};
pub use operation::{Action, Operation};
pub use persist_table_derive::Table;
pub use rows::Rows;
pub use schema::{Column, Schema};
pub use select::{Found, Select};
pub use stats::{DiskStats, FileStats, Stats, TableStats};
pub use transaction::{RowsOf, Transaction};

pub use persist_core::timestamp;
pub use persist_core::wal::{RecoveryPolicy, RecoveryReport};
pub use persist_core::{Durability, Error, ErrorKind, Result, Timestamp};
