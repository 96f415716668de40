//! Extra columns: typed columns of a table that are filled from members of the data.
//!
//! Owns which names and types there are ([`ExtraSchema`]), and what a JSON value is as a value of such a type, without
//! loss or not at all ([`ExtraType::convert`]). The engine asks before a record gets its place in the log, the flush
//! asks again for the column: both get the same answer.

mod convert;
mod schema;

pub use convert::ExtraValue;
pub use schema::{ExtraColumn, ExtraSchema, ExtraType};

#[cfg(test)]
mod tests;
