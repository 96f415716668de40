//! The work that persist does, counted: a guard against getting slower that gives the same figures on every machine.
//!
//! Each test counts something (allocations, operations on files, bytes, rows) and holds the figure against its bound in
//! `bounds.rs`. `cargo nextest run -p persist-bench --test counts --no-capture` prints them all.
//!
//! A binary of its own, because it brings an allocator that counts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

mod allocations;
mod bounds;
mod disk;
mod files;
mod groups;
mod idle;
mod rows;
mod stores;
