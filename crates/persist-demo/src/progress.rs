//! How far a run has come, on standard error.

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) fn bar(writes: usize, is_hidden: bool) -> ProgressBar {
    if is_hidden {
        return ProgressBar::hidden();
    }
    // indicatif hides it where standard error is no terminal.
    let bar = ProgressBar::new(writes as u64);
    match ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
