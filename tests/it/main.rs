//! Tests over the whole workspace: its sources, its layering, its documents, whole stores under faults.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

mod asynchronous;
mod documents;
mod eio;
mod fork;
mod full;
mod kill;
mod layering;
mod planted;
mod power;
mod sources;
mod stop;
mod tidy;
