//! Durable collections of items: key → collection → item, with a typed value each, and all that was ever written.
//!
//! A write is on the disk when it returns. In DuckDB the table `storage_history` has a row for each write, and
//! `storage_latest`, in a file of its own, one for each item.
//!
//! ```
//! use persist_collection::{CollectionConfig, CollectionStore, Scalar};
//! use serde_json::json;
//!
//! # let base = tempfile::tempdir()?;
//! # let base = base.path();
//! let store = CollectionStore::open("2025-12-24", CollectionConfig::new(base))?;
//! let label = json!({"label": "Age", "status": "valid"});
//! store.put("user_profile").collection("personal_info").item("age").value(32).username("john").data(&label)?;
//! store.put("user_profile").collection("personal_info").item("height").value(1.75).data(&json!({"label": "Height"}))?;
//!
//! let info = store.get_key_in("user_profile", "personal_info")?;
//! assert_eq!(info["age"].typed_value(), &Some(Scalar::Int(32)));
//! assert_eq!(info["height"].field::<String>("label")?.as_deref(), Some("Height"));
//!
//! // The next write of an item may have a value of another type.
//! store.put("user_profile").collection("personal_info").item("age").value("thirty-three").data(&label)?;
//! let now = store.query("SELECT value_string FROM storage_latest WHERE item_name = 'age'")?;
//! assert_eq!(now.get(0, "value_string"), Some(&json!("thirty-three")));
//! let ages = store.query("SELECT count(*) AS n FROM storage_history WHERE item_name = 'age'")?;
//! assert_eq!(ages.get(0, "n"), Some(&json!(2)));
//! store.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Several items at once, and the past
//!
//! ```
//! # use persist_collection::{CollectionConfig, CollectionStore, ErrorKind};
//! # use serde_json::json;
//! # let base = tempfile::tempdir()?;
//! # let store = CollectionStore::open("2025-12-24", CollectionConfig::new(base.path()))?;
//! let mut form = store.batch(); // saved whole, or not at all
//! form.put("form_7").collection("user_input").item("email").value("john@example.com").data(&json!({}))?;
//! form.put("form_7").collection("user_input").item("subscribe").value(true).data(&json!({}))?;
//! form.commit()?;
//!
//! // A seat is taken once.
//! let seat = || store.put("room_a").item("seat_12");
//! seat().if_absent().value("Ada").data(&json!({}))?;
//! assert_eq!(seat().if_absent().value("Bob").data(&json!({})).unwrap_err().kind(), ErrorKind::Conflict);
//! store.remove_item("room_a", "", "seat_12")?;
//! seat().if_absent().value("Bob").data(&json!({}))?;
//!
//! let versions: Vec<u32> = store.history("room_a", "", "seat_12")?.iter().map(|change| change.version()).collect();
//! assert_eq!(versions, [1, 2, 3]);
//! # store.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Files and dates
//!
//! There is one store for all dates, and one process at a time has it open. A date says where the log of its day goes, and the
//! backup that `close` makes ([`CollectionConfig::backups`]). A store that is opened for the present day goes on in the folder
//! of the next at midnight, in UTC; backups of dates long before the newest go ([`CollectionConfig::retain_days`]).
//!
//! ```text
//! collection_storage/
//!   storage_history.duckdb             every write
//!   storage_latest.duckdb              the newest of each item
//!   2025-12-23/                        an earlier date
//!     wal_000001.jsonl.gz              log that the oldest backup lacks
//!     storage_history.duckdb.backup    a backup: two databases and what they hold
//!     storage_latest.duckdb.backup
//!     manifest.json
//!   2025-12-24/
//!     wal_000002.jsonl                 log that a crash would be recovered from
//! ```
//!
//! Collections are in memory from their first read or write on; a key's other collections are not. While the store is open,
//! ask it, not its files: [`query`](CollectionStore::query) is right at every moment.
//!
//! # A backup, and a damaged database
//!
//! ```
//! # use persist_collection::{CollectionConfig, CollectionStore, ErrorKind};
//! # use serde_json::json;
//! # let base = tempfile::tempdir()?;
//! # let base = base.path();
//! let config = || CollectionConfig::new(base.join("storage"));
//! let store = CollectionStore::open("2025-12-24", config())?;
//! store.put("room_a").item("seat_12").value("Ada").data(&json!({}))?;
//! let backup = store.backup(base.join("backup"))?; // besides the one that `close` makes
//! store.close()?;
//!
//! // A copy of the store, in another folder.
//! let copy = CollectionConfig::new(base.join("copy"));
//! CollectionStore::restore(&backup.dir, "2025-12-24", copy.clone())?;
//! assert!(CollectionStore::open("2025-12-24", copy)?.contains("room_a", "", "seat_12")?);
//!
//! // A damaged file is refused, with the steps that make it anew. `repair` does them.
//! std::fs::write(base.join("storage/storage_history.duckdb"), "no database")?;
//! assert_eq!(CollectionStore::open("2025-12-25", config()).unwrap_err().kind(), ErrorKind::Corrupt);
//! assert_eq!(CollectionStore::repair(config())?.rows, 1);
//! assert!(CollectionStore::open("2025-12-25", config())?.contains("room_a", "", "seat_12")?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod history;
pub mod keys;
mod model;
mod put;
mod repair;
mod store;
mod value;

pub use config::CollectionConfig;
pub use model::{Collection, ItemName};
pub use put::{Batch, Put};
pub use store::{CollectionStore, Record};
pub use value::IntoValue;

pub use persist_core::timestamp;
pub use persist_core::timestamp::{IntoDate, IntoTimestamp};
pub use persist_core::wal::{RecoveryPolicy, RecoveryReport};
pub use persist_core::{
    Backup, Change, DatabaseFile, Durability, Error, ErrorKind, Event, Removed, RepairReport, Restored, Result, Rows,
    Scalar, Since, Stats, Subscription, Ticket, Verification,
};
pub use persist_core::{Number, Timestamp, TimestampPolicy, Value};
