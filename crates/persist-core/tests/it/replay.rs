//! Seeds: each seeded test runs through [`seeds`], and a failure prints one line that replays it.

use std::ops::Range;

struct Replay {
    test: &'static str,
    seed: u64,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: PERSIST_SEED={} cargo test -p persist-core --test it {}", self.seed, self.test);
        }
    }
}

/// Runs a test with each of these seeds, or with that in `PERSIST_SEED` alone; `PERSIST_SEEDS` is another number of them,
/// from that one on if both are given.
pub(crate) fn seeds(test: &'static str, seeds: Range<u64>, run: impl Fn(u64)) {
    let given = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().expect(name));
    let seeds = match (given("PERSIST_SEED"), given("PERSIST_SEEDS")) {
        (Some(seed), number) => seed..seed + number.unwrap_or(1),
        (None, Some(number)) => seeds.start..seeds.start + number,
        (None, None) => seeds,
    };
    for seed in seeds {
        let replay = Replay { test, seed };
        run(seed);
        drop(replay);
    }
}
