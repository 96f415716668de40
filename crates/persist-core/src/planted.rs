//! Bugs that are planted on purpose, to see that a test fails for each: `cargo xtask crash --planted` goes through them.
//!
//! The feature `planted` does not compile without debug assertions, so no release build can have a bug in it. Without the
//! feature nothing of this is left. `PERSIST_PLANTED` names the bug; `tests/planted.json` has the list, and for each
//! the test that finds it.

#[cfg(all(feature = "planted", not(debug_assertions)))]
compile_error!("the feature `planted` is for tests alone: it does not go into a release build");

/// Whether the bug of this name is planted.
#[cfg(feature = "planted")]
pub fn planted(bug: &str) -> bool {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("PERSIST_PLANTED").ok()).as_deref() == Some(bug)
}

/// Whether the bug of this name is planted: never.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn planted(_: &str) -> bool {
    false
}
