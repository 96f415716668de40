//! A hash map of the same entries.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::flight::{self, Flight};

/// What a store keeps of a record.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) data: Box<str>,
    pub(crate) seq: u64,
}

/// The map that a get is set against.
pub(crate) type Map = HashMap<String, Arc<Entry>>;

/// A map of so many flights.
pub(crate) fn of_flights(records: u64) -> Map {
    let mut map = Map::new();
    let mut key = String::new();
    for n in 0..records {
        flight::key(n, &mut key);
        let data = serde_json::to_string(&Flight::new(n)).unwrap_or_default().into_boxed_str();
        map.insert(key.clone(), Arc::new(Entry { data, seq: n }));
    }
    map
}
