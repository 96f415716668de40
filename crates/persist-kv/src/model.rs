//! What a record of a key-value store is: its id is the key, and one table has the specification's columns.

use persist_core::{Column, Model, Source};

/// The key-value model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kv;

impl Model for Kv {
    /// The key is the whole id.
    type Part = ();

    const PART_FIELDS: &'static [&'static str] = &[];
    const TABLE: &'static str = "storage";
    const COLUMNS: &'static [Column] = &[
        Column { name: "key", source: Source::Key },
        Column { name: "data", source: Source::Data },
        Column { name: "updated_at", source: Source::UpdatedAt },
        Column { name: "version", source: Source::Version },
    ];

    fn part_text((): &(), _: usize) -> Option<&str> {
        None
    }

    fn part_from(_: &[Option<&str>]) {}
}
