//! The examples of the README, compiled with the doctests: here, since they are of several stores.
#![doc = include_str!("../../README.md")]
