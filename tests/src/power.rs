//! Power cuts of a real kernel, with DuckDB under them: row 6 of the promises.
//!
//! A child process writes to a store on a file system in a file, which is cut off from its disk at a random moment: what
//! the kernel has not written by then is gone, as after a power cut. It is mounted again, opened and compared: of each
//! writer there is exactly what a first part of its script leaves, and no less than what was durable. Some children are
//! killed before the cut, so that another process has opened what the first had written and not synced; some cuts come
//! while a store is opened, or closed, or opened after the cut before.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use persist_test_utils::{Kind, Mount, Rng, Subject, copy_as_crash_leaves_it};

use crate::folder::on_disk;
use crate::kill::{open_undamaged, reached, scripts};
use crate::process::{Made, Reached, Running, STORE, Said, Task};
use crate::rows::{Counters, Setting};
use crate::script::Script;
use crate::writer::find;

/// So many cuts are a case, with a file system of its own.
const CUTS: u64 = 5;
/// What is cut off from its disk.
const KINDS: [Kind; 2] = [Kind::Xfs, Kind::Ext4];
/// XFS refuses less than 300 MiB. Nothing of it is on the disk before it is used.
const BYTES: u64 = 512 << 20;
/// In so long a child ends whose disk is gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// So much is written before each cut and not synced. If it is always there afterwards, the cuts cut nothing.
const PROBE_BYTES: usize = 64 * 1024;

/// Why no power can be cut here, if so.
pub(crate) fn unavailable(setting: &Setting) -> Option<String> {
    let kinds = setting.fs.as_ref().map_or(KINDS.as_slice(), std::slice::from_ref);
    kinds.iter().find_map(|kind| {
        let tried = Mount::new(*kind, BYTES).and_then(|mount| mount.cut_off().and_then(|()| mount.mount_again()));
        tried.err()
    })
}

/// One case: a file system, and so many cuts.
///
/// # Errors
/// The first promise that was broken.
pub(crate) fn case<S: Subject>(setting: &Setting, number: u64, counters: &mut Counters) -> Result<(), String> {
    let kind = setting.fs.unwrap_or(KINDS[(number % 2) as usize]);
    let mount = Mount::new(kind, BYTES)?;
    let mut scripts = scripts::<S>();
    let mut rng = Rng::new(number);
    for _ in 0..CUTS {
        let before = reached(&scripts);
        let program = &setting.program;
        let mut cut = Cut { program, mount: &mount, rng: &mut rng, counters, before: before.clone() };
        let said = cut.write_and_cut::<S>()?;
        cut.come_back::<S>()?;
        let durable = from(&before, &said.durable);
        let acknowledged = from(&before, &said.acknowledged);
        check(&mount.path(), &mut rng, [&durable, &acknowledged], &said, &mut scripts, counters)?;
        let sum = |of: &Reached| of.values().sum::<u64>();
        counters.add("cuts", 1);
        counters.add("durable", sum(&durable) - sum(&before));
        counters.add("others", sum(&reached(&scripts)) - sum(&durable));
    }
    Ok(())
}

/// How far each writer has come, which had come so far before.
fn from(before: &Reached, after: &Reached) -> Reached {
    before.iter().chain(after).map(|(writer, number)| (*writer, *number)).collect()
}

struct Cut<'a> {
    program: &'a Path,
    mount: &'a Mount,
    rng: &'a mut Rng,
    counters: &'a mut Counters,
    before: Reached,
}

impl Cut<'_> {
    fn start<S: Subject>(&mut self, task: Task) -> Result<Running, String> {
        Running::start::<S>(self.program, &self.mount.path(), self.rng.next_u64(), &self.before, task)
    }

    fn sleep_up_to(&mut self, micros: u64) {
        std::thread::sleep(Duration::from_micros(self.rng.range(0..micros)));
    }

    /// Has a child write, and cuts the power. Answers what it said.
    fn write_and_cut<S: Subject>(&mut self) -> Result<Said, String> {
        let kills_first = self.rng.chance(1, 3);
        let closes = !kills_first && self.rng.chance(1, 5);
        let child = self.start::<S>(if closes { Task::Close } else { Task::Write })?;
        if closes {
            child.wait_until(|said| said.is_closing);
            self.sleep_up_to(40_000);
        } else if self.rng.chance(1, 6) {
            self.sleep_up_to(60_000);
        } else {
            child.wait_for_lines(2 + self.rng.below(50));
            self.sleep_up_to(30_000);
        }
        if kills_first {
            let (said, ended) = child.kill()?;
            if ended.is_some() || said.ended.is_some() {
                return Err(format!("the child ended by itself: {:?}", said.ended));
            }
            return self.open_and_cut::<S>(said);
        }
        let when = self.cut()?;
        let (mut said, ended) = child.end(PATIENCE)?;
        match (&said.ended, ended) {
            (_, None) => return Err("I6: the child hangs after the cut".to_owned()),
            (None, Some(status)) if said.is_closed && status.success() => {
                // What a close has acknowledged.
                said.durable = said.acknowledged.clone();
            }
            (None, Some(status)) if was_aborted(status) => self.counters.add("processes ended by DuckDB", 1),
            (Some((_, at)), _) if *at < when => return Err(format!("before the cut: {:?}", said.ended)),
            (Some((how, _)), Some(status)) => {
                let told = ["Io:", "Database:", "Poisoned:"].iter().any(|kind| how.starts_with(kind));
                self.counters.add("processes ended by DuckDB", u64::from(was_aborted(status)));
                if !told || how.contains("panicked") || (status.code() != Some(1) && !was_aborted(status)) {
                    return Err(format!("I6: after the cut: {how}; {status}"));
                }
            }
            (None, Some(status)) => return Err(format!("I6: after the cut: {status}")),
        }
        self.counters.add("cuts while opening", u64::from(!said.is_open));
        self.counters.add("cuts while closing", u64::from(closes && !said.is_closed));
        Ok(said)
    }

    /// Opens what a child left that was killed, and cuts the power.
    fn open_and_cut<S: Subject>(&mut self, mut said: Said) -> Result<Said, String> {
        let child = self.start::<S>(Task::Open)?;
        if self.rng.chance(1, 4) {
            self.sleep_up_to(60_000);
        } else {
            child.wait_until(|said| said.is_open);
            self.sleep_up_to(250_000);
        }
        let when = self.cut()?;
        let opened = self.end_of_opening(child, when)?;
        if opened.is_open {
            // It serves nothing that is not durable, and after a kill that is all that was acknowledged.
            said.durable = said.acknowledged.clone();
        }
        self.counters.add("cuts after a kill", 1);
        Ok(said)
    }

    /// Mounts what the cut left; every second time it is opened, and the power cut in the midst of it.
    fn come_back<S: Subject>(&mut self) -> Result<(), String> {
        self.mount_again()?;
        if self.rng.chance(1, 2) {
            let child = self.start::<S>(Task::Open)?;
            self.sleep_up_to(60_000);
            let when = self.cut()?;
            let opened = self.end_of_opening(child, when)?;
            self.counters.add("cuts while opening again", u64::from(!opened.is_open));
            self.mount_again()?;
        }
        Ok(())
    }

    fn end_of_opening(&self, child: Running, cut: Instant) -> Result<Said, String> {
        child.wait_until(|said| said.is_open);
        let (said, ended) = child.end_unless(|said| said.is_open)?;
        match (&said.ended, ended) {
            (Some((how, at)), _) if *at < cut => Err(format!("I1: opening: {how}")),
            (Some((how, _)), _) if how.contains("panicked") => Err(format!("I6: after the cut: {how}")),
            (None, None) if !said.is_open => Err("I6: an opening hangs after the cut".to_owned()),
            (None, Some(status)) if !was_aborted(status) => Err(format!("I6: an opening ends after the cut: {status}")),
            _ => Ok(said),
        }
    }

    fn cut(&self) -> Result<Instant, String> {
        let path = self.mount.path().join("probe");
        std::fs::write(path, vec![b'x'; PROBE_BYTES]).map_err(|error| format!("before the cut: {error}"))?;
        let when = Instant::now();
        self.mount.cut_off()?;
        Ok(when)
    }

    fn mount_again(&mut self) -> Result<(), String> {
        self.mount.mount_again()?;
        let path = self.mount.path().join("probe");
        let is_there = std::fs::read(&path).is_ok_and(|bytes| bytes == [b'x'; PROBE_BYTES]);
        self.counters.add("probes lost", u64::from(!is_there));
        let _ = std::fs::remove_file(path);
        Ok(())
    }
}

/// As `abort()` ends a process.
fn was_aborted(status: ExitStatus) -> bool {
    const SIGABRT: i32 = 6;
    status.signal() == Some(SIGABRT)
}

/// Opens what the cut left, or a copy of it, and compares it; closes it, and compares once more.
fn check<S: Subject>(
    dir: &Path,
    rng: &mut Rng,
    [durable, acknowledged]: [&Reached; 2],
    said: &Said,
    scripts: &mut [Script<S>],
    counters: &mut Counters,
) -> Result<(), String> {
    let (copy, here) = (on_disk()?, dir.join(STORE));
    // A copy is not closed before the next child opens what it is of.
    let store = if rng.chance(1, 3) {
        here
    } else {
        std::fs::create_dir_all(&here).map_err(|error| error.to_string())?;
        copy_as_crash_leaves_it(&here, copy.path());
        copy.path().to_owned()
    };
    let [durable, acknowledged] = [durable, acknowledged].map(|of| of.values().copied().collect::<Vec<u64>>());
    let opened = open_undamaged::<S>(&store, rng.range(1..29) as u8)?;
    counters.add("replayed", opened.recovery().records);
    find(&opened, &durable, &acknowledged, scripts)?;
    let (backups, exports) = Made::of(dir).check(&opened, &said.made)?;
    counters.add("backups", backups);
    counters.add("exports", exports);
    opened.close().map_err(|error| format!("I6: closing: {error}"))?;
    let found: Vec<u64> = scripts.iter().map(|script| script.done).collect();
    let opened = open_undamaged::<S>(&store, rng.range(1..29) as u8)?;
    find(&opened, &found, &found, scripts)?;
    opened.close().map_err(|error| format!("I6: closing: {error}"))
}
