//! How far long work has come, on the standard error: on a terminal, and nowhere else. Without colours.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How far some work has come.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// So many bytes are to be worked through.
    pub(crate) fn of_bytes(work: &str, bytes: u64) -> Self {
        Self::new(work, bytes, "{msg} [{bar:30}] {bytes}/{total_bytes}, {eta} to go")
    }

    /// So many things are to be worked through.
    pub(crate) fn of_things(work: &str, number: u64) -> Self {
        Self::new(work, number, "{msg} [{bar:30}] {human_pos}/{human_len}, {eta} to go")
    }

    /// Nobody knows how much there is to do.
    pub(crate) fn of_unknown(work: &str) -> Self {
        let progress = Self::new(work, 0, "{msg} {spinner} {elapsed}");
        progress.0.enable_steady_tick(Duration::from_millis(100));
        progress
    }

    fn new(work: &str, length: u64, template: &str) -> Self {
        // indicatif draws nothing where that is no terminal.
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        };
        bar.set_message(work.to_owned());
        bar.tick();
        Self(bar)
    }

    /// So much more is done; never more than there was to do.
    pub(crate) fn add(&self, done: u64) {
        let length = self.0.length().unwrap_or_default();
        self.0.set_position(self.0.position().saturating_add(done).min(length));
    }

    /// So much is done.
    pub(crate) fn reached(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Takes it from the screen.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
