//! Killing a process that writes: row 1 of the promises. What was acknowledged must be there, once and in order.
//!
//! A child process writes with several threads, each doing what its script says, and says on a pipe what was
//! acknowledged; it is killed with SIGKILL at a random moment, also while it recovers from the kill before. A copy of what
//! it leaves is opened and compared: of each writer there is exactly what a first part of its script leaves. The next
//! child goes on from there in the folder itself.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use persist_dated::{DatedConfig, DatedStore, Durability, ErrorKind};
use persist_test_utils::{Rng, copy_as_crash_leaves_it};
use serde_json::{Value, json};

use crate::perform::{Outcome, Waiting, perform, submit};
use crate::script::{Action, LIFE, Script};

const DATE: &str = "2025-01-15";
const WRITERS: u64 = 4;
/// So many kills in one folder, then a new one.
const KILLS_PER_FOLDER: u64 = 10;
/// No child lives longer than this.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many actions of a writer may be under way without an answer: one, or some with tickets.
const UNDER_WAY: u64 = LIFE;
/// The record in which all writers count.
const COUNTER: &str = "counter";

/// What the kills showed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdict {
    /// Kills.
    pub cycles: u64,
    /// Actions that were acknowledged: writes, removals, batches, and conflicts.
    pub acknowledged: u64,
    /// Records that recovery replayed.
    pub replayed: u64,
    /// Children that were killed before their first acknowledgement: while they opened the store.
    pub killed_while_opening: u64,
    /// Actions that were there and had not been acknowledged.
    pub unacknowledged: u64,
}

/// Kills children of `program` so often, and checks after each what they left.
///
/// # Errors
/// The first promise that was broken, with what replays it.
pub fn run(program: &Path, cycles: u64, seed: u64) -> Result<Verdict, String> {
    let mut verdict = Verdict::default();
    let mut folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut scripts = scripts();
    for cycle in 0..cycles {
        let mut rng = Rng::new(seed.wrapping_add(cycle));
        if cycle % KILLS_PER_FOLDER == 0 {
            folder = tempfile::tempdir().map_err(|error| error.to_string())?;
            scripts = self::scripts();
        }
        let before = scripts.iter().map(|script| script.done).sum::<u64>();
        let killed = kill_once(program, folder.path(), &mut rng, &scripts);
        let checked = killed.and_then(|acknowledged| {
            let replayed = check(folder.path(), &acknowledged, &mut scripts)?;
            Ok((acknowledged.values().sum::<u64>(), replayed))
        });
        let (acknowledged, replayed) = checked.map_err(|broken| {
            format!("{broken}\nreplay: cargo xtask crash --row 1 --cycles {} --seed {seed}", cycle + 1)
        })?;
        verdict.cycles += 1;
        verdict.replayed += replayed;
        verdict.acknowledged += acknowledged - before;
        verdict.unacknowledged += scripts.iter().map(|script| script.done).sum::<u64>() - acknowledged;
        verdict.killed_while_opening += u64::from(acknowledged == before);
    }
    Ok(verdict)
}

fn scripts() -> Vec<Script> {
    (0..WRITERS).map(Script::new).collect()
}

/// How many actions of each writer were acknowledged.
type Acknowledged = BTreeMap<u64, u64>;

fn kill_once(program: &Path, dir: &Path, rng: &mut Rng, scripts: &[Script]) -> Result<Acknowledged, String> {
    let mut acknowledged: Acknowledged = (0..).zip(scripts.iter().map(|script| script.done)).collect();
    let done: Vec<String> = acknowledged.values().map(u64::to_string).collect();
    let spawned = Command::new(program)
        .args(["--child".as_ref(), dir.as_os_str(), rng.next_u64().to_string().as_ref(), done.join(",").as_ref()])
        .stdout(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let lines = BufReader::new(child.stdout.take().ok_or("the child has no pipe")?);
    let (started, has_started) = flume::bounded(1);
    let reader = std::thread::spawn(move || {
        let mut last = Acknowledged::new();
        for line in lines.lines().map_while(Result::ok) {
            let _ = started.try_send(());
            if let Some((writer, number)) = line.split_once(' ')
                && let (Ok(writer), Ok(number)) = (writer.parse(), number.parse())
            {
                last.insert(writer, number);
            }
        }
        last
    });
    if rng.chance(1, 5) {
        // Somewhere in its opening, or shortly after.
        std::thread::sleep(Duration::from_micros(rng.range(0..60_000)));
    } else {
        let _ = has_started.recv_timeout(PATIENCE);
        std::thread::sleep(Duration::from_micros(rng.range(0..150_000)));
    }
    let ended = end(&mut child)?;
    let last = reader.join().map_err(|_| "the reader of the pipe panicked")?;
    if let Some(how) = ended {
        return Err(format!("the child ended by itself: {how}"));
    }
    acknowledged.extend(last);
    Ok(acknowledged)
}

/// Kills the child with SIGKILL. Answers how it ended, if it did before.
fn end(child: &mut Child) -> Result<Option<String>, String> {
    let before = child.try_wait().map_err(|error| error.to_string())?;
    let _ = child.kill();
    child.wait().map_err(|error| error.to_string())?;
    Ok(before.map(|status| status.to_string()))
}

/// Opens a copy of what the child left and compares it. Answers how many records were replayed. What is there now has to
/// stay, acknowledged or not: somebody has read it.
fn check(dir: &Path, acknowledged: &Acknowledged, scripts: &mut [Script]) -> Result<u64, String> {
    let copy = tempfile::tempdir().map_err(|error| error.to_string())?;
    copy_as_crash_leaves_it(dir, copy.path());
    let store = DatedStore::open(DATE, DatedConfig::new(copy.path())).map_err(|error| format!("I1: {error}"))?;
    let report = store.recovery().clone();
    if report.is_damaged() {
        return Err(format!("a kill damages nothing, but: {report}"));
    }
    let counter = store.get_key_process(COUNTER, None);
    let counts: Vec<u64> = match &counter {
        Some(record) => record.field("counts").map_err(|error| error.to_string())?.unwrap_or_default(),
        None => vec![0; WRITERS as usize],
    };
    for ((writer, acked), script) in acknowledged.iter().zip(scripts.iter_mut()) {
        go_on_to_what_is_there(&store, *writer, *acked, counts[*writer as usize], script)?;
    }
    let versions = counter.map_or(0, |record| u64::from(record.version()));
    if versions != counts.iter().sum::<u64>() {
        return Err(format!("I2: {counts:?} were counted, in {versions} versions: an update was lost or doubled"));
    }
    let own: u64 = scripts.iter().map(|script| script.records.len() as u64).sum();
    let (ids, sum) = in_sql(&store)?;
    let of_rows = scripts.iter().flat_map(|script| script.records.rows()).map(|(_, version, _)| u64::from(version));
    let wanted = (own + u64::from(versions > 0), of_rows.sum::<u64>() + versions);
    if (ids, sum) != wanted || store.len() as u64 != ids {
        return Err(format!("I2: {ids} rows of {sum} versions in DuckDB, {} in memory, not {wanted:?}", store.len()));
    }
    let verified = store.verify().map_err(|error| error.to_string())?;
    if !verified.is_ok() {
        return Err(format!("I2: memory and DuckDB differ: {verified:?}"));
    }
    store.close().map_err(|error| format!("I6: closing: {error}"))?;
    Ok(report.records)
}

fn in_sql(store: &DatedStore) -> Result<(u64, u64), String> {
    let sql = "SELECT count(*) AS ids, coalesce(sum(version), 0)::BIGINT AS versions FROM storage";
    let rows: Vec<Value> = store.query(sql).and_then(|rows| rows.to()).map_err(|error| error.to_string())?;
    let figure = |name: &str| rows.first().and_then(|row| row[name].as_u64()).unwrap_or(0);
    Ok((figure("ids"), figure("versions")))
}

/// Finds how far the script has come: not less than was acknowledged, and no further than what was under way.
fn go_on_to_what_is_there(
    store: &DatedStore,
    writer: u64,
    acked: u64,
    counted: u64,
    script: &mut Script,
) -> Result<(), String> {
    while script.done < acked {
        script.next();
    }
    let (mut here, mut found, mut told) = (script.clone(), None, String::new());
    for ahead in 0..=UNDER_WAY {
        if ahead > 0 {
            here.next();
        }
        match difference(store, counted, &here) {
            // The furthest: actions that change nothing leave no trace.
            None => found = Some(here.clone()),
            Some(difference) => told += &format!("\nafter {}: {difference}", here.done),
        }
    }
    *script = found.ok_or_else(|| {
        format!("I1, I4, I5: writer {writer}: {acked} actions were acknowledged, and what is there is not what they leave, nor that and up to {UNDER_WAY} more:{told}")
    })?;
    Ok(())
}

/// What is there that the script does not leave, or the other way round.
fn difference(store: &DatedStore, counted: u64, script: &Script) -> Option<String> {
    if script.counted != counted {
        return Some(format!("counted {counted} times, not {}", script.counted));
    }
    let wrong = script.records.rows().find(|((key, fields), version, data)| {
        let record = store.get_key_process(key, fields[0].as_deref());
        record.is_none_or(|record| record.version() != *version || record.to::<Value>().ok().as_ref() != Some(*data))
    });
    if let Some((id, version, _)) = wrong {
        let found = store.get_key_process(&id.0, id.1[0].as_deref()).map(|record| record.version());
        return Some(format!("{id:?} should have version {version}, not {found:?}, or has other data"));
    }
    let present = store.iter_with_prefix(&script.prefix()).count();
    (present != script.records.len()).then(|| format!("{present} records, not {}", script.records.len()))
}

/// The child: writes until it is killed. Returns only where it can't go on. `done` is how far each writer had come.
///
/// # Errors
/// What went wrong; nothing may, before the kill.
pub fn child(dir: &Path, seed: u64, done: &[u64]) -> Result<(), String> {
    let config = DatedConfig::new(dir)
        .max_wal_size_bytes(16 * 1024)
        .batch_size(50)
        .flush_interval(Duration::from_millis(20))
        .max_wal_age(Duration::from_millis(100));
    let store = DatedStore::open(DATE, config).map_err(|error| error.to_string())?;
    let failure: Mutex<Option<String>> = Mutex::default();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for (writer, done) in (0..).zip(done.iter().copied()) {
            let (store, failure) = (&store, &failure);
            scope.spawn(move || {
                let mut script = Script::new(writer);
                while script.done < done {
                    script.next();
                }
                let mut child =
                    Writer { store, writer, script, rng: Rng::new(seed ^ writer), under_way: VecDeque::new() };
                while start.elapsed() < PATIENCE && failure.lock().is_ok_and(|failure| failure.is_none()) {
                    if let Err(error) = child.step()
                        && let Ok(mut failure) = failure.lock()
                    {
                        *failure = Some(error);
                    }
                }
            });
        }
    });
    let failure = failure.lock().ok().and_then(|mut failure| failure.take());
    Err(failure.unwrap_or_else(|| "nobody killed the child".to_owned()))
}

/// One thread of the child.
struct Writer<'a> {
    store: &'a DatedStore,
    writer: u64,
    script: Script,
    rng: Rng,
    /// What was submitted: the number of the action, its ticket, and the answer it has to give.
    under_way: VecDeque<(u64, Waiting, Outcome)>,
}

impl Writer<'_> {
    fn step(&mut self) -> Result<(), String> {
        let action = self.script.next();
        let number = self.script.done;
        match action {
            Action::Count => {
                self.wait_for_all()?;
                self.count()?;
                self.acknowledge(number)?;
            }
            Action::Own(call, answer) => {
                let durability = match self.rng.below(4) {
                    0 => Durability::Os,
                    1 => Durability::Interval(Duration::from_millis(5)),
                    _ => Durability::Sync,
                };
                // Once it has begun to submit, it goes on until so many are under way.
                if self.rng.chance(1, 12) || !self.under_way.is_empty() {
                    let waiting = submit(self.store, &call, durability).map_err(|error| error.to_string())?;
                    self.under_way.push_back((number, waiting, Ok(answer)));
                    if self.under_way.len() as u64 == UNDER_WAY {
                        self.wait_for_all()?;
                    }
                } else {
                    let outcome = perform(self.store, &call, durability);
                    self.is_expected(number, outcome, Ok(answer))?;
                }
            }
        }
        match self.rng.below(400) {
            0 => self.store.flush().map_err(|error| error.to_string()),
            1 => self.store.compact().map_err(|error| error.to_string()),
            _ => Ok(()),
        }
    }

    fn wait_for_all(&mut self) -> Result<(), String> {
        while let Some((number, waiting, expected)) = self.under_way.pop_front() {
            self.is_expected(number, waiting(), expected)?;
        }
        Ok(())
    }

    fn is_expected(&self, number: u64, outcome: Outcome, expected: Outcome) -> Result<(), String> {
        let (outcome, expected) =
            (outcome.map_err(|error| error.to_string())?, expected.map_err(|error| error.to_string())?);
        if outcome != expected {
            return Err(format!("writer {}, action {number}: {outcome:?}, not {expected:?}", self.writer));
        }
        self.acknowledge(number)
    }

    /// One write of less than a pipe's buffer: whole or not at all, whenever the kill comes.
    fn acknowledge(&self, number: u64) -> Result<(), String> {
        let line = format!("{} {number}\n", self.writer);
        std::io::stdout().lock().write_all(line.as_bytes()).map_err(|error| error.to_string())
    }

    fn count(&self) -> Result<(), String> {
        loop {
            let record = self.store.get_key_process(COUNTER, None);
            let counts = record.as_ref().map(|record| record.field::<Vec<u64>>("counts"));
            let mut counts =
                counts.transpose().map_err(|error| error.to_string())?.flatten().unwrap_or(vec![0; WRITERS as usize]);
            counts[self.writer as usize] += 1;
            let put = self.store.put(COUNTER);
            let (put, version) = match &record {
                Some(record) => (put.if_version(record.version()), record.version()),
                None => (put.if_absent(), 0),
            };
            match put.data(&json!({ "counts": counts })) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    if error.present_version().is_none_or(|present| present <= version) {
                        return Err(format!("a conflict with {:?} on version {version}", error.present_version()));
                    }
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}
