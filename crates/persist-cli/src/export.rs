//! `export`: dates as Parquet files, by the stores' own export, which puts each file in place whole.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use persist_core::text::table;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::folder::{Folder, Range};
use crate::interrupt::Interrupt;
use crate::output::{Output, size};
use crate::progress::Progress;
use crate::store::{Shape, Store, StoreArgs, absolute};

/// What `export` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    range: Range,
    /// The root of the Parquet files; what it has already of the same stores is replaced
    #[arg(value_name = "ROOT")]
    root: PathBuf,
}

#[derive(Serialize)]
struct Answer {
    root: PathBuf,
    exported: Vec<Exported>,
}

/// What was exported of a date.
#[derive(Debug, Serialize)]
pub(crate) struct Exported {
    pub(crate) date: String,
    rows: u64,
    files: usize,
    bytes: u64,
}

/// Exports every date that is meant.
pub(crate) fn run(args: &Args, output: &Output) -> Result<ExitCode> {
    let stores = args.range.of(args.store.place.find()?)?.stores();
    // Before the first of them, so that a range is exported or not.
    stores.iter().try_for_each(|store| dated(store).map(drop).and_then(|()| store.refuse_owner()))?;
    let root = absolute(&args.root);
    let shape = &args.store.shape;
    let interrupt = Interrupt::noted()?;
    let progress = Progress::of_things("exporting", stores.len() as u64);
    let mut exported = Vec::new();
    for store in &stores {
        if interrupt.is_asked() {
            progress.end();
            let message = format!("it was interrupted: {} of {} dates were exported", exported.len(), stores.len());
            return Err(Failure::Interrupted(message));
        }
        exported.push(export(store, shape, &root).inspect_err(|_| progress.end())?);
        progress.add(1);
    }
    progress.end();
    output.answer(&Answer { root, exported }, |answer| {
        let rows: Vec<Vec<String>> = answer.exported.iter().map(Exported::row).collect();
        table(&["date", "rows", "files", "size"], &rows, |column| matches!(column, 1 | 2))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn dated(folder: &Folder) -> Result<&str> {
    match folder {
        Folder::Dated { date, .. } => Ok(date),
        other => {
            let message = format!(
                "{} is a {}: only dated stores have an export; `persist query … --parquet FILE` writes one file",
                other.dir().display(),
                other.name()
            );
            Err(Failure::Unfit(message))
        }
    }
}

/// Exports a date, whose store is opened for it and closed.
pub(crate) fn export(folder: &Folder, shape: &Shape, root: &Path) -> Result<Exported> {
    let date = dated(folder)?.to_owned();
    let Store::Dated(store) = Store::open(folder, shape)? else {
        return Err(Failure::Unfit(format!("{} is no dated store", folder.dir().display())));
    };
    let export = store.export_to(root)?;
    store.close()?;
    let files = export.as_ref().map(|export| export.files()).unwrap_or_default();
    Ok(Exported {
        date,
        rows: files.iter().map(|file| file.rows).sum(),
        files: files.len(),
        bytes: files.iter().map(|file| file.bytes).sum(),
    })
}

impl Exported {
    fn row(&self) -> Vec<String> {
        vec![self.date.clone(), self.rows.to_string(), self.files.to_string(), size(self.bytes)]
    }
}
