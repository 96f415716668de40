//! The `persist` command, run as a program on stores that the library made: healthy, in use, crashed, damaged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test stops where it fails")]

mod command;
mod dates;
mod folders;
mod import;
mod inspect;
#[cfg(unix)]
mod long;
mod operations;
mod page;
mod past;
mod query;
mod records;
mod schema;
mod tail;
mod verify;
mod wal;
