//! What all tests of the data share.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

mod lexical;
mod members;
mod properties;
mod refused;
mod serialize;
mod specials;
mod value;

use super::{Normalized, Rules, normalize};
use crate::error::ErrorKind;
use crate::timestamp::TimestampPolicy;

fn plain(json: &str) -> Normalized<'static> {
    normalize(json, &[], &Rules::default()).unwrap()
}

fn under(timestamps: TimestampPolicy, json: &str) -> String {
    normalize(json, &[], &Rules { timestamps, ..Rules::default() }).unwrap().text
}

/// The message with which `json` is refused.
fn refusal(json: &str) -> String {
    let error = normalize(json, &[], &Rules::default()).expect_err(json);
    assert_eq!(error.kind(), ErrorKind::Input);
    error.to_string()
}

/// An object whose innermost array is at this depth.
fn nested(depth: usize) -> String {
    format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
}
