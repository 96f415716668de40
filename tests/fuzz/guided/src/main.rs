//! The targets of `persist-fuzz` under libFuzzer, one program for all: `PERSIST_FUZZ` names the target.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use persist_fuzz::Target;
use persist_fuzz::mutate::mutate;
use persist_test_utils::Rng;

fn target() -> &'static Target {
    static TARGET: OnceLock<&'static Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("PERSIST_FUZZ").expect("PERSIST_FUZZ names a target");
        Target::named(&name).expect("PERSIST_FUZZ names a target")
    })
}

fuzz_target!(|data: &[u8]| (target().run)(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = Rng::new(u64::from(seed));
    let mut input = if rng.coin() {
        let mut input = data[..size].to_vec();
        mutate(&mut input, &[], max_size, &mut rng);
        input
    } else {
        let size = fuzzer_mutate(data, size, max_size);
        data[..size].to_vec()
    };
    // Some stay damaged: those that are refused for it have to be refused well.
    if !rng.chance(1, 8) {
        (target().mend)(&mut input);
    }
    input.truncate(max_size);
    data[..input.len()].copy_from_slice(&input);
    input.len()
});
