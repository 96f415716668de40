//! `history` and `as-of`: what a collection store tells of the past.

use std::process::ExitCode;

use persist_collection::CollectionStore;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::output::{Output, code};
use crate::row::{Row, rows_as_text};
use crate::store::{Store, StoreArgs};

/// What `history` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The key
    #[arg(value_name = "KEY")]
    key: String,
    /// The collection
    #[arg(long, value_name = "NAME", default_value = "")]
    collection: String,
    /// The item
    #[arg(long, value_name = "NAME", default_value = "")]
    item: String,
}

/// What `as-of` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct AsOfArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The moment, ISO 8601, in UTC where it names no offset
    #[arg(value_name = "MOMENT")]
    moment: String,
    /// Go by when the records were written, not by their timestamps
    #[arg(long)]
    written: bool,
}

#[derive(Serialize)]
struct Writes {
    writes: Vec<Row>,
}

#[derive(Serialize)]
struct Records {
    records: Vec<Row>,
}

/// Prints every write of an item, the oldest first. None is exit code 1.
pub(crate) fn history(args: &HistoryArgs, output: &Output) -> Result<ExitCode> {
    let store = open(&args.store)?;
    let writes = store.history(&args.key, &args.collection, &args.item)?;
    let writes: Vec<Row> = writes.iter().map(Row::of_change).collect();
    store.close()?;
    let is_found = !writes.is_empty();
    output.answer(&Writes { writes }, |answer| rows_as_text(&answer.writes))?;
    if !is_found {
        output.note("there was never such an item; without --collection and --item it is the one of the empty names");
    }
    Ok(code(is_found))
}

/// Prints all items as they stood at a moment.
pub(crate) fn as_of(args: &AsOfArgs, output: &Output) -> Result<ExitCode> {
    let store = open(&args.store)?;
    let moment = args.moment.as_str();
    let records = if args.written { store.as_of_written(moment)? } else { store.as_of(moment)? };
    let records = records.iter().map(|record| Row::of(record)).collect();
    store.close()?;
    output.answer(&Records { records }, |answer| rows_as_text(&answer.records))?;
    Ok(ExitCode::SUCCESS)
}

fn open(args: &StoreArgs) -> Result<CollectionStore> {
    let folder = args.one()?;
    if !matches!(folder, crate::folder::Folder::Collection(_)) {
        let message = format!(
            "{} is a {}: only a collection store keeps its past; what its log still has, `persist wal cat` shows",
            folder.dir().display(),
            folder.name()
        );
        return Err(Failure::Unfit(message));
    }
    match Store::open(&folder, &args.shape)? {
        Store::Collection(store) => Ok(*store),
        other => Err(Failure::Unfit(format!("{other:?} is no collection store"))),
    }
}
