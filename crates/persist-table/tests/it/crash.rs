//! Crashes and power cuts at any moment: what was acknowledged is there, once, whole steps only.

use std::path::Path;
use std::sync::Arc;

use persist_core::clock::ManualClock;
use persist_table::{Config, Database, Durability};
use persist_test_utils::{Fault, Rng, SimFs, What};

use crate::model::{Naive, Step, found, make, step};

fn config(fs: &SimFs, base: &Path, dice: &mut Rng, durability: Durability) -> Config {
    let config = Config::new().base_path(base).save_interval(None).save_log_bytes(None);
    config
        .fs(Arc::new(fs.clone()))
        .clock(Arc::new(ManualClock::new(1_769_114_000_000_000)))
        .durability(durability)
        .max_log_bytes(*dice.pick(&[4096, 16 * 1024, 1 << 20]))
        .archives(*dice.pick(&[Some(0), Some(2), None]))
        .compress_archives(dice.chance(1, 2))
        .compress_data(dice.chance(1, 3))
}

fn seeds(test: &str, number: u64, run: impl Fn(u64)) {
    let given = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().expect(name));
    let seeds = match (given("PERSIST_SEED"), given("PERSIST_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, more) => 0..more.unwrap_or(number),
    };
    for seed in seeds {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed)));
        if let Err(panic) = result {
            eprintln!("replay: PERSIST_SEED={seed} cargo test -p persist-table --test it {test}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Runs a database through crashes. The last states that it may be found in are kept: with `Os` durability, a power cut may
/// take it back to any since the last that was durable.
fn history(seed: u64, durability: Durability) {
    let mut dice = Rng::new(seed);
    // The lock is a real file.
    let base = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(base.path().join("db")).unwrap();
    let mut fs = SimFs::new();
    // The state at `acknowledged` is the last that was; what follows was under way.
    let (mut states, mut acknowledged) = (vec![Naive::default()], 0);
    for _ in 0..4 {
        if dice.chance(3, 4) {
            let what = match dice.below(4) {
                0 => What::Stop,
                1 => What::StopAfter,
                _ => What::ShortThenStop(dice.index(1500)),
            };
            fs.fault(Fault::at(1 + dice.below(150), what));
        }
        let opened = Database::open("db", config(&fs, base.path(), &mut dice, durability));
        if let Ok((db, is)) = opened.and_then(|db| found(&db).map(|is| (db, is))) {
            let at = (acknowledged..states.len()).rfind(|at| states[*at].tables == is);
            let at = at.unwrap_or_else(|| panic!("{is:#?}\nis none of\n{states:#?}"));
            let mut state = states[at].clone();
            state.follow(&db);
            // What was seen once stays: recovery has made it durable.
            states = vec![state];
            acknowledged = 0;
            for _ in 0..dice.below(30) {
                let step = step(&mut dice);
                let before = states.last().unwrap().clone();
                let mut after = before.clone();
                let is_taken = after.make(&step);
                states.extend(between(&before, &step));
                states.push(after);
                match make(&db, &step) {
                    Ok(answer) => assert_eq!(answer, is_taken, "{step:?}"),
                    Err(error) => {
                        assert!(fs.has_stopped(), "{step:?}: {error}");
                        break;
                    }
                }
                acknowledged = states.len() - 1;
                if durability == Durability::Sync || matches!(step, Step::Save | Step::Checkpoint | Step::Compact) {
                    states.drain(..acknowledged);
                    acknowledged = 0;
                }
                if !matches!(step, Step::Call(..)) || dice.chance(1, 8) {
                    let Ok(is) = found(&db) else { break };
                    assert_eq!(is, states[acknowledged].tables, "after {step:?}");
                }
            }
            if dice.chance(1, 5) && db.close().is_ok() {
                states.drain(..acknowledged);
                acknowledged = 0;
            }
        }
        let is_cut = dice.chance(2, 3);
        fs = if is_cut { fs.power_cut(dice.next_u64()) } else { fs.kill() };
        if is_cut {
            // What was not durable may be gone, also what the system had after a kill before.
            acknowledged = 0;
        }
    }
    let db = Database::open("db", config(&fs, base.path(), &mut dice, durability)).unwrap();
    assert!(!db.recovery().unwrap().is_damaged());
    let is = found(&db).unwrap();
    assert!(states[acknowledged..].iter().any(|state| state.tables == is), "{is:#?}\nis none of\n{states:#?}");
}

/// What there may be while a step is under way that makes its tables first.
fn between(before: &Naive, step: &Step) -> Vec<Naive> {
    let tables: Vec<usize> = match step {
        Step::Call(table, _) => vec![*table],
        Step::Transaction(calls, _) => calls.iter().map(|(table, _)| *table).collect(),
        _ => Vec::new(),
    };
    let mut states = Vec::new();
    let mut state = before.clone();
    for table in tables {
        let name = crate::model::TABLES[table];
        if !state.tables.contains_key(name) {
            state.tables.insert(name.to_owned(), Vec::new());
            states.push(state.clone());
        }
    }
    states
}

#[test]
fn crashes_at_any_operation_lose_nothing_acknowledged_and_leave_no_half_step() {
    seeds("crashes_at_any_operation", 400, |seed| history(seed, Durability::Sync));
}

#[test]
fn acknowledged_early_a_kill_takes_nothing_and_a_power_cut_whole_steps_from_the_end() {
    seeds("acknowledged_early", 250, |seed| history(1_000_000 + seed, Durability::Os));
}
