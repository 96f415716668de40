//! Does to a dated store what the naive store is told, and says in its words what came of it.
//!
//! A record's data is what is read back: it has the process name and the timestamp.

use persist_dated::{Batch, Change, Dated, DatedStore, Durability, ErrorKind, Record, Result};
use persist_test_utils::oracle::{Call, Changed, Conflict, Expect, Id};
use serde_json::{Map, Value, json};

/// The changes, in the order of their ids and versions.
pub(crate) type Outcome = Result<std::result::Result<Vec<Changed>, Conflict>>;
/// What is to be waited for.
pub(crate) type Waiting = Box<dyn FnOnce() -> Outcome + Send>;

/// The id of a key and a process.
pub(crate) fn id(key: &str, process: Option<&str>) -> Id {
    (key.to_owned(), vec![process.map(str::to_owned)])
}

/// What a store holds of these fields under an id.
pub(crate) fn data(id: &Id, mut fields: Map<String, Value>) -> Value {
    fields.insert("process_name".to_owned(), json!(id.1[0]));
    fields.insert("timestamp".to_owned(), json!("2025-01-15T00:00:00+00:00"));
    Value::Object(fields)
}

/// Does it and waits.
pub(crate) fn perform(store: &DatedStore, call: &Call, durability: Durability) -> Outcome {
    outcome(match call {
        Call::Put(id, data, expect) => {
            put(store, id, *expect).durability(durability).data(data).map(|record| vec![written(&record)])
        }
        Call::Remove(id, Some(Expect::Version(version))) => {
            store.remove_if_version(&id.0, id.1[0].as_deref(), *version).map(removals)
        }
        Call::Remove(id, _) => store.remove(&id.0, id.1[0].as_deref()).map(removals),
        Call::RemoveKey(key) => store.remove_key(key).map(removals),
        Call::Batch(calls) => {
            batch(store, calls, durability).and_then(Batch::commit).map(|changes| changes.iter().map(change).collect())
        }
    })
}

/// Does it, and answers what to wait for.
pub(crate) fn submit(store: &DatedStore, call: &Call, durability: Durability) -> Result<Waiting> {
    if let Call::Put(id, data, expect) = call {
        let ticket = put(store, id, *expect).durability(durability).submit(data)?;
        return Ok(Box::new(|| outcome(ticket.wait().map(|record| vec![written(&record)]))));
    }
    let calls = if let Call::Batch(calls) = call { calls } else { std::slice::from_ref(call) };
    let ticket = batch(store, calls, durability)?.submit()?;
    Ok(Box::new(|| outcome(ticket.wait().map(|changes| changes.iter().map(change).collect()))))
}

macro_rules! put {
    ($to:expr, $id:expr, $expect:expr) => {{
        let put = $to.put(&$id.0);
        let put = if let Some(process) = &$id.1[0] { put.process(process) } else { put.no_process() };
        match $expect {
            None => put,
            Some(Expect::Absent) => put.if_absent(),
            Some(Expect::Version(version)) => put.if_version(version),
        }
    }};
}

fn put<'a>(store: &'a DatedStore, id: &'a Id, expect: Option<Expect>) -> persist_dated::Put<'a, &'a DatedStore> {
    put!(store, id, expect)
}

fn batch<'a>(store: &'a DatedStore, calls: &[Call], durability: Durability) -> Result<Batch<'a>> {
    let mut batch = store.batch().durability(durability);
    for call in calls {
        match call {
            Call::Put(id, data, expect) => put!(batch, id, *expect).data(data)?,
            Call::Remove(id, Some(Expect::Version(version))) => {
                batch.remove_if_version(&id.0, id.1[0].as_deref(), *version);
            }
            Call::Remove(id, _) => batch.remove(&id.0, id.1[0].as_deref()),
            Call::RemoveKey(key) => batch.remove_key(key),
            Call::Batch(_) => unreachable!("a batch in a batch"),
        }
    }
    Ok(batch)
}

fn outcome(done: Result<Vec<Changed>>) -> Outcome {
    match done {
        Ok(mut changes) => {
            changes.sort();
            Ok(Ok(changes))
        }
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(Err(Conflict(error.present_version()))),
        Err(error) => Err(error),
    }
}

fn written(record: &Record) -> Changed {
    Changed::Put(id(record.key(), record.part().as_deref()), record.version())
}

fn removals(records: impl IntoIterator<Item = impl std::borrow::Borrow<Record>>) -> Vec<Changed> {
    let removal = |record: &Record| Changed::Removed(id(record.key(), record.part().as_deref()), record.version() + 1);
    records.into_iter().map(|record| removal(record.borrow())).collect()
}

fn change(change: &Change<Dated>) -> Changed {
    let id = id(change.key(), change.part().as_deref());
    match change {
        Change::Put(record) => Changed::Put(id, record.version()),
        Change::Removed(removed) => Changed::Removed(id, removed.version()),
    }
}
