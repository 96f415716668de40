//! How the store is opened and written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use persist_collection::{CollectionConfig, CollectionStore, Scalar};

use crate::error::Error;
use crate::weather::expected::number;
use crate::weather::observation::{COLLECTION, Observation};
use crate::writers::{Written, write_all};

/// How the store is opened: the backups of all dates of a month stay, and the log from the oldest of them on.
pub(crate) fn config(store: &Path) -> CollectionConfig {
    CollectionConfig::new(store).retain_days(31)
}

/// How many airports there are. Some dates are stored by one writer, and some by one for each of them.
pub(crate) fn airports(all: &[Observation]) -> usize {
    all.iter().map(|observation| &observation.airport).collect::<BTreeSet<_>>().len()
}

/// Stores observations from several threads at once. Those of an airport are all one thread's, so that the versions of an
/// item follow the hours. `acknowledged` is called with an observation's number after it is durable.
pub(crate) fn store_all(
    store: &CollectionStore,
    observations: &[&Observation],
    writers: usize,
    alter: Option<usize>,
    acknowledged: impl Fn(usize) + Sync,
) -> Result<Written, Error> {
    let mut airports: BTreeMap<&str, Vec<&Observation>> = BTreeMap::new();
    for observation in observations {
        let airport = if writers == 1 { "all of them" } else { &observation.airport };
        airports.entry(airport).or_default().push(observation);
    }
    let queues: Vec<_> = airports.into_values().map(|queue| (AtomicUsize::new(0), queue)).collect();
    let next = |writer: usize| {
        let (next, queue) = queues.get(writer)?;
        queue.get(next.fetch_add(1, Ordering::Relaxed)).copied()
    };
    let write = |observation: &&Observation| match alter {
        Some(altered) if altered == observation.number => {
            observation.store(store, &Scalar::Float(number(&observation.value) + 1.0))
        }
        _ => observation.store(store, &observation.value),
    };
    write_all(queues.len(), next, write, |observation| acknowledged(observation.number))
}

/// Those that the store does not have yet: of each item it has the first ones.
pub(crate) fn lacking<'a>(
    store: &CollectionStore,
    observations: &'a [Observation],
) -> Result<Vec<&'a Observation>, Error> {
    let mut lacking = Vec::new();
    for observation in observations {
        let newest = store.get_item(&observation.airport, COLLECTION, observation.measure)?;
        if newest.is_none_or(|newest| newest.version() < observation.version) {
            lacking.push(observation);
        }
    }
    Ok(lacking)
}
