//! The `persist` command: look at stores, read and write single records, and check what is on the disk.
//!
//! It is made of the public interface of the store crates and of the files that `docs/format.md` describes. `folder.rs`
//! says what a folder is, `store.rs` opens one as its owner would, `output.rs` prints; each family of verbs has a file.
//!
//! Exit code 0: fine. 1: something was found, or it failed. 2: it was called wrongly.

mod backup;
mod compact;
mod completions;
mod dates;
mod export;
mod failure;
mod folder;
mod import;
mod inspect;
mod interrupt;
mod log;
mod output;
mod past;
mod progress;
mod published;
mod query;
mod rebuild;
mod records;
mod repair;
mod row;
mod source;
mod store;
mod tail;
mod unfinished;
mod verify;
mod wal;
mod watched;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::output::Output;

/// Look at the stores of persist, read and write their records, check them.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what a folder is and how its store stands; changes nothing, and works while a process has it open
    Inspect(folder::Place),
    /// Check a store, all stores of a base folder, or a backup
    Verify(verify::Args),
    /// Look at the log; changes nothing, and works while a process has the store open
    #[command(subcommand)]
    Wal(wal::Verb),
    /// Run one SELECT over a store, the stores of many dates as one table, a backup or an export
    Query(query::Args),
    /// Write dates to Parquet files, in Hive partitions
    Export(export::Args),
    /// List the dates of a base folder, remove or archive old ones
    #[command(subcommand)]
    Dates(dates::Verb),
    /// List the keys
    Keys(records::KeysArgs),
    /// Print the records of a key
    Get(records::GetArgs),
    /// Write a record, durably
    Put(records::PutArgs),
    /// Remove a record, durably
    Rm(records::RemoveArgs),
    /// Print all that was ever written of an item; of a collection store
    History(past::HistoryArgs),
    /// Print all items as they stood at a moment; of a collection store
    AsOf(past::AsOfArgs),
    /// Mend a store that a crash, the disk or a hand has damaged
    Repair(repair::Args),
    /// Make the databases of a collection store anew, of its backups and log
    Rebuild(rebuild::Args),
    /// Back a store up into a folder of its own
    Backup(backup::BackupArgs),
    /// Make a store of a backup, or of a collection store as it stood at a moment
    Restore(backup::RestoreArgs),
    /// Make records of the rows of a CSV or JSON Lines file; run again, it goes on where it was interrupted
    Import(import::Args),
    /// Merge what was flushed into the table itself, and let go of log
    Compact(compact::Args),
    /// Print what a shell needs to complete the words of this command
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let Cli { json, verb } = Cli::parse();
    let output = Output::new(json);
    let done = match verb {
        Verb::Inspect(args) => inspect::run(&args, &output),
        Verb::Verify(args) => verify::run(&args, &output),
        Verb::Wal(verb) => wal::run(&verb, &output),
        Verb::Query(args) => query::run(&args, &output),
        Verb::Export(args) => export::run(&args, &output),
        Verb::Dates(verb) => dates::run(&verb, &output),
        Verb::Keys(args) => records::keys(&args, &output),
        Verb::Get(args) => records::get(&args, &output),
        Verb::Put(args) => records::put(&args, &output),
        Verb::Rm(args) => records::remove(&args, &output),
        Verb::History(args) => past::history(&args, &output),
        Verb::AsOf(args) => past::as_of(&args, &output),
        Verb::Repair(args) => repair::run(&args, &output),
        Verb::Rebuild(args) => rebuild::run(&args, &output),
        Verb::Backup(args) => backup::backup(&args, &output),
        Verb::Restore(args) => backup::restore(&args, &output),
        Verb::Import(args) => import::run(&args, &output),
        Verb::Completions(args) => completions::run(&args, Cli::command(), &output),
        Verb::Compact(args) => compact::run(&args, &output),
    };
    done.unwrap_or_else(|failure| output.fail(&failure))
}
