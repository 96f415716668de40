//! The committed inputs, and runs over them and what is made of them by seed.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use persist_test_utils::Rng;

use crate::mutate::mutate;
use crate::target::Target;

/// No input is longer: what is quadratic shows long before, and what counts bytes does not.
pub const MOST_BYTES: usize = 16 * 1024;
/// So long may one input take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The committed inputs of a target.
pub fn of(target: &Target) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Runs the committed inputs, and then inputs made of them, until `go_on` says so; it is asked with how many there were.
///
/// # Panics
/// Where the target does: its input is then in a file, and one line says how to run it again.
pub fn run(target: &Target, seed: u64, mut go_on: impl FnMut(u64) -> ControlFlow<()>) -> u64 {
    let watched = Watched::new(target);
    let inputs = of(target);
    assert!(!inputs.is_empty(), "{} has no inputs to begin with", target.name);
    inputs.iter().for_each(|input| watched.run(input));
    let (mut rng, mut runs) = (Rng::new(seed), 0);
    while go_on(runs).is_continue() {
        let mut input = rng.pick(&inputs).clone();
        mutate(&mut input, &inputs, MOST_BYTES, &mut rng);
        // Some stay damaged: those that are refused for it have to be refused well.
        if !rng.chance(1, 8) {
            (target.mend)(&mut input);
        }
        watched.run(&input);
        runs += 1;
    }
    runs
}

/// A target whose failing input is kept, also where it never ends.
#[derive(Debug)]
struct Watched<'a> {
    target: &'a Target,
    present: Arc<Present>,
}

/// The input under way, and since when.
type Present = Mutex<Option<(Instant, Vec<u8>)>>;

impl<'a> Watched<'a> {
    fn new(target: &'a Target) -> Self {
        let present: Arc<Present> = Arc::default();
        let (name, watched) = (target.name, Arc::downgrade(&present));
        thread::spawn(move || {
            while let Some(present) = watched.upgrade() {
                if let Some((_, input)) =
                    present.lock().unwrap().as_ref().filter(|(since, _)| since.elapsed() > PATIENCE)
                {
                    keep(name, input, "does not end");
                    std::process::abort();
                }
                drop(present);
                thread::sleep(Duration::from_millis(200));
            }
        });
        Self { target, present }
    }

    fn run(&self, input: &[u8]) {
        *self.present.lock().unwrap() = Some((Instant::now(), input.to_vec()));
        let done = catch_unwind(AssertUnwindSafe(|| (self.target.run)(input)));
        *self.present.lock().unwrap() = None;
        if let Err(panic) = done {
            keep(self.target.name, input, "fails");
            resume_unwind(panic);
        }
    }
}

/// Writes an input into a file and says how to run it again.
#[allow(clippy::print_stderr)]
fn keep(target: &str, input: &[u8], how: &str) {
    let name = format!("persist-fuzz-{target}-{:08x}", crc32fast::hash(input));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, input).unwrap();
    eprintln!("{target} {how}; replay: cargo xtask fuzz --target {target} --input {}", path.display());
}
