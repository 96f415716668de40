//! The engine under every persist store: a write-ahead log, memory for reads, background flushes into DuckDB.
//!
//! Most programs want a store made of it, such as `persist-dated`. Use this crate to make a store with a model of your
//! own, or to have the write-ahead log alone.
//!
//! # Features
//!
//! - `duckdb` (default): the flush engine ([`Engine`]) and the tables in DuckDB. Links a DuckDB library of the 1.5 line,
//!   which `DUCKDB_LIB_DIR` names. Without it this crate is the log, values and timestamps, and builds in seconds.
//! - `tokio`: writes and subscriptions that wait without blocking a thread of the runtime (`write_async`, `recv_async`).
//! - `bundled`: compiles DuckDB from its sources in place of linking a library; about half an hour on two cores.
//!
//! # Modules
//!
//! - [`model`]: what a store says of its records. [`Engine`] does everything else.
//! - [`data`]: from anything that serializes to the normalized JSON text that is stored; [`keys`] names the special fields.
//! - [`extra`]: typed columns filled from members of the data.
//! - [`timestamp`]: moments, and which strings are one.
//! - [`record`]: a record as it is read.
//! - [`wal`]: the write-ahead log and its recovery.
//! - [`fs`], [`clock`]: the traits through which files and time are reached, so that tests can fail and replay them.
//! - [`lock`]: one owner at a time. [`error`]: the one error type. [`text`]: tables for people.
//!
//! `docs/architecture.md` has the whole picture, `docs/format.md` the bytes, `docs/crash-safety.md` the argument why
//! nothing acknowledged is lost.
//!
//! # The log alone
//!
//! The log takes lines and knows nothing of what they say. It is recovered before it is written.
//!
//! ```
//! use std::sync::Arc;
//! use persist_core::clock::SystemClock;
//! use persist_core::fs::Disk;
//! use persist_core::wal::{Ancestor, Body, Log, LogOptions, Marks, Reach, Recovery};
//!
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! let (disk, clock) = (Arc::new(Disk), Arc::new(SystemClock::default()));
//! let lineage = [Ancestor::present("my-store")];
//! let open = || -> persist_core::Result<_> {
//!     let recovered = Recovery::new(&*disk, &*clock, dir, &lineage).run()?;
//!     let options = LogOptions::default();
//!     let log = Log::new(disk.clone(), clock.clone(), dir, "my-store", options, recovered.start());
//!     Ok((log, recovered))
//! };
//!
//! let (log, _) = open()?;
//! let body = Body::new(br#"{"reading":21.5"#.to_vec()); // without the closing brace: the log adds its own fields
//! let stamp = log.begin(body.line_bytes_at_most())?.push(body, Marks::default());
//! log.wait(stamp.seq, Reach::Durable)?; // on disk
//! drop(log); // as a crash would
//!
//! let (_, recovered) = open()?;
//! let bodies: Vec<_> = recovered.lines(0..recovered.len()).map(|line| line.body().to_owned()).collect();
//! assert_eq!(bodies, [r#"{"reading":21.5"#]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A store of your own
//!
//! A model whose records are told apart by their key alone:
//!
#![cfg_attr(feature = "duckdb", doc = "```")]
#![cfg_attr(not(feature = "duckdb"), doc = "```ignore")]
//! use persist_core::data::{Rules, normalize_value};
//! use persist_core::{Column, Engine, Entry, Event, Location, Model, Options, Since, Source};
//!
//! #[derive(Debug)]
//! struct Seats;
//!
//! impl Model for Seats {
//!     type Part = (); // nothing besides the key
//!     type Value = ();
//!     const PART_FIELDS: &'static [&'static str] = &[];
//!     const TABLE: &'static str = "seats";
//!     const COLUMNS: &'static [Column] = &[
//!         Column { name: "seat", source: Source::Key },
//!         Column { name: "data", source: Source::Data },
//!         Column { name: "at", source: Source::UpdatedAt },
//!         Column { name: "version", source: Source::Version },
//!     ];
//!     fn part_text(_: &(), _: usize) -> Option<&str> { None }
//!     fn part_from(_: &[Option<&str>]) {}
//! }
//!
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path().to_owned();
//! let database = dir.join("data.duckdb");
//! let location = Location { dir, log_folder: None, database, purpose: "seats".to_owned() };
//! let seats: Engine<Seats> = Engine::open(&location, Options::default())?;
//!
//! let data = normalize_value(&serde_json::json!({"taken_by": "Ada"}), &[], &Rules::default())?;
//! seats.put(Entry::new("12A", (), data.text), None)?; // on disk when it returns
//!
//! assert!(seats.get("12A", &[]).is_some());
//! let taken = seats.query("SELECT count(*) AS n FROM seats WHERE data->>'taken_by' = 'Ada'")?;
//! assert_eq!(taken.get(0, "n"), Some(&serde_json::json!(1)));
//!
//! let mut changes = seats.subscribe(Since::Oldest)?; // or `Since::After` the last `seq` that was dealt with
//! let Event::Change(change) = changes.recv()? else { return Err("missed".into()) };
//! assert_eq!((change.key(), change.seq()), ("12A", 1));
//! seats.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "duckdb")]
mod cache;
#[cfg(feature = "duckdb")]
mod change;
pub mod clock;
#[cfg(feature = "duckdb")]
mod codec;
mod config;
pub mod data;
#[cfg(feature = "duckdb")]
mod duck;
#[cfg(feature = "duckdb")]
mod engine;
pub mod error;
pub mod extra;
pub mod fs;
#[cfg(feature = "duckdb")]
mod identity;
mod key;
pub mod keys;
pub mod lock;
pub mod model;
#[doc(hidden)]
pub mod planted;
#[cfg(any(feature = "duckdb", persist_schedules))]
#[doc(hidden)]
pub mod protocol;
pub mod record;
mod sync;
pub mod text;
pub mod timestamp;
#[cfg(feature = "duckdb")]
mod verbs;
pub mod wal;

#[cfg(feature = "duckdb")]
pub use arrow::array::RecordBatch;
#[cfg(feature = "duckdb")]
pub use change::{Change, Removed};
#[cfg(feature = "duckdb")]
pub use codec::Entry;
pub use config::{Durability, Options};
pub use data::{Number, Value};
#[cfg(feature = "duckdb")]
pub use duck::{DatabaseFile, Interrupter, Leaf, Rows, Sandbox, SandboxPart, SandboxTable};
#[cfg(feature = "duckdb")]
pub use engine::{
    Backup, BackupFile, Engine, Event, Location, Opened, Pending, RepairReport, Restored, Since, Stats, Subscription,
    Ticket, Verification, request,
};
pub use error::{Error, ErrorKind, Result};
pub use model::{Column, History, LogFolders, Model, RecordValue, Scalar, Source};
pub use record::Record;
pub use timestamp::{Timestamp, TimestampPolicy};
