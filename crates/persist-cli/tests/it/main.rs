//! The `persist` command, run as a program on stores that the library made: healthy, in use, crashed, damaged.

mod command;
mod folders;
mod inspect;
mod page;
mod past;
mod records;
mod verify;
mod wal;
