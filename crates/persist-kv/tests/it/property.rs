//! Whatever is done in whatever order, the store agrees with the naive one.

use persist_test_utils::interleave::{run, steps};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::subject::KvSubject;

fn config() -> ProptestConfig {
    let seeds = FileFailurePersistence::SourceParallel("proptest-regressions");
    ProptestConfig { cases: 8, failure_persistence: Some(Box::new(seeds)), max_shrink_iters: 100, ..Default::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_interleaving_agrees_with_the_naive_model((steps, settings) in steps::<KvSubject>()) {
        run::<KvSubject>(&steps, &settings);
    }
}
