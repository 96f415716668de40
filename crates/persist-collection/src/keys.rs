//! The names of the columns that tell items apart, and of the special fields, which are taken from the data.

pub use persist_core::keys::{STATUS, STATUS_INT, TIMESTAMP, USERNAME};

/// The collection of an item.
pub const COLLECTION_NAME: &str = "collection_name";
/// The item's name within its collection.
pub const ITEM_NAME: &str = "item_name";
