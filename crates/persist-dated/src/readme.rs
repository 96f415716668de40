//! The example of the README, compiled with the doctests.
#![doc = include_str!("../../../README.md")]
