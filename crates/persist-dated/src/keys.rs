//! The names of the special fields: taken from the data, and columns of the table.

pub use persist_core::keys::{STATUS, STATUS_INT, TIMESTAMP, USERNAME};

/// The process a record belongs to: text or null. With the key it is the record's id.
pub const PROCESS_NAME: &str = "process_name";
