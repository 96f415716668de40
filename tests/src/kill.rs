//! Killing a process that writes: row 1 of the promises. What was acknowledged must be there, once and in order.
//!
//! A child process writes with several threads and says on a pipe what was acknowledged; it is killed with SIGKILL at a
//! random moment, also while it recovers from the kill before. A copy of what it leaves is opened and compared; the next
//! child goes on in the folder itself.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use persist_dated::{DatedConfig, DatedStore, Durability};
use persist_test_utils::{Rng, copy_as_crash_leaves_it};
use serde_json::{Value, json};

const DATE: &str = "2025-01-15";
const WRITERS: u64 = 4;
/// Every third write of a writer goes to one and the same id.
const REPEATED: u64 = 3;
/// So many kills in one folder, then a new one.
const KILLS_PER_FOLDER: u64 = 10;
/// No child lives longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the kills showed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdict {
    /// Kills.
    pub cycles: u64,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Records that recovery replayed.
    pub replayed: u64,
    /// Children that were killed before their first acknowledgement: while they opened the store.
    pub killed_while_opening: u64,
}

/// Kills children of `program` so often, and checks after each what they left.
///
/// # Errors
/// The first promise that was broken, with what replays it.
pub fn run(program: &Path, cycles: u64, seed: u64) -> Result<Verdict, String> {
    let mut verdict = Verdict::default();
    let mut folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut acknowledged = Acknowledged::new();
    for cycle in 0..cycles {
        let mut rng = Rng::new(seed.wrapping_add(cycle));
        if cycle % KILLS_PER_FOLDER == 0 {
            folder = tempfile::tempdir().map_err(|error| error.to_string())?;
            acknowledged = Acknowledged::new();
        }
        let before = acknowledged.values().sum::<u64>();
        let killed = kill_once(program, folder.path(), &mut rng, &mut acknowledged);
        let written = acknowledged.values().sum::<u64>() - before;
        killed
            .and_then(|()| check(folder.path(), &mut acknowledged))
            .map(|replayed| verdict.replayed += replayed)
            .map_err(|broken| {
                format!("{broken}\nreplay: cargo xtask crash --row 1 --cycles {} --seed {seed}", cycle + 1)
            })?;
        verdict.cycles += 1;
        verdict.acknowledged += written;
        verdict.killed_while_opening += u64::from(written == 0);
    }
    Ok(verdict)
}

/// The last acknowledged write of each writer.
type Acknowledged = BTreeMap<u64, u64>;

fn kill_once(program: &Path, dir: &Path, rng: &mut Rng, acknowledged: &mut Acknowledged) -> Result<(), String> {
    let seed = rng.next_u64();
    let spawned = Command::new(program)
        .args(["--child".as_ref(), dir.as_os_str(), seed.to_string().as_ref()])
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
    Ok(())
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
fn check(dir: &Path, acknowledged: &mut Acknowledged) -> Result<u64, String> {
    let copy = tempfile::tempdir().map_err(|error| error.to_string())?;
    copy_as_crash_leaves_it(dir, copy.path());
    let store = DatedStore::open(DATE, DatedConfig::new(copy.path())).map_err(|error| format!("I1: {error}"))?;
    let report = store.recovery().clone();
    if report.is_damaged() {
        return Err(format!("a kill damages nothing, but: {report}"));
    }
    let sql = "SELECT data->>'writer' AS writer, count(*) AS ids, max((data->>'number')::BIGINT) AS last, \
               sum(version)::BIGINT AS writes FROM storage GROUP BY ALL";
    let rows: Vec<Value> = store.query(sql).and_then(|rows| rows.to()).map_err(|error| error.to_string())?;
    for writer in 0..WRITERS {
        let present = (1..).take_while(|number| holds(&store, writer, *number)).count() as u64;
        let acked = acknowledged.get(&writer).copied().unwrap_or(0);
        if present < acked {
            return Err(format!("I1: writer {writer}: {acked} writes were acknowledged, {present} are there"));
        }
        // One write at a time: the one that was on its way may be there, too.
        if present > acked + 1 {
            return Err(format!("I5: writer {writer}: {present} writes are there, {acked} were acknowledged"));
        }
        acknowledged.insert(writer, present);
        let row = rows.iter().find(|row| row["writer"].as_str() == Some(&writer.to_string()));
        let figure = |name: &str| row.and_then(|row| row[name].as_i64()).unwrap_or(0) as u64;
        let ids = present - present / REPEATED + u64::from(present >= REPEATED);
        if (figure("writes"), figure("last"), figure("ids")) != (present, present, ids) {
            return Err(format!("I2: writer {writer}: {present} writes, {ids} ids in memory, but DuckDB says {row:?}"));
        }
    }
    let verified = store.verify().map_err(|error| error.to_string())?;
    if !verified.is_ok() {
        return Err(format!("I2: memory and DuckDB differ: {verified:?}"));
    }
    store.close().map_err(|error| format!("I6: closing: {error}"))?;
    Ok(report.records)
}

fn id(writer: u64, number: u64) -> (String, String) {
    let key = if number.is_multiple_of(REPEATED) { "repeated".to_owned() } else { format!("n{number}") };
    (key, format!("w{writer}"))
}

/// Whether a write, or a later one of its id, is there, with the version that belongs to it.
fn holds(store: &DatedStore, writer: u64, number: u64) -> bool {
    let (key, process) = id(writer, number);
    let Some(record) = store.get_key_process(&key, Some(&process)) else { return false };
    let Ok(data) = record.to::<Value>() else { return false };
    let Some(found) = data["number"].as_u64() else { return false };
    let version = if number.is_multiple_of(REPEATED) { found / REPEATED } else { 1 };
    found >= number && found % REPEATED == number % REPEATED && u64::from(record.version()) == version
}

/// The child: writes until it is killed. Returns only where it can't go on.
///
/// # Errors
/// What went wrong; nothing may, before the kill.
pub fn child(dir: &Path, seed: u64) -> Result<(), String> {
    let config = DatedConfig::new(dir)
        .max_wal_size_bytes(16 * 1024)
        .batch_size(50)
        .flush_interval(Duration::from_millis(20))
        .max_wal_age(Duration::from_millis(100));
    let store = DatedStore::open(DATE, config).map_err(|error| error.to_string())?;
    let failed = AtomicBool::new(false);
    let failure: Arc<Mutex<Option<String>>> = Arc::default();
    let writes = AtomicU64::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, failed, failure, writes) = (&store, &failed, Arc::clone(&failure), &writes);
            scope.spawn(move || {
                let mut rng = Rng::new(seed ^ writer);
                let first = (1..).find(|number| !holds(store, writer, *number)).unwrap_or(1);
                for number in first.. {
                    if failed.load(Ordering::Relaxed) || start.elapsed() > PATIENCE {
                        return;
                    }
                    if let Err(error) = write(store, writer, number, &mut rng) {
                        failed.store(true, Ordering::Relaxed);
                        if let Ok(mut failure) = failure.lock() {
                            *failure = Some(error);
                        }
                        return;
                    }
                    writes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let failure = failure.lock().ok().and_then(|mut failure| failure.take());
    Err(failure.unwrap_or_else(|| "nobody killed the child".to_owned()))
}

fn write(store: &DatedStore, writer: u64, number: u64, rng: &mut Rng) -> Result<(), String> {
    let (key, process) = id(writer, number);
    let durability = match rng.below(4) {
        0 => Durability::Os,
        1 => Durability::Interval(Duration::from_millis(5)),
        _ => Durability::Sync,
    };
    let filler = "x".repeat(rng.index(600));
    let data = json!({"writer": writer, "number": number, "filler": filler});
    store.put(&key).process(&process).durability(durability).data(&data).map_err(|error| error.to_string())?;
    // One write of less than a pipe's buffer: whole or not at all, whenever the kill comes.
    std::io::stdout().lock().write_all(format!("{writer} {number}\n").as_bytes()).map_err(|error| error.to_string())?;
    match rng.below(400) {
        0 => store.flush().map_err(|error| error.to_string()),
        1 => store.compact().map_err(|error| error.to_string()),
        _ => Ok(()),
    }
}
