//! Tests over the whole workspace: its sources, its layering, its documents, whole stores under faults.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod asynchronous;
mod documents;
mod fork;
mod kill;
mod layering;
mod planted;
mod sources;
mod stop;
mod tidy;
