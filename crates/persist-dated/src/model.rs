//! What a dated record is: its id is the key and the process name, and one table has the specification's columns.

use persist_core::{Column, Model, Source};

use crate::keys;

/// The dated model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated;

impl Model for Dated {
    /// The process name; none is an id of its own.
    type Part = Option<Box<str>>;
    type Value = ();

    const PART_FIELDS: &'static [&'static str] = &[keys::PROCESS_NAME];
    const TABLE: &'static str = "storage";
    const COLUMNS: &'static [Column] = &[
        Column { name: "key", source: Source::Key },
        Column { name: keys::PROCESS_NAME, source: Source::Part(0) },
        Column { name: "data", source: Source::Data },
        Column { name: keys::TIMESTAMP, source: Source::Timestamp },
        Column { name: keys::STATUS, source: Source::Status },
        Column { name: keys::STATUS_INT, source: Source::StatusInt },
        Column { name: keys::USERNAME, source: Source::Username },
        Column { name: "updated_at", source: Source::UpdatedAt },
        Column { name: "version", source: Source::Version },
    ];

    /// The export's other partition column.
    const RESERVED: &'static [&'static str] = &["date"];
    const TAKES_OVER: bool = true;

    fn part_text(part: &Self::Part, field: usize) -> Option<&str> {
        part.as_deref().filter(|_| field == 0)
    }

    fn part_from(fields: &[Option<&str>]) -> Self::Part {
        fields.first().copied().flatten().map(Box::from)
    }
}
