//! The past of a collection store: every write of an item, and all items as they stood at a moment.

use std::sync::Arc;

use persist_core::timestamp::IntoTimestamp;
use persist_core::{Change, Result};

use crate::model::Collection;
use crate::store::{CollectionStore, Record};

impl CollectionStore {
    /// Every write of an item, removals among them, the oldest first: versions 1, 2, 3 and so on. Empty where there was
    /// none.
    ///
    /// ```
    /// use persist_collection::{CollectionConfig, CollectionStore, Scalar};
    /// use serde_json::json;
    ///
    /// # let base = tempfile::tempdir()?;
    /// # let base = base.path();
    /// let store = CollectionStore::open("2025-12-24", CollectionConfig::new(base))?;
    /// for (day, seat) in [("2025-12-01", "12A"), ("2025-12-15", "14C")] {
    ///     store.put("ada").collection("flight").item("seat").value(seat).timestamp(day).data(&json!({}))?;
    /// }
    /// store.remove_item("ada", "flight", "seat")?;
    ///
    /// let history = store.history("ada", "flight", "seat")?;
    /// let values: Vec<_> = history.iter().map(|change| change.record().and_then(|r| r.typed_value().clone())).collect();
    /// assert_eq!(values, [Some(Scalar::Text("12A".into())), Some(Scalar::Text("14C".into())), None]);
    /// assert_eq!(history[2].version(), 3);
    ///
    /// let then = store.as_of("2025-12-14")?;
    /// assert_eq!(then[0].typed_value(), &Some(Scalar::Text("12A".into())));
    /// # store.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Database`](persist_core::ErrorKind::Database).
    pub fn history(&self, key: &str, collection: &str, item: &str) -> Result<Vec<Change<Collection>>> {
        self.engine.in_service()?.history(key, &[Some(collection), Some(item)])
    }

    /// The items as they stood at a moment, by the timestamps of their records: of each item the last write among those
    /// whose timestamp is not after the moment. An item whose last such write is a removal is left out; a removal
    /// counts from when it was made. In the order of key, collection and item.
    ///
    /// The moment is given as a [`Timestamp`](persist_core::Timestamp), a moment of the `time` crate, or ISO 8601 text.
    ///
    /// # Errors
    /// As [`history`](Self::history); [`Input`](persist_core::ErrorKind::Input) for a text that is no moment.
    pub fn as_of(&self, moment: impl IntoTimestamp) -> Result<Vec<Arc<Record>>> {
        self.engine.in_service()?.as_of(moment.into_timestamp()?)
    }

    /// As [`as_of`](Self::as_of), by when the records were written: what a reader saw then.
    ///
    /// # Errors
    /// As [`as_of`](Self::as_of).
    pub fn as_of_written(&self, moment: impl IntoTimestamp) -> Result<Vec<Arc<Record>>> {
        self.engine.in_service()?.as_of_written(moment.into_timestamp()?)
    }
}
