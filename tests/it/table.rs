//! The table of promises itself: what its rows name is there, what fails is replayed, what was run is summed up.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Output};
use std::time::Duration;

use persist_tests::rows::list::ROWS;
use persist_tests::rows::run::{Bounds, End, Outcome, run};
use persist_tests::rows::{Cases, Counters, Named, Part, Row, Setting, Shown, Store, named, verdict};

use crate::sources::{Source, files};

const ALL: Bounds = Bounds { first: 1, cases: None, time: None };

fn setting() -> Setting {
    Setting { program: PathBuf::new(), fs: None, is_bundled: false }
}

/// Whether a test is in its crate, where its modules say, and takes seeds if the table says so.
fn is_there(sources: &[Source], test: &Named) -> bool {
    let folder = if test.package == "persist-tests" { "tests".to_owned() } else { format!("crates/{}", test.package) };
    let (modules, name) = test.name.rsplit_once("::").unwrap();
    let tests = if test.package == "persist-tests" { "it" } else { "tests/it" };
    let root = format!("{folder}/{}/{}", if test.program == "lib" { "src" } else { tests }, modules.replace("::", "/"));
    // Or at the end of the file that they are of.
    let files = [format!("{root}.rs"), format!("{root}/mod.rs"), format!("{}.rs", root.trim_end_matches("/tests"))];
    sources.iter().filter(|source| files.contains(&source.path)).any(|source| {
        let Some((_, body)) = source.text.split_once(&format!("fn {name}(")) else { return false };
        let body = body.split("\n}").next().unwrap();
        body.contains("seeds(") == (test.seeds > 0)
    })
}

#[test]
fn every_row_is_there_once_and_every_test_that_it_names_too() {
    let sources = files(".rs");
    let numbers: Vec<u8> = ROWS.iter().map(|row| row.number).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
    let missing: Vec<u8> = (1..=25).filter(|number| !numbers.contains(number)).collect();
    assert_eq!(missing, [17, 25], "schedules and fuzzing have commands of their own");
    let in_ci = &sources.iter().find(|source| source.path == "tests/it/rows.rs").unwrap().text;
    let mut shown = BTreeSet::new();
    for row in ROWS {
        assert!(!row.name.is_empty() && !row.promise.is_empty() && !row.parts.is_empty(), "{row:?}");
        for part in row.parts {
            assert!(part.soak > 0, "{row:?}");
            match &part.shown {
                Shown::Cases(cases) => {
                    let test = format!("#[test]\nfn {}() {{\n    holds(\"{}\");\n}}\n", cases.test, cases.test);
                    assert!(in_ci.contains(&test) && cases.ci > 0, "row {}: no test {}", row.number, cases.test);
                    assert!(shown.insert(cases.test), "{} is of two rows", cases.test);
                }
                Shown::Tests(tests) => {
                    assert!(!tests.is_empty(), "row {} names no test", row.number);
                    for test in *tests {
                        assert!(is_there(&sources, test), "row {}: no such test: {test:?}", row.number);
                    }
                }
            }
        }
    }
    assert_eq!(in_ci.matches("holds(\"").count(), shown.len(), "a test of tests/it/rows.rs is of no row");
}

const ROW: Row = Row { number: 3, name: "a fault", promise: "nothing comes of it", parts: &[] };

fn part(case: fn(&Setting, u64, &mut Counters) -> Result<(), String>) -> Part {
    let cases = Cases { case, unavailable: |_| None, ci: 5, at_stake: &[("done", 3)], test: "none" };
    Part { store: Store::Dated, shown: Shown::Cases(cases), soak: 1 }
}

fn broken(outcome: &Outcome) -> &str {
    match &outcome.end {
        End::Broken(how) => how,
        end => panic!("{end:?}"),
    }
}

#[test]
fn the_first_case_that_breaks_a_promise_ends_the_run_with_one_line_that_replays_it() {
    let refuses = part(|_, number, counters| {
        counters.add("done", 1);
        if number == 12 { Err("I1: gone".to_owned()) } else { Ok(()) }
    });
    let outcome = run(&ROW, &refuses, &setting(), Bounds { first: 10, cases: Some(7), time: None });
    let replay = "replay: cargo xtask crash --row 3 --store dated --seed 12 --cycles 1";
    assert_eq!(broken(&outcome), format!("I1: gone\n{replay}"));
    assert_eq!((outcome.cases, outcome.counters.of("done")), (2, 2));
    // A panic is a broken promise too.
    let panics = part(|_, number, _| if number == 12 { panic!("out of {}", "words") } else { Ok(()) });
    let outcome = run(&ROW, &panics, &setting(), Bounds { first: 10, cases: Some(7), time: None });
    assert_eq!(broken(&outcome), format!("I6: a panic: out of words\n{replay}"));
}

#[test]
fn a_run_is_bounded_by_its_cases_or_its_time_and_puts_something_at_stake() {
    let counts = part(|_, _, counters| {
        std::thread::sleep(Duration::from_millis(1));
        counters.add("done", 1);
        Ok(())
    });
    let cases = |bounds| {
        let outcome = run(&ROW, &counts, &setting(), bounds);
        assert_eq!(outcome.end, End::Held);
        outcome.cases
    };
    assert_eq!(cases(ALL), 5);
    assert_eq!(cases(Bounds { cases: Some(2), ..ALL }), 2);
    let in_time = cases(Bounds { time: Some(Duration::from_millis(50)), ..ALL });
    assert!((1..=50).contains(&in_time), "{in_time} cases of a millisecond in 50");
    // As many cases as CI's have to do something.
    let idle = part(|_, _, _| Ok(()));
    assert!(broken(&run(&ROW, &idle, &setting(), ALL)).starts_with("hardly anything was at stake"));
    assert_eq!(run(&ROW, &idle, &setting(), Bounds { cases: Some(4), ..ALL }).end, End::Held);
}

#[test]
fn what_a_named_test_says_becomes_the_seed_that_replays_it() {
    let test = Named { package: "persist-core", program: "it", name: "a::b", seeds: 5 };
    let output = |status, said: &str| Output {
        status: ExitStatus::from_raw(status),
        stdout: b"test result: ok. 1 passed; 0 failed".into(),
        stderr: said.into(),
    };
    assert_eq!(named::judge(&test, 7, &output(0, "")), Ok(()));
    let failed = output(256, "thread panicked\nreplay: PERSIST_SEED=9 cargo test -p persist-core --test it b\n");
    let (seed, how) = named::judge(&test, 7, &failed).unwrap_err();
    assert_eq!(seed, 9);
    assert!(how.contains("thread panicked") && !how.contains("replay:"), "{how}");
    let absent = Output { stdout: b"test result: ok. 0 passed".into(), ..output(0, "") };
    assert_eq!(named::judge(&test, 7, &absent).unwrap_err().1, "there is no test a::b of persist-core");
}

#[test]
fn the_report_sums_up_what_held_and_says_what_was_broken_or_not_run() {
    let outcome = |cases, end| {
        let mut counters = Counters::default();
        counters.add("kills", 10 * cases);
        Outcome { cases, took: Duration::from_secs(1800), counters, end }
    };
    let row = |number| ROWS.iter().find(|row| row.number == number).unwrap();
    let (one, two, nine) = (row(1), row(2), row(9));
    let lines = [
        verdict::line(one, Store::Dated, 1, &outcome(100, End::Held), "aaa"),
        verdict::line(one, Store::Dated, 101, &outcome(199, End::Held), "bbb"),
        verdict::line(one, Store::Dated, 1000, &outcome(700, End::Held), "old"),
        verdict::line(two, Store::Collection, 1, &outcome(3, End::Broken("I2: twice\nreplay: x".to_owned())), "aaa"),
        verdict::line(nine, Store::Dated, 1, &outcome(0, End::Skipped("not root".to_owned())), "aaa"),
    ];
    let text = verdict::report(ROWS, &lines.join("\n"), "bbb", |commit| commit != "old").unwrap();
    let line = |row: &Row, store: &str| {
        let start = format!("| {} | {} | {store} | ", row.number, row.name);
        text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("no {start}")).to_owned()
    };
    // Those of other sources are in the sum, and not in the bound: 1 - 0.05^(1/299).
    assert_eq!(line(one, "dated"), "999 | 299 | held | 9.97e-3 | 1–299, 1000–1699 | 1.50 |");
    assert_eq!(line(two, "collection"), "3 | 3 | **broken** 1 times | – | 1–3 | 0.50 |");
    assert_eq!(line(nine, "dated"), "0 | 0 | not run: not root | – |  | 0.00 |");
    // No row is left out that was never run.
    assert_eq!(line(two, "dated"), "0 | 0 | not run | – |  | 0.00 |");
    assert!(text.contains("- Row 1, dated: 9990 kills (of aaa, bbb, old).\n"), "{text}");
    assert!(text.contains("- Row 2, collection, aaa: I2: twice\n  replay: x\n"), "{text}");
    let refused = verdict::report(ROWS, "{\"row\": 99}", "bbb", |_| true);
    assert_eq!(refused, Err("line 1 is no verdict of a row: {\"row\": 99}".to_owned()));
}
