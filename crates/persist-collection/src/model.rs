//! What an item is: its id is the key, the collection and its name, it has a typed value besides its data, and every
//! write of it is kept.

use persist_core::timestamp::{IntoDate, date_text};
use persist_core::{Column, History, LogFolders, Model, Scalar, Source, Timestamp};

use crate::keys;

/// The collection model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection;

/// What tells apart the items of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemName {
    collection: Box<str>,
    item: Box<str>,
}

impl ItemName {
    pub(crate) fn new(collection: &str, item: &str) -> Self {
        Self { collection: collection.into(), item: item.into() }
    }

    /// The collection; empty where none was named.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// The name within the collection; empty where none was given.
    pub fn item(&self) -> &str {
        &self.item
    }
}

impl Model for Collection {
    type Part = ItemName;
    type Value = Option<Scalar>;

    const PART_FIELDS: &'static [&'static str] = &[keys::COLLECTION_NAME, keys::ITEM_NAME];
    const TABLE: &'static str = "storage_latest";
    const COLUMNS: &'static [Column] = &[
        Column { name: "key", source: Source::Key },
        Column { name: keys::COLLECTION_NAME, source: Source::Part(0) },
        Column { name: keys::ITEM_NAME, source: Source::Part(1) },
        Column { name: "data", source: Source::Data },
        Column { name: "value_int", source: Source::ValueInt },
        Column { name: "value_float", source: Source::ValueFloat },
        Column { name: "value_string", source: Source::ValueText },
        Column { name: keys::TIMESTAMP, source: Source::Timestamp },
        Column { name: keys::STATUS, source: Source::Status },
        Column { name: keys::STATUS_INT, source: Source::StatusInt },
        Column { name: keys::USERNAME, source: Source::Username },
        Column { name: "updated_at", source: Source::UpdatedAt },
        Column { name: "version", source: Source::Version },
    ];

    const HISTORY: Option<History> =
        Some(History { table: "storage_history", latest_file: "storage_latest.duckdb", loaded_by: 1, cure });

    const LOG_FOLDERS: Option<LogFolders> =
        Some(LogFolders { named_by: "date", is_name: is_date, day_of, name_at, ends_at });

    fn part_text(part: &Self::Part, field: usize) -> Option<&str> {
        match field {
            0 => Some(&part.collection),
            1 => Some(&part.item),
            _ => None,
        }
    }

    fn part_from(fields: &[Option<&str>]) -> Self::Part {
        let field = |at: usize| fields.get(at).copied().flatten().unwrap_or_default();
        ItemName::new(field(0), field(1))
    }
}

/// What to do about a damaged or missing database.
fn cure(dates: &[String]) -> String {
    let dates = if dates.is_empty() { "none has a log".to_owned() } else { dates.join(", ") };
    format!(
        "The database may be corrupted. To recover:\n\
         1. Delete the corrupted file and open the store\n\
         2. Call rebuild_history_from_wal(date) for each date that needs recovery ({dates})\n\
         3. Call rebuild_latest_from_history() to rebuild latest values\n\
         Or call CollectionStore::repair(config), which does all of this and keeps the corrupted file."
    )
}

/// Whether a text is a date and nothing besides.
fn is_date(name: &str) -> bool {
    name.len() == 10 && Timestamp::parse(name).is_some()
}

fn day_of(name: &str) -> Option<i64> {
    let date = name.into_date().ok().filter(|_| is_date(name))?;
    Some(i64::from(date.to_julian_day()))
}

/// The date in UTC.
fn name_at(unix_micros: i64) -> String {
    date_text(Timestamp::from_unix_micros(unix_micros).to_offset_date_time().date())
}

/// The next midnight UTC.
fn ends_at(unix_micros: i64) -> i64 {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    unix_micros.div_euclid(DAY).saturating_add(1).saturating_mul(DAY)
}
