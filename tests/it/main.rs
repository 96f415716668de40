//! Tests over the whole workspace: its sources, its layering, its documents, whole stores under faults.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

mod asynchronous;
mod documents;
mod fork;
mod layering;
mod planted;
mod rows;
mod sources;
mod table;
mod tidy;
