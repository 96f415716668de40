//! A record's data on its way in and out: JSON text, checked once and then trusted.
//!
//! Owns the normalized form, the one that the log, memory and DuckDB hold. [`normalize_value`] brings whatever the caller
//! has into it, checked and with the special fields resolved, and [`normalize`] does so with JSON text; [`members`] takes that
//! form apart again for the columns, and [`Value`] holds it for a caller who has no type of their own.
//!
//! Kept true: whatever [`normalize`] lets through, DuckDB takes into a JSON column, reads with every JSON function and
//! exports to Parquet (tried with DuckDB 1.5.5: half a surrogate pair, raw control characters and a byte order mark are
//! refused there, and so here; `\u0000`, numbers of 400 digits, `1e400` and 5,000 levels are taken).
//! Normalizing again changes nothing. Reading text does not recurse, so no depth of nesting in it can exhaust the stack.
//!
//! Leaves out which fields are special and where their defaults come from (the engine and the model say that), and
//! extra columns.

mod form;
mod lexer;
mod members;
mod names;
mod normalize;
mod serialize;
mod special;
mod specials;
mod value;

pub use lexer::{quote, unescape};
pub use members::{Members, is_name, members};
pub use normalize::{Normalized, Rules, normalize};
pub use serialize::{normalize_value, to_json};
pub(crate) use special::whole;
pub use special::{Given, Kind, Resolved, Special};
pub use specials::{Settled, Specials};
pub use value::{MAX_DEPTH, Number, Value};

#[cfg(test)]
mod tests;
