//! Runs a part of the table: so many cases, or for so long. What is broken ends it, with one line that replays it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use persist_test_utils::Kind;

use super::{Cases, Counters, Part, Row, Setting, Shown, Store, named};

/// No case takes so long. One that does hangs, and nothing but the end of the process ends it.
const HANGS: Duration = Duration::from_secs(300);

/// What of a part is run.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The number of the first case.
    pub first: u64,
    /// So many cases; none for as many as there is time for, or as CI runs if that is not bounded either.
    pub cases: Option<u64>,
    /// For so long.
    pub time: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// So many cases were run to their end.
    pub cases: u64,
    /// In so long.
    pub took: Duration,
    /// What they did.
    pub counters: Counters,
    /// How it ended.
    pub end: End,
}

/// How the run of a part ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The promise held.
    Held,
    /// It was broken: how, and last the line that replays it.
    Broken(String),
    /// Nothing was run, for this reason.
    Skipped(String),
}

/// Runs a part of a row.
pub fn run(row: &Row, part: &Part, setting: &Setting, bounds: Bounds) -> Outcome {
    let mut outcome = Outcome { cases: 0, took: Duration::ZERO, counters: Counters::default(), end: End::Held };
    let start = Instant::now();
    let until = bounds.time.map(|time| start + time);
    let replay = Replay { row: row.number, store: part.store, fs: setting.fs };
    let broken = match &part.shown {
        Shown::Tests(tests) => named::run(tests, setting, bounds, until, &mut outcome),
        Shown::Cases(cases) => match (cases.unavailable)(setting) {
            Some(why) => {
                outcome.end = End::Skipped(why);
                Ok(())
            }
            None => run_cases(cases, setting, bounds, until, &mut outcome, &Watchdog::new(replay)),
        },
    };
    if let Err((number, how)) = broken {
        outcome.end = End::Broken(format!("{how}\n{}", replay.of(number)));
    }
    outcome.took = start.elapsed();
    outcome
}

/// What the cases of a run are replayed by.
#[derive(Debug, Clone, Copy)]
struct Replay {
    row: u8,
    store: Store,
    fs: Option<Kind>,
}

impl Replay {
    /// The line that replays a case.
    fn of(self, number: u64) -> String {
        let Self { row, store, fs } = self;
        let fs = fs.map(|fs| format!(" -- --fs {}", fs.name())).unwrap_or_default();
        format!("replay: cargo xtask crash --row {row} --store {} --seed {number} --cycles 1{fs}", store.name())
    }
}

fn run_cases(
    cases: &Cases,
    setting: &Setting,
    bounds: Bounds,
    until: Option<Instant>,
    outcome: &mut Outcome,
    watchdog: &Watchdog,
) -> Result<(), (u64, String)> {
    let many = bounds.cases.unwrap_or(if until.is_some() { u64::MAX } else { cases.ci });
    for number in (bounds.first..).take(usize::try_from(many).unwrap_or(usize::MAX)) {
        if until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        watchdog.begins(number);
        // What a case counted is worth something only if it held.
        let mut counters = Counters::default();
        let done = catch_unwind(AssertUnwindSafe(|| (cases.case)(setting, number, &mut counters)));
        done.unwrap_or_else(|panic| Err(format!("I6: a panic: {}", said(panic.as_ref()))))
            .map_err(|how| (number, how))?;
        outcome.cases += 1;
        outcome.counters.add_all(&counters);
    }
    if outcome.cases >= cases.ci
        && let Some((name, least)) = cases.at_stake.iter().find(|(name, least)| outcome.counters.of(name) < *least)
    {
        let how = format!("hardly anything was at stake: less than {least} {name}: {}", outcome.counters);
        return Err((bounds.first, how));
    }
    Ok(())
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("of no words")
}

/// Ends the process when a case hangs.
#[derive(Debug)]
struct Watchdog {
    begins: Sender<u64>,
}

impl Watchdog {
    // Nobody is left to be answered.
    #[allow(clippy::print_stderr)]
    fn new(replay: Replay) -> Self {
        let (begins, cases) = channel();
        std::thread::spawn(move || {
            let mut last = None;
            loop {
                match (cases.recv_timeout(HANGS), last) {
                    (Ok(number), _) => last = Some(number),
                    (Err(RecvTimeoutError::Timeout), Some(number)) => {
                        eprintln!("I6: a case hangs\n{}", replay.of(number));
                        std::process::exit(1);
                    }
                    (Err(RecvTimeoutError::Timeout), None) => {}
                    (Err(RecvTimeoutError::Disconnected), _) => return,
                }
            }
        });
        Self { begins }
    }

    fn begins(&self, number: u64) {
        let _ = self.begins.send(number);
    }
}
