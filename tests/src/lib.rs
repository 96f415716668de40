//! The fault tests over whole stores, as a library: `cargo xtask test` runs each for a while, `cargo xtask crash` longer.

pub mod kill;
