//! `keys`, `get`, `put`, `rm`: single records of a store, which is opened for it and closed again.

use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;

use persist_core::text::printable;
use persist_core::{Model, Record, Value};
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::output::{Output, code};
use crate::row::{Row, rows_as_text};
use crate::store::{Store, StoreArgs};

/// What `keys` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Only keys that begin with this
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
}

/// Which records of a key are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Id {
    /// The key
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    /// The process name; of a dated store
    #[arg(long, value_name = "NAME", conflicts_with_all = ["collection", "item"])]
    pub(crate) process: Option<String>,
    /// The collection; of a collection store
    #[arg(long, value_name = "NAME")]
    pub(crate) collection: Option<String>,
    /// The item; of a collection store
    #[arg(long, value_name = "NAME")]
    pub(crate) item: Option<String>,
}

/// What `get` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    id: Id,
}

/// What `put` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    id: Id,
    /// The data, a JSON object; `-` reads it from the standard input
    #[arg(value_name = "DATA")]
    data: String,
    /// The typed value, a JSON number, text or null; of a collection store
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    value: Option<String>,
    /// The user name; not of a key-value store
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// The status; not of a key-value store
    #[arg(long, value_name = "TEXT")]
    status: Option<String>,
    /// The record's timestamp, ISO 8601; not of a key-value store
    #[arg(long, value_name = "MOMENT")]
    timestamp: Option<String>,
    /// Only if there is no such record
    #[arg(long, conflicts_with = "if_version")]
    if_absent: bool,
    /// Only if the record is at this version
    #[arg(long, value_name = "N")]
    if_version: Option<u32>,
}

/// What `rm` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    id: Id,
    /// All records of the key, as one step
    #[arg(long, conflicts_with_all = ["process", "collection", "item", "if_version"])]
    all: bool,
    /// Only if the record is at this version
    #[arg(long, value_name = "N")]
    if_version: Option<u32>,
}

#[derive(Serialize)]
struct Keys {
    keys: Vec<String>,
}

/// The records that a verb read, wrote or removed.
#[derive(Serialize)]
struct Records {
    records: Vec<Row>,
}

/// Lists the keys, in order.
pub(crate) fn keys(args: &KeysArgs, output: &Output) -> Result<ExitCode> {
    let store = args.store.open()?;
    let mut keys: Vec<String> = match &store {
        Store::Dated(store) => store.keys_with_prefix(&args.prefix).collect(),
        Store::Collection(store) => store.keys_with_prefix(&args.prefix)?.collect(),
        Store::Kv(store) => store.keys_with_prefix(&args.prefix).collect(),
    };
    store.close()?;
    keys.sort_unstable();
    output.answer(&Keys { keys }, |keys| {
        let printable: Vec<String> = keys.keys.iter().map(|key| printable(key)).collect();
        printable.join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the records of an id, or all of its key. Nothing found is exit code 1.
pub(crate) fn get(args: &GetArgs, output: &Output) -> Result<ExitCode> {
    let id = &args.id;
    let store = args.store.open()?;
    id.check(&store)?;
    let mut records: Vec<Row> = match &store {
        Store::Dated(store) => match &id.process {
            Some(name) => store.get_key_process(&id.key, Some(name)).iter().map(|record| Row::of(record)).collect(),
            None => store.get_key(&id.key).values().map(|record| Row::of(record)).collect(),
        },
        Store::Kv(store) => store.get(&id.key).iter().map(|record| Row::of(record)).collect(),
        Store::Collection(store) => {
            let is_meant = |name: &str, item: &Option<String>| item.as_ref().is_none_or(|item| item == name);
            match &id.collection {
                Some(collection) => {
                    let items = store.get_key_in(&id.key, collection)?;
                    let meant = items.iter().filter(|(name, _)| is_meant(name, &id.item));
                    meant.map(|(_, record)| Row::of(record)).collect()
                }
                None => {
                    let collections = store.get_key(&id.key)?;
                    let items = collections.values().flatten();
                    let meant = items.filter(|(name, _)| is_meant(name, &id.item));
                    meant.map(|(_, record)| Row::of(record)).collect()
                }
            }
        }
    };
    store.close()?;
    records.sort_by(|one, other| one.id().cmp(&other.id()));
    let is_found = !records.is_empty();
    output.answer(&Records { records }, |answer| rows_as_text(&answer.records))?;
    if !is_found {
        output.note(&format!("there is no record of key {:?}", id.key));
    }
    Ok(code(is_found))
}

/// Writes a record and prints it as it now stands.
pub(crate) fn put(args: &PutArgs, output: &Output) -> Result<ExitCode> {
    let id = &args.id;
    let data = args.data()?;
    let value = args.value.as_deref().map(|text| json(text, "--value")).transpose()?;
    let store = args.store.open()?;
    id.check(&store)?;
    // What is said of every write, in each store's own type.
    macro_rules! conditions {
        ($put:expr) => {{
            let put = $put;
            let put = if args.if_absent { put.if_absent() } else { put };
            args.if_version.into_iter().fold(put, |put, version| put.if_version(version))
        }};
    }
    macro_rules! specials {
        ($put:expr) => {{
            let put = args.username.iter().fold($put, |put, name| put.username(name));
            let put = args.status.iter().fold(put, |put, status| put.status(status));
            args.timestamp.iter().fold(put, |put, moment| put.timestamp(moment.as_str()))
        }};
    }
    if value.is_some() && !matches!(store, Store::Collection(_)) {
        return Err(Failure::Usage("--value is for a collection store".to_owned()));
    }
    let written = match &store {
        Store::Dated(store) => {
            let put = id.process.iter().fold(store.put(&id.key), |put, name| put.process(name));
            Row::of(&*conditions!(specials!(put)).data(&data)?)
        }
        Store::Collection(store) => {
            let put = store.put(&id.key).collection(id.collection()).item(id.item());
            let put = value.into_iter().fold(put, |put, value: serde_json::Value| put.value(value));
            Row::of(&*conditions!(specials!(put)).data(&data)?)
        }
        Store::Kv(store) => {
            if args.username.is_some() || args.status.is_some() || args.timestamp.is_some() {
                let message = "a key-value store has no user name, status and timestamp but those in the data";
                return Err(Failure::Usage(message.to_owned()));
            }
            Row::of(&*conditions!(store.put(&id.key)).data(&data)?)
        }
    };
    store.close()?;
    output.answer(&Records { records: vec![written] }, |answer| rows_as_text(&answer.records))?;
    Ok(ExitCode::SUCCESS)
}

/// Removes a record, or all of a key, and prints what was there. Nothing removed is exit code 1.
pub(crate) fn remove(args: &RemoveArgs, output: &Output) -> Result<ExitCode> {
    let id = &args.id;
    let store = args.store.open()?;
    id.check(&store)?;
    let process = id.process.as_deref();
    let mut records: Vec<Row> = match (&store, args.all, args.if_version) {
        (Store::Dated(store), true, _) => store.remove_key(&id.key)?.iter().map(|record| Row::of(record)).collect(),
        (Store::Collection(store), true, _) => {
            store.remove_key(&id.key)?.iter().map(|record| Row::of(record)).collect()
        }
        (Store::Dated(store), false, None) => row(store.remove(&id.key, process)?),
        (Store::Dated(store), false, Some(version)) => row(store.remove_if_version(&id.key, process, version)?),
        (Store::Kv(store), _, None) => row(store.remove(&id.key)?),
        (Store::Kv(store), _, Some(version)) => row(store.remove_if_version(&id.key, version)?),
        (Store::Collection(store), false, None) => row(store.remove_item(&id.key, id.collection(), id.item())?),
        (Store::Collection(store), false, Some(version)) => {
            row(store.remove_item_if_version(&id.key, id.collection(), id.item(), version)?)
        }
    };
    store.close()?;
    records.sort_by(|one, other| one.id().cmp(&other.id()));
    let is_removed = !records.is_empty();
    output.answer(&Records { records }, |answer| rows_as_text(&answer.records))?;
    if !is_removed {
        output.note(&format!("nothing was removed: there is no such record of key {:?}", id.key));
    }
    Ok(code(is_removed))
}

/// The record that was removed, if there was one.
fn row<M: Model>(removed: Option<Arc<Record<M>>>) -> Vec<Row> {
    removed.iter().map(|record| Row::of(record)).collect()
}

impl Id {
    /// The collection that is meant where none is named.
    pub(crate) fn collection(&self) -> &str {
        self.collection.as_deref().unwrap_or_default()
    }

    /// The item that is meant where none is named.
    pub(crate) fn item(&self) -> &str {
        self.item.as_deref().unwrap_or_default()
    }

    /// Refuses what the store's ids do not have.
    fn check(&self, store: &Store) -> Result<()> {
        let wrong = match store {
            Store::Dated(_) => (self.collection.is_some() || self.item.is_some()).then_some("--collection and --item"),
            Store::Collection(_) => self.process.is_some().then_some("--process"),
            Store::Kv(_) => {
                let any = self.process.is_some() || self.collection.is_some() || self.item.is_some();
                any.then_some("--process, --collection and --item")
            }
        };
        match wrong {
            None => Ok(()),
            Some(wrong) => Err(Failure::Usage(format!("this store's ids have no {wrong}"))),
        }
    }
}

impl PutArgs {
    /// The data, with every digit of its numbers.
    fn data(&self) -> Result<Value> {
        if self.data != "-" {
            return json(&self.data, "DATA");
        }
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::Unfit(format!("cannot read the data from the standard input: {error}")))?;
        json(&text, "the standard input")
    }
}

fn json<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Failure::Usage(format!("{what} is no JSON that can be stored: {error}")))
}
