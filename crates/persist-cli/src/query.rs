//! `query`: SQL over the files of stores, in an instance of DuckDB that reaches nothing else and changes nothing.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use persist_core::{Interrupter, Rows, Sandbox};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::failure::{Failure, Result};
use crate::folder::Range;
use crate::interrupt::Interrupt;
use crate::output::{Output, counted};
use crate::source::{Source, tables};
use crate::store::{Shape, StoreArgs, absolute};

/// How often Ctrl-C is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// What `query` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    range: Range,
    /// One SELECT. The table is `storage`; of a collection store `storage_latest` and `storage_history`
    #[arg(value_name = "SQL")]
    sql: String,
    /// Where the export or the backups are that are read in place of a store that a process has open
    #[arg(long, value_name = "DIR")]
    published: Option<PathBuf>,
    /// Print comma-separated values; NULL is empty, empty text is `""`
    #[arg(long, conflicts_with_all = ["json", "parquet"])]
    csv: bool,
    /// Write the answer to a Parquet file, in place of one that is there
    #[arg(long, value_name = "FILE")]
    parquet: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer {
    columns: Vec<String>,
    rows: Vec<Map<String, Value>>,
    sources: Vec<Source>,
}

#[derive(Serialize)]
struct Written {
    file: PathBuf,
    rows: u64,
    sources: Vec<Source>,
}

/// Asks, and prints the answer or writes it to a file.
pub(crate) fn run(args: &Args, output: &Output) -> Result<ExitCode> {
    let found = args.range.of(args.store.place.find()?)?;
    let shape: &Shape = &args.store.shape;
    let sources = Source::all(&found, shape, args.published.as_deref(), output)?;
    let tables = tables(&sources);
    if tables.is_empty() {
        return Err(Failure::Unfit(format!(
            "{} has no file to query: the export has no record",
            found.dir().display()
        )));
    }
    let file = args.parquet.as_deref().map(absolute);
    let sandbox = Sandbox::open(&tables, file.as_deref())?;
    sources.iter().try_for_each(Source::check_still_closed)?;
    let interrupt = Interrupt::noted()?;
    stop_where_asked(interrupt.clone(), sandbox.interrupter());
    let told = |error| match interrupt.is_asked() {
        true => Failure::Interrupted("interrupted: there is no answer, and no file was changed".to_owned()),
        false => Failure::Store(error),
    };
    if let Some(file) = file {
        let rows = sandbox.write_parquet(&args.sql).map_err(told)?;
        let text = |written: &Written| format!("{}: {}", written.file.display(), counted(written.rows, "row"));
        output.answer(&Written { file, rows, sources }, text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = sandbox.query(&args.sql).map_err(told)?;
    if output.is_json() {
        output.answer(&Answer::of(&rows, sources)?, |_| String::new())?;
    } else if args.csv {
        output.exactly(&csv(&rows))?;
    } else {
        output.line(&rows.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops the query at Ctrl-C, from now until the process ends.
fn stop_where_asked(interrupt: Interrupt, interrupter: Interrupter) {
    thread::spawn(move || {
        loop {
            if interrupt.is_asked() {
                interrupter.interrupt();
            }
            thread::sleep(LOOK);
        }
    });
}

impl Answer {
    fn of(rows: &Rows, sources: Vec<Source>) -> Result<Self> {
        let columns = rows.columns().to_vec();
        let mut sorted: Vec<&String> = columns.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|two| two.first() == two.last()).and_then(|two| two.first()) {
            let message = format!("two columns of the answer are called {twice:?}: give one another name with AS");
            return Err(Failure::Usage(message));
        }
        let row = |row: &[Value]| columns.iter().cloned().zip(row.iter().cloned()).collect();
        Ok(Self { rows: rows.iter().map(row).collect(), columns, sources })
    }
}

/// By RFC 4180, but with newlines for line ends.
fn csv(rows: &Rows) -> String {
    let line = |cells: Vec<String>| cells.join(",");
    let header = line(rows.columns().iter().map(|name| quoted(name)).collect());
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    };
    let lines = rows.iter().map(|row| line(row.iter().map(cell).collect()));
    std::iter::once(header).chain(lines).collect::<Vec<_>>().join("\n")
}

fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
