//! A file system in memory that fails, shortens, stops, forgets and tears on demand.
//!
//! [`SimFs`] implements [`persist_core::fs::Fs`]. What it holds is a *world*: files with the bytes that reads see
//! (cached) and those the disk has (durable), and between the two the changes no sync has ended for; folders likewise,
//! with names. A test runs its code in one world, then asks for the next:
//!
//! - [`SimFs::power_cut`]: a disk that the power cut could have left, drawn by a seed;
//! - [`SimFs::kill`]: the process is gone, the operating system goes on: nothing is lost, nothing more is durable;
//! - [`SimFs::drop_caches`]: only what is durable.
//!
//! The next world starts with operation 1, no trace and no faults; capacity and read-only mode are the disk's and
//! stay. The world it came from is not touched and goes on working (unless a fault stopped it), so that one world
//! gives any number of images, and threads that outlive their test's crash write where nobody looks.
//!
//! # What a power cut may do
//! - Bytes written since the file's last sync: each 512-byte (or, by seed, 4 KiB) sector is kept or dropped on its own;
//!   of several writes to one sector the disk has the first few. Nothing else of the file changes: a dropped sector
//!   over durable bytes shows those bytes.
//! - A length that changed since: any of the lengths it went through, or a part of a growing write. Where the length
//!   made it and the bytes beyond the durable length did not, they read as zeros, as 0xFF, or as what was there before
//!   the file was cut. What no write ever touched reads as zeros.
//! - A shortened length is durable after `sync_all` only; after `sync_data` a power cut may still undo it.
//! - Names created, renamed and removed since the folder's sync: any subset, where a rename is one step and a later
//!   change of a name needs the earlier ones. A sync of the file is no sync of its name; a folder is a name in the
//!   folder above it, and what is in it goes with it. Syncing either of its folders makes a rename durable.
//!
//! # What a failed sync does
//! An [`What::Errno`] at a sync of a file marks its writes clean, as Linux does: they stay readable, no later sync
//! writes them, no power cut keeps them, and the next sync says OK. Lengths given by `set_len` and, at a failed sync of
//! a folder, names are metadata: they stay pending, because a journal keeps them.
//!
//! # What is left out
//! Links, permissions, times, removal of folders, holes (capacity counts lengths, so `set_len` beyond it is ENOSPC),
//! stale bytes of other files, and sectors that come back as neither old nor new.
//!
//! ```
//! use std::path::Path;
//! use persist_core::fs::{Access, Fs, replace};
//! use persist_test_utils::{Fault, SimFs, What, is_stopped};
//!
//! let fs = SimFs::new();
//! fs.write_file("/store/status.json", b"old");
//! fs.fault(Fault::at(4, What::Stop)); // exists, create, write, then the sync
//! let error = replace(&fs, Path::new("/store/status.json"), b"new").unwrap_err();
//! assert!(is_stopped(&error));
//! for seed in 0..100 {
//!     assert_eq!(fs.power_cut(seed).read_file("/store/status.json").unwrap(), b"old");
//! }
//! ```

mod content;
mod fault;
mod fs;
mod names;
#[cfg(test)]
mod tests;

pub use fault::{Fault, Op, Stopped, What, When, errno, is_stopped};
pub use fs::SimFs;
