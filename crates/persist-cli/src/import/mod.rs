//! `import`: the rows of a CSV or JSON Lines file become records, each once, however often the import is killed and run
//! again.
//!
//! Rows are taken in chunks, and the rows of a chunk that go into one store are one batch: after a crash all of them are
//! there or none. Before a batch is made, the position file says, durably, which store it is for, after which `seq`, and how
//! many rows it has. As nobody else has the store open, those `seq`s are the rows' own: whoever goes on compares what the
//! log has after that `seq` with the rows, and knows whether the batch was made. Nothing is added to the records, and
//! nothing depends on what is in them. After the chunk the rejects are made durable, and then the position after it.
//!
//! `verb.rs` goes through the chunks, `source.rs` reads rows, `mapping.rs` says what their columns are, `target.rs` writes them,
//! `rejects.rs` keeps those that can't be, `position.rs` is the position file.

mod mapping;
mod position;
mod rejects;
mod source;
mod target;
mod verb;

pub(crate) use verb::{Args, run};
