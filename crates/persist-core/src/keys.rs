//! The names of the special fields: members of a record's data that the engine reads, resolves and gives a column.
//!
//! Owns only the names. A model adds its own (`process_name` is the dated store's); what is done with a special
//! field stands in [`crate::data`].

/// The record's moment, a [`Timestamp`](crate::timestamp::Timestamp): now, where neither the call nor the data names one.
pub const TIMESTAMP: &str = "timestamp";

/// The record's state as text, of the caller's own vocabulary.
pub const STATUS: &str = "status";

/// The record's state as a 32-bit integer.
pub const STATUS_INT: &str = "status_int";

/// Who made the write.
pub const USERNAME: &str = "username";
