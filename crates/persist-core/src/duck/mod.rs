//! DuckDB: the tables a store is flushed into, and SQL over them.
//!
//! Only this module names the `duckdb` crate and speaks SQL. It knows rows, not logs: what is flushed when, and which
//! part of the log a checkpoint makes superfluous, is the flush engine's.
//!
//! A database file holds four tables. The **base** has the model's columns and one row per id. The **delta**
//! (`{name}_delta`) has those columns and `persist_seq`, `persist_op`, and takes every flush, so that a flush costs the
//! same at every size of the base; a [merge](Database::merge) moves it into the base. `persist_removed` has the ids
//! that were removed, so that their versions go on counting. `persist_meta` says how far the
//! log has been flushed: one row is *inserted* with each flush, the highest watermark counts.
//!
//! What holds throughout:
//! - Nothing is ever updated in place, and no table is created or dropped once a file is in use. DuckDB refuses a
//!   CHECKPOINT after an UPDATE or a change of its catalog for as long as an older transaction is open, and only then:
//!   inserts, deletes and readers of any age do not stop it (tried, 1.5.5).
//! - Parts are matched with `IS NOT DISTINCT FROM`: NULL is one like any other.
//! - Every name is quoted, and every table named with its catalog.
//! - DuckDB checkpoints only when [told to](Database::checkpoint), so the engine knows which commits the main file has.

mod append;
mod aside;
mod backup;
mod compact;
mod cores;
mod database;
mod export;
mod extra;
mod failure;
mod fields;
mod health;
mod history;
mod journal;
mod load;
mod order;
mod query;
mod rows;
mod sandbox;
mod schema;
mod settle;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use append::Appender;
pub(crate) use aside::{aside, clear_aside, put_in_place, refuse_own_logs, sync_aside};
pub(crate) use database::{Database, State, own_logs};
pub use export::Leaf;
pub(crate) use failure::is_invalidated;
pub use health::DatabaseFile;
pub(crate) use history::By;
pub(crate) use journal::remove_journal;
pub(crate) use load::{Loaded, key_hash};
pub use rows::Rows;
pub use sandbox::{Interrupter, Sandbox, SandboxPart, SandboxTable};
pub(crate) use schema::Table;
