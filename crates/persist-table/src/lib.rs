//! Declared tables in JSON Lines files.

mod catalog;
mod cell;
mod checkpoint;
mod config;
mod database;
mod declare;
mod filter;
mod keeper;
mod load;
mod meta;
mod open;
mod operation;
mod paths;
mod row;
mod rows;
mod save;
mod schema;
mod schema_file;
mod select;
mod shared;
mod slot;
mod state;
mod transaction;
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
pub use transaction::{RowsOf, Transaction};

pub use persist_core::timestamp;
pub use persist_core::wal::{RecoveryPolicy, RecoveryReport};
pub use persist_core::{Durability, Error, ErrorKind, Result, Timestamp};
